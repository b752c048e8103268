// One virtqueue of a device: its registers and, after the driver enabled it, the live queue. They are two types, so
// that a half-configured queue cannot be used.

/// How the driver is stopping a live queue.
enum QueueEnding: UInt8, Sendable {
    case none
    /// QueueReady was written 0; it reads 1 until no request of the queue is in flight.
    case disabled
    /// QueueReset was written 1; QueueReset and QueueReady read 1 until no request of the queue is in flight.
    case reset
    /// QueueReady was written 0 while the device is suspended: it reads 1, and the resume begins with the stop (D-16).
    case disabledDeferred
    /// QueueReset was written 1 while the device is suspended: it reads 1, and the resume begins with the reset (D-16).
    case resetDeferred

    /// QueueReset was written 1.
    var isReset: Bool { self == .reset || self == .resetDeferred }

    /// The same ending, deferred until the resume.
    var deferred: QueueEnding { isReset ? .resetDeferred : .disabledDeferred }

    /// The ending that a resume begins; nil if none was deferred.
    var afterResume: QueueEnding? {
        switch self {
        case .none, .disabled, .reset: nil
        case .disabledDeferred: .disabled
        case .resetDeferred: .reset
        }
    }
}

/// A virtqueue's registers, and the live queue from QueueReady = 1 until it is dropped.
struct QueueSlot: ~Copyable {
    var configuration: QueueConfiguration
    private(set) var live: LiveQueuePointer?
    /// Changes when the live queue is dropped. Tokens of older epochs are ignored.
    private(set) var epoch: UInt32 = 0
    /// How the driver is stopping the queue: it decides what the registers read until no request is in flight, and what
    /// remains afterwards.
    private(set) var ending = QueueEnding.none
    /// Nothing but requests in flight puts the end of the queue off.
    var mayEnd = true
    /// What a draft drain still has to pop of what was available at the SUSPEND write: entries (split) or descriptors
    /// (packed).
    private(set) var drainLeft: UInt16?
    /// Number of notifications for the live queue or, for one that is not ready, of those it ignored since DRIVER_OK.
    var notifications: UInt64 = 0

    init(sizeMax: UInt16) { configuration = QueueConfiguration(sizeMax: sizeMax) }

    deinit { live?.free() }

    /// Makes `queue` the live queue of a queue that had none.
    mutating func begin(_ queue: consuming LiveQueue) {
        live = LiveQueuePointer(queue)
        notifications = 0
    }

    /// QueueReady as the driver reads it.
    var isReady: Bool { live != nil }

    /// QueueReset as the driver reads it.
    var isResetting: Bool { ending.isReset }

    /// Requests of the live queue in flight.
    var inFlight: Int { live?.value.parked.inFlight ?? 0 }

    /// Chains of the live queue that are finished and not used.
    var finished: Int { live?.value.parked.finished ?? 0 }

    /// Pops the live queue's next chain; in a draft drain only what was available when the drain began.
    @inline(always)
    mutating func next(_ segments: inout SegmentStorage, requestsNotification: Bool) -> NextChain {
        guard let live else { return .empty }
        guard let left = drainLeft else {
            return live.value.next(&segments, requestsNotification: requestsNotification)
        }
        if left == 0 { return .empty }
        let before = live.value.positions.available.count
        let next = live.value.next(&segments, requestsNotification: requestsNotification)
        // If the driver takes back what it made available, the drain of the queue ends.
        let popped = live.value.positions.available.count &- before
        drainLeft = popped > 0 ? left - min(left, popped) : 0
        return next
    }

    /// Puts the chains popped since `position` back: they are available again. The drain has no more to expect of the queue.
    mutating func putBack(to position: RingPosition) {
        live?.value.positions.available = position
        if drainLeft != nil { drainLeft = 0 }
    }

    /// Entries or descriptors of the live queue that are available and not popped; nil for a queue that is not live.
    var availableCount: UInt16? { live?.value.availableCount }

    /// Whether nothing is available in the live queue; true for a queue that is not live.
    var isEmpty: Bool { live?.value.isEmpty ?? true }

    /// The driver's interrupt suppression; nil for a queue that is not live.
    var suppression: UInt32? { live?.value.suppression }

    // MARK: The end of a queue

    /// Stops the queue: nothing more is popped or used, and the queue is dropped when none of its requests is in
    /// flight.
    mutating func end(as kind: QueueEnding) {
        // A reset in progress remains: QueueReset reads 1 until it is over (MM-6).
        if kind.isReset || !ending.isReset { ending = kind }
        endIfIdle()
    }

    /// Completes the ending if no request is in flight. Finished chains are dropped with the queue.
    mutating func endIfIdle() {
        guard inFlight == 0, mayEnd else { return }
        switch ending {
        case .none, .disabledDeferred, .resetDeferred: break
        case .disabled: drop()
        case .reset: reset()
        }
    }

    /// Returns to the state after creation (2.4; for one queue 2.6.1), except the epoch.
    mutating func reset() {
        drop()
        configuration = QueueConfiguration(sizeMax: configuration.sizeMax)
    }

    /// Drops the live queue: nothing of it reaches guest memory any more.
    private mutating func drop() {
        live?.free()
        live = nil
        notifications = 0
        epoch &+= 1
        (ending, mayEnd) = (.none, true)
        drainLeft = nil
    }

    /// Restores the epoch, the ending and the drain limit from a snapshot.
    mutating func restoreEnd(_ epoch: UInt32, _ ending: QueueEnding, drainLeft: UInt16?) {
        self.epoch = epoch
        self.ending = ending
        self.drainLeft = drainLeft
    }

    // MARK: Draft drain

    /// Limits the drain to what is available now, or to nothing if the device needs no buffer now: input that arrives
    /// later waits for the resume.
    mutating func limitDrain(wantsBuffer: Bool) {
        drainLeft = live.map { wantsBuffer ? $0.value.availableCount : 0 }
    }

    mutating func endDrain() { drainLeft = nil }

    /// Whether no request is in flight and the drain has nothing left to pop.
    func isDrained(wantsBuffer: Bool) -> Bool {
        inFlight == 0 && (drainLeft == nil || drainLeft == 0 || !wantsBuffer)
    }
}
