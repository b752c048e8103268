// What is said of a driver that broke a clause.

import Virtio
import VirtioABI

extension Violation {
    /// One line: the clause, what it asks for, and what the driver did.
    var sentence: String {
        let clause = check.clause
        return "the driver broke \(clause.id) (\(clause.level.word)): \(clause.sentence)\(place)"
            + (count > 1 ? "; \(times(count)) so far" : "; see vmm explain \(clause.id)")
    }
    /// The same at the end of a run.
    var summary: String {
        let clause = check.clause
        return "\(clause.id) (\(clause.level.word)), \(times(count)): \(clause.sentence)\(place)"
    }
}

extension Clause {
    /// What it asks for, what usually breaks it, and what to do. `isChecked`: in drivers.
    public func explanation(isChecked: Bool) -> String {
        """
        \(id)  \(target) \(level.word)\(isChecked ? ", checked in drivers" : "")
          \(sentence)
          usual cause: \(cause)
          what to do:  \(remedy)
          where:       \(place)
        """
    }

    /// The text that a clause stands in.
    private var place: String {
        let parts = "\(id)".split(separator: "-")
        if let section {
            let word = parts[parts.count - 1]
            let isNumbered = parts.count == 2
            return "VIRTIO 1.4, \(section.number) \"\(section.title)\""
                + (!isNumbered ? "" : word.hasPrefix("0") ? ", stated without a key word" : ", key word \(word)")
                + " (\(section.file))"
        }
        switch parts[0] {
        case "V5":
            let part = ["DRV": "its requirements of the driver", "DEV": "its requirements of the device"][parts[1]]
            return "the SUSPEND draft of 27 February 2024, version 5: " + (part ?? "its definitions")
        case "V3": return "version 3 of virtio-mmio, as accepted in May 2026 (virtio-spec issue 246)"
        case "D": return "a decision of vmm: Suspend in the documentation"
        case "VMM": return "in no specification: advice of vmm"
        default: return "a hazard of SUSPEND: The requirements of SUSPEND in the documentation"
        }
    }

    /// Example accesses that keep the clause.
    public var sequences: [AccessSequence] {
        AccessSequence.all.filter { $0.clauses.contains { $0.description == "\(id)" || isIn($0.description) } }
    }

    /// Whether the id begins with all parts of `beginning`.
    private func isIn(_ beginning: String) -> Bool {
        let id = "\(id)"
        return id.hasPrefix(beginning + ".") || id.hasPrefix(beginning + "-")
    }
}

extension AccessSequence {
    /// The accesses, a line each.
    public var text: String {
        let accesses = steps.map { step in
            switch step.access {
            case .write(let register, let value): "write \(register.name) \(hex(value))"
            case .read(let register, let value): "read  \(register.name) \(hex(value))"
            case .poll(let register, let value): "read  \(register.name) until \(hex(value))"
            case .field(let offset, let value):
                "read  0x\(String(Register.configuration + UInt32(offset), radix: 16)) \(hex(value))"
            }
        }
        let width = accesses.map(\.count).max() ?? 0
        let lines = zip(accesses, steps).map { access, step in
            "    \(access)\(String(repeating: " ", count: width - access.count))  \(step.purpose)"
        }
        return (["  example: \(title)"] + lines).joined(separator: "\n")
    }

    private func hex(_ value: UInt32) -> String { "0x" + (value < 16 ? "0" : "") + String(value, radix: 16) }
}

/// So often.
func times(_ count: UInt64) -> String { count == 1 ? "once" : "\(count) times" }

extension Register {
    /// What the specification calls the register at `offset`; nil if there is none.
    static func name(at offset: UInt16) -> String? { Register(rawValue: UInt32(offset))?.name }

    /// What the specification calls the register.
    public var name: String {
        let name = "\(self)"
        return name.hasPrefix("shm") ? "SHM" + name.dropFirst(3) : name.prefix(1).uppercased() + name.dropFirst()
    }
}

extension Violation {
    /// Where it was, in brackets; nothing if that is not known.
    private var place: String {
        let (queue, offset, value) = (evidence.queue, evidence.offset, evidence.value)
        var parts: [String] = []
        if let queue { parts.append("queue \(queue)") }
        if let offset {
            let place = Register.name(at: offset) ?? "offset 0x\(hex(UInt64(offset), digits: 3))"
            let isWidth = check == .registerWidth
            parts.append(place + (value.map { isWidth ? ", \($0) bytes" : " = 0x\(hex($0, digits: 1))" } ?? ""))
        } else if let value {
            parts.append(queue == nil ? "0x\(hex(value, digits: 1))" : "buffer \(value)")
        }
        return parts.isEmpty ? "" : " [" + parts.joined(separator: ", ") + "]"
    }
}

extension QueueFault {
    /// The case's name as words: `bufferOutsideMemory` is "buffer outside memory".
    var words: String { "\(self)".reduce(into: "") { $0 += $1.isUppercase ? " \($1.lowercased())" : "\($1)" } }
}

extension Event {
    /// An outcome of the model in words, as `vmm check` compares it with the trace.
    var words: String {
        switch self {
        case .read(let offset, _, let value):
            "a read of \(Register.name(at: offset) ?? "offset 0x\(hex(UInt64(offset), digits: 3))") returns 0x\(hex(value, digits: 1))"
        case .available(let queue, let id, let readable, let writable):
            "chain \(id) of queue \(queue) is popped, \(readable) bytes to read and \(writable) to write"
        case .request(_, let request):
            "a request goes to the backend: \(request.kind.rawValue), \(request.count) bytes at \(request.place)"
        case .used(let queue, let id, let length): "chain \(id) of queue \(queue) is used, \(length) bytes written"
        case .interrupt(let status): "InterruptStatus becomes 0x\(hex(UInt64(status), digits: 1))"
        case .lifecycle(let status, let phase):
            "Status becomes 0x\(hex(UInt64(status.rawValue), digits: 2)), the device \(phase.name)"
        default: "an event that no device has"
        }
    }
}
