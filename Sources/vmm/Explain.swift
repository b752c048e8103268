// vmm explain: what a clause asks for, what usually breaks it, and what to do.

import ArgumentParser
import Machine
import Virtio

/// Says what a clause is about.
struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what a clause of the specification asks for, what usually breaks it, and what to do.",
        discussion: """
            A clause is named by its section in VIRTIO 1.4 and by which of the section's key words (MUST, SHOULD, MAY, ...) it is; -0 is \
            stated without one. V5-... are the clauses of the SUSPEND draft, V14-... those of SUSPEND in 1.4, H-... its hazards, VMM-... \
            ours: what works only by luck. A part of a name (4.2.2.2, V5) explains all that begin so.
            """)

    @Argument(help: "A clause, such as 4.2.2.2-14 or V5-DRV-7, or the beginning of some.")
    var clause: String?

    @Flag(help: "List all clauses; those with * are checked in drivers.")
    var list = false

    func validate() throws {
        guard list != (clause != nil) else { throw ValidationError("Name a clause, or use --list.") }
    }

    func run() throws {
        let checked = Set(Check.allCases.map { "\($0.clause.id)" })
        let all = Clause.all.map { (id: "\($0.id)", clause: $0) }
        guard let name = clause else {
            for (id, clause) in all {
                let mark = checked.contains(id) ? "*" : " "
                print("\(mark) \(id)\t\(clause.target)\t\(clause.level.word)\t\(clause.sentence)")
            }
            return
        }
        var found = all.filter { $0.id == name }
        if found.isEmpty { found = all.filter { $0.id.hasPrefix(name) } }
        guard !found.isEmpty else {
            throw ValidationError("There is no clause \(name); vmm explain --list lists them all.")
        }
        for (id, clause) in found {
            print(
                """
                \(id)  \(clause.target) \(clause.level.word)\(checked.contains(id) ? ", checked in drivers" : "")
                  \(clause.sentence)
                  usual cause: \(clause.cause)
                  what to do:  \(clause.remedy)
                """)
        }
    }
}
