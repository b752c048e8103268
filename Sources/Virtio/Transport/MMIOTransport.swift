// A virtio-mmio device, version 2 (VIRTIO 1.4, 4.2): the transport owns everything, by value: registers, lifecycle, queue
// configuration, live queues and the device. Calls go in, `Effects` and `Work` come out. It has no thread, lock, clock or
// file; its host calls it under one lock and sets the interrupt line from `interruptAsserted` before it lets go of it.
//
//   MMIOTransport.swift             what there is, reset, configuration changes, failure
//   MMIOTransport+Registers.swift   the register file
//   MMIOTransport+Status.swift      Status: SUSPEND's drain and resume
//   MMIOTransport+Queues.swift      kicks, requests and their completion

import VirtioABI

/// What a suspended virtio-mmio device ignores beside its device-specific configuration space (D-5).
public enum FreezeScope: Sendable {
    /// Selectors, features and queue setup too: what PCI's common configuration holds.
    case wide
    /// Only what would set up a queue: selectors, QueueReady = 0 and QueueReset act at once.
    case narrow
}

/// A virtio-mmio transport with its device.
public struct MMIOTransport<Device: VirtioDevice & ~Copyable>: ~Copyable {
    /// Identifies this model in the VendorID register: "VMM ".
    public static var vendorID: UInt32 { 0x204d_4d56 }
    /// What a driver may be offered of the rings' forms (6).
    public static var ringFeatures: Features {
        [.indirectDescriptors, .eventIndex, .ringPacked, .inOrder, .notificationData, .ringReset]
    }
    /// What it is offered unless somebody says otherwise.
    static var defaultRingFeatures: Features { [.indirectDescriptors, .eventIndex, .ringReset] }
    /// All features that can be offered, SUSPEND apart.
    public static var canOffer: Features { ringFeatures.union(Device.features) }

    /// Most queues a device can have.
    public static var maximumQueues: Int { 32 }

    /// With the device's tape, if it has one.
    let memory: GuestMemory
    /// How much of the register file a suspension freezes.
    public let freezeScope: FreezeScope
    var device: Device
    /// Features offered to the driver.
    public let offered: Features

    /// The state behind Status.
    public internal(set) var lifecycle: Lifecycle
    /// InterruptStatus.
    public internal(set) var interruptStatus: InterruptStatus = []
    /// What the driver last wrote to InterruptACK, and how often it did.
    var acknowledged: InterruptStatus = []
    var acknowledgements: UInt64 = 0
    /// What was seen of the driver's manners.
    public var conformance: Conformance
    /// How the driver broke a queue since the last reset.
    public internal(set) var lastFault: QueueFault?

    var driverFeatures: Features = []
    /// Bits 64 to 127 of what the driver accepts, none of which is ever offered.
    var driverFeaturesHigh: Features = []
    var deviceFeaturesSel: UInt32 = 0
    var driverFeaturesSel: UInt32 = 0
    var queueSel: UInt32 = 0
    var shmSel: UInt32 = 0

    /// Queues of the device.
    public let queueCount: Int
    var queues: QueueTable

    /// The configuration the driver sees, and the one it will see after a resume.
    public internal(set) var configuration: Device.Configuration
    var staged: Device.Configuration?
    var generation: UInt32 = 0

    /// A suspended device has told the host that something waits for the resume.
    var toldDeferred = false
    /// What the tape was last told of Status, what is behind it, and InterruptStatus.
    private var shown = Shown()

    /// `device` behind a virtio-mmio register file, over `memory`, offering SUSPEND in `dialect` or not at all. `scope` says
    /// what of the register file is configuration space in the sense of SUSPEND's rules.
    ///
    /// Beside the device's own features it offers VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX and VIRTIO_F_RING_RESET; `adding` of
    /// `canOffer`, and without `withholding`. VIRTIO_F_VERSION_1 and SUSPEND are not to be withheld here.
    ///
    /// Its driver is looked at as `conform` says. With `tracing`, what happens to it can be had from `drainEvents`; then somebody always
    /// looks.
    ///
    /// The draft's feature bit belongs to a network device's legacy features: it is refused there (D-1).
    public init(
        device: consuming Device, memory: GuestMemory, suspend dialect: SuspendDialect? = nil,
        freeze scope: FreezeScope = .wide, adding: Features = [], withholding: Features = [],
        conform: ConformanceMode = .report, tracing: Tracing = .off
    ) {
        precondition(!(Device.deviceID == DeviceID.network && dialect == .draft), "bit 42 is VIRTIO_NET_F_GUEST_RSC6")
        precondition(adding.isSubset(of: Self.canOffer), "there is no such feature here")
        var memory = memory
        if tracing != .off { memory.recorder = TraceRecorder(memory: memory, isReplay: tracing == .replay) }
        self.memory = memory
        conformance = Conformance(tracing != .off && conform == .off ? .report : conform)
        freezeScope = scope
        let own = device.offer(
            Device.defaultFeatures.union(adding.intersection(Device.features)).subtracting(withholding))
        let ring = Self.defaultRingFeatures.union(adding.intersection(Self.ringFeatures)).subtracting(withholding)
        offered = own.union(ring).union(.version1).union(dialect?.feature ?? [])
        lifecycle = Lifecycle(dialect: dialect)
        let count = device.queueCount(offered)
        precondition(count <= Self.maximumQueues)
        queueCount = count
        var sizes = InlineArray<32, UInt16>(repeating: 0)
        for index in 0..<count { sizes[index] = device.queueSizeMax(index) }
        queues = QueueTable(count: count) { sizes[$0] }
        configuration = device.initialConfiguration
        self.device = device
    }

