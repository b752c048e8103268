// A virtio-mmio device, version 2 (VIRTIO 1.4, 4.2): the transport owns everything, by value: registers, lifecycle,
// queue configuration, live queues and the device. Calls go in, `Effects` and `Work` come out. It has no thread, lock,
// clock or file; its host calls it under one lock, and sets the interrupt line from `interruptAsserted` before it
// releases the lock.
//
//   MMIOTransport.swift             state, reset, configuration changes, failure
//   MMIOTransport+Registers.swift   the register file
//   MMIOTransport+Status.swift      Status: SUSPEND's drain and resume
//   MMIOTransport+Queues.swift      notifications, requests and their completion
//
// The entry points of the chain loop are specialised for each device type here, and exported (`@_specialize`): a host, in
// whichever package, calls those, and no generic code and no Swift runtime runs between a notification and its used buffer.
// `make chain` fails otherwise. A new device type gets its lines there.

import VirtioABI

/// When a suspended virtio-mmio device stops or resets a queue for its driver. In both scopes selectors act at once,
/// and what would set up a queue is ignored (D-5, D-16).
public enum FreezeScope: Sendable {
    /// On resume; until then QueueReady, and after QueueReset = 1 also QueueReset, reads 1.
    case wide
    /// At once, as in a running device.
    case narrow
}

/// A virtio-mmio transport with its device.
public struct MMIOTransport<Device: VirtioDevice & ~Copyable>: ~Copyable {
    /// Identifies this model in the VendorID register: "VMM ".
    public static var vendorID: UInt32 { 0x204d_4d56 }
    /// Ring features that can be offered (6).
    public static var ringFeatures: Features {
        [.indirectDescriptors, .eventIndex, .ringPacked, .inOrder, .notificationData, .ringReset]
    }
    /// Ring features offered by default.
    static var defaultRingFeatures: Features { [.indirectDescriptors, .eventIndex, .ringReset] }
    /// All features that can be offered, SUSPEND apart.
    public static var offerableFeatures: Features { ringFeatures.union(Device.features) }

    /// Maximum number of queues of a device.
    public static var maximumQueues: Int { 32 }

    /// Guest memory, with the device's trace recorder.
    var memory: GuestMemory
    /// When a suspended device stops or resets a queue.
    public let freezeScope: FreezeScope
    var device: Device
    /// Features offered to the driver.
    public let offered: Features
    /// What Version reads.
    public let version: MMIOVersion

    /// The state behind Status.
    public internal(set) var lifecycle: Lifecycle
    /// InterruptStatus.
    public internal(set) var interruptStatus: InterruptStatus = []
    /// The last value written to InterruptACK, and the number of writes.
    var acknowledged: InterruptStatus = []
    var acknowledgements: UInt64 = 0
    /// Conformance state: clauses covered and violated by the driver.
    public var conformance: Conformance
    /// The last queue fault since the last reset; nil if there was none.
    public internal(set) var lastFault: QueueFault?

    var driverFeatures: Features = []
    /// Bits 64 and up of what the driver accepts, none of which is ever offered.
    var driverFeaturesHigh = HighFeatureWords()
    var deviceFeaturesSel: UInt32 = 0
    var driverFeaturesSel: UInt32 = 0
    var queueSel: UInt32 = 0
    var shmSel: UInt32 = 0

    /// Number of queues of the device.
    public let queueCount: Int
    var queues: QueueTable

    /// The configuration the driver reads, and the staged one, which it reads after the resume or reset.
    public internal(set) var configuration: Device.Configuration
    var staged: Device.Configuration?
    /// What `take` collects; empty between two calls, and kept for its memory.
    var group = ChainGroup()
    var generation: UInt32 = 0

    /// What the device puts off; nil without torture.
    var torture: TortureState?
    /// Whether there is torture: the chain loop asks this, and nothing else of it.
    let isTortured: Bool
    /// A configuration that the driver reads for a time in place of `configuration`.
    var passing: Device.Configuration?

    /// The host was told, in this suspension, that something is deferred.
    var reportedDeferred = false
    /// The configuration changed between FEATURES_OK and DRIVER_OK, where the driver reads it first.
    var changedBeforeLive = false
    /// Status, phase and InterruptStatus as last recorded.
    var recorded = RecordedState()

