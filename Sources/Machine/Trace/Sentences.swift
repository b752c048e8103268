// What is said of a driver that broke a clause.

import Virtio
import VirtioABI

extension Violation {
    /// One line: the clause, what it asks for, and what the driver did.
    var sentence: String {
        let clause = check.clause
        return "the driver broke \(clause.id) (\(clause.level.word)): \(clause.sentence)\(evidence.text)"
            + (count > 1 ? "; \(count) times so far" : "; see vmm explain \(clause.id)")
    }
}

extension Evidence {
    /// Where it was, in brackets; nothing if that is not known.
    var text: String {
        var parts: [String] = []
        if let queue { parts.append("queue \(queue)") }
        if let offset {
            let place = Register(rawValue: UInt32(offset)).map { "\($0)" } ?? "offset 0x\(hex(UInt64(offset), digits: 3))"
            parts.append(place + (value.map { " = 0x\(hex($0, digits: 1))" } ?? ""))
        } else if let value {
            parts.append(queue == nil ? "0x\(hex(value, digits: 1))" : "buffer \(value)")
        }
        return parts.isEmpty ? "" : " [" + parts.joined(separator: ", ") + "]"
    }
}

extension Violation {
    /// The same at the end of a run.
    var summary: String {
        let clause = check.clause
        return "\(clause.id) (\(clause.level.word)), \(count) times: \(clause.sentence)\(evidence.text)"
    }
}
