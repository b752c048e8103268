// A client of a running machine, for `vmm ctl`: connects, negotiates, and has one request answered.

import FoundationEssentials
import Glibc

/// A connection to a machine's control socket.
public final class QMPClient {
    /// How long the machine may take to answer.
    private static let limit = Duration.seconds(10)

    private let path: String
    private let descriptor: Int32
    /// Messages of it are bounded by this program's own server.
    private var lines = LineBuffer(limit: 1 << 20)

    /// Connects to the socket at `path`, and negotiates.
    public init(path: String) throws(MachineError) {
        self.path = path
        descriptor = try UnixListener.connect(to: path)
        _ = try message()
        _ = try answer(to: "qmp_capabilities", [])
    }

    deinit { close(descriptor) }

    /// The answer to a request, as JSON. `arguments` have the form NAME=VALUE; a value is an integer, `true`, `false`, or else a string.
    public func answer(to command: String, _ arguments: [String]) throws(MachineError) -> String {
        var members: [JSON.Member] = []
        for argument in arguments {
            guard let mark = argument.firstIndex(of: "="), mark > argument.startIndex else {
                throw .control("'\(argument)' is no argument of a command; write NAME=VALUE")
            }
            let value = String(argument[argument.index(after: mark)...])
            members.append(JSON.Member(name: String(argument[..<mark]), value: Self.value(value)))
        }
        // A snapshot takes as long as its disk.
        let limit = command == "x-vmm-snapshot" ? Duration.seconds(3600) : Self.limit
        try send(["execute": .string(command), "arguments": .object(members)])
        while true {
            guard case .object(let answer) = try message(within: limit) else { continue }
            if let value = answer.first(where: { $0.name == "return" })?.value { return value.text }
            guard case .object(let error)? = answer.first(where: { $0.name == "error" })?.value else { continue }
            guard case .string(let text)? = error.first(where: { $0.name == "desc" })?.value else { continue }
            throw .control("the machine at \(path) refuses \(command): \(text)")
        }
    }

    /// The argument `name` of a command, a file or folder that is named as this process finds it.
    public static func argument(_ name: String, path: String) -> String { "\(name)=\(HostFiles.absolutePath(path))" }

    /// The word of an answer to `query-status`.
    public static func status(in answer: String) -> String {
        guard case .object(let members)? = try? JSONDecoder().decode(JSON.self, from: Data(answer.utf8)),
            case .string(let word)? = members.first(where: { $0.name == "status" })?.value
        else { return answer }
        return word
    }

    private static func value(_ text: String) -> JSON {
        if let number = Int(text) { return .number(number) }
        return ["true": .bool(true), "false": .bool(false)][text] ?? .string(text)
    }

    private func send(_ request: JSON) throws(MachineError) {
        let bytes = Array((request.text + "\n").utf8)
        guard unsafe bytes.withUnsafeBytes({ unsafe writeAll($0, to: descriptor) }) else { throw gone() }
    }

    /// The next message: an answer or an event.
    private func message(within limit: Duration = limit) throws(MachineError) -> JSON {
        let deadline = Instant.now.advanced(by: limit)
        while true {
            if case .line(let line)? = lines.next() {
                guard let message = try? JSONDecoder().decode(JSON.self, from: Data(line)) else { throw gone() }
                return message
            }
            var state = pollfd(descriptor, POLLIN)
            let ready = unsafe poll(&state, 1, deadline.millisecondsLeft)
            if ready < 0 && errno == EINTR { continue }
            guard ready > 0 else {
                throw .control(
                    "the machine at \(path) does not answer; another client may be connected, or vmm stopped (kill -CONT)"
                )
            }
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = unsafe read(descriptor, &bytes, bytes.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw gone() }
            lines.append(Array(bytes[..<count]))
        }
    }

    private func gone() -> MachineError { .control("the machine at \(path) ended before it answered") }
}
