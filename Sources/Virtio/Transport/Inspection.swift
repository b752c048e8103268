// A device looked at from the host: everything its registers, its lifecycle and its queues hold, as a plain value. ConformanceChecking
// changes nothing, and unlike a `Snapshot` this can be done at any time; it cannot be put back.

import VirtioABI

/// The state of a device.
public struct Inspection: Sendable {
    /// How far a ring was followed.
    public struct Position: Equatable, Sendable {
        /// Entries of a split ring, descriptors of a packed one; free-running, 16 bits.
        public let count: UInt16
        /// A packed ring's next descriptor; 0 in a split one.
        public let slot: UInt16
        /// A packed ring's wrap counter (2.8.1); true in a split one.
        public let wrap: Bool

        init(_ position: RingPosition) { (count, slot, wrap) = (position.count, position.slot, position.wrap) }
    }

    /// The state of a virtqueue.
    public struct Queue: Sendable {
        /// QueueSizeMax, and QueueSize as written.
        public let sizeMax: UInt16
        public let size: UInt32
        /// QueueDesc, QueueDriver and QueueDevice as written: guest-physical addresses.
        public let descriptorArea: UInt64
        public let driverArea: UInt64
        public let deviceArea: UInt64
        /// QueueReady and QueueReset as they read.
        public let isReady: Bool
        public let isResetting: Bool
        /// The driver is taking the queue away, and requests of it are still in the backend or wait for the resume.
        public let isEnding: Bool
        /// What the driver has made available and the device has not popped: entries of a split ring, descriptors of a packed one; nil for
        /// a queue that is not live.
        public let waiting: UInt16?
        /// The device has something to do with a buffer of it now; a receive queue without input has not.
        public let isWanted: Bool
        /// How often the driver asked for it to be looked at, since it was set up.
        public let notifications: UInt64
        /// What the driver last wrote of the notifications it wants: `flags` of the available ring, or with VIRTIO_F_EVENT_IDX `used_event`; the
        /// whole structure of a packed ring. Nil for a queue that is not live.
        public let suppression: UInt32?
        /// Where the next chain is popped, where the next used one is put, and where that was when the driver was last thought of
        /// (2.7.7.2, 2.8.10); nil for a queue that is not live.
        public let available: Position?
        public let used: Position?
        public let notified: Position?
        /// Chains in the backend.
        public let inFlight: Int
        /// Chains that are finished and not used: they wait for the resume, or with VIRTIO_F_IN_ORDER for an older one.
        public let held: Int
        /// What a draft's drain has still to pop, entries (split) or descriptors (packed); nil without one.
        public let drainLeft: UInt16?
    }

    /// The device type (5).
    public let deviceID: UInt32
    /// The lifecycle, and Status, which is what it shows of itself.
    public let lifecycle: Lifecycle
    /// What was offered, and what the driver accepted or is about to.
    public let offered: Features
    public let driverFeatures: Features
    /// InterruptStatus.
    public let interruptStatus: InterruptStatus
    /// What the driver last wrote to InterruptACK, and how often it did.
    public let acknowledged: InterruptStatus
    public let acknowledgements: UInt64
    /// ConfigGeneration.
    public let generation: UInt32
    /// The selector registers.
    public let deviceFeaturesSel: UInt32
    public let driverFeaturesSel: UInt32
    public let queueSel: UInt32
    public let shmSel: UInt32
    /// The configuration space the driver reads, and the one it will read after the resume, if that is another.
    public let configuration: ConfigurationBytes
    public let staged: ConfigurationBytes?
    /// What the device type keeps of its own: of a console's ports their state, and the input that was not delivered.
    public let deviceState: [UInt8]
    /// Something has had to wait for the end of this suspension.
    public let hasDeferred: Bool
    /// How the driver broke a queue since the last reset.
    public let lastFault: QueueFault?
    /// Clauses the driver broke.
    public let violations: [Violation]
    /// The device's queues, by index.
    public let queues: [Queue]
}

extension MMIOTransport where Device: ~Copyable {
    /// The device's state.
    public func inspect() -> Inspection {
        var states: [Inspection.Queue] = []
        for index in 0..<queueCount { states.append(queues[index].inspect(isWanted: device.wantsBuffer(queue: index))) }
        var stagedBytes: ConfigurationBytes?
        if let staged { stagedBytes = device.bytes(of: staged) }
        return Inspection(
            deviceID: Device.deviceID, lifecycle: lifecycle, offered: offered, driverFeatures: driverFeatures,
            interruptStatus: interruptStatus, acknowledged: acknowledged, acknowledgements: acknowledgements,
            generation: generation, deviceFeaturesSel: deviceFeaturesSel,
            driverFeaturesSel: driverFeaturesSel, queueSel: queueSel, shmSel: shmSel,
            configuration: device.bytes(of: configuration), staged: stagedBytes, deviceState: device.savedState,
            hasDeferred: lifecycle.isFrozen && toldDeferred, lastFault: lastFault,
            violations: Check.allCases.compactMap { conformance.violation($0) }, queues: states)
    }
}

extension QueueSlot {
    fileprivate func inspect(isWanted: Bool) -> Inspection.Queue {
        var positions: RingPositions?
        switch live {
        case .some(let queue): positions = queue.positions
        case .none: break
        }
        return Inspection.Queue(
            sizeMax: configuration.sizeMax, size: configuration.size, descriptorArea: configuration.descriptors,
            driverArea: configuration.driver, deviceArea: configuration.device, isReady: isReady,
            isResetting: isResetting, isEnding: ending != .none, waiting: availableCount, isWanted: isWanted,
            notifications: notifications, suppression: suppression,
            available: positions.map { Inspection.Position($0.available) },
            used: positions.map { Inspection.Position($0.used) },
            notified: positions.map { Inspection.Position($0.notified) }, inFlight: inFlight, held: finished,
            drainLeft: drainLeft)
    }
}
