// The names that this process has given to Unix sockets in the file system. Nothing removes one by itself when its socket is closed, or
// the process ends.

import Glibc

/// The name of a Unix socket, removed with this value or at the end of the process.
struct SocketName: ~Copyable, Sendable {
    let path: String
    /// The socket's file: by the time of its removal the name may be another file's.
    private let identity: Identity

    private typealias Identity = (device: dev_t, inode: ino_t)

    /// Gives `socket` the name `path`, with its owner's access alone. A stale one, of a socket that no process has, is replaced.
    init(_ path: String, of socket: Int32) throws(MachineError) {
        func fail(_ problem: MachineError.SocketProblem) -> MachineError { .socket(path: path, problem: problem) }
        if let problem = Self.clear(path) { throw fail(problem) }
        // The mode of the name, less the umask.
        fchmod(socket, 0o600)
        var status = stat()
        guard unsafe Self.withAddress(path, { unsafe bind(socket, $0, $1) }) == 0, unsafe lstat(path, &status) == 0
        else { throw fail(errno == EADDRINUSE ? .inUse : .failed(errno: errno)) }
        (self.path, identity) = (path, (status.st_dev, status.st_ino))
        let identity = identity
        Self.lock.locked { unsafe Self.all[path] = identity }
    }

    deinit {
        Self.lock.locked {
            Self.remove(path, identity)
            unsafe Self.all[path] = nil
        }
    }

    private static let lock = Lock()
    /// Under the lock.
    private nonisolated(unsafe) static var all: [String: Identity] = [:]

    /// Removes all, before the process ends without its machine.
    static func removeAll() { lock.locked { removeEach() } }

    /// The same for a handler of a signal, which may have come while its thread held the lock.
    static func removeAllIfFree() { lock.lockedIfFree { removeEach() } }

    private static func removeEach() { for (path, identity) in unsafe all { remove(path, identity) } }

    private static func remove(_ path: String, _ identity: Identity) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0, (status.st_dev, status.st_ino) == identity else { return }
        unsafe unlink(path)
    }

    /// Makes the name free, or returns what prevents that.
    private static func clear(_ path: String) -> MachineError.SocketProblem? {
        guard fits(path) else { return .nameTooLong }
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return errno == ENOENT ? nil : .failed(errno: errno) }
        guard status.st_mode & S_IFMT == S_IFSOCK else { return .notASocket }
        // A stream socket in use refuses a datagram socket for its type, and does not notice the probe.
        let probe = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard probe >= 0 else { return .failed(errno: errno) }
        defer { close(probe) }
        guard unsafe withAddress(path, { unsafe connect(probe, $0, $1) }) != 0, errno == ECONNREFUSED
        else { return .inUse }
        return unsafe unlink(path) == 0 ? nil : .failed(errno: errno)
    }

    // MARK: Addresses

    /// Bytes of a name, and its NUL.
    private static let capacity = MemoryLayout.size(ofValue: sockaddr_un().sun_path)

    /// Whether `path` can be the name of a socket.
    static func fits(_ path: String) -> Bool { path.utf8.count < capacity }

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
