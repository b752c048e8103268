// Making and opening the file of an overlay, and its trailer, which says what image it belongs to.

import CLinux
import Glibc

/// An image as an overlay knows it: text, so that a stranger can see with tail(1) what the file is.
struct ImageIdentity: Equatable {
    let path: String
    /// Bytes.
    let size: UInt64
    /// When the image was last modified: seconds since 1970, and nanoseconds.
    let modified: String

    private static let title = "vmm overlay 1"

    init(path: String, size: UInt64, modified: String) {
        (self.path, self.size, self.modified) = (path, size, modified)
    }

    /// The open image.
    init(path: String, descriptor: Int32, size: UInt64) {
        var status = stat()
        _ = unsafe fstat(descriptor, &status)
        let nanoseconds = String(String(1_000_000_000 + status.st_mtim.tv_nsec).dropFirst())
        self.init(path: path, size: size, modified: "\(status.st_mtim.tv_sec).\(nanoseconds)")
    }

    /// Reads a trailer; nil if it is none.
    init?(trailer: [UInt8]) {
        let lines = String(decoding: trailer.prefix { $0 != 0 }, as: UTF8.self).split(separator: "\n")
        func value(_ index: Int, _ name: String) -> String? {
            lines[index].hasPrefix("\(name): ") ? String(lines[index].dropFirst(name.count + 2)) : nil
        }
        guard lines.count == 4, lines[0] == Self.title, let path = value(1, "image"),
            let size = value(2, "size").flatMap({ UInt64($0) }), let modified = value(3, "modified")
        else { return nil }
        self.init(path: path, size: size, modified: modified)
    }

    /// The trailer, of 4096 bytes at most.
    var trailer: [UInt8] {
        let name = path.utf8.count < 3000 ? path.filter { $0 != "\n" } : "-"
        return Array("\(Self.title)\nimage: \(name)\nsize: \(size)\nmodified: \(modified)\n".utf8)
    }
}

extension ImageIdentity {
    /// The file at `path` as it is now; nil if there is none.
    init?(path: String) {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        self.init(path: path, descriptor: descriptor, size: UInt64(max(0, lseek(descriptor, 0, SEEK_END))))
    }

    /// The same, with a path that does not depend on the working directory.
    var absolute: ImageIdentity {
        ImageIdentity(path: HostFiles.absolutePath(path), size: size, modified: modified)
    }
}

extension Overlay {
    /// What a snapshot says of the overlay of the disk `image`.
    func saved(of image: String) throws(MachineError) -> ImageIdentity {
        guard let keptPath else {
            throw .control(
                "the overlay of disk \(image) is gone at the end, and the snapshot would be useless; start with overlay=FILE, or with the "
                    + "image itself")
        }
        let end = UInt64(max(0, lseek(file.descriptor, 0, SEEK_END)))
        return ImageIdentity(path: keptPath, descriptor: file.descriptor, size: end).absolute
    }

    /// Opens the overlay that `choice` names, of the image `image`.
    static func open(
        _ choice: Machine.Configuration.Disk.Overlay, over image: ImageIdentity, direct: Bool, force: Bool
    ) throws(MachineError) -> Overlay {
        let (descriptor, path) =
            switch choice {
            case .discarded: (try unnamed(image), image.path)
            case .kept(let path): (try named(path, image, force: force), path)
            }
        guard let file = DiskFile(descriptor, flags: O_RDWR | O_CLOEXEC, direct: direct) else {
            close(descriptor)
            throw .disk(path: path, problem: .overlayNotDirect)
        }
        return try Overlay(file, over: image, keptAt: choice == .discarded ? nil : path)
    }

    /// A new file without a name, in the folder TMPDIR, or where that is not set in /var/tmp or /tmp.
    private static func unnamed(_ image: ImageIdentity) throws(MachineError) -> Int32 {
        let chosen = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) }
        let folders = chosen.map { [$0] } ?? ["/var/tmp", "/tmp"]
        var failure = ENOENT
        for folder in folders {
            var name = Array("\(folder)/vmm-overlay-XXXXXX".utf8CString)
            let descriptor = unsafe mkstemp(&name)
            if descriptor >= 0 {
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
                unsafe unlink(name)
                return descriptor
            }
            failure = errno
        }
        throw .disk(path: image.path, problem: .noOverlay(folder: folders.joined(separator: " and "), errno: failure))
    }

    /// The locked file `path`: empty if there was none, else the overlay of this image. `force`: the image may have changed since.
    private static func named(_ path: String, _ image: ImageIdentity, force: Bool) throws(MachineError) -> Int32 {
        let descriptor = try HostFiles.create(path, O_RDWR, mode: 0o600)
        guard descriptor >= 0 else {
            throw .disk(path: path, problem: DiskImage.problem(opening: errno, readOnly: false))
        }
        guard let problem = problem(with: descriptor, image, force: force) else { return descriptor }
        close(descriptor)
        throw .disk(path: path, problem: problem)
    }

    /// What keeps the file from being the overlay of `image`; nil, and it is locked, if nothing does.
    private static func problem(
        with descriptor: Int32, _ image: ImageIdentity, force: Bool
    ) -> MachineError.DiskProblem? {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return .failed(errno: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { return .notAnOverlay }
        switch HostFiles.lock(descriptor, F_WRLCK) {
        case 0: break
        case EAGAIN: return .locked
        case let number: return .failed(errno: number)
        }
        if status.st_size == 0 { return nil }
        guard let known = identity(in: descriptor, size: Int(status.st_size)) else { return .notAnOverlay }
        guard known.size == image.size else { return .overlayOfAnother(image: known.path, bytes: known.size) }
        return force || known.modified == image.modified ? nil : .imageChanged(image: image.path)
    }

    /// The image that the trailer of a file of `size` bytes names; nil if it has none.
    private static func identity(in descriptor: Int32, size: Int) -> ImageIdentity? {
        var trailer = [UInt8](repeating: 0, count: SectorMap.page)
        let offset = size - trailer.count
        guard offset > 0, unsafe pread(descriptor, &trailer, trailer.count, offset) == trailer.count,
            let identity = ImageIdentity(trailer: trailer), fileSize(forImageOf: identity.size) == size
        else { return nil }
        return identity
    }
}
