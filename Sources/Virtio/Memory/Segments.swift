// The readable or the writable half of a descriptor chain, as a window on validated buffers. Devices cut headers off its
// front and status bytes off its end without ever asking how the driver framed them (VIRTIO 1.4, 2.7.4.2).

/// A sequence of guest buffers, read or written as if it were one.
///
/// It is a window on storage that a `Batch` owns: cutting changes that storage in place, and the window is valid until
/// the batch is cleared.
@safe public struct Segments: @unchecked Sendable {
    private var base: UnsafeMutablePointer<GuestBuffer>
    /// Buffers.
    public private(set) var count: Int
    /// Bytes in all of them.
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

    /// Calls `body` with the buffers, for a host that hands them to `preadv` or `pwritev`.
    public func withBuffers<Result, Failure: Error>(
        _ body: (UnsafeBufferPointer<GuestBuffer>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe body(UnsafeBufferPointer(start: base, count: count))
    }

    /// Copies bytes from the front into `target`, memory of the host's own, from `offset` on: as many as there are and fit.
    /// Returns how many.
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

    /// Copies bytes of `source`, memory of the host's own, from `offset` on to the front: as many as there are and fit. Returns
    /// how many.
    @discardableResult
    public func copy(from source: Span<UInt8>, at offset: Int = 0) -> Int {
        precondition(offset >= 0 && offset <= source.count)
        return unsafe source.withUnsafeBytes { source in
            var place = offset
            for index in 0..<count {
                let part = unsafe min(base[index].count, source.count - place)
                guard part > 0, let start = source.baseAddress else { break }
                unsafe base[index].base.copyMemory(from: start + place, byteCount: part)
                place += part
            }
            return place - offset
        }
    }

    /// Cuts the first `n` bytes off and returns them, or nil, leaving everything as it was, if there are fewer.
    mutating func removeFirst<let n: Int>() -> InlineArray<n, UInt8>? {
        guard byteCount >= n else { return nil }
        var bytes = InlineArray<n, UInt8>(repeating: 0)
        if unsafe n % 8 == 0 && base.pointee.count >= n {
            // As it nearly always is: whole words in one buffer.
            for word in 0..<(n / 8) {
                let value = unsafe base.pointee.loadWord(at: 8 * word, recorder)
                for index in 0..<8 { bytes[8 * word + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
            }
            drop(n)
            return bytes
        }
        for index in 0..<n {
            unsafe bytes[index] = base.pointee.loadByte(at: 0, recorder)
            drop(1)
        }
        return bytes
    }

    /// Cuts the last byte off and returns where it is, or nil if there is none.
    mutating func removeLast() -> GuestBuffer? {
        guard count > 0 else { return nil }
        let last = count - 1
        unsafe base[last].count -= 1
        byteCount -= 1
        let byte = unsafe GuestBuffer(base: base[last].base + base[last].count, count: 1)
        if unsafe base[last].count == 0 { count = last }
        return byte
    }

    /// Writes `byte` to the front and cuts it off; false if there is no room.
    mutating func write(_ byte: UInt8) -> Bool {
        guard byteCount > 0 else { return false }
        unsafe base.pointee.storeByte(byte, at: 0)
        drop(1)
        return true
    }

    /// Cuts `n` bytes, no more than the first buffer holds, off the front. Empty buffers never stay.
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

/// The fixed room in which chains are laid out as segments while a batch of requests is being served.
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

    /// A place for what is seen in the chain that comes next.
    func newFindings() -> ChainFindingsPointer { unsafe ChainFindingsPointer(findings) }

    /// Segments that still fit.
    var free: Int { capacity - count }

    mutating func removeAll() { count = 0 }

    /// Adds a buffer of at least one byte. The caller has made sure of `free`.
    mutating func append(_ buffer: GuestBuffer) {
        precondition(count < capacity && buffer.count > 0)
        unsafe (base + count).initialize(to: buffer)
        count += 1
    }

    /// The `count` segments before the last `skipped` ones, `byteCount` bytes in all.
    func last(_ count: Int, before skipped: Int = 0, byteCount: Int, _ recorder: TraceRecorder = TraceRecorder())
        -> Segments
    {
        unsafe Segments(
            base: base + (self.count - skipped - count), count: count, byteCount: byteCount, recorder: recorder)
    }

    /// Takes back what was appended since there were `count` segments.
    mutating func truncate(to count: Int) {
        precondition(count <= self.count)
        self.count = count
    }
}
