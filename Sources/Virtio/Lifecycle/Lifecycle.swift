// The device lifecycle, which the driver controls through Status: initialisation, SUSPEND in both dialects, failure,
// reset (VIRTIO 1.4, 2.1, 2.4 and 3.1; the draft of February 2024). Pure: events go in, actions for the transport come
// out.
//
//                    DRIVER_OK             SUSPEND                drained
//        notLive ----------------> running -------> suspending ----------> suspended
//           ^                         ^ ^   abort*     |                    |  ^
//           |  write 0, from anywhere | +--------------+    resume request  |  | abort*
//           |                         |                                     v  |
//           +------------------       +----------------------------------- resuming
//                                                  backend ready
//
//        any state -- fatal error --> dead          * the draft only
//
// In version 3 of virtio-mmio a write of 0 may take time. Status shows what it showed before until it is over:
//
//        any state whose Status is not 0 -- write 0 --> resetting -- no I/O uses guest memory --> notLive
//
// Status is a projection of this, never a stored byte: 0x1f asks a running 1.4 device to suspend and a suspended one to
// resume, and "suspending" has no bit of its own. Status shows the old value until a transition is over.

import VirtioABI

/// The state behind the device status field.
public struct Lifecycle: Equatable, Sendable {
    /// Phase of the device lifecycle.
    public enum Phase: Hashable, Sendable {
        /// DRIVER_OK has not been accepted since the last reset.
        case notLive
        /// DRIVER_OK is set, and no suspend is in progress.
        case running
        /// The driver requested SUSPEND; the drain is in progress.
        case suspending
        /// The drain is over. Queues, notifications and the configuration stand still.
        case suspended
        /// The driver requested the resume; the backend is not ready yet.
        case resuming
        /// DEVICE_NEEDS_RESET. In 1.4 Status also depends on whether the device failed while suspended.
        case dead(suspended: Bool)
        /// Version 3: the driver wrote 0, and requests in flight may still use guest memory.
        case resetting
    }

    /// What the transport must do after a lifecycle event.
    public enum Action: Equatable, Sendable {
        /// Nothing.
        case nothing
        /// Status was written 0: return everything to its initial state.
        case reset
        /// Version 3: the same once no request is in flight.
        case beginReset
        /// DRIVER_OK was accepted.
        case goLive
        /// Record what is available and start the drain.
        case beginSuspend
        /// End the drain. The device runs: serve every ready queue.
        case abortSuspend
        /// Request the backend to get ready.
        case beginResume
        /// The backend need not get ready; nothing was delivered.
        case abortResume
        /// DEVICE_NEEDS_RESET became visible: stop the queues.
        case die(notify: Bool)
    }

    /// The SUSPEND dialect this device offers; nil if it does not offer SUSPEND.
    public let dialect: SuspendDialect?
    /// A reset is over when Status reads 0 (version 3), not when the write of 0 returns (version 2).
    public let pollsReset: Bool
    /// The driver accepted the dialect's feature bit.
    public private(set) var suspendNegotiated = false
    /// Current phase.
    public private(set) var phase = Phase.notLive
    /// The draft: an unrecoverable error occurred while suspended. It is not visible until the resume (D-13).
    public private(set) var latchedError = false
    /// ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK and FAILED as the driver set them; never SUSPEND or NEEDS_RESET.
    private(set) var bits: DeviceStatus = []
    /// What Status shows while a reset is in progress.
    private var statusAtReset: DeviceStatus = []

    /// A device after reset, offering SUSPEND in `dialect` or not at all.
    public init(dialect: SuspendDialect?, pollsReset: Bool = false) {
        (self.dialect, self.pollsReset) = (dialect, pollsReset)
    }

    /// The lifecycle of a snapshot.
    init(
        dialect: SuspendDialect?, pollsReset: Bool, negotiated: Bool, phase: Phase, latchedError: Bool,
        bits: DeviceStatus
    ) {
        self.init(dialect: dialect, pollsReset: pollsReset)
        (suspendNegotiated, self.phase) = (negotiated, phase)
        (self.latchedError, self.bits) = (latchedError, bits)
    }

    // MARK: Visible state

    /// What the Status register reads. Reading has no side effect.
    public var status: DeviceStatus {
        if phase == .resetting { return statusAtReset }
        var status = bits
        if case .dead = phase { status.insert(.needsReset) }
        guard showsSuspended else { return status }
        status.insert(.suspend)
        if dialect == .ratified { status.remove(.driverOK) }
        return status
    }

    /// Whether Status shows the suspended value: until a resume is over, and in 1.4 after a failure while suspended.
    private var showsSuspended: Bool {
        switch phase {
        case .suspended, .resuming: true
        case .dead(let suspended): suspended && dialect == .ratified
        case .notLive, .running, .suspending, .resetting: false
        }
    }

    /// Version 3: the driver wrote 0, and requests in flight may still use guest memory.
    public var isResetting: Bool { if case .resetting = phase { true } else { false } }

    /// FEATURES_OK is set: the driver's features are final.
    public var featuresLocked: Bool { bits.contains(.featuresOK) }
    /// The driver set DRIVER, and may write its features.
    public var hasDriver: Bool { bits.contains(.driver) }

