// State the conformance checks keep between two register accesses, and the checks that depend on it: Status,
// notifications, SUSPEND.

import VirtioABI

/// The transition whose completion the driver must read from Status.
enum PendingTransition: Sendable { case nothing, suspend, resume }

/// State the checks keep for one queue.
struct QueueHistory: Sendable {
    /// QueueReady was written 0 and not read since.
    var stopping = false
    /// QueueReset was written 1 and not read as 0 since.
    var resetting = false
    /// One of both was written, and neither read as 0 since.
    var ending = false
    /// Number of available and not popped chains when the driver had to stop adding buffers.
    var available: UInt16?
}

/// State the checks keep for one device.
struct DriverHistory: Sendable {
    var selectedDeviceFeatures = false
    var selectedDriverFeatures = false
    var selectedQueue = false
    /// FEATURES_OK was written, and Status has been read since.
    var askedFeaturesOK = false
    var readFeaturesOK = false
    /// Status was read with DEVICE_NEEDS_RESET.
    var readNeedsReset = false
    /// Events read from InterruptStatus and not acknowledged since.
    var shownEvents: InterruptStatus = []
    /// Events that had occurred at a write of InterruptACK.
    var occurredEvents: InterruptStatus = []
    /// The transition that the driver has requested and not read as complete from Status.
    var pendingTransition = PendingTransition.nothing
    /// Status has been read since SUSPEND was written.
    var polledSuspend = false
    /// Version 3: Status was written 0, and not read as 0 since.
    var awaitsReset = false
    /// Consecutive reads of Status, without another access, since a write aborted a suspend that the driver had polled;
    /// nil otherwise.
    var readsSinceAbort: Int?
    /// A device of the draft is resuming and uses retained chains.
    var isDelivering = false
    /// Consecutive reads of Status after an abort that show a driver still waiting for the suspend.
    static let readsOfWaitingDriver = 16
    var queues = InlineArray<32, QueueHistory>(repeating: QueueHistory())

    /// Creates the state of a new device.
    init() {}

    /// Creates the state of a restored device that shows `events`. Earlier accesses are unknown, so they are assumed to
    /// be correct.
    init(restoredWith lifecycle: Lifecycle, showing events: InterruptStatus) {
        selectedDeviceFeatures = true
        selectedDriverFeatures = true
        selectedQueue = true
        askedFeaturesOK = lifecycle.featuresLocked
        readFeaturesOK = true
        shownEvents = events
        occurredEvents = [.usedBuffer, .configurationChange]
        if lifecycle.phase == .suspending { pendingTransition = .suspend }
        if lifecycle.phase == .resuming { pendingTransition = .resume }
    }
}

extension MMIOTransport where Device: ~Copyable {
    // MARK: Status

    /// Checks the driver's read of Status.
    mutating func checkStatusRead() {
        conformance.history.readFeaturesOK = true
        conformance.history.polledSuspend = true
        conformance.history.readNeedsReset = isDead
        if conformance.history.awaitsReset, lifecycle.status.isEmpty {
            conformance.markCovered(.resetAwaited)
            conformance.history.awaitsReset = false
        }
        if let reads = conformance.history.readsSinceAbort {
            conformance.history.readsSinceAbort = reads + 1
            // A driver that aborts on purpose reads Status once or twice. A driver that continues to poll still waits
            // for the suspend.
            check(
                .draftNoReadModifyWrite, reads + 1 != DriverHistory.readsOfWaitingDriver,
                Evidence(at: .status, UInt64(lifecycle.status.rawValue)))
        }
        let isSuspended = lifecycle.status.contains(.suspend)
        switch conformance.history.pendingTransition {
        case .nothing: break
        case .suspend:
            if isSuspended {
                let ratified = CheckSet(.ratifiedVerified, .ratifiedRequestedOnce)
                conformance.markCovered(lifecycle.dialect == .draft ? CheckSet(.draftAwaited) : ratified)
            }
            if isSuspended || isDead { conformance.history.pendingTransition = .nothing }
        case .resume: if !isSuspended || isDead { conformance.history.pendingTransition = .nothing }
        }
    }

