// Ethernet frames on their way between host and guest, oldest first, in a buffer of fixed size. A frame never wraps: the last one in front of
// the end of the ring runs over into a margin.
//
//   0          head                 tail        capacity      capacity + longest
//   |           | length, frame | ... |             |               |

/// A FIFO of frames, `capacity` bytes at most. Its memory is allocated with the first frame.
@safe public struct FrameQueue: ~Copyable, @unchecked Sendable {
    /// Bytes that the frames and their lengths, of 4 bytes each, may take.
    public static let capacity = 256 << 10
    /// Bytes of the longest frame with its header.
    public static let longest = 12 + Network.maximumFrame
    private static let lengthSize = 4

    private var storage: UnsafeMutableRawPointer?
    /// Where the oldest frame's length is, and where the next one's will be.
    private var head = 0
    private var tail = 0
    private var used = 0
    /// Number of frames.
    public private(set) var count = 0

    /// An empty queue.
    public init() { unsafe storage = nil }

    deinit { unsafe storage?.deallocate() }

    /// Whether no frame waits.
    public var isEmpty: Bool { count == 0 }

    /// Whether a frame of `length` bytes has room.
    public func hasRoom(for length: Int) -> Bool {
        length <= Self.longest && length + Self.lengthSize <= Self.capacity - used
    }

    /// Length of the oldest frame in bytes; 0 if there is none.
    public var firstLength: Int { length(at: head) }

    /// The length that stands at `position`; 0 in an empty queue.
    private func length(at position: Int) -> Int {
        guard count > 0, let storage = unsafe storage else { return 0 }
        return unsafe Int(storage.loadUnaligned(fromByteOffset: position, as: UInt32.self))
    }

    /// The position behind a frame of `length` bytes at `position`.
    private func next(_ position: Int, _ length: Int) -> Int {
        let end = position + Self.lengthSize + length
        return end >= Self.capacity ? 0 : end
    }

    /// Where the next frame is to be written, `most` bytes, which have room. `add` makes it one of the queue's.
    mutating func vacancy(_ most: Int) -> UnsafeMutableRawBufferPointer {
        precondition(hasRoom(for: most))
        let size = Self.capacity + Self.lengthSize + Self.longest
        let storage = unsafe storage ?? .allocate(byteCount: size, alignment: 8)
        unsafe self.storage = storage
        return unsafe .init(start: storage + tail + Self.lengthSize, count: most)
    }

    /// Adds the frame of `length` bytes that stands at the front of the vacancy.
    mutating func add(_ length: Int) {
        guard let storage = unsafe storage, hasRoom(for: length) else { preconditionFailure("no vacancy") }
        unsafe storage.storeBytes(of: UInt32(length), toByteOffset: tail, as: UInt32.self)
        tail = next(tail, length)
        used += Self.lengthSize + length
        count += 1
    }

    /// Adds a frame. Returns false if it has no room.
    private mutating func append(_ frame: Span<UInt8>) -> Bool {
        guard hasRoom(for: frame.count) else { return false }
        let buffer = unsafe vacancy(frame.count)
        unsafe frame.withUnsafeBytes { unsafe buffer.copyMemory(from: $0) }
        add(frame.count)
        return true
    }

    /// Adds the frame that is made of `header` and `data`, in guest memory. Returns false if it has no room.
    public mutating func append(_ header: Span<UInt8>, _ data: Segments) -> Bool {
        let length = header.count + data.byteCount
        guard hasRoom(for: length) else { return false }
        let buffer = unsafe vacancy(length)
        unsafe header.withUnsafeBytes { unsafe buffer.copyMemory(from: $0) }
        var done = header.count
        data.forEach { segment in
            let source = unsafe UnsafeRawBufferPointer(start: segment.base, count: segment.count)
            unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...]).copyMemory(from: source)
            done += segment.count
        }
        add(length)
        return true
    }

    /// Copies the bytes of the oldest frame from `offset` on to the front of `target`, as many as there are and fit. Returns
    /// their number.
    public func copyFirst(from offset: Int, to target: Segments) -> Int {
        var done = offset
        withFirst { frame in
            target.forEach { buffer in
                let part = min(buffer.count, frame.count - done)
                guard part > 0 else { return }
                unsafe frame.withUnsafeBytes {
                    unsafe UnsafeMutableRawBufferPointer(start: buffer.base, count: part)
                        .copyMemory(from: .init(rebasing: $0[done..<done + part]))
                }
                done += part
            }
        }
        return done - offset
    }

    /// Calls `body` with the oldest frame; with nothing if there is none.
    public func withFirst<Result>(_ body: (Span<UInt8>) -> Result) -> Result { withFrame(at: head, body) }

    /// Calls `body` with each frame, the oldest first, until it returns false.
    public func forEach(_ body: (Span<UInt8>) -> Bool) {
        var position = head
        for _ in 0..<count {
            guard withFrame(at: position, body) else { return }
            position = next(position, length(at: position))
        }
    }

    private func withFrame<Result>(at position: Int, _ body: (Span<UInt8>) -> Result) -> Result {
        guard count > 0, let storage = unsafe storage else { return body(Span()) }
        let start = unsafe storage + position + Self.lengthSize
        return unsafe body(Span(_unsafeStart: start.assumingMemoryBound(to: UInt8.self), count: length(at: position)))
    }

    /// Removes the oldest frame, if there is one.
    public mutating func removeFirst() {
        guard count > 1 else { return removeAll() }
        let length = firstLength
        head = next(head, length)
        used -= Self.lengthSize + length
        count -= 1
    }

    /// Removes all frames. What comes next is where the processor's cache has been last.
    public mutating func removeAll() { (head, tail, used, count) = (0, 0, 0, 0) }

    /// All bytes, each frame behind its length, for a snapshot.
    public var contents: [UInt8] {
        var bytes: [UInt8] = []
        forEach { frame in
            bytes.append(littleEndian: UInt32(frame.count))
            for index in frame.indices { bytes.append(frame[index]) }
            return true
        }
        return bytes
    }

    /// Restores `contents`.
    public mutating func restore(_ contents: ArraySlice<UInt8>) {
        removeAll()
        var rest = contents
        while rest.count >= Self.lengthSize {
            let length = Int(rest.removeLittleEndian() as UInt32)
            guard length <= rest.count, append(Array(rest.prefix(length)).span) else { return }
            rest = rest.dropFirst(length)
        }
    }
}
