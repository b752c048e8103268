// A stream socket with a name in the file system: bound, one client accepted, others refused, removed at the end.

import CLinux
import Glibc

/// A listening Unix stream socket.
final class UnixListener: ClientListener {
    let descriptor: Int32
    private let name: SocketName
    private let reserve: DescriptorReserve
    var place: String { name.path }

    /// Listens at `path`. A stale socket, which no process listens at, is replaced.
    init(path: String) throws(MachineError) {
        let descriptor = socket(AF_UNIX, Self.stream | Self.flags, 0)
        guard descriptor >= 0 else { throw .socket(path: path, problem: .failed(errno: errno)) }
        do throws(MachineError) {
            name = try SocketName(path, of: descriptor)
            reserve = try DescriptorReserve { .socket(path: path, problem: .failed(errno: $0)) }
        } catch {
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        guard listen(descriptor, 4) == 0 else { throw .socket(path: path, problem: .failed(errno: errno)) }
    }

    deinit { close(descriptor) }

    func accept() -> Int32? { Self.accept(descriptor, reserve) }

    /// Accepts the client that waits at a listening socket; nil if it has disconnected.
    static func accept(_ descriptor: Int32, _ reserve: DescriptorReserve) -> Int32? {
        reserve.release()
        let client = clinux_accept(descriptor, flags)
        return client >= 0 ? client : nil
    }

    /// Refuses the client that waits: another is connected.
    func refuse() {
        guard let client = accept() else { return }
        let answer = Array("FAIL another client is connected\n".utf8)
        unsafe answer.withUnsafeBytes { _ = unsafe write(client, $0.baseAddress, $0.count) }
        close(client)
    }

    /// Connects to the socket at `path`, as a client.
    static func connect(to path: String) throws(MachineError) -> Int32 {
        guard SocketName.fits(path) else { throw .socket(path: path, problem: .nameTooLong) }
        let descriptor = socket(AF_UNIX, stream | Int32(SOCK_CLOEXEC.rawValue), 0)
        let number = unsafe SocketName.withAddress(path) { unsafe Glibc.connect(descriptor, $0, $1) == 0 ? 0 : errno }
        guard number == 0 else {
            close(descriptor)
            throw .socket(path: path, problem: .notListening(errno: number))
        }
        return descriptor
    }

    private static let stream = Int32(SOCK_STREAM.rawValue)
    private static let flags = Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
}