    /// Checks the driver's write of `value` to Status, before the device performs it.
    mutating func checkStatusWrite(_ value: UInt32) {
        guard conformance.isOn else { return }
        conformance.history.readsSinceAbort = nil
        guard value != 0 else { return }
        if value != 0 { checkResetAwaited(Evidence(at: .status, UInt64(value))) }
        let old = lifecycle.status
        let new = DeviceStatus(rawValue: UInt8(truncatingIfNeeded: value))
        let evidence = Evidence(at: .status, UInt64(value))
        let isDraft = lifecycle.suspendNegotiated && lifecycle.dialect == .draft
        let isRatified = lifecycle.suspendNegotiated && lifecycle.dialect == .ratified

        // The driver need not write DEVICE_NEEDS_RESET back: the device sets and clears it.
        let kept: DeviceStatus = isDraft ? [.needsReset, .suspend] : .needsReset
        check(
            isDraft ? .draftBitKept : isRatified ? .ratifiedBitKept : .statusBitKept,
            old.subtracting(kept).isSubset(of: new), evidence)
        let added = new.subtracting(old)
        check(
            .initialisationOrder,
            (!added.contains(.driver) || new.contains(.acknowledge))
                && (!added.contains(.featuresOK) || old.contains(.driver))
                && (!added.contains(.driverOK) || old.contains(.featuresOK) || conformance.history.askedFeaturesOK),
            evidence)
        if old.contains(.failed), !old.contains(.suspend) {
            check(.resetAfterFailed, added.isDisjoint(with: [.acknowledge, .driver, .featuresOK, .driverOK]), evidence)
        }
        let hasAsked = conformance.history.askedFeaturesOK
        if added.contains(.driverOK), lifecycle.phase == .notLive {
            if hasAsked || added.contains(.featuresOK) {
                check(.featuresOKReadBack, hasAsked && conformance.history.readFeaturesOK, evidence)
            }
            if hasAsked { check(.featuresRefused, lifecycle.featuresLocked, evidence) }
            conformance.markCovered(.noSharedMemory)
        }
        if added.contains(.featuresOK) {
            let accepted = Evidence(value: driverFeatures.rawValue)
            let high = driverFeaturesHigh.first.map { Evidence(at: .driverFeaturesSel, UInt64($0)) }
            check(.featureOffered, driverFeatures.isSubset(of: offered) && high == nil, high ?? accepted)
            check(.version1Accepted, driverFeatures.contains(.version1), accepted)
            conformance.history.askedFeaturesOK = true
            conformance.history.readFeaturesOK = false
        }
        if new.contains(.suspend) {
            let isLive = lifecycle.phase != .notLive
            if lifecycle.dialect == .draft {
                check(.draftNegotiated, lifecycle.suspendNegotiated, evidence)
                if lifecycle.suspendNegotiated { check(.draftAfterDriverOK, isLive, evidence) }
            } else {
                check(.ratifiedAfterDriverOK, lifecycle.suspendNegotiated && isLive, evidence)
            }
        }
        if isRatified, conformance.history.pendingTransition != .nothing, !new.contains(.failed) {
            // The same value again may request the opposite transition.
            let isVerified = conformance.history.pendingTransition == .resume || conformance.history.polledSuspend
            violate(isVerified ? .ratifiedRequestedOnce : .ratifiedVerified, evidence)
        }
    }

