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
            stated without one. V5-... are the clauses of the SUSPEND draft, V14-... those of SUSPEND in 1.4, H-... its hazards; B-... and \
            MM-... are the names that the list of SUSPEND's requirements has for clauses of VIRTIO 1.4. D-... are decisions of vmm, VMM-... \
            its advice: behaviour that works only with some devices. A part of a name (4.2.2.2, V5) explains all that begin so.
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
        guard let name = clause else {
            for clause in Clause.all {
                let mark = checked.contains("\(clause.id)") ? "*" : " "
                print("\(mark) \(clause.id)\t\(clause.target)\t\(clause.level.word)\t\(clause.sentence)")
            }
            return
        }
        guard let (section, found) = Clause.named(name) else {
            throw ValidationError("There is no clause \(name); vmm explain --list lists them all.")
        }
        if section != name { print("No clause is named \(name). Those of \(section):") }
        for clause in found {
            let id = "\(clause.id)"
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
