// The bytes of a kernel or an initrd, in a file or in memory. Only the requested ranges are read.

import Glibc

/// Where a kernel or an initrd comes from.
public enum ImageSource: Sendable {
    /// A file.
    case path(String)
    /// Bytes in memory, and their name in messages.
    case bytes([UInt8], name: String)
}

/// An open image.
struct Image: ~Copyable {
    let name: String
    let size: UInt64
    private let content: Content

    private enum Content {
        case file(Int32)
        case bytes([UInt8])
    }

    init(_ source: ImageSource) throws(LoaderError) {
        switch source {
        case .bytes(let bytes, let name):
            guard !bytes.isEmpty else { throw .empty(name: name) }
            (self.name, size, content) = (name, UInt64(bytes.count), .bytes(bytes))
        case .path(let path):
            let (descriptor, size) = try Self.open(path)
            (name, self.size, content) = (path, size, .file(descriptor))
        }
    }

    deinit {
        if case .file(let descriptor) = content { close(descriptor) }
    }

    /// Opens a regular file that is not empty. O_NONBLOCK: opening a pipe without a writer would block.
    private static func open(_ path: String) throws(LoaderError) -> (Int32, UInt64) {
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .unreadable(name: path, errno: errno) }
        var status = stat()
        let error: LoaderError
        if unsafe fstat(descriptor, &status) != 0 {
            error = .unreadable(name: path, errno: errno)
        } else if status.st_mode & S_IFMT == S_IFDIR {
            error = .directory(name: path)
        } else if status.st_mode & S_IFMT != S_IFREG {
            error = .notAFile(name: path)
        } else if status.st_size == 0 {
            error = .empty(name: path)
        } else {
            return (descriptor, UInt64(status.st_size))
        }
        close(descriptor)
        throw error
    }

    /// Fills `target` with the bytes from `offset` on. An empty `target` is valid at any offset.
    func read(into target: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(LoaderError) {
        guard target.count > 0 else { return }
        guard offset <= size, UInt64(target.count) <= size - offset else { throw .truncated(name: name) }
        switch content {
        case .bytes(let bytes):
            let start = Int(offset)
            unsafe target.copyBytes(from: bytes[start..<start + target.count])
        case .file(let descriptor): unsafe try readFile(descriptor, into: target, at: offset)
        }
    }

    /// `count` bytes from `offset` on.
    func bytes(at offset: UInt64, count: Int) throws(LoaderError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var failure: LoaderError?
        unsafe bytes.withUnsafeMutableBytes { target in
            do throws(LoaderError) { unsafe try read(into: target, at: offset) } catch { failure = error }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Whether `text` is in the image.
    func contains(_ text: [UInt8]) throws(LoaderError) -> Bool {
        let step = 1 << 20
        for offset in stride(from: 0, to: size, by: step) {
            // Steps overlap, so that no text is cut.
            let bytes = try bytes(at: offset, count: Int(min(UInt64(step + text.count), size - offset)))
            if bytes.indices.contains(where: { bytes[$0] == text[0] && bytes[$0...].starts(with: text) }) {
                return true
            }
        }
        return false
    }

    /// Reads until `target` is full: the file may shrink meanwhile, and one call reads at most 2 GiB.
    private func readFile(
        _ descriptor: Int32, into target: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(LoaderError) {
        var done = 0
        while done < target.count {
            let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: target[done...])
            let count = unsafe pread(descriptor, rest.baseAddress, rest.count, off_t(offset) + done)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .unreadable(name: name, errno: errno) }
            guard count > 0 else { throw .truncated(name: name) }
            done += count
        }
    }
}
