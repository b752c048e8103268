// Writes a snapshot's folder: both files are made in a folder beside it, FOLDER.new, and made durable there, and then the names are
// changed. Whatever ends the process meanwhile, at FOLDER is the old snapshot, the new one, or none.

import CLinux
import Glibc

/// A snapshot that is being written. Unless `finish` succeeds, nothing of it remains.
final class SnapshotWriter {
    private let folder: String
    private var draft: String { "\(folder).new" }
    /// The open file `memory`.
    let memory: Int32
    private var isFinished = false

    /// Makes the files for the snapshot at `folder`, where nothing or a snapshot is.
    init(_ folder: String) throws(MachineError) {
        let path = HostFiles.trimmed(HostFiles.absolutePath(folder))
        self.folder = path
        var status = stat()
        if unsafe lstat(path, &status) == 0, !Self.isSnapshot(path) {
            throw .snapshot(path, "it exists and is no snapshot, which it would be replaced by; choose another folder")
        }
        // What a killed vmm left is replaced, what another one writes is not.
        Self.remove("\(path).new", unless: { HostFiles.lock($0, F_WRLCK) == EAGAIN })
        guard unsafe mkdir("\(path).new", 0o700) == 0 else { throw Self.failure(path, errno) }
        memory = unsafe open("\(path).new/memory", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard memory >= 0, HostFiles.lock(memory, F_WRLCK) == 0 else { throw Self.failure(path, errno) }
    }

    deinit {
        close(memory)
        if !isFinished { Self.remove(draft) }
    }

    /// The error for an errno of writing the snapshot at `folder`.
    static func failure(_ folder: String, _ number: Int32) -> MachineError {
        let advice =
            switch number {
            case ENOSPC, EDQUOT: "free space there, or choose another file system"
            case EFBIG: "raise the limit of a file's size (ulimit -f)"
            case EEXIST: "another vmm writes it, or \(folder).new has other files; choose another folder"
            default: "check the path and its file system"
            }
        return .snapshot(folder, "it cannot be written (\(reason(number))); \(advice)")
    }

    func failure(_ number: Int32) -> MachineError { Self.failure(folder, number) }

    /// Adds `machine.json`, and puts the snapshot at its place.
    func finish(_ text: String) throws(MachineError) {
        let file = unsafe open("\(draft)/machine.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure(errno) }
        defer { close(file) }
        let bytes = Array(text.utf8)
        let number = unsafe bytes.withUnsafeBytes { bytes in
            moveAll(bytes.count) { done in
                let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
                return unsafe write(file, rest.baseAddress, rest.count)
            }
        }
        guard number == 0 else { throw failure(number) }
        guard fsync(memory) == 0, fsync(file) == 0 else { throw failure(errno) }
        try synchronize(draft)
        if Self.isSnapshot(folder) {
            let result = unsafe clinux_exchange(draft, folder)
            guard result == 0 else { throw failure(-result) }
        } else {
            guard unsafe rename(draft, folder) == 0 else { throw failure(errno) }
        }
        isFinished = true
        try synchronize(HostFiles.folder(of: folder))
        // The old snapshot, if there was one.
        Self.remove(draft)
    }

    private func synchronize(_ path: String) throws(MachineError) {
        let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure(errno) }
    }

    /// Whether `path` is a folder with `machine.json`.
    private static func isSnapshot(_ path: String) -> Bool {
        var status = stat()
        return unsafe lstat("\(path)/machine.json", &status) == 0
    }

    /// Removes a folder with the files of a snapshot and no others, unless `isInUse` of its open file `memory`.
    private static func remove(_ path: String, unless isInUse: (Int32) -> Bool = { _ in false }) {
        let memory = unsafe open("\(path)/memory", O_RDWR | O_CLOEXEC)
        defer { if memory >= 0 { close(memory) } }
        if memory >= 0, isInUse(memory) { return }
        for name in ["machine.json", "memory"] { unsafe unlink("\(path)/\(name)") }
        unsafe rmdir(path)
    }
}
