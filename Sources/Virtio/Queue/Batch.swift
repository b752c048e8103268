// Requests from the model to the backend, and their outcomes.

/// Names a request in flight. A token outlives resets: one from an older epoch is ignored.
public struct Token: Hashable, Sendable {
    /// Index of the queue.
    public let queue: UInt16
    /// The request's name in that queue, below the queue's size.
    public let name: UInt16
    /// The queue's epoch, which changes when the queue is reset or disabled.
    public let epoch: UInt32

    /// A token with these numbers, as read from a trace.
    public init(queue: UInt16, name: UInt16, epoch: UInt32) {
        (self.queue, self.name, self.epoch) = (queue, name, epoch)
    }
}

/// The backend's outcome of a request.
public struct Outcome: Hashable, Sendable {
    /// Success, or the kind of failure.
    public enum Result: UInt8, Sendable {
        /// Success.
        case ok
        /// The host could not carry out the request.
        case ioError
        /// The host does not support the request.
        case unsupported
    }

    /// Success, or the kind of failure.
    public var result: Result
    /// Bytes the backend wrote into the request's data buffers.
    public var written: UInt32

    /// An outcome with `result`, after `written` bytes were stored in guest memory.
    public init(_ result: Result, written: UInt32 = 0) {
        self.result = result
        self.written = written
    }

    /// Success, with `written` bytes stored in guest memory.
    public static func ok(written: UInt32 = 0) -> Outcome { Outcome(.ok, written: written) }
    /// An I/O error of the host.
    public static let ioError = Outcome(.ioError)
}

/// A request for the backend.
public struct Work<Request: Sendable>: Sendable {
    /// Identifies the request when its outcome is reported.
    public let token: Token
    /// The operation, as the device type defines it.
    public let request: Request
}

/// The requests that `take` returns, with the storage for their segments. A worker thread owns and reuses it, so that
/// serving a request allocates nothing.
///
/// The segments of its requests are valid until `removeAll`.
@safe public struct Batch<Request: Sendable>: ~Copyable, @unchecked Sendable {
    /// Maximum number of requests.
    public let capacity: Int
    /// Number of requests in the batch.
    public private(set) var count = 0

    var segments: SegmentStorage
    @usableFromInline let works: UnsafeMutablePointer<Work<Request>>

    /// Allocates room for `capacity` requests, 32768 at most, of a device whose longest chain has `longestChain`
    /// descriptors. Such a chain always fits an empty batch.
    public init(capacity: Int = 64, longestChain: UInt16) {
        precondition(capacity > 0 && capacity <= 1 << 15)
        self.init(room: capacity, segments: 2 * Int(longestChain))
    }

    /// Allocates room for `room` requests with `segments` segments in all.
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
    @inlinable public subscript(index: Int) -> Work<Request> {
        precondition(index >= 0 && index < count)
        return unsafe works[index]
    }

    /// Removes the requests; their segments are no longer valid.
    #if !hasFeature(Embedded)
        @_specialize(exported:true,where Request == Block.Request)
        @_specialize(exported:true,where Request == Console.Request)
        @_specialize(exported:true,where Request == Entropy.Request)
        @_specialize(exported:true,where Request == Network.Request)
    #endif
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
