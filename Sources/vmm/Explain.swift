// vmm explain: what a clause asks for, what usually breaks it, and what to do.

import ArgumentParser
import Machine
import Virtio
import VirtioABI

/// Says what a clause is about.
struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what a clause of the specification asks for, what usually breaks it, and what to do.",
        discussion: """
            A clause is named by its section in VIRTIO 1.4 and by which of the section's key words (MUST, SHOULD, MAY, ...) it is; -0 is \
            stated without one. V5-... are the clauses of the SUSPEND draft, V14-... those of SUSPEND in 1.4, H-... its hazards; B-... and \
            MM-... are the names that the list of SUSPEND's requirements has for clauses of VIRTIO 1.4. D-... are decisions of vmm, VMM-... \
            its advice: behaviour that works only with some devices. A part of a name (4.2.2.2, V5) explains all that begin so. \
            A register (QueueReady), a feature (event_idx) or another word (suspend, draft) finds the clauses that speak of it; \
            suspend begins with a picture of both protocols; torture lists the choices of --torture.
            """)

    @Argument(
        help: "A clause, such as 4.2.2.2-14 or V5-DRV-7, the beginning of some, or a word in them.",
        completion: .shellCommand("vmm explain --list | cut -c 3- | cut -f 1"))
    var clause: String?

    @Flag(help: "List all clauses; those with * are checked in drivers.")
    var list = false

    @Flag(help: "Print the clauses as JSON: with --list all, with a name those that it stands for.")
    var json = false

    func validate() throws {
        guard list != (clause != nil) else { throw ValidationError("Name a clause, or use --list.") }
    }

    func run() throws {
        let checked = Set(Check.allCases.map { "\($0.clause.id)" })
        if json {
            print(Clause.json(of: try clause.map(clauses) ?? Clause.all))
        } else if let name = clause {
            try explain(name, checked)
        } else {
            list(checked)
        }
        try finishOutput()
    }

    private func list(_ checked: Set<String>) {
        for clause in Clause.all {
            let mark = checked.contains("\(clause.id)") ? "*" : " "
            print("\(mark) \(clause.id)\t\(clause.target)\t\(clause.level.word)\t\(clause.sentence)")
        }
    }

    /// The choices of --torture.
    private static var tortureTable: String {
        let rows = TortureChoice.allCases.map { choice in
            DescribeMachine.padded("\(choice.name)", 18) + DescribeMachine.padded("\(choice.clause)", 13)
                + "\(choice.sentence)"
        }
        return rows.joined(separator: "\n")
    }

    /// The clauses that `name` stands for, or that speak of it.
    private func clauses(_ name: String) throws -> [Clause] {
        let found = Clause.named(Self.dialects[name.lowercased()] ?? name)?.clauses ?? Term(name).clauses
        guard !found.isEmpty else {
            throw ValidationError("There is no clause \(name); vmm explain --list lists them all.")
        }
        return found
    }

    /// The clauses of a SUSPEND dialect, by its name.
    private static let dialects = ["draft": "V5", "1.4": "V14"]

    private func explain(_ name: String, _ checked: Set<String>) throws {
        if name.lowercased() == "suspend" { print(SuspendPicture.text) }
        if name.lowercased() == "torture" { return print(Self.tortureTable) }
        var found: [Clause]
        if let (section, named) = Clause.named(Self.dialects[name.lowercased()] ?? name) {
            if section.lowercased() != name.lowercased() { print("No clause is named \(name). Those of \(section):") }
            found = named
        } else {
            let term = Term(name)
            found = term.clauses
            guard term.meaning != nil || !found.isEmpty else {
                throw ValidationError(
                    "There is no clause \(name), and none speaks of it; vmm explain --list lists them all.")
            }
            if let meaning = term.meaning { print(meaning) }
            print(found.isEmpty ? "No clause speaks of it." : "Clauses that speak of it:")
        }
        for clause in found {
            print(clause.explanation(isChecked: checked.contains("\(clause.id)")))
        }
        // Each once, behind all the clauses it is an example of.
        for sequence in AccessSequence.all
        where found.contains(where: { $0.sequences.contains { "\($0.title)" == "\(sequence.title)" } }) {
            print(sequence.text)
        }
    }
}

/// A word of the specification: a register, a feature, or any other.
private struct Term {
    /// What the word names, as a sentence; nil if it is neither a register nor a feature.
    let meaning: String?
    /// The clauses with the word in them, by the word's beginning if it is half of a 64-bit register.
    let clauses: [Clause]

    init(_ text: String) {
        let lower = text.lowercased()
        let word =
            lower.hasPrefix("virtio_")
            ? lower.split(separator: "_").drop { $0 != "f" }.dropFirst().joined(separator: "_") : lower
        let register = Register.allCases.first { $0.name.lowercased() == lower }
        let feature = Self.features.first {
            word == $0.name || word == "ring_\($0.name)" || word.hasPrefix("\($0.name)_")
        }
        if let register {
            meaning =
                "\(register.name) is the register at offset 0x\(String(register.rawValue, radix: 16)) (VIRTIO 1.4, 4.2.2)."
        } else if let (name, bit, owner) = feature {
            meaning =
                "\(name) is feature bit \(bit) of \(owner): features=+\(name) offers it, features=-\(name) does not."
        } else {
            meaning = nil
        }
        var stem = feature?.name ?? word
        for half in ["low", "high"] where register != nil && stem.hasSuffix(half) { stem.removeLast(half.count) }
        clauses =
            stem.isEmpty
            ? []
            : Clause.all.filter { clause in
                [clause.sentence, clause.cause, clause.remedy].contains { $0.description.lowercased().contains(stem) }
            }
    }

    /// The features that `features=` takes: name, bit, and which devices have it.
    private static let features: [(name: String, bit: Int, owner: String)] = DeviceKind.all.flatMap { kind in
        kind.selectableFeatures.map { name, feature in
            let isOwn = kind.features.contains { $0.name == name }
            return (name, feature.rawValue.trailingZeroBitCount, isOwn ? "the \(kind.option)" : "every device")
        }
    }
}
