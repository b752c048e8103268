// The host's files that a run reads and writes. They are judged together before any of them is opened for writing: an output that is
// an input too would destroy it, and two outputs in one file would destroy each other.

import CLinux
import Glibc

/// A regular file or a block device, by whatever name it was found. Pipes, terminals and devices such as /dev/null, which several
/// outputs can share, have no identity.
struct FileIdentity: Equatable {
    private let device: dev_t
    /// Nil for a block device, which `device` identifies.
    private let inode: ino_t?

    /// The file at `path`; nil if there is none.
    init?(path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    /// The file behind `descriptor`.
    init?(descriptor: Int32) {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return nil }
        self.init(status)
    }

    private init?(_ status: stat) {
        switch status.st_mode & S_IFMT {
        case S_IFREG: (device, inode) = (status.st_dev, status.st_ino)
        case S_IFBLK: (device, inode) = (status.st_rdev, nil)
        default: return nil
        }
    }
}

/// The files of a run, and what it does with each.
struct HostFiles {
    private struct File {
        /// What the file is for, and its name, for messages.
        let use: String
        let identity: FileIdentity
    }

    private var inputs: [File] = []
    /// Outputs named by a path, and where descriptors lead, which can share a file.
    private var outputs: [File] = []
    private var streams: [File] = []
    /// Outputs that replace a file of their own kind, which begins with `head`, and no other.
    private var replacements: [(path: String, kind: String, head: [UInt8])] = []

    init() {}

    /// The files of a machine. With `isQTest` a client is at standard input and output where the console is, and has its further ports.
    init(_ configuration: Machine.Configuration, isQTest: Bool) {
        writes(descriptor: 2, as: "standard error")
        reads(configuration.kernel, as: "the kernel")
        for module in configuration.modules { reads(module, as: "the initial RAM disk") }
        for disk in configuration.disks {
            reads(disk.path, as: "the disk image")
            if case .kept(let path) = disk.overlay { writes(path, as: "the overlay") }
        }
        if let trace = configuration.trace { replaces(trace, "trace", head: Array("{\"trace\":".utf8)) }
        for capture in configuration.networks.compactMap(\.capture) {
            replaces(capture, "capture", head: [0x0a, 0x0d, 0x0d, 0x0a])
        }
        writes(configuration.console, as: "the console's output")
        if isQTest { return }
        for port in configuration.ports { writes(port.target, as: "the port's output") }
        if let serial = configuration.serial { writes(serial, as: "the serial port's output") }
    }

    mutating func reads(_ path: String?, as use: String) {
        guard let path, let identity = FileIdentity(path: path) else { return }
        inputs.append(File(use: "\(use) \(path)", identity: identity))
    }

    mutating func writes(_ path: String, as use: String) {
        guard let identity = FileIdentity(path: path) else { return }
        outputs.append(File(use: "\(use) \(path)", identity: identity))
    }

    mutating func writes(descriptor: Int32, as use: String) {
        guard let identity = FileIdentity(descriptor: descriptor) else { return }
        streams.append(File(use: use, identity: identity))
    }

    /// An output that replaces a `kind` of file, which begins with `head`, and no other.
    mutating func replaces(_ path: String, _ kind: String, head: [UInt8]) {
        replacements.append((path, kind, head))
        writes(path, as: "the \(kind)")
    }

    private mutating func writes(_ target: ConsoleTarget, as use: String) {
        switch target {
        case .file(let path): writes(path, as: use)
        case .descriptors(_, let output): writes(descriptor: output, as: use)
        case .stdio:
            if let identity = FileIdentity(descriptor: 0) {
                inputs.append(File(use: "standard input", identity: identity))
            }
            writes(descriptor: 1, as: "standard output")
        case .null, .pty, .unix: break
        }
    }

    /// Throws if an output is an input or another output, or a trace or a capture would replace a file that is none.
    func check() throws(MachineError) {
        for (index, output) in outputs.enumerated() {
            try Self.check(output, against: inputs + streams + outputs[..<index])
        }
        for stream in streams { try Self.check(stream, against: inputs) }
        for file in replacements where try !Self.canReplace(file.path, file.head) {
            throw .not(file.kind, path: file.path)
        }
    }

