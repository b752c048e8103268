// A stream socket with a name in the file system: bound, one client accepted, others refused, removed at the end.

import CLinux
import Glibc

/// A listening Unix stream socket.
final class UnixListener: ClientListener {
    let descriptor: Int32
    let path: String
    var place: String { path }
    /// The socket's file: by the time of its removal the name may be another file's.
    private let identity: (device: dev_t, inode: ino_t)

    /// Listens at `path`. A stale socket, which no process listens at, is replaced.
    init(path: String) throws(MachineError) {
        func fail(_ problem: MachineError.SocketProblem) -> MachineError { .socket(path: path, problem: problem) }
        if let problem = Self.clear(path) { throw fail(problem) }
        let descriptor = socket(AF_UNIX, Self.stream | Self.flags, 0)
        guard descriptor >= 0 else { throw fail(.failed(errno: errno)) }
        // The mode of the name, less the umask.
        fchmod(descriptor, 0o600)
        let bound = unsafe Self.withAddress(path) { unsafe bind(descriptor, $0, $1) == 0 ? 0 : errno }
        var status = stat()
        let listens = unsafe bound == 0 && listen(descriptor, 4) == 0 && lstat(path, &status) == 0
        let result = bound != 0 ? bound : listens ? 0 : errno
        guard result == 0 else {
            close(descriptor)
            throw fail(result == EADDRINUSE ? .inUse : .failed(errno: result))
        }
        self.descriptor = descriptor
        self.path = path
        identity = (status.st_dev, status.st_ino)
        Self.lock.locked { unsafe Self.names[path] = identity }
    }

    deinit {
        close(descriptor)
        Self.lock.locked { Self.remove(path, identity) }
    }

    private static let lock = Lock()
    /// Under the lock: what there is to be removed, by name.
    private nonisolated(unsafe) static var names: [String: (device: dev_t, inode: ino_t)] = [:]

    /// Removes the names of all sockets, before the process ends without its machine.
    static func removeAll() { lock.locked { for (path, identity) in unsafe names { remove(path, identity) } } }

    private static func remove(_ path: String, _ identity: (device: dev_t, inode: ino_t)) {
        unsafe names[path] = nil
        var status = stat()
        guard unsafe lstat(path, &status) == 0, (status.st_dev, status.st_ino) == identity else { return }
        unsafe unlink(path)
    }

    func accept() -> Int32? { Self.accept(descriptor) }

    /// Accepts the client that waits at a listening socket; nil if it has disconnected.
    static func accept(_ descriptor: Int32) -> Int32? {
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
        guard fits(path) else { throw .socket(path: path, problem: .nameTooLong) }
        let descriptor = socket(AF_UNIX, stream | Int32(SOCK_CLOEXEC.rawValue), 0)
        let number = unsafe withAddress(path) { unsafe Glibc.connect(descriptor, $0, $1) == 0 ? 0 : errno }
        guard number == 0 else {
            close(descriptor)
            throw .socket(path: path, problem: .notListening(errno: number))
        }
        return descriptor
    }

    // MARK: Names

    /// Bytes of a name, and its NUL.
    private static let capacity = MemoryLayout.size(ofValue: sockaddr_un().sun_path)

    /// Whether `path` can be the name of a socket.
    static func fits(_ path: String) -> Bool { path.utf8.count < capacity }

    private static let stream = Int32(SOCK_STREAM.rawValue)
    private static let flags = Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)

    /// Makes the name free, or returns what prevents that.
    static func clear(_ path: String) -> MachineError.SocketProblem? {
        guard fits(path) else { return .nameTooLong }
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return errno == ENOENT ? nil : .failed(errno: errno) }
        guard status.st_mode & S_IFMT == S_IFSOCK else { return .notASocket }
        // A stream socket in use refuses a datagram socket for its type, and does not notice the probe.
        let probe = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | flags, 0)
        guard probe >= 0 else { return .failed(errno: errno) }
        defer { close(probe) }
        guard unsafe withAddress(path, { unsafe Glibc.connect(probe, $0, $1) == 0 ? 0 : errno }) == ECONNREFUSED else {
            return .inUse
        }
        return unsafe unlink(path) == 0 ? nil : .failed(errno: errno)
    }

    /// Calls `body` with the socket address of `path`, which has to fit.
    static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        return unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, size) }
        }
    }
}