    /// Makes a virtio-mmio device of `device` over `memory`.
    ///
    /// Beside the features of its type the device offers VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX and
    /// VIRTIO_F_RING_RESET. The draft's SUSPEND is refused for a network device, where its feature bit is a legacy
    /// feature (D-1).
    ///
    /// - Parameters:
    ///   - device: The device, in its state after a reset.
    ///   - memory: Guest memory; it must outlive the transport.
    ///   - dialect: The SUSPEND dialect to offer; nil for none.
    ///   - scope: When a suspended device stops or resets a queue.
    ///   - adding: Features of `offerableFeatures` to offer as well.
    ///   - withholding: Features not to offer; VIRTIO_F_VERSION_1 and SUSPEND cannot be withheld here.
    ///   - conform: Whether and how the driver is checked. Tracing turns the checks on.
    ///   - tracing: Whether events are recorded for `drainEvents`.
    ///   - version: What Version reads: it decides when a reset is over.
    ///   - torture: The choices that the device makes, of those that the specifications leave to it.
    public init(
        device: consuming Device, memory: GuestMemory, suspend dialect: SuspendDialect? = nil,
        freeze scope: FreezeScope = .wide, adding: Features = [], withholding: Features = [],
        conform: ConformanceMode = .report, tracing: Tracing = .off, version: MMIOVersion = .two,
        torture: Torture? = nil
    ) {
        precondition(!(Device.deviceID == DeviceID.network && dialect == .draft), "bit 42 is VIRTIO_NET_F_GUEST_RSC6")
        precondition(adding.isSubset(of: Self.offerableFeatures), "`adding` has a feature that cannot be offered")
        var memory = memory
        if tracing != .off { memory.recorder = TraceRecorder(memory: memory, isReplay: tracing == .replay) }
        self.memory = memory
        conformance = Conformance(tracing != .off && conform == .off ? .report : conform)
        freezeScope = scope
        // What was asked for by name is offered, whatever the torture.
        func chosen(_ features: Features) -> Features {
            Self.subset(of: features, torture).union(adding.intersection(features)).subtracting(withholding)
        }
        if let torture { device.limit(by: torture) }
        let own = device.offer(chosen(Device.defaultFeatures.union(adding.intersection(Device.features))))
        let ring = chosen(Self.defaultRingFeatures.union(adding.intersection(Self.ringFeatures)))
        offered = own.union(ring).union(.version1).union(dialect?.feature ?? [])
        self.torture = torture.map { TortureState($0) }
        isTortured = torture != nil
        self.version = version
        lifecycle = Lifecycle(dialect: dialect, pollsReset: version == .three)
        let count = device.queueCount(offered)
        precondition(count <= Self.maximumQueues)
        queueCount = count
        var sizes = InlineArray<32, UInt16>(repeating: 0)
        for index in 0..<count {
            sizes[index] = Self.queueSize(device.queueSizeMax(index), queue: index, offered, torture)
        }
        queues = QueueTable(count: count) { sizes[$0] }
        configuration = device.initialConfiguration
        self.device = device
    }

    deinit { memory.recorder.free() }

    /// The level of the interrupt line: InterruptStatus is not 0, in every state (4.2.3.4, D-6).
    public var interruptAsserted: Bool { !interruptStatus.isEmpty }

    /// The longest chain that a queue of the device accepts, in descriptors. A `Batch` must have room for it.
    public var longestChain: UInt16 {
        var longest: UInt16 = 0
        for index in 0..<queueCount { longest = max(longest, queues[index].configuration.longestChain) }
        return longest
    }

    /// QueueSizeMax of the device's first queue; the other queues of this project's devices have the same.
    public var queueSizeMax: UInt16 { queueCount > 0 ? queues[0].configuration.sizeMax : 0 }

    /// Number of requests in flight.
    public var requestsInFlight: Int {
        var count = 0
        for index in 0..<queueCount { count += queues[index].inFlight }
        return count
    }

    // MARK: Reset

    /// Returns to the state after creation (2.4; 4.2.2.1), except ConfigGeneration, which never goes back. Nothing
    /// deferred is delivered: staged configuration is committed without an interrupt.
    mutating func reset() -> Effects {
        let awaitsReset = conformance.history.awaitsReset
        conformance.history = DriverHistory()
        conformance.history.awaitsReset = awaitsReset
        for index in 0..<queueCount {
            queues[index].reset()
        }
        lifecycle.reset()
        device.reset()
        interruptStatus = []
        (acknowledged, acknowledgements) = ([], 0)
        lastFault = nil
        driverFeatures = []
        driverFeaturesHigh = HighFeatureWords()
        (deviceFeaturesSel, driverFeaturesSel, queueSel, shmSel) = (0, 0, 0, 0)
        torture?.reset()
        (reportedDeferred, changedBeforeLive) = (false, false)
        if let new = staged ?? passing.map({ _ in configuration }) { _ = commit(new) }
        return Effects(.cancel)
    }

    // MARK: Configuration changes

    /// Changes the device's configuration by `edit`; no effect if nothing changes (2.5; the driver gets a configuration
    /// change notification). A suspended device stages the change: the last one wins, and the driver is notified once,
    /// on resume (D-9). A dead device stages it until the reset. Between FEATURES_OK and DRIVER_OK the notification waits for
    /// DRIVER_OK, before which a driver need not take any.
    public mutating func change(_ edit: (inout Device.Configuration) -> Void) -> Effects {
        let old = staged ?? configuration
        var new = old
        edit(&new)
        if new == old { return Effects() }
        memory.recorder.record(.change(Device.word(of: new)))
        defer { closeCall() }
        switch lifecycle.phase {
        case .running, .suspending:
            let queues = commit(new)
            interruptStatus.insert(.configurationChange)
            return Effects(queues: queues)
        case .notLive:
            _ = commit(new)
            changedBeforeLive = lifecycle.featuresLocked
        case .suspended, .resuming:
            staged = new
            return deferredEvent()
        case .dead, .resetting: staged = new
        }
        return Effects()
    }