    /// Whether the file at `path` is missing or empty, or begins with `head`: no other is overwritten. Pipes and devices have nothing to lose.
    private static func canReplace(_ path: String, _ head: [UInt8]) throws(MachineError) -> Bool {
        guard FileIdentity(path: path) != nil else { return true }
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if [EMFILE, ENFILE].contains(errno) { throw .host("\(path) cannot be looked at", errno: errno) }
            return false
        }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: head.count)
        let count = unsafe read(file, &bytes, bytes.count)
        return count == 0 || bytes == head
    }

    private static func check(_ output: File, against others: [File]) throws(MachineError) {
        guard let other = others.first(where: { $0.identity == output.identity }) else { return }
        keepMessages(outOf: output.identity)
        throw .sameFile(output: output.use, other: other.use)
    }

    /// Sends the messages that follow to standard output, or nowhere, if standard error is the file.
    private static func keepMessages(outOf file: FileIdentity) {
        guard FileIdentity(descriptor: 2) == file else { return }
        let other = FileIdentity(descriptor: 1) == file ? unsafe open("/dev/null", O_WRONLY | O_CLOEXEC) : 1
        dup2(other, 2)
    }

    /// `path` as it is found from every directory. Symbolic links are left as they are.
    static func absolutePath(_ path: String) -> String {
        guard !path.hasPrefix("/"), let directory = unsafe getcwd(nil, 0) else { return path }
        defer { unsafe free(directory) }
        return unsafe String(cString: directory) + "/" + path
    }

    /// The bytes of an open file, as far as they can be read; of more than `limit` about as many.
    static func contents(of file: Int32, atMost limit: Int = .max) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count <= limit {
            let part = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, count in
                var result = 0
                repeat {
                    result = unsafe read(file, buffer.baseAddress, buffer.count)
                } while result < 0 && errno == EINTR
                count = max(0, result)
            }
            if part.isEmpty { break }
            bytes += part
        }
        return bytes
    }

    // MARK: Opening

    /// `path` without slashes at its end.
    static func trimmed(_ path: String) -> String {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path
    }

    /// The folder that the name `path` is in.
    static func folder(of path: String) -> String {
        let path = trimmed(path)
        return path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    }

    /// Opens the file at `path`, or creates it with `mode`, less the umask. A symbolic link is followed if it is this user's or root's:
    /// another user's could lead anywhere. Returns a descriptor, or -1 with `errno` set.
    static func create(_ path: String, _ access: Int32, mode: mode_t) throws(MachineError) -> Int32 {
        // A pipe without a reader is an error; without O_NONBLOCK this would wait for one.
        let flags = access | O_CREAT | O_CLOEXEC | O_NONBLOCK
        let descriptor = unsafe open(path, flags | O_NOFOLLOW, mode)
        guard descriptor < 0, errno == ELOOP else { return descriptor }
        var link = stat()
        guard unsafe lstat(path, &link) == 0, [0, geteuid()].contains(link.st_uid) else {
            throw .foreignLink(path: path)
        }
        return unsafe open(path, flags, mode)
    }

    /// Opens the file at `path` for output and locks it, so that no vmm has it as a disk image or another output. It is created if it is
    /// missing; otherwise it keeps its content until the caller truncates it.
    static func openOutput(
        _ path: String, mode: mode_t = 0o644, _ failure: (Int32) -> MachineError
    ) throws(MachineError) -> Int32 {
        let descriptor = try create(path, O_WRONLY, mode: mode)
        guard descriptor >= 0 else { throw failure(errno) }
        guard FileIdentity(descriptor: descriptor) == nil || lock(descriptor, F_WRLCK) != EAGAIN else {
            close(descriptor)
            throw .outputInUse(path: path)
        }
        return descriptor
    }

    /// F_OFD_SETLK of <fcntl.h>, which is hidden from Swift behind _GNU_SOURCE: a lock that belongs to the open file, not to
    /// the process.
    private static let setOpenFileLock: Int32 = 37

    /// Locks an open file, shared with F_RDLCK, exclusively with F_WRLCK: 0 or an errno, EAGAIN if another open file has a lock that
    /// excludes this one.
    static func lock(_ descriptor: Int32, _ kind: Int32) -> Int32 {
        var lock = flock()
        lock.l_type = Int16(kind)
        lock.l_whence = Int16(SEEK_SET)
        guard unsafe fcntl(descriptor, setOpenFileLock, &lock) != 0 else { return 0 }
        return errno == EACCES ? EAGAIN : errno
    }
}
