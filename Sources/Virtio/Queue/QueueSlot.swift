// One virtqueue of a device: its registers and, once the driver enabled it, the live queue. Two types, so a queue that is only
// half configured cannot be used.

/// How a driver takes a live queue away.
enum QueueEnding: Sendable {
    case none
    /// QueueReady was written 0; it reads 1 until no request of the queue is in the backend.
    case disabled
    /// QueueReset was written 1; both it and QueueReady read 1 until then.
    case reset
    /// QueueReset was written 1 while the device is suspended: it reads 1, and the reset is the first thing after the resume
    /// (D-16).
    case resetPended
}

/// A virtqueue's registers, and the live queue from QueueReady = 1 until it is stopped.
struct QueueSlot: ~Copyable {
    var configuration: QueueConfiguration
    var live: LiveQueue?
    /// Requests of older epochs are nobody's.
    private(set) var epoch: UInt32 = 0
    /// The driver is taking the queue away: what it reads until the backend's requests are back, and what is left after.
    private(set) var ending = QueueEnding.none
    /// What a draft drain has still to pop, of what was available at the SUSPEND write: entries (split) or descriptors (packed).
    private(set) var drainLeft: UInt16?
    /// How often the driver notified the live queue.
    var notifications: UInt64 = 0

    init(sizeMax: UInt16) { configuration = QueueConfiguration(sizeMax: sizeMax) }

    /// QueueReady as the driver reads it.
    var isReady: Bool { live != nil }

    /// QueueReset as the driver reads it.
    var isResetting: Bool { ending == .reset || ending == .resetPended }

    /// Requests of the live queue in the backend.
    var inFlight: Int {
        switch live {
        case .some(let queue): queue.parked.inFlight
        case .none: 0
        }
    }

    /// Chains of the live queue that are finished and not used.
    var finished: Int {
        switch live {
        case .some(let queue): queue.parked.finished
        case .none: 0
        }
    }

    /// A chain of the live queue that is answered at once has to wait for others.
    var mustQueue: Bool {
        switch live {
        case .some(let queue): queue.parked.mustQueue
        case .none: false
        }
    }

    /// Pops the live queue's next chain; in a draft drain no more than there was when it began.
    mutating func next(_ segments: inout SegmentStorage, requestsNotification: Bool) -> NextChain {
        if drainLeft == 0 { return .empty }
        let before = position
        let next = live?.next(&segments, requestsNotification: requestsNotification) ?? .empty
        if let left = drainLeft {
            // A driver that takes back what it made available ends the drain of its queue.
            let popped = position &- before
            drainLeft = popped > 0 ? left - min(left, popped) : 0
        }
        return next
    }

    /// What is available in the live queue and was not popped.
    var availableCount: UInt16? {
        switch live {
        case .some(let queue): queue.availableCount
        case .none: nil
        }
    }

    /// What the driver says of the notifications it wants.
    var suppression: UInt32? {
        switch live {
        case .some(let queue): queue.suppression
        case .none: nil
        }
    }

    /// How far the live queue was popped.
    private var position: UInt16 {
        switch live {
        case .some(let queue): queue.positions.available.count
        case .none: 0
        }
    }

    // MARK: The end of a queue

    /// Nothing is popped any more and nothing finished is used; the queue is gone when the backend has no request of it.
    mutating func end(as kind: QueueEnding) {
        // A reset under way stays one: QueueReset reads 1 until it is over (MM-6).
        if !(isResetting && kind == .disabled) { ending = kind }
        endIfIdle()
    }

    /// Completes an ending once the backend's requests are back. Held outcomes go with the queue.
    mutating func endIfIdle() {
        guard inFlight == 0 else { return }
        switch ending {
        case .none, .resetPended: break
        case .disabled: drop()
        case .reset: reset()
        }
    }

    /// Back to the state after creation (2.4; for one queue 2.6.1); the epoch goes on.
    mutating func reset() {
        drop()
        configuration = QueueConfiguration(sizeMax: configuration.sizeMax)
    }

    /// Nothing from the live queue may reach guest memory any more.
    private mutating func drop() {
        live = nil
        notifications = 0
        epoch &+= 1
        ending = .none
        drainLeft = nil
    }

    /// The end that a snapshot was in the middle of, and what was left of its drain.
    mutating func restoreEnding(_ ending: QueueEnding, drainLeft: UInt16?) {
        self.ending = ending
        self.drainLeft = drainLeft
    }

    // MARK: Draft drain

    /// Takes what is available now as the end of the drain; nothing, if the device has no use for buffers now: input that
    /// comes later waits for the resume.
    mutating func limitDrain(wantsBuffer: Bool) {
        switch live {
        case .some(let queue): drainLeft = wantsBuffer ? queue.availableCount : 0
        case .none: drainLeft = nil
        }
    }

    mutating func endDrain() { drainLeft = nil }

    /// Nothing is in the backend, and nothing of what the drain consumes is left to pop.
    func isDrained(wantsBuffer: Bool) -> Bool {
        inFlight == 0 && (drainLeft == nil || drainLeft == 0 || !wantsBuffer)
    }
}
