// Where a client of vmm connects: that of a qtest session, or one that controls a running machine.

import Glibc
import Synchronization

/// Where a client connects.
public enum ClientTarget: Equatable, Sendable {
    /// At standard input and output.
    case stdio
    /// At a Unix socket with this path.
    case unix(String)
}

/// A socket that listens for clients of one server.
protocol ClientListener: Sendable {
    var descriptor: Int32 { get }
    /// Where a client connects, as gdb's `target remote` takes it.
    var place: String { get }
    /// Accepts the client that waits; nil if it has disconnected.
    func accept() -> Int32?
}

/// Where a debugger connects.
public enum DebugAddress: Equatable, Sendable {
    /// At a Unix socket with this path.
    case unix(String)
    /// At a port of this host; an address of another of its interfaces than the loopback may be named.
    case port(host: String, UInt16)

    /// Reads `unix=PATH` or `[HOST:]PORT`.
    public init(option text: String) throws(OptionError) {
        if text.hasPrefix("unix=") {
            self = .unix(try OptionWords.single(text, ["unix=PATH"]).value ?? "")
            return
        }
        let mark = text.lastIndex(of: ":")
        let host = mark.map { String(text[..<$0]) } ?? ""
        guard let port = UInt16(mark.map { text[text.index(after: $0)...] } ?? text[...]) else {
            throw OptionError(
                "a debugger connects at unix=PATH, at a port, 1234, or at HOST:PORT with an address of this host")
        }
        let address = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        self = .port(host: address.isEmpty || address == "localhost" ? "127.0.0.1" : address, port)
    }

    /// Listens there.
    func listen() throws(MachineError) -> any ClientListener {
        switch self {
        case .unix(let path): try UnixListener(path: path)
        case .port(let host, let port): try PortListener(host: host, port: port)
        }
    }
}

/// Two descriptors kept for a client and for one that is refused: a listening socket whose client gets none stays readable, and its
/// thread would not sleep again.
final class DescriptorReserve: Sendable {
    private let descriptors: [Int32]
    private let isReleased = Atomic(false)

    init(_ failure: (Int32) -> MachineError) throws(MachineError) {
        descriptors = (0..<2).map { _ in socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0) }
        guard descriptors.contains(-1) else { return }
        let number = errno
        release()
        throw failure(number)
    }

    deinit { release() }

    /// Lets the next client have one.
    func release() {
        guard !isReleased.exchange(true, ordering: .relaxed) else { return }
        for descriptor in descriptors where descriptor >= 0 { close(descriptor) }
    }
}
