// A JSON writer (RFC 8259).

/// A JSON value.
enum JSON {
    case null
    case bool(Bool)
    case int(Int)
    /// A value that JSON cannot represent, such as an infinity, becomes null.
    case double(Double)
    case string(String)
    case array([JSON])
    /// Members keep their order; each name occurs once.
    case object([Member])

    /// A member of an object.
    struct Member {
        let name: String
        let value: JSON
    }

    /// The value as text with line breaks, indented by two spaces per level.
    func text(_ indent: String = "") -> String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .int(let value): String(value)
        case .double(let value): value.isFinite ? "\(value)" : "null"
        case .string(let value): Self.quoted(value)
        case .array(let values):
            values.isEmpty ? "[]" : Self.block("[", values.map { $0.text(indent + "  ") }, "]", indent)
        case .object(let members):
            members.isEmpty
                ? "{}"
                : Self.block(
                    "{", members.map { Self.quoted($0.name) + ": " + $0.value.text(indent + "  ") }, "}", indent)
        }
    }

    /// An object of these members.
    static func members(_ members: [(String, JSON)]) -> JSON {
        .object(members.map { Member(name: $0.0, value: $0.1) })
    }

    private static func block(_ open: String, _ lines: [String], _ close: String, _ indent: String) -> String {
        "\(open)\n" + lines.map { "\(indent)  \($0)" }.joined(separator: ",\n") + "\n\(indent)\(close)"
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
