// Transfers past the host's page cache from and to guest memory that is not aligned for that: through a buffer of ours. The page
// cache is no way out for them. The kernel does not keep it and a direct transfer of the same page apart: it reports the collision
// by failing a flush, and data may be lost.

import Glibc
import Virtio

/// A buffer any host takes for a direct transfer.
@safe struct AlignedBuffer: ~Copyable {
    static let mostBytes = 1 << 18
    let base: UnsafeMutableRawPointer

    /// A zeroed buffer of `count` bytes, `mostBytes` at most.
    init(_ count: Int) {
        let size = min(count, Self.mostBytes)
        unsafe base = .allocate(byteCount: size, alignment: 4096)
        unsafe memset(base, 0, size)
    }

    deinit { unsafe base.deallocate() }

    /// Whether `file` takes transfers of one sector at all.
    static func isTaken(by file: Int32) -> Bool { AlignedBuffer(512).read(512, from: file, at: 0) == 0 }

    /// Writes the first `count` bytes to `file`; 0 or an errno.
    func write(_ count: Int, to file: Int32, at offset: UInt64) -> Int32 {
        move(count) { unsafe pwrite(file, base + $0, count - $0, off_t(offset) + $0) }
    }

    /// Reads `count` bytes of `file`; 0 or an errno. The end of the file in the middle is an error.
    func read(_ count: Int, from file: Int32, at offset: UInt64) -> Int32 {
        move(count) { unsafe pread(file, base + $0, count - $0, off_t(offset) + $0) }
    }

    /// Moves `count` bytes, in as many calls as that takes; each is told how many are done.
    private func move(_ count: Int, _ call: (Int) -> Int) -> Int32 {
        var done = 0
        while done < count {
            let moved = call(done)
            if moved < 0 && errno == EINTR { continue }
            guard moved > 0 else { return moved < 0 ? errno : EIO }
            done += moved
        }
        return 0
    }
}

extension Block.Request {
    /// Does a read or write with `file`, which is past the page cache.
    func transferAligned(_ file: Int32, writes: Bool) -> Outcome {
        let buffer = AlignedBuffer(data.byteCount)
        var done = 0
        while done < data.byteCount {
            let count = min(AlignedBuffer.mostBytes, data.byteCount - done)
            if writes { copy(buffer, done..<done + count, toBuffer: true) }
            let place = offset + UInt64(done)
            let number = writes ? buffer.write(count, to: file, at: place) : buffer.read(count, from: file, at: place)
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
                let ours = unsafe base + (part.lowerBound - range.lowerBound)
                let theirs = unsafe piece.base + (part.lowerBound - start)
                unsafe memcpy(toBuffer ? ours : theirs, toBuffer ? theirs : ours, part.count)
            }
            start += piece.count
        }
    }
}
