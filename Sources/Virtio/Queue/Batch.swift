// What goes from the model to whoever does the I/O, and what comes back.

/// The name of a request that is in the backend's hands. It outlives resets: one from an older epoch means nothing.
public struct Token: Hashable, Sendable {
    /// The queue.
    public let queue: UInt16
    /// Its name in that queue, below the queue's size.
    public let name: UInt16
    /// The queue's run between resets.
    public let epoch: UInt32

    /// The token of these numbers, as a trace has them.
    public init(queue: UInt16, name: UInt16, epoch: UInt32) {
        (self.queue, self.name, self.epoch) = (queue, name, epoch)
    }
}

/// How a request ended in the backend.
public struct Outcome: Hashable, Sendable {
    /// What the backend says of the request.
    public enum Result: UInt8, Sendable { case ok, ioError, unsupported }

    /// What the backend says of the request.
    public var result: Result
    /// Bytes the backend wrote into the request's data buffers.
    public var written: UInt32

    /// A request that ended with `result` after `written` bytes were put into guest memory.
    public init(_ result: Result, written: UInt32 = 0) {
        self.result = result
        self.written = written
    }

    /// Success, with `written` bytes put into guest memory.
    public static func ok(written: UInt32 = 0) -> Outcome { Outcome(.ok, written: written) }
    /// The host failed.
    public static let ioError = Outcome(.ioError)
}

/// A request on its way to the backend.
public struct Work<Request: Sendable>: Sendable {
    /// Names the request when its outcome is reported.
    public let token: Token
    /// What to do, in the device's terms.
    public let request: Request
}

/// The requests that one `take` hands out, with the room for their segments. Owned by a worker and used again and again,
/// so that serving a request allocates nothing.
///
/// The segments of its requests are valid until `removeAll`.
@safe public struct Batch<Request: Sendable>: ~Copyable, @unchecked Sendable {
    /// Most requests in a batch.
    public let capacity: Int
    /// Requests in the batch.
    public private(set) var count = 0

    var segments: SegmentStorage
    private let works: UnsafeMutablePointer<Work<Request>>

    /// Room for `capacity` requests, 32768 at most, of a device whose longest chain has `longestChain` descriptors. Such a chain
    /// always fits an empty batch.
    public init(capacity: Int = 64, longestChain: UInt16) {
        precondition(capacity > 0 && capacity <= 1 << 15)
        self.init(room: capacity, segments: 2 * Int(longestChain))
    }

    /// Room for `room` requests, of `segments` segments in all.
    init(room: Int, segments: Int) {
        capacity = room
        self.segments = SegmentStorage(capacity: segments)
        unsafe works = .allocate(capacity: room)
    }

    deinit {
        unsafe works.deinitialize(count: count)
        unsafe works.deallocate()
    }

    /// Request `index`, from 0 to `count` - 1.
    public subscript(index: Int) -> Work<Request> {
        precondition(index >= 0 && index < count)
        return unsafe works[index]
    }

    /// Forgets the requests; their segments are no longer valid.
    public mutating func removeAll() {
        unsafe works.deinitialize(count: count)
        count = 0
        segments.removeAll()
    }

    /// Whether one more request with a chain of `longestChain` descriptors fits.
    func hasRoom(longestChain: UInt16) -> Bool { count < capacity && segments.free >= Int(longestChain) }

    mutating func append(_ work: Work<Request>) {
        precondition(count < capacity)
        unsafe (works + count).initialize(to: work)
        count += 1
    }
}
