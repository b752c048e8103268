// What the model requires of its host.

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

/// What the host must do after a call into the model. In addition it sets the interrupt line from
/// `MMIOTransport.interruptAsserted` after *every* call, under the same lock.
public struct Effects: Equatable, Sendable {
    /// Events that the host must or may act on.
    public struct Events: OptionSet, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The driver reset the device or is stopping a queue: drop the work that was not yet submitted, and report it
        /// as finished.
        public static let cancel = Events(rawValue: 1 << 0)
        /// The driver reset the device: its write must not return before all I/O has stopped using guest memory (D-10).
        public static let quiesce = Events(rawValue: 1 << 6)
        /// A drain began: report `drainDeadlinePassed` at the drain deadline.
        public static let drainBegan = Events(rawValue: 1 << 1)
        /// The device is suspended; the backend may become idle.
        public static let suspended = Events(rawValue: 1 << 2)
        /// The driver requested the resume: make the backend ready, then report `backendReady` or `fail`.
        public static let resumeRequested = Events(rawValue: 1 << 3)
        /// The device runs again after a suspension.
        public static let resumed = Events(rawValue: 1 << 4)
        /// Something was deferred: a suspended device cannot notify its driver. The host may wake the guest by other
        /// means (D-20).
        public static let deferred = Events(rawValue: 1 << 5)
    }

    /// What happened.
    public var events: Events = []
    /// Queues to serve by `take`.
    public var queues: QueueSet = []
    /// A byte that the driver wrote to the console's emergency-write field, to be output at once.
    public var emergency: UInt8?

    /// Nothing to do.
    public init() {}

    init(_ events: Events) { self.events = events }
    init(queues: QueueSet) { self.queues = queues }

    /// These effects, and `events`.
    func merging(_ events: Events) -> Effects { merging(Effects(events)) }

    /// These effects and those of `other`.
    func merging(_ other: Effects) -> Effects {
        var all = self
        all.merge(other)
        return all
    }

    /// Adds the effects of `other`.
    public mutating func merge(_ other: Effects) {
        events.formUnion(other.events)
        queues.formUnion(other.queues)
        emergency = other.emergency ?? emergency
    }
}
