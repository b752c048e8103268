// What the driver did of late: as much as the checks have to remember between two of its accesses. And the checks of Status, of
// notifications and of suspension, which are about little else.

import VirtioABI

/// What a driver waits for, or ought to.
enum AwaitedStatus: Sendable { case nothing, suspend, resume }

/// A queue's driver of late.
struct QueueHistory: Sendable {
    /// QueueReady was written 0 and not read as 0 since.
    var stopping = false
    /// QueueReset was written 1 and not read as 0 since.
    var resetting = false
    /// What was available, and not popped, when the driver had to stop adding.
    var available: UInt16?
}

/// The driver of late.
struct DriverHistory: Sendable {
    var selectedDeviceFeatures = false
    var selectedDriverFeatures = false
    var selectedQueue = false
    /// FEATURES_OK was written, and Status has been read since.
    var askedFeaturesOK = false
    var readFeaturesOK = false
    /// The events that InterruptStatus has shown and that were not acknowledged since; nil if it was not read since all of them were.
    var shownEvents: InterruptStatus?
    /// The transition it has asked for and not seen done.
    var awaited = AwaitedStatus.nothing
    /// Status has been read since SUSPEND was written.
    var polledSuspend = false
    /// Reads of Status, and of nothing else, since a write ended a suspend under way after it had been polled; nil without one.
    var readsSinceAbort: Int?
    /// The draft's device has just resumed, and uses what it retained.
    var isDelivering = false
    /// So many reads in a row are a wait.
    static let patience = 16
    var queues = InlineArray<32, QueueHistory>(repeating: QueueHistory())

    /// A driver that has done nothing yet.
    init() {}

    /// The driver of a device that was restored and shows `events`. What it did before is not known, and not held against it.
    init(restoredWith lifecycle: Lifecycle, showing events: InterruptStatus) {
        selectedDeviceFeatures = true
        selectedDriverFeatures = true
        selectedQueue = true
        askedFeaturesOK = lifecycle.featuresLocked
        readFeaturesOK = true
        shownEvents = events
        if lifecycle.phase == .suspending { awaited = .suspend }
        if lifecycle.phase == .resuming { awaited = .resume }
    }
}

extension MMIOTransport where Device: ~Copyable {
    // MARK: Status

    /// The driver reads Status.
    mutating func checkStatusRead() {
        conformance.history.readFeaturesOK = true
        conformance.history.polledSuspend = true
        if let reads = conformance.history.readsSinceAbort {
            conformance.history.readsSinceAbort = reads + 1
            // Who meant to abort reads it once or twice. Who goes on reading still waits for the suspend.
            check(
                .draftNoReadModifyWrite, reads + 1 != DriverHistory.patience,
                Evidence(at: .status, UInt64(lifecycle.status.rawValue)))
        }
        let isSuspended = lifecycle.status.contains(.suspend)
        switch conformance.history.awaited {
        case .nothing: break
        case .suspend:
            if isSuspended { conformance.markCovered(lifecycle.dialect == .draft ? .draftAwaited : .ratifiedVerified) }
            if isSuspended || isDead { conformance.history.awaited = .nothing }
        case .resume: if !isSuspended || isDead { conformance.history.awaited = .nothing }
        }
    }

    /// The driver writes Status, which has not been carried out.
    mutating func checkStatusWrite(_ value: UInt32) {
        guard conformance.isOn else { return }
        conformance.history.readsSinceAbort = nil
        guard value != 0 else { return }
        let old = lifecycle.status
        let new = DeviceStatus(rawValue: UInt8(truncatingIfNeeded: value))
        let evidence = Evidence(at: .status, UInt64(value))
        let isDraft = lifecycle.suspendNegotiated && lifecycle.dialect == .draft
        let isRatified = lifecycle.suspendNegotiated && lifecycle.dialect == .ratified

        // DEVICE_NEEDS_RESET is the device's.
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
        if old.contains(.failed) {
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
            check(.featureOffered, driverFeatures.isSubset(of: offered) && driverFeaturesHigh.isEmpty, accepted)
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
        if isRatified, conformance.history.awaited == .suspend {
            // The same byte again would be the resume.
            check(.ratifiedVerified, new.contains(.failed), evidence)
        }
        if isRatified, conformance.history.awaited == .resume {
            check(.ratifiedResumeAwaited, new.contains(.failed), evidence)
        }
    }

    /// What the driver's write of Status has led to.
    mutating func follow(_ action: Lifecycle.Action) {
        guard conformance.isOn else { return }
        switch action {
        case .beginSuspend:
            conformance.history.awaited = .suspend
            conformance.history.polledSuspend = false
            if lifecycle.dialect == .ratified { markAvailable() }
        case .abortSuspend:
            conformance.history.awaited = .nothing
            conformance.history.readsSinceAbort = conformance.history.polledSuspend ? 0 : nil
        case .beginResume: conformance.history.awaited = .resume
        case .abortResume: conformance.history.awaited = .suspend
        case .die: conformance.history.awaited = .nothing
        // A reset forgets it all by itself.
        case .nothing, .goLive, .reset: break
        }
    }

    // MARK: Other accesses

    /// The driver does something that waits for the end of a transition it has asked for.
    mutating func checkTransitionAwaited(_ evidence: Evidence) {
        guard conformance.isOn else { return }
        conformance.history.readsSinceAbort = nil
        switch (conformance.history.awaited, lifecycle.dialect) {
        case (.resume, .draft): violate(.draftAwaited, evidence)
        case (.resume, _): violate(.ratifiedResumeAwaited, evidence)
        case (.nothing, .draft): if lifecycle.suspendNegotiated { conformance.markCovered(.draftAwaited) }
        case (.nothing, .ratified): if lifecycle.suspendNegotiated { conformance.markCovered(.ratifiedResumeAwaited) }
        case (.nothing, nil), (.suspend, _): break
        }
    }

    /// The driver asked for queue `index` to be looked at.
    mutating func checkNotification(_ index: UInt32, value: UInt32) {
        guard conformance.isOn else { return }
        let isKnown = exists(index)
        let evidence = Evidence(queue: Int(index), offset: UInt64(Register.queueNotify.rawValue), value: UInt64(value))
        check(.notifiedQueueExists, isKnown, evidence)
        guard isKnown else { return }
        checkNotifications(QueueSet(queue: Int(index)), evidence)
    }

    /// Kicks came for some of `queues`, by an access or by other means.
    mutating func checkNotifications(_ queues: QueueSet, _ evidence: Evidence) {
        guard conformance.isOn else { return }
        check(.kickAfterDriverOK, lifecycle.phase != .notLive, evidence)
        guard lifecycle.phase != .notLive else { return }
        check(.deadDeviceLeftAlone, !isDead, evidence)
        guard !isDead else { return }
        check(.notifiedQueueReady, !readyQueues.isDisjoint(with: queues), evidence)
        if lifecycle.suspendNegotiated {
            if lifecycle.dialect == .ratified {
                check(
                    .ratifiedNoKick, conformance.history.awaited != .suspend && lifecycle.phase != .suspended, evidence)
            } else {
                check(.draftNoKick, lifecycle.phase != .suspended, evidence)
            }
        }
        checkTransitionAwaited(evidence)
    }

    // MARK: Suspension

    /// From here on the driver may add no buffers: what there is, is remembered.
    mutating func markAvailable() {
        for index in 0..<queueCount { conformance.history.queues[index].available = queues[index].availableCount }
    }

    /// The device resumes: are the rings as they were?
    mutating func compareAvailable() {
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
