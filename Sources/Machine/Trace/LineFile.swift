// A file, read line by line in memory of fixed size: whatever it is, nothing here grows with it.

import Glibc

/// Reads a file's lines.
final class LineFile {
    /// Why there is no next line.
    enum Problem: Equatable {
        /// The last line has no end.
        case cut
        /// It is longer than `mostBytes`.
        case tooLong
        /// The host could not read it.
        case failed(Int32)
    }

    /// Most bytes of a line.
    static let mostBytes = 1 << 16

    /// Why `next` gave no line; nil at the end of the file.
    private(set) var problem: Problem?
    /// Nothing was in the file, as far as it was read.
    private(set) var isEmpty = true

    private let descriptor: Int32
    private var chunk = [UInt8](repeating: 0, count: mostBytes)
    private var buffer: [UInt8] = []
    /// Where in `buffer` the next line begins.
    private var start = 0

    /// Opens the file at `path`.
    init(path: String) throws(MachineError) {
        descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .trace(path: path, errno: errno) }
    }

    deinit { close(descriptor) }

    /// The next line, without its end; nil if there is none.
    func next() -> ArraySlice<UInt8>? {
        guard problem == nil else { return nil }
        var searched = start
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = end + 1 }
                return buffer[start..<end]
            }
            guard buffer.count - start < Self.mostBytes else { return fail(.tooLong) }
            buffer.removeSubrange(..<start)
            (start, searched) = (0, buffer.count)
            let count = fill()
            guard count >= 0 else { return fail(.failed(-count)) }
            if count == 0 { return buffer.isEmpty ? nil : fail(.cut) }
            isEmpty = false
        }
    }

    private func fail(_ problem: Problem) -> ArraySlice<UInt8>? {
        self.problem = problem
        return nil
    }

    /// Reads more into the buffer. Returns how many bytes, or the negative error number.
    private func fill() -> Int32 {
        while true {
            let count = unsafe read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return -errno }
            buffer += chunk.prefix(count)
            return Int32(count)
        }
    }
}