    /// The rules for a suspended device hold: no queue access, no notification, no configuration change (D-4: until the
    /// resume is over).
    public var isFrozen: Bool { phase == .suspended || phase == .resuming }

    /// The device may pop buffers. While suspending, the draft completes what was available, 1.4 pops nothing new
    /// (D-11).
    public var mayTake: Bool { phase == .running || phase == .suspending && dialect == .draft }

    /// The device may write used entries and raise notifications.
    public var mayUse: Bool { phase == .running || phase == .suspending }

    // MARK: Driver events

    /// The driver writes Status. `features` are those it has accepted so far; `acceptable` says whether FEATURES_OK can
    /// be set for them.
    public mutating func write(_ value: UInt32, features: Features, acceptable: Bool) -> Action {
        if value == 0 { return beginReset() }
        // A reset goes on to its end: what is written meanwhile, SUSPEND too, is ignored (V3-DEV-2).
        if phase == .resetting { return .nothing }
        var written = DeviceStatus(rawValue: UInt8(truncatingIfNeeded: value))
        if !acceptable && !featuresLocked { written.remove(.featuresOK) }
        let wasLocked = featuresLocked
        bits.formUnion(written.intersection([.acknowledge, .driver, .featuresOK, .failed]))
        if featuresLocked && !wasLocked, let dialect { suspendNegotiated = features.contains(dialect.feature) }

        switch phase {
        case .notLive: return start(written)
        case .dead, .resetting: return .nothing
        case .running, .suspending, .suspended, .resuming: break
        }
        // FAILED makes no difference here: neither text excepts it, and the driver polls for the outcome (D-14).
        guard suspendNegotiated else { return .nothing }
        return dialect == .draft ? requestDraft(written) : requestRatified(written)
    }

    /// A device whose Status reads 0 is reset at once, in version 3 too (V3-DEV-3).
    private mutating func beginReset() -> Action {
        guard pollsReset, !status.isEmpty else { return .reset }
        guard phase != .resetting else { return .nothing }
        statusAtReset = status
        (phase, latchedError) = (.resetting, false)
        return .beginReset
    }

    /// Before DRIVER_OK: SUSPEND is ignored, also in the write that brings DRIVER_OK (D-2).
    private mutating func start(_ written: DeviceStatus) -> Action {
        guard written.contains(.driverOK), featuresLocked, !bits.contains(.failed) else { return .nothing }
        bits.insert(.driverOK)
        phase = .running
        return .goLive
    }

    /// The draft: SUSPEND in the written value is the state the driver requests. It may reverse its request (V5-DRV-6).
    private mutating func requestDraft(_ written: DeviceStatus) -> Action {
        switch (phase, written.contains(.suspend)) {
        case (.running, true):
            phase = .suspending
            return .beginSuspend
        case (.suspending, false):
            phase = .running
            return .abortSuspend
        case (.suspended, false):
            if latchedError { return die(suspended: false, notify: true) }
            phase = .resuming
            return .beginResume
        case (.resuming, true):
            phase = .suspended
            return .abortResume
        default: return .nothing
        }
    }

    /// 1.4: SUSPEND requests a running device to suspend, DRIVER_OK a suspended one to resume. There is no abort.
    private mutating func requestRatified(_ written: DeviceStatus) -> Action {
        if phase == .running && written.contains(.suspend) {
            phase = .suspending
            return .beginSuspend
        }
        if phase == .suspended && written.contains(.driverOK) {
            phase = .resuming
            return .beginResume
        }
        return .nothing
    }

    /// Returns to the initial state, after the transport carried out the reset.
    public mutating func reset() { self = Lifecycle(dialect: dialect, pollsReset: pollsReset) }

    // MARK: Device events

    /// The drain is over: from here on Status shows the device suspended. False if no drain was in progress.
    public mutating func drained() -> Bool {
        guard phase == .suspending else { return false }
        phase = .suspended
        return true
    }

    /// The drain deadline passed: the draft suspends and retains the requests in flight, 1.4 fails (D-11).
    public mutating func deadlinePassed() -> Action {
        guard phase == .suspending else { return .nothing }
        if dialect == .ratified { return die(suspended: false, notify: true) }
        phase = .suspended
        return .nothing
    }

    /// The backend is ready: from here on Status shows the device running. False if no resume was in progress.
    public mutating func resumed() -> Bool {
        guard phase == .resuming else { return false }
        phase = .running
        return true
    }

    /// An unrecoverable error occurred in the device or in a ring (D-13; 2.1.2).
    public mutating func fail() -> Action {
        switch (phase, dialect) {
        case (.dead, _), (.resetting, _): return .nothing
        case (.notLive, _): return die(suspended: false, notify: false)
        case (.running, _), (.suspending, _): return die(suspended: false, notify: true)
        case (.suspended, .draft):
            latchedError = true
            return .nothing
        case (.resuming, .draft): return die(suspended: false, notify: true)
        case (.suspended, _), (.resuming, _): return die(suspended: true, notify: false)
        }
    }

    private mutating func die(suspended: Bool, notify: Bool) -> Action {
        phase = .dead(suspended: suspended)
        latchedError = false
        return .die(notify: notify)
    }
}
