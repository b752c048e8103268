// A request of QEMU's machine protocol (QEMU's docs/interop/qmp-spec): {"execute": NAME, "arguments": {...}, "id": ANYTHING}.

import FoundationEssentials

/// An error in QMP's form.
struct QMPError: Error, Equatable {
    /// `CommandNotFound` or `GenericError`.
    let kind: String
    let text: String

    static func generic(_ text: String) -> QMPError { QMPError(kind: "GenericError", text: text) }
    static func notFound(_ text: String) -> QMPError { QMPError(kind: "CommandNotFound", text: text) }

    var json: JSON { ["class": .string(kind), "desc": .string(text)] }
}

/// A request.
struct QMPRequest {
    let command: String
    let arguments: Arguments

    /// Reads an object. Its id, if that can be read, is returned with the answer.
    static func read(_ object: [UInt8]) -> (request: Result<QMPRequest, QMPError>, id: JSON?) {
        guard case .object(let members)? = try? JSONDecoder().decode(JSON.self, from: Data(object)) else {
            return (.failure(.generic("this is not valid JSON; numbers have to be integers")), nil)
        }
        let id = members.first { $0.name == "id" }?.value
        let known = ["execute", "arguments", "id"]
        if let other = members.first(where: { !known.contains($0.name) }) {
            return (.failure(.generic("QMP input member '\(other.name)' is unexpected")), id)
        }
        guard case .string(let command)? = members.first(where: { $0.name == "execute" })?.value else {
            return (.failure(.generic("QMP input lacks member 'execute', the name of a command")), id)
        }
        switch members.first(where: { $0.name == "arguments" })?.value ?? [:] {
        case .object(let arguments):
            return (.success(QMPRequest(command: command, arguments: Arguments(members: arguments))), id)
        default: return (.failure(.generic("QMP input member 'arguments' must be an object")), id)
        }
    }

    /// The arguments of a request.
    struct Arguments {
        let members: [JSON.Member]

        /// Throws if there are others than `names`.
        func check(_ names: [String]) throws(QMPError) {
            guard let other = members.first(where: { !names.contains($0.name) }) else { return }
            throw .generic("Parameter '\(other.name)' is unexpected")
        }

        /// Throws if it is missing or no string.
        func string(_ name: String) throws(QMPError) -> String {
            guard case .string(let text)? = value(name) else { throw invalid(name, "a string") }
            return text
        }

        /// Throws if it is missing or neither true nor false.
        func bool(_ name: String) throws(QMPError) -> Bool {
            guard case .bool(let value)? = value(name) else { throw invalid(name, "a boolean") }
            return value
        }

        /// Throws if it is missing or not in `range`.
        func integer(_ name: String, in range: ClosedRange<Int>) throws(QMPError) -> Int {
            guard case .number(let number)? = value(name), range.contains(number) else {
                throw invalid(name, "a number from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }

        /// Nil if it is missing.
        func optional(_ name: String, in range: ClosedRange<Int>) throws(QMPError) -> Int? {
            value(name) == nil ? nil : try integer(name, in: range)
        }

        private func value(_ name: String) -> JSON? { members.first { $0.name == name }?.value }

        private func invalid(_ name: String, _ what: String) -> QMPError {
            .generic(value(name) == nil ? "Parameter '\(name)' is missing" : "Parameter '\(name)' expects \(what)")
        }
    }
}

extension JSON: Decodable {
    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// Reads any value but a number that is not an integer. The order of members is lost.
    init(from decoder: any Decoder) throws {
        if let members = try? decoder.container(keyedBy: Name.self) {
            self = .object(
                try members.allKeys.sorted { $0.stringValue < $1.stringValue }.map {
                    Member(name: $0.stringValue, value: try members.decode(JSON.self, forKey: $0))
                })
            return
        }
        if var values = try? decoder.unkeyedContainer() {
            var array: [JSON] = []
            while !values.isAtEnd { array.append(try values.decode(JSON.self)) }
            self = .array(array)
            return
        }
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let bool = try? value.decode(Bool.self) {
            self = .bool(bool)
        } else if let number = try? value.decode(Int.self) {
            self = .number(number)
        } else {
            self = .string(try value.decode(String.self))
        }
    }
}
