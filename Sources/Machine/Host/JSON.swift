// JSON (RFC 8259), written only.

/// A JSON value. Numbers are integers. Values of more than 53 bits are strings, because readers would round them.
enum JSON: Equatable, Sendable {
    case null
    case bool(Bool)
    case number(Int)
    case string(String)
    case array([JSON])
    /// Members in this order, with distinct names.
    case object([Member])
    /// Nanoseconds, written as microseconds with three decimals.
    case microseconds(UInt64)

    /// A member of an object.
    struct Member: Equatable, Sendable {
        let name: String
        let value: JSON
    }

    /// The JSON text, on one line, without spaces between tokens.
    var text: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .number(let value): String(value)
        case .string(let value): Self.quoted(value)
        case .microseconds(let value):
            "\(value / 1000)." + String(String(1000 + value % 1000).dropFirst())
        case .array(let values): "[" + values.map(\.text).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { Self.quoted($0.name) + ":" + $0.value.text }.joined(separator: ",") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case _ where scalar.value < 0x20: quoted += "\\u" + hex(UInt64(scalar.value), digits: 4)
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

extension JSON: ExpressibleByStringLiteral {
    init(stringLiteral value: String) { self = .string(value) }
}

extension JSON: ExpressibleByDictionaryLiteral {
    init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(elements.map { Member(name: $0.0, value: $0.1) })
    }

    /// An integer of any width, clamped to `Int`.
    static func count(_ value: some BinaryInteger) -> JSON { .number(Int(clamping: value)) }
    /// A value as a string `0x...` of at least `digits` digits.
    static func bits(_ value: some UnsignedInteger, digits: Int) -> JSON {
        .string("0x" + hex(UInt64(value), digits: digits))
    }
    /// Bytes as a string of two hexadecimal digits each.
    static func bytes(_ bytes: [UInt8]) -> JSON { .string("0x" + bytes.hexadecimal) }
}
