// Clauses as JSON: what `vmm explain --json` prints.

import Virtio

extension Clause {
    /// The clauses as a JSON array of objects: id, target, level, sentence, cause, remedy, and whether drivers are checked for it.
    public static func json(of clauses: [Clause]) -> String {
        let checked = Set(Check.allCases.map { "\($0.clause.id)" })
        return JSON.array(clauses.map { $0.json(isChecked: checked.contains("\($0.id)")) }).text
    }

    private func json(isChecked: Bool) -> JSON {
        [
            "id": .string("\(id)"), "target": .string("\(target)"), "level": .string("\(level.word)"),
            "sentence": .string("\(sentence)"), "cause": .string("\(cause)"), "remedy": .string("\(remedy)"),
            "checked": .bool(isChecked),
        ]
    }
}