    /// Updates the state after a write of Status has caused `action`.
    mutating func updateHistory(after action: Lifecycle.Action) {
        guard conformance.isOn else { return }
        switch action {
        case .beginSuspend:
            conformance.history.pendingTransition = .suspend
            conformance.history.polledSuspend = false
            if lifecycle.dialect == .ratified { recordAvailable() }
        case .abortSuspend:
            conformance.history.pendingTransition = .nothing
            conformance.history.readsSinceAbort = conformance.history.polledSuspend ? 0 : nil
        case .beginResume: conformance.history.pendingTransition = .resume
        case .abortResume: conformance.history.pendingTransition = .suspend
        case .die: conformance.history.pendingTransition = .nothing
        case .beginReset: conformance.history.awaitsReset = true
        // A reset clears the state elsewhere.
        case .nothing, .goLive, .reset: break
        }
    }

    // MARK: Other accesses

    /// Checks an access that the driver must not make before the transition it has requested is complete.
    mutating func checkTransitionAwaited(_ evidence: Evidence) {
        guard conformance.isOn else { return }
        conformance.history.readsSinceAbort = nil
        switch (conformance.history.pendingTransition, lifecycle.dialect) {
        case (.resume, .draft): violate(.draftAwaited, evidence)
        case (.resume, _): violate(.ratifiedResumeAwaited, evidence)
        case (.nothing, .draft): if lifecycle.suspendNegotiated { conformance.markCovered(.draftAwaited) }
        case (.nothing, .ratified): if lifecycle.suspendNegotiated { conformance.markCovered(.ratifiedResumeAwaited) }
        case (.nothing, nil), (.suspend, _): break
        }
    }

    /// Checks an access that the driver must not make before it has read that a reset is over (version 3).
    mutating func checkResetAwaited(_ evidence: Evidence) {
        if conformance.isOn, conformance.history.awaitsReset { violate(.resetAwaited, evidence) }
    }

    /// Checks a write of `value` to QueueNotify for queue `index`.
    mutating func checkNotification(_ index: UInt32, value: UInt32) {
        guard conformance.isOn else { return }
        let isKnown = exists(index)
        let evidence = Evidence(queue: Int(index), offset: UInt64(Register.queueNotify.rawValue), value: UInt64(value))
        check(.notifiedQueueExists, isKnown, evidence)
        guard isKnown else { return }
        checkNotifications(QueueSet(queue: Int(index)), evidence)
    }

    /// Checks available buffer notifications for some of `queues`, by a register access or an ioeventfd.
    mutating func checkNotifications(_ queues: QueueSet, _ evidence: Evidence) {
        guard conformance.isOn else { return }
        checkResetAwaited(evidence)
        check(.notificationAfterDriverOK, lifecycle.phase != .notLive, evidence)
        guard lifecycle.phase != .notLive else { return }
        check(.needsResetNotUsed, !conformance.history.readNeedsReset, evidence)
        guard !isDead else { return }
        check(.notifiedQueueReady, !readyQueues.isDisjoint(with: queues), evidence)
        if lifecycle.suspendNegotiated {
            if lifecycle.dialect == .ratified {
                check(
                    .ratifiedNoNotification,
                    conformance.history.pendingTransition != .suspend && lifecycle.phase != .suspended, evidence)
            } else {
                check(.draftNoNotification, lifecycle.phase != .suspended, evidence)
            }
        }
        checkTransitionAwaited(evidence)
    }

    // MARK: Suspension

    /// Records the available chains of every queue: from now on the driver must not add buffers.
    mutating func recordAvailable() {
        for index in 0..<queueCount { conformance.history.queues[index].available = queues[index].availableCount }
    }

    /// Checks on resume that the driver has added no buffers since `recordAvailable`.
    mutating func checkNoBuffersAdded() {
        guard conformance.isOn else { return }
        for index in 0..<queueCount {
            guard let before = conformance.history.queues[index].available else { continue }
            conformance.history.queues[index].available = nil
            guard let now = queues[index].availableCount else { continue }
            check(
                lifecycle.dialect == .draft ? .draftNoNewBuffers : .ratifiedNoNewBuffers, now == before,
                Evidence(queue: index, value: UInt64(now &- before)))
        }
    }
}

extension Evidence {
    init(at register: Register, _ value: UInt64) { self.init(offset: UInt64(register.rawValue), value: value) }
}
