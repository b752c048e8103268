// Direct transfers (past the host's page cache) for guest memory that is not aligned for them: through an aligned buffer. They
// must not fall back to the page cache. If a cached and a direct transfer use the same page, the kernel fails a later flush, and
// data may be lost.

import Glibc
import Virtio

/// A buffer that is aligned for direct transfers on every host.
@safe struct AlignedBuffer: ~Copyable {
    /// The largest buffer.
    static let maximumBytes = 1 << 18
    let base: UnsafeMutableRawPointer

    /// Allocates `count` zero bytes, `maximumBytes` at most.
    init(_ count: Int) {
        let size = min(count, Self.maximumBytes)
        unsafe base = .allocate(byteCount: size, alignment: 4096)
        unsafe memset(base, 0, size)
    }

    deinit { unsafe base.deallocate() }

    /// The bytes of the least direct transfer of `file`, 512 or 4096; nil if it supports none.
    static func sector(of file: Int32) -> Int? {
        let buffer = AlignedBuffer(4096)
        return [512, 4096].first { buffer.read($0, from: file, at: 0) == 0 }
    }

    /// Writes the first `count` bytes to `file`; 0 or an errno.
    func write(_ count: Int, to file: Int32, at offset: UInt64) -> Int32 {
        moveAll(count) { unsafe pwrite(file, base + $0, count - $0, off_t(offset) + $0) }
    }

    /// Reads `count` bytes of `file`; 0 or an errno. Reaching the end of the file is an error.
    func read(_ count: Int, from file: Int32, at offset: UInt64) -> Int32 {
        moveAll(count) { unsafe pread(file, base + $0, count - $0, off_t(offset) + $0) }
    }
}

/// Moves `count` bytes between memory and a file: 0 or an errno. `call` is given the number of bytes already moved, and is repeated until
/// all are. Reaching the end of the file is an error.
func moveAll(_ count: Int, _ call: (Int) -> Int) -> Int32 {
    var done = 0
    while done < count {
        let moved = call(done)
        if moved < 0 && errno == EINTR { continue }
        guard moved > 0 else { return moved < 0 ? errno : EIO }
        done += moved
    }
    return 0
}

extension Block.Request {
    /// Performs a read or write. `place` tells the file, which is open for direct transfers, for the bytes of the request from a position
    /// on, and where it ends to be that file.
    func transferAligned(writes: Bool, _ place: (_ position: UInt64) -> (descriptor: Int32, end: UInt64)) -> Outcome {
        let buffer = AlignedBuffer(data.byteCount)
        var done = 0
        while done < data.byteCount {
            let position = offset + UInt64(done)
            let (file, end) = place(position)
            let count = min(AlignedBuffer.maximumBytes, data.byteCount - done, Int(end - position))
            if writes { copy(buffer, done..<done + count, toBuffer: true) }
            let number =
                writes ? buffer.write(count, to: file, at: position) : buffer.read(count, from: file, at: position)
            guard number == 0 else { return Outcome(errno: number) }
            if !writes { copy(buffer, done..<done + count, toBuffer: false) }
            done += count
        }
        return .ok(written: writes ? 0 : UInt32(data.byteCount))
    }

    /// Copies the bytes of `range` of the request's data between guest memory and `buffer`.
    private func copy(_ buffer: borrowing AlignedBuffer, _ range: Range<Int>, toBuffer: Bool) {
        var start = 0
        let base = unsafe buffer.base
        data.forEach { piece in
            let part = range.clamped(to: start..<start + piece.count)
            if !part.isEmpty {
                let host = unsafe base + (part.lowerBound - range.lowerBound)
                let guest = unsafe piece.base + (part.lowerBound - start)
                unsafe memcpy(toBuffer ? host : guest, toBuffer ? guest : host, part.count)
            }
            start += piece.count
        }
    }
}
