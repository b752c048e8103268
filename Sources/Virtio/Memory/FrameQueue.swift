// Ethernet frames on their way between host and guest, oldest first, in a buffer of fixed size.

/// A FIFO of frames, `capacity` bytes at most. Its memory is allocated with the first frame.
@safe public struct FrameQueue: ~Copyable, @unchecked Sendable {
    /// Bytes that the frames and their lengths, of 4 bytes each, may take.
    public static let capacity = 256 << 10
    private static let lengthSize = 4

    private var storage: UnsafeMutableRawPointer?
    /// Position of the oldest byte.
    private var head = 0
    private var used = 0
    /// Number of frames.
    public private(set) var count = 0

    /// An empty queue.
    public init() { unsafe storage = nil }

    deinit { unsafe storage?.deallocate() }

    public var isEmpty: Bool { count == 0 }

    /// Whether a frame of `length` bytes has room.
    public func hasRoom(for length: Int) -> Bool { length + Self.lengthSize <= Self.capacity - used }

    /// Length of the oldest frame in bytes; 0 if there is none.
    public var firstLength: Int {
        guard count > 0 else { return 0 }
        var length = 0
        for index in 0..<Self.lengthSize { length |= Int(byte(at: index)) << (8 * index) }
        return length
    }

    /// Adds the frame that is made of `header` and `rest`. Returns false if it has no room.
    public mutating func append(_ header: Span<UInt8>, _ rest: Span<UInt8>) -> Bool {
        guard begin(header, length: header.count + rest.count) else { return false }
        unsafe rest.withUnsafeBytes { unsafe add($0) }
        return true
    }

    /// Adds the frame that is made of `header` and `data`, in guest memory. Returns false if it has no room.
    public mutating func append(_ header: Span<UInt8>, _ data: Segments) -> Bool {
        guard begin(header, length: header.count + data.byteCount) else { return false }
        data.forEach { unsafe add(UnsafeRawBufferPointer(start: $0.base, count: $0.count)) }
        return true
    }

    /// Adds the beginning of a frame of `length` bytes, if it has room.
    private mutating func begin(_ header: Span<UInt8>, length: Int) -> Bool {
        guard hasRoom(for: length) else { return false }
        if unsafe storage == nil { unsafe storage = .allocate(byteCount: Self.capacity, alignment: 8) }
        let word: InlineArray<4, UInt8> = InlineArray { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
        unsafe word.span.withUnsafeBytes { unsafe add($0) }
        unsafe header.withUnsafeBytes { unsafe add($0) }
        count += 1
        return true
    }

    /// Copies the bytes of the oldest frame from `offset` on to the front of `target`, as many as there are and fit. Returns
    /// their number.
    public func copyFirst(from offset: Int, to target: Segments) -> Int {
        var done = offset
        let length = firstLength
        target.forEach { buffer in
            let part = min(buffer.count, length - done)
            guard part > 0 else { return }
            let (first, second) = unsafe pieces(at: Self.lengthSize + done, count: part)
            let room = unsafe UnsafeMutableRawBufferPointer(start: buffer.base, count: part)
            unsafe room.copyMemory(from: first)
            if second.count > 0 {
                unsafe UnsafeMutableRawBufferPointer(rebasing: room[first.count...]).copyMemory(from: second)
            }
            done += part
        }
        return done - offset
    }

    /// Calls `body` with the bytes of the oldest frame from `offset` on: all in the first part, but for a frame that
    /// continues at the start of the buffer.
    @unsafe public func withFirst<Result>(
        from offset: Int = 0, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Result
    ) -> Result {
        let (first, second) = unsafe pieces(at: Self.lengthSize + offset, count: firstLength - offset)
        return unsafe body(first, second)
    }

    /// Removes the oldest frame, if there is one.
    public mutating func removeFirst() {
        guard count > 0 else { return }
        let length = firstLength + Self.lengthSize
        head = (head + length) % Self.capacity
        used -= length
        count -= 1
    }

    /// Removes all frames.
    public mutating func removeAll() { (head, used, count) = (0, 0, 0) }

    /// All bytes, each frame behind its length, for a snapshot.
    var contents: [UInt8] { (0..<used).map { byte(at: $0) } }

    /// Restores `contents`.
    mutating func restore(_ contents: ArraySlice<UInt8>) {
        removeAll()
        var rest = contents
        while rest.count >= Self.lengthSize {
            var length = 0
            for index in 0..<Self.lengthSize { length |= Int(rest.removeFirst()) << (8 * index) }
            guard length <= rest.count, append(Array(rest.prefix(length)).span, Span()) else { return }
            rest = rest.dropFirst(length)
        }
    }

    /// The byte at `offset`, below `used`.
    private func byte(at offset: Int) -> UInt8 {
        guard let storage = unsafe storage else { return 0 }
        return unsafe storage.load(fromByteOffset: (head + offset) % Self.capacity, as: UInt8.self)
    }

    /// The two parts of `count` bytes at `offset`, which are in use; the second is empty unless they wrap.
    private func pieces(at offset: Int, count: Int) -> (UnsafeRawBufferPointer, UnsafeRawBufferPointer) {
        guard let storage = unsafe storage else {
            return unsafe (.init(start: nil, count: 0), .init(start: nil, count: 0))
        }
        let start = (head + offset) % Self.capacity
        let first = min(count, Self.capacity - start)
        return unsafe (
            UnsafeRawBufferPointer(start: storage + start, count: first),
            UnsafeRawBufferPointer(start: first < count ? storage : nil, count: count - first)
        )
    }

    /// Adds bytes, which have room.
    private mutating func add(_ bytes: UnsafeRawBufferPointer) {
        guard let storage = unsafe storage, let source = bytes.baseAddress, bytes.count > 0 else { return }
        let start = (head + used) % Self.capacity
        let first = min(bytes.count, Self.capacity - start)
        unsafe (storage + start).copyMemory(from: source, byteCount: first)
        if first < bytes.count { unsafe storage.copyMemory(from: source + first, byteCount: bytes.count - first) }
        used += bytes.count
    }
}
