// What the model asks of the host that embeds it.

/// Queues of one device, bit n for queue n.
public struct QueueSet: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The set of queue `index` alone, 0 to 31.
    public init(queue index: Int) { self.init(rawValue: 1 << UInt32(index)) }

    /// Calls `body` with each queue of the set, ascending.
    public func forEach(_ body: (Int) -> Void) {
        var rest = rawValue
        while rest != 0 {
            body(rest.trailingZeroBitCount)
            rest &= rest - 1
        }
    }
}

/// What the host owes after a call into the model. Beside it, the interrupt line follows
/// `MMIOTransport.interruptAsserted` after *every* call, under the same lock.
public struct Effects: Equatable, Sendable {
    /// Things the host has to do or may want to know.
    public struct Events: OptionSet, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The driver reset the device or took a queue away: drop the work that was not yet submitted, and report it as
        /// finished.
        public static let cancel = Events(rawValue: 1 << 0)
        /// The driver reset the device: before its write is answered, no I/O may use guest memory any more (D-10).
        public static let quiesce = Events(rawValue: 1 << 6)
        /// A drain began: report `drainDeadlinePassed` when the host's patience ends.
        public static let drainBegan = Events(rawValue: 1 << 1)
        /// The device is suspended; the backend may rest.
        public static let suspended = Events(rawValue: 1 << 2)
        /// The backend is wanted again: report `backendReady` or `fail`.
        public static let resumeRequested = Events(rawValue: 1 << 3)
        /// The device runs again after a suspension.
        public static let resumed = Events(rawValue: 1 << 4)
        /// Something was deferred that a suspended device cannot tell its driver; a host may wake the guest by other
        /// means (D-20).
        public static let deferred = Events(rawValue: 1 << 5)
    }

    /// What happened.
    public var events: Events = []
    /// Queues with something to take: serve them by `take`.
    public var queues: QueueSet = []
    /// A byte the driver wrote to the console's emergency-write field, to be shown at once.
    public var emergency: UInt8?

    /// Nothing to do.
    public init() {}

    init(_ events: Events) { self.events = events }
    init(queues: QueueSet) { self.queues = queues }

    /// Adds what `other` asks for.
    public mutating func merge(_ other: Effects) {
        events.formUnion(other.events)
        queues.formUnion(other.queues)
        emergency = other.emergency ?? emergency
    }
}
