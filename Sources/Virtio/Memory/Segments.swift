// The readable or the writable part of a descriptor chain, as a window on validated buffers. Devices cut headers off
// its front and status bytes off its end, however the driver framed them (VIRTIO 1.4, 2.7.4.2).

/// A sequence of guest buffers, read or written as if they were one buffer.
///
/// It is a window on storage that a `Batch` owns: cutting changes that storage in place. The window is valid until the
/// batch is cleared.
@safe public struct Segments: @unchecked Sendable {
    private var base: UnsafeMutablePointer<GuestBuffer>
    /// Number of buffers.
    public private(set) var count: Int
    /// Total length in bytes.
    public private(set) var byteCount: Int

    init(base: UnsafeMutablePointer<GuestBuffer>, count: Int, byteCount: Int) {
        unsafe self.base = base
        self.count = count
        self.byteCount = byteCount
    }

    /// Calls `body` with each buffer, in order.
    public func forEach(_ body: (GuestBuffer) -> Void) {
        for index in 0..<count { unsafe body(base[index]) }
    }

    /// Calls `body` with the buffers, in the form that `preadv` and `pwritev` take.
    public func withBuffers<Result, Failure: Error>(
        _ body: (UnsafeBufferPointer<GuestBuffer>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe body(UnsafeBufferPointer(start: base, count: count))
    }

    /// Copies bytes from the front into `target`, which is host memory, from `offset` on: as many as there are and fit.
    /// Returns the number of bytes copied.
    @discardableResult
    public func copy(to target: inout MutableSpan<UInt8>, at offset: Int = 0) -> Int {
        precondition(offset >= 0 && offset <= target.count)
        return unsafe target.withUnsafeMutableBytes { target in
            var place = offset
            for index in 0..<count {
                let part = unsafe min(base[index].count, target.count - place)
                guard part > 0, let start = target.baseAddress else { break }
                unsafe (start + place).copyMemory(from: base[index].base, byteCount: part)
                place += part
            }
            return place - offset
        }
    }

    /// Copies bytes of `source`, which is host memory, from `offset` on to the front: as many as there are and fit.
    /// Returns the number of bytes copied.
    @discardableResult
    public func copy(from source: Span<UInt8>, at offset: Int = 0) -> Int {
        precondition(offset >= 0 && offset <= source.count)
        return unsafe source.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return 0 }
            var left = source.count &- offset
            for index in 0..<count {
                let part = unsafe min(base[index].count, left)
                unsafe base[index].base.copyMemory(from: start + (source.count &- left), byteCount: part)
                left &-= part
            }
            return source.count &- offset &- left
        }
    }

    /// Cuts the first `8 * n` bytes off and returns them as little-endian words. If there are fewer, returns nil and
    /// changes nothing. `recorder` records the loads.
    @inline(always)
    mutating func removeFirst<let n: Int>(_ recorder: TraceRecorder) -> InlineArray<n, UInt64>? {
        guard byteCount >= 8 * n else { return nil }
        let first = unsafe base.pointee
        guard first.count >= 8 * n else { return InlineArray { _ in removeWord(recorder) } }
        // The common case: all in one buffer.
        drop(8 * n)
        return first.loadWords(recorder)
    }

    /// Cuts the first 8 bytes off, which are there, byte by byte.
    @inline(never)
    private mutating func removeWord(_ recorder: TraceRecorder) -> UInt64 {
        var word: UInt64 = 0
        for index in 0..<8 {
            unsafe word |= UInt64(base.pointee.loadByte(at: 0, recorder)) << UInt64(8 * index)
            drop(1)
        }
        return word
    }

    /// Cuts the last byte off and returns its location, or nil if there is none.
    mutating func removeLast() -> GuestBuffer? {
        guard count > 0 else { return nil }
        let last = count - 1
        unsafe base[last].count -= 1
        byteCount -= 1
        let byte = unsafe GuestBuffer(base: base[last].base + base[last].count, count: 1)
        if unsafe base[last].count == 0 { count = last }
        return byte
    }

    /// Cuts bytes off the end until there are `bytes`, or fewer.
    mutating func shorten(to bytes: Int) {
        while byteCount > max(bytes, 0) {
            let part = unsafe min(base[count - 1].count, byteCount - max(bytes, 0))
            unsafe base[count - 1].count -= part
            byteCount -= part
            if unsafe base[count - 1].count == 0 { count -= 1 }
        }
    }

    /// Cuts the first byte off and returns it, or nil if there is none. `recorder` records the load.
    mutating func removeByte(_ recorder: TraceRecorder) -> UInt8? {
        guard byteCount > 0 else { return nil }
        let byte = unsafe base.pointee.loadByte(at: 0, recorder)
        drop(1)
        return byte
    }

    /// The location of the byte at `offset`, which exists.
    func location(of offset: Int) -> GuestBuffer {
        precondition(offset >= 0 && offset < byteCount)
        var (index, rest) = (0, offset)
        while unsafe rest >= base[index].count {
            unsafe rest -= base[index].count
            index += 1
        }
        return unsafe GuestBuffer(base: base[index].base + rest, count: 1)
    }

    /// Writes `byte` to the front and cuts it off; false if there is no room.
    mutating func write(_ byte: UInt8) -> Bool {
        guard byteCount > 0 else { return false }
        unsafe base.pointee.storeByte(byte, at: 0)
        drop(1)
        return true
    }

    /// Cuts `n` bytes, no more than the first buffer holds, off the front. A buffer that becomes empty is removed.
    @inline(always)
    private mutating func drop(_ n: Int) {
        unsafe base.pointee.base += n
        unsafe base.pointee.count -= n
        byteCount -= n
        if unsafe base.pointee.count == 0 {
            unsafe base += 1
            count -= 1
        }
    }
}