    deinit { memory.recorder.free() }

    /// The level of the interrupt line: InterruptStatus is not 0, in every state (4.2.3.4, D-6).
    public var interruptAsserted: Bool { !interruptStatus.isEmpty }

    /// The longest chain that a queue of the device takes, in descriptors: what a `Batch` must have room for.
    public var longestChain: UInt16 {
        var longest: UInt16 = 0
        for index in 0..<queueCount { longest = max(longest, queues[index].configuration.longestChain) }
        return longest
    }

    /// QueueSizeMax of the device's first queue, and of all others it has here.
    public var queueSizeMax: UInt16 { queueCount > 0 ? queues[0].configuration.sizeMax : 0 }

    /// Requests the backend has and has not answered.
    public var requestsInFlight: Int {
        var count = 0
        for index in 0..<queueCount { count += queues[index].inFlight }
        return count
    }

    // MARK: Reset

    /// Back to the state after creation (2.4; 4.2.2.1), but for ConfigGeneration, which never goes back. Nothing deferred
    /// gets out: staged configuration is committed without a word.
    mutating func reset() -> Effects {
        conformance.history = DriverHistory()
        for index in 0..<queueCount {
            queues[index].reset()
        }
        lifecycle.reset()
        device.reset()
        interruptStatus = []
        (acknowledged, acknowledgements) = ([], 0)
        lastFault = nil
        driverFeatures = []
        driverFeaturesHigh = []
        (deviceFeaturesSel, driverFeaturesSel, queueSel, shmSel) = (0, 0, 0, 0)
        if let staged { _ = commit(staged) }
        return Effects([.cancel, .quiesce])
    }

    // MARK: Configuration changes

    /// The host changes the device's configuration, if `edit` makes a difference (2.5; the driver is told by a configuration change notification). A
    /// suspended device stages the change: the last one wins, and the driver is told once, on resume (D-9). A dead one
    /// keeps it for after the reset.
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
        case .notLive: _ = commit(new)
        case .suspended, .resuming:
            staged = new
            return deferredEvent()
        case .dead: staged = new
        }
        return Effects()
    }

    /// Something waits for the resume. The first time in a suspension the host hears of it (D-20).
    mutating func deferredEvent() -> Effects {
        defer { toldDeferred = true }
        return toldDeferred ? Effects() : Effects(.deferred)
    }

    /// Makes `new` what the driver reads. The generation changes with the bytes (2.5.2, MM-4). Returns the queues by which the
    /// device has something to say of it.
    mutating func commit(_ new: Device.Configuration) -> QueueSet {
        configuration = new
        staged = nil
        generation &+= 1
        return device.configurationChanged()
    }

    // MARK: Failure

    /// The backend is broken for good.
    public mutating func fail() -> Effects {
        memory.recorder.record(.fail)
        defer { closeCall() }
        return failed()
    }

    /// What can not be mended happened, in the device or in a ring.
    mutating func failed() -> Effects {
        var effects = perform(lifecycle.fail())
        if lifecycle.latchedError { effects.merge(deferredEvent()) }
        return effects
    }

    /// The driver broke a queue: DEVICE_NEEDS_RESET and a configuration change notification (2.1.2), its queues stop.
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

    /// Calls `body` with what has happened since the last time, in order. A host asks after each of its calls: there is room for what
    /// one of them brings.
    public func drainEvents(_ body: (Event) -> Void) { memory.recorder.drain(body) }

    /// The end of a call: what can be seen from outside is noted if it is another.
    mutating func closeCall() {
        guard memory.recorder.isOn else { return }
        recordEndedQueues()
        let now = Shown(status: lifecycle.status, phase: lifecycle.phase, interrupt: interruptStatus.rawValue)
        let (toldOfInterrupt, toldOfLife) = (
            now.interrupt == shown.interrupt, now.status == shown.status && now.phase == shown.phase
        )
        // As it was: what a drain has to tell is told before the device is suspended, all else after (D-4, D-17).
        if !toldOfInterrupt && lifecycle.isFrozen { memory.recorder.record(.interrupt(now.interrupt)) }
        if !toldOfLife { memory.recorder.record(.lifecycle(now.status, now.phase)) }
        if !toldOfInterrupt && !lifecycle.isFrozen { memory.recorder.record(.interrupt(now.interrupt)) }
        (shown.status, shown.phase, shown.interrupt) = (now.status, now.phase, now.interrupt)
    }

    /// Records which live queues are gone since the last call.
    private mutating func recordEndedQueues() {
        for index in 0..<queueCount {
            let epoch = queues[index].isReady ? queues[index].epoch : nil
            if let old = shown.liveEpochs[index], old != epoch {
                memory.recorder.record(.ended(queue: UInt16(index), epoch: old))
            }
            shown.liveEpochs[index] = epoch
        }
    }
}

/// Whether what happens to a device is noted.
public enum Tracing: Sendable {
    case off, on
    /// And guest memory is read as a trace says it was.
    case replay
}

/// What can be seen of a device from outside.
private struct Shown {
    var status: DeviceStatus = []
    var phase = Lifecycle.Phase.notLive
    var interrupt: UInt32 = 0
    /// The epochs of the queues that are live.
    var liveEpochs = InlineArray<32, UInt32?>(repeating: nil)
}

/// A value like any other: it may go from thread to thread, or into a lock. Two threads never call it at once.
extension MMIOTransport: Sendable where Device: Sendable & ~Copyable {}
