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
    private let recorder: TraceRecorder

    init(base: UnsafeMutablePointer<GuestBuffer>, count: Int, byteCount: Int, recorder: TraceRecorder) {
        unsafe self.base = base
        self.count = count
        self.byteCount = byteCount
        self.recorder = recorder
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
            var place = offset
            for index in 0..<count {
                let part = unsafe min(base[index].count, source.count - place)
                unsafe base[index].base.copyMemory(from: start + place, byteCount: part)
                place += part
            }
            return place - offset
        }
    }

    /// Cuts the first `8 * n` bytes off and returns them as little-endian words. If there are fewer, returns nil and
    /// changes nothing.
    @inline(always)
    mutating func removeFirst<let n: Int>() -> InlineArray<n, UInt64>? {
        guard byteCount >= 8 * n else { return nil }
        var words = InlineArray<n, UInt64>(repeating: 0)
        let first = unsafe base.pointee
        if first.count >= 8 * n {
            // The common case: all in one buffer.
            for index in 0..<n { words[index] = first.loadWord(at: 8 * index, recorder) }
            drop(8 * n)
        } else {
            for index in 0..<n { words[index] = removeWord() }
        }
        return words
    }

    /// Cuts the first 8 bytes off, which are there, byte by byte.
    @inline(never)
    private mutating func removeWord() -> UInt64 {
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

    /// Cuts the first byte off and returns it, or nil if there is none.
    mutating func removeByte() -> UInt8? {
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
    private let findings: UnsafeMutablePointer<ChainFindings>

    init(capacity: Int) {
        unsafe base = .allocate(capacity: capacity)
        self.capacity = capacity
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

    /// Adds a buffer of at least one byte. The caller has checked `free`.
    mutating func append(_ buffer: GuestBuffer) {
        precondition(count < capacity)
        unsafe (base + count).initialize(to: buffer)
        count += 1
    }

    /// `count` segments from `start` on, which have been appended, `byteCount` bytes in all.
    func part(_ start: Int, count: Int, byteCount: Int, _ recorder: TraceRecorder = TraceRecorder()) -> Segments {
        unsafe Segments(base: base + start, count: count, byteCount: byteCount, recorder: recorder)
    }

    /// Removes the segments appended since there were `count`.
    mutating func truncate(to count: Int) {
        precondition(count <= self.count)
        self.count = count
    }
}
