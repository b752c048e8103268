// One virtqueue of a device: its registers and, once the driver enabled it, the live queue. Two types, so a queue that is only
// half configured cannot be used.

/// A virtqueue's registers, and the live queue from QueueReady = 1 until it is stopped.
struct QueueSlot: ~Copyable {
    var configuration: QueueConfiguration
    var live: SplitQueue?
    /// Requests of older epochs are nobody's.
    private(set) var epoch: UInt32 = 0
    /// QueueReady was written 0 while requests are in the backend: it reads 1 until they are back.
    var stopping = false
    /// The available index at the SUSPEND write: a draft drain consumes up to it.
    private(set) var drainLimit: UInt16?

    init(sizeMax: UInt16) { configuration = QueueConfiguration(sizeMax: sizeMax) }

    /// QueueReady as the driver reads it.
    var isReady: Bool { live != nil }

    /// Entries of the live queue, 0 if there is none.
    var size: UInt16 {
        switch live {
        case .some(let queue): queue.size
        case .none: 0
        }
    }

    /// Requests of the live queue in the backend.
    var inFlight: Int {
        switch live {
        case .some(let queue): queue.inFlight
        case .none: 0
        }
    }

    /// Pops the live queue's next chain, up to the drain limit if there is one.
    mutating func next(in memory: GuestMemory, _ segments: inout SegmentStorage) -> SplitQueue.Next {
        let limit = drainLimit
        return live?.next(in: memory, upTo: limit, &segments) ?? .empty
    }

    /// Whether the driver wants to hear of used buffers.
    func wantsInterrupt() -> Bool {
        switch live {
        case .some(let queue): queue.wantsInterrupt()
        case .none: false
        }
    }

    /// Ends the live queue; nothing from it may reach guest memory any more.
    mutating func stop() {
        live = nil
        epoch &+= 1
        stopping = false
        drainLimit = nil
    }

    /// Back to the state after creation; the epoch goes on.
    mutating func reset() {
        stop()
        configuration = QueueConfiguration(sizeMax: configuration.sizeMax)
    }

    // MARK: Draft drain

    /// Takes what is available now as the end of the drain.
    mutating func limitDrain() {
        switch live {
        case .some(let queue): drainLimit = queue.availableIndex
        case .none: drainLimit = nil
        }
    }

    mutating func endDrain() { drainLimit = nil }

    /// Nothing is in the backend and, if there is a limit, nothing below it is left to pop.
    func isDrained(wantsBuffer: Bool) -> Bool {
        switch live {
        case .some(let queue):
            queue.inFlight == 0 && (drainLimit == nil || drainLimit == queue.nextAvailable || !wantsBuffer)
        case .none: true
        }
    }
}