/// Fixed storage for the segments of the chains in a batch.
@safe struct SegmentStorage: ~Copyable, @unchecked Sendable {
    private let base: UnsafeMutablePointer<GuestBuffer>
    private let capacity: Int
    private(set) var count = 0
    /// The place of the first writable segment of the chain under construction, if it has one, and the number of bytes
    /// before it. They change once in a chain, so its builder leaves them here.
    private(set) var firstWritable: (cursor: SegmentCursor, bytes: Int)
    private let findings: UnsafeMutablePointer<ChainFindings>

    init(capacity: Int) {
        unsafe base = .allocate(capacity: capacity)
        self.capacity = capacity
        unsafe firstWritable = (SegmentCursor(base, end: base), 0)
        unsafe findings = .allocate(capacity: 1)
        unsafe findings.initialize(to: ChainFindings())
    }

    deinit {
        unsafe base.deallocate()
        unsafe findings.deallocate()
    }

    /// Clears the findings for the next chain, which covers the checks of `covered`, and returns a pointer to them.
    func newFindings(covered: CheckSet) -> ChainFindingsPointer { unsafe ChainFindingsPointer(findings, covered) }

    /// Number of segments that still fit.
    var free: Int { capacity - count }

    mutating func removeAll() { count = 0 }

    /// The place of the next segment.
    @inline(always)
    var cursor: SegmentCursor { unsafe SegmentCursor(base + count, end: base + capacity) }

    /// The segments from `cursor` on are writable, after `bytes` readable bytes.
    @inline(always)
    mutating func beginWritable(at cursor: SegmentCursor, bytes: Int) { firstWritable = (cursor, bytes) }

    /// Counts the segments before `cursor`, which has moved on from this storage's.
    @inline(always)
    mutating func keep(upTo cursor: SegmentCursor) { count &+= cursor.count(since: self.cursor) }

    /// Removes the segments added since there were `count`.
    mutating func truncate(to count: Int) {
        precondition(count <= self.count)
        self.count = count
    }
}

/// The place of the next segment of a chain under construction. A `SegmentStorage` counts the segments when the chain is
/// complete, so that a loop over descriptors keeps its place in a register.
@safe struct SegmentCursor: @unchecked Sendable {
    fileprivate private(set) var place: UnsafeMutablePointer<GuestBuffer>
    private let end: UnsafeMutablePointer<GuestBuffer>

    fileprivate init(_ place: UnsafeMutablePointer<GuestBuffer>, end: UnsafeMutablePointer<GuestBuffer>) {
        unsafe self.place = place
        unsafe self.end = end
    }

    /// Adds a buffer of at least one byte. The caller has checked that the storage has room for the chain.
    @inline(always)
    mutating func append(_ buffer: GuestBuffer) {
        unsafe precondition(place < end)
        unsafe place.initialize(to: buffer)
        unsafe place += 1
    }

    /// The segments added since the cursor was `start`, `byteCount` bytes in all.
    @inline(always)
    func segments(since start: SegmentCursor, byteCount: Int) -> Segments {
        unsafe Segments(base: start.place, count: count(since: start), byteCount: byteCount)
    }

    /// Number of segments added since the cursor was `start`. The distance is not negative.
    @inline(always)
    fileprivate func count(since start: SegmentCursor) -> Int {
        let distance = unsafe UInt(bitPattern: place) &- UInt(bitPattern: start.place)
        return Int(bitPattern: distance / UInt(MemoryLayout<GuestBuffer>.stride))
    }
}