    /// Reports that something is deferred until the resume, but only the first time in a suspension (D-20), unless it `repeats`.
    mutating func deferredEvent(repeats: Bool = false) -> Effects {
        defer { reportedDeferred = true }
        return reportedDeferred && !repeats ? Effects() : Effects(.deferred)
    }

    /// Makes `new` what the driver reads. The generation changes with the bytes (2.5.2, MM-4). Returns the queues in
    /// which the device reports the change.
    mutating func commit(_ new: Device.Configuration) -> QueueSet {
        configuration = new
        (staged, passing) = (nil, nil)
        generation &+= 1
        return device.configurationChanged(to: new)
    }

    // MARK: Failure

    /// The backend failed unrecoverably.
    public mutating func fail() -> Effects {
        memory.recorder.record(.fail)
        defer { closeCall() }
        return failed()
    }

    /// Handles an unrecoverable error in the device or in a ring.
    mutating func failed() -> Effects {
        var effects = perform(lifecycle.fail())
        if lifecycle.latchedError { effects.merge(deferredEvent()) }
        return effects
    }

    /// Handles a queue fault: DEVICE_NEEDS_RESET and a configuration change notification (2.1.2); the device's queues
    /// stop.
    mutating func fault(_ fault: QueueFault, queue index: Int) -> Effects {
        lastFault = fault
        if conformance.isOn {
            let isTooLarge = fault == .badSize && queues[index].configuration.isTooLarge
            let check: Check =
                isTooLarge ? .queueSizeAllowed : fault.check(isPacked: driverFeatures.contains(.ringPacked))
            violate(check, Evidence(queue: index))
        }
        return failed()
    }

    // MARK: Tracing

    /// Calls `body` with the events since the last call, in order. A host drains after each call into the model: the
    /// recorder has room for the events of one call.
    public func drainEvents(_ body: (Event) -> Void) { memory.recorder.drain(body) }

    /// Ends a call: records Status, phase and InterruptStatus if they changed.
    @inline(always)
    mutating func closeCall() {
        if memory.recorder.isOn { recordChanges() }
    }

    private mutating func recordChanges() {
        recordEndedQueues()
        let now = RecordedState(status: lifecycle.status, phase: lifecycle.phase, interrupt: interruptStatus.rawValue)
        let (sameInterrupt, sameLifecycle) = (
            now.interrupt == recorded.interrupt, now.status == recorded.status && now.phase == recorded.phase
        )
        // In the order of the changes: interrupts of a drain come before the device is suspended, all others after
        // (D-4, D-17).
        if !sameInterrupt && lifecycle.isFrozen { memory.recorder.record(.interrupt(now.interrupt)) }
        if !sameLifecycle { memory.recorder.record(.lifecycle(now.status, now.phase)) }
        if !sameInterrupt && !lifecycle.isFrozen { memory.recorder.record(.interrupt(now.interrupt)) }
        (recorded.status, recorded.phase, recorded.interrupt) = (now.status, now.phase, now.interrupt)
    }

    /// Records the live queues that ended since the last call.
    private mutating func recordEndedQueues() {
        for index in 0..<queueCount {
            let epoch = queues[index].isReady ? queues[index].epoch : nil
            if let old = recorded.liveEpochs[index], old != epoch {
                memory.recorder.record(.ended(queue: UInt16(index), epoch: old))
            }
            recorded.liveEpochs[index] = epoch
        }
    }
}

/// What Version reads. They differ in how a reset ends.
public enum MMIOVersion: UInt32, Sendable {
    /// VIRTIO 1.0 to 1.4: a reset is over when the write of 0 to Status returns.
    case two = 2
    /// VIRTIO 1.5, as accepted in May 2026 (virtio-spec issue 246): a reset is over when Status reads 0.
    case three = 3
}

/// Whether a device's events are recorded.
public enum Tracing: Sendable {
    /// No.
    case off
    /// Yes.
    case on
    /// As `on`, and reads of guest memory return what a trace recorded.
    case replay
}

/// The state that a trace records when it changes.
struct RecordedState {
    var status: DeviceStatus = []
    var phase = Lifecycle.Phase.notLive
    var interrupt: UInt32 = 0
    /// The epochs of the queues that are live.
    var liveEpochs = InlineArray<32, UInt32?>(repeating: nil)
}

/// A transport may be moved between threads or stored in a lock. Only one thread at a time may call it.
extension MMIOTransport: Sendable where Device: Sendable & ~Copyable {}
