// The state of a device for inspection: everything its registers, its lifecycle and its queues hold, as a plain value.
// Inspection changes nothing and, unlike a `Snapshot`, is possible at any time. It cannot be restored.

import VirtioABI

/// The state of a device.
public struct Inspection: Sendable {
    /// A position in a ring.
    public struct Position: Equatable, Sendable {
        /// Entries (split) or descriptors (packed) passed so far; free-running, 16 bits.
        public let count: UInt16
        /// The next descriptor of a packed ring; 0 in a split one.
        public let slot: UInt16
        /// The wrap counter of a packed ring (2.8.1); true in a split one.
        public let wrap: Bool

        init(_ position: RingPosition) { (count, slot, wrap) = (position.count, position.slot, position.wrap) }
    }

    /// The state of a virtqueue.
    public struct Queue: Sendable {
        /// QueueSizeMax, in elements.
        public let sizeMax: UInt16
        /// QueueSize as written, in elements.
        public let size: UInt32
        /// QueueDesc as written: a guest-physical address.
        public let descriptorArea: UInt64
        /// QueueDriver as written: a guest-physical address.
        public let driverArea: UInt64
        /// QueueDevice as written: a guest-physical address.
        public let deviceArea: UInt64
        /// QueueReady as it reads.
        public let isReady: Bool
        /// QueueReset as it reads: the reset of the queue is not complete.
        public let isResetting: Bool
        /// The driver is stopping the queue, and its requests are still in flight or deferred until the resume.
        public let isEnding: Bool
        /// Entries (split) or descriptors (packed) that are available and not popped; nil for a queue that is not live.
        public let waiting: UInt16?
        /// The device can use a buffer of the queue now; false for a receive queue without input.
        public let isWanted: Bool
        /// Number of available buffer notifications since the queue became live or, for a queue that is not ready, of
        /// those it ignored.
        public let notifications: UInt64
        /// The driver's interrupt suppression, as last written: `flags` of the available ring, or with
        /// VIRTIO_F_EVENT_IDX `used_event`; the driver event suppression structure of a packed ring. Nil for a queue
        /// that is not live.
        public let suppression: UInt32?
        /// The next chain to pop; nil for a queue that is not live.
        public let available: Position?
        /// The next used entry to write; nil for a queue that is not live.
        public let used: Position?
        /// `used` at the last decision whether to interrupt (2.7.7.2, 2.8.10); nil for a queue that is not live.
        public let notified: Position?
        /// Chains in flight.
        public let inFlight: Int
        /// Chains finished and not used: deferred until the resume, or with VIRTIO_F_IN_ORDER until an older one is
        /// finished.
        public let held: Int
        /// What a draft's drain still has to pop, in entries (split) or descriptors (packed); nil without such a drain.
        public let drainLeft: UInt16?
    }

    /// The device type (5).
    public let deviceID: UInt32
    /// The lifecycle, from which Status is derived.
    public let lifecycle: Lifecycle
    /// Features offered.
    public let offered: Features
    /// Features the driver has accepted so far.
    public let driverFeatures: Features
    /// InterruptStatus.
    public let interruptStatus: InterruptStatus
    /// The last value written to InterruptACK.
    public let acknowledged: InterruptStatus
    /// Number of writes to InterruptACK since the last reset.
    public let acknowledgements: UInt64
    /// ConfigGeneration.
    public let generation: UInt32
    /// DeviceFeaturesSel as written.
    public let deviceFeaturesSel: UInt32
    /// DriverFeaturesSel as written.
    public let driverFeaturesSel: UInt32
    /// QueueSel as written.
    public let queueSel: UInt32
    /// SHMSel as written.
    public let shmSel: UInt32
    /// The configuration space the driver reads.
    public let configuration: ConfigurationBytes
    /// The configuration space that a resume shows; nil if no change is staged.
    public let staged: ConfigurationBytes?
    /// State of the device type: of a console, the state of its ports and the input that was not delivered.
    public let deviceState: [UInt8]
    /// Something was deferred in this suspension.
    public let hasDeferred: Bool
    /// The last queue fault since the last reset; nil if there was none.
    public let lastFault: QueueFault?
    /// Clauses the driver violated.
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
            generation: generation &+ device.configurationEdits, deviceFeaturesSel: deviceFeaturesSel,
            driverFeaturesSel: driverFeaturesSel, queueSel: queueSel, shmSel: shmSel,
            configuration: device.bytes(of: configuration), staged: stagedBytes, deviceState: device.savedState,
            hasDeferred: lifecycle.isFrozen && reportedDeferred, lastFault: lastFault,
            violations: Check.allCases.compactMap { conformance.violation($0) }, queues: states)
    }
}

extension QueueSlot {
    fileprivate func inspect(isWanted: Bool) -> Inspection.Queue {
        let positions = live?.value.positions
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
