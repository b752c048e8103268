// What the driver did of late: as much as the checks have to remember between two of its accesses. And the checks of Status, of
// notifications and of suspension, which are about little else.

import VirtioABI

/// What a driver waits for, or ought to.
enum Awaited: Sendable { case nothing, suspend, resume }

/// A queue's driver of late.
struct QueueConduct: Sendable {
    /// QueueReady was written 0 and not read as 0 since.
    var stopping = false
    /// QueueReset was written 1 and not read as 0 since.
    var resetting = false
    /// What was available, and not popped, when the driver had to stop adding.
    var available: UInt16?
}

/// The driver of late.
struct Conduct: Sendable {
    var selectedDeviceFeatures = false
    var selectedDriverFeatures = false
    var selectedQueue = false
    /// FEATURES_OK was written, and Status has been read since.
    var askedFeaturesOK = false
    var readFeaturesOK = false
    /// The events that InterruptStatus has shown and that were not acknowledged since; nil if it was not read since all of them were.
    var shownEvents: InterruptStatus?
    /// The transition it has asked for and not seen done.
    var awaited = Awaited.nothing
    /// Status has been read since SUSPEND was written.
    var polledSuspend = false
    /// Reads of Status, and of nothing else, since a write ended a suspend under way after it had been polled; nil without one.
    var readsSinceAbort: Int?
    /// The draft's device has just resumed, and uses what it retained.
    var isDelivering = false
    /// So many reads in a row are a wait.
    static let patience = 16
    var queues = InlineArray<32, QueueConduct>(repeating: QueueConduct())

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
    mutating func observeStatusRead() {
        conformance.conduct.readFeaturesOK = true
        conformance.conduct.polledSuspend = true
        if let reads = conformance.conduct.readsSinceAbort {
            conformance.conduct.readsSinceAbort = reads + 1
            // Who meant to abort reads it once or twice. Who goes on reading still waits for the suspend.
            judge(
                .draftNoReadModifyWrite, reads + 1 != Conduct.patience,
                Evidence(at: .status, UInt64(lifecycle.status.rawValue)))
        }
        let isSuspended = lifecycle.status.contains(.suspend)
        switch conformance.conduct.awaited {
        case .nothing: break
        case .suspend:
            if isSuspended { conformance.exercise(lifecycle.dialect == .draft ? .draftAwaited : .ratifiedVerified) }
            if isSuspended || isDead { conformance.conduct.awaited = .nothing }
        case .resume: if !isSuspended || isDead { conformance.conduct.awaited = .nothing }
        }
    }

    /// The driver writes Status, which has not been carried out.
    mutating func observeStatusWrite(_ value: UInt32) {
        guard conformance.isOn else { return }
        conformance.conduct.readsSinceAbort = nil
        guard value != 0 else { return }
        let old = lifecycle.status
        let new = DeviceStatus(rawValue: UInt8(truncatingIfNeeded: value))
        let evidence = Evidence(at: .status, UInt64(value))
        let isDraft = lifecycle.suspendNegotiated && lifecycle.dialect == .draft
        let isRatified = lifecycle.suspendNegotiated && lifecycle.dialect == .ratified

        // DEVICE_NEEDS_RESET is the device's.
        let kept: DeviceStatus = isDraft ? [.needsReset, .suspend] : .needsReset
        judge(
            isDraft ? .draftBitKept : isRatified ? .ratifiedBitKept : .statusBitKept,
            old.subtracting(kept).isSubset(of: new), evidence)
        let added = new.subtracting(old)
        judge(
            .initialisationOrder,
            (!added.contains(.driver) || new.contains(.acknowledge))
                && (!added.contains(.featuresOK) || old.contains(.driver))
                && (!added.contains(.driverOK) || old.contains(.featuresOK) || conformance.conduct.askedFeaturesOK),
            evidence)
        if old.contains(.failed) {
            judge(.resetAfterFailed, added.isDisjoint(with: [.acknowledge, .driver, .featuresOK, .driverOK]), evidence)
        }
        let hasAsked = conformance.conduct.askedFeaturesOK
        if added.contains(.driverOK), lifecycle.phase == .notLive {
            if hasAsked || added.contains(.featuresOK) {
                judge(.featuresOKReadBack, hasAsked && conformance.conduct.readFeaturesOK, evidence)
            }
            if hasAsked { judge(.featuresRefused, lifecycle.featuresLocked, evidence) }
            conformance.exercise(.noSharedMemory)
        }
        if added.contains(.featuresOK) {
            let accepted = Evidence(value: driverFeatures.rawValue)
            judge(.featureOffered, driverFeatures.isSubset(of: offered) && driverFeaturesHigh.isEmpty, accepted)
            judge(.version1Accepted, driverFeatures.contains(.version1), accepted)
            conformance.conduct.askedFeaturesOK = true
            conformance.conduct.readFeaturesOK = false
        }
        if new.contains(.suspend) {
            let isLive = lifecycle.phase != .notLive
            if lifecycle.dialect == .draft {
                judge(.draftNegotiated, lifecycle.suspendNegotiated, evidence)
                if lifecycle.suspendNegotiated { judge(.draftAfterDriverOK, isLive, evidence) }
            } else {
                judge(.ratifiedAfterDriverOK, lifecycle.suspendNegotiated && isLive, evidence)
            }
        }
        if isRatified, conformance.conduct.awaited == .suspend {
            // The same byte again would be the resume.
            judge(.ratifiedVerified, new.contains(.failed), evidence)
        }
        if isRatified, conformance.conduct.awaited == .resume {
            judge(.ratifiedResumeAwaited, new.contains(.failed), evidence)
        }
    }

    /// What the driver's write of Status has led to.
    mutating func observe(_ action: Lifecycle.Action) {
        guard conformance.isOn else { return }
        switch action {
        case .beginSuspend:
            conformance.conduct.awaited = .suspend
            conformance.conduct.polledSuspend = false
            if lifecycle.dialect == .ratified { markAvailable() }
        case .abortSuspend:
            conformance.conduct.awaited = .nothing
            conformance.conduct.readsSinceAbort = conformance.conduct.polledSuspend ? 0 : nil
        case .beginResume: conformance.conduct.awaited = .resume
        case .abortResume: conformance.conduct.awaited = .suspend
        case .die: conformance.conduct.awaited = .nothing
        // A reset forgets it all by itself.
        case .nothing, .goLive, .reset: break
        }
    }

    // MARK: Other accesses

    /// The driver does something that waits for the end of a transition it has asked for.
    mutating func observeUse(_ evidence: Evidence) {
        guard conformance.isOn else { return }
        conformance.conduct.readsSinceAbort = nil
        switch (conformance.conduct.awaited, lifecycle.dialect) {
        case (.resume, .draft): violate(.draftAwaited, evidence)
        case (.resume, _): violate(.ratifiedResumeAwaited, evidence)
        case (.nothing, .draft): if lifecycle.suspendNegotiated { conformance.exercise(.draftAwaited) }
        case (.nothing, .ratified): if lifecycle.suspendNegotiated { conformance.exercise(.ratifiedResumeAwaited) }
        case (.nothing, nil), (.suspend, _): break
        }
    }

    /// The driver asked for queue `index` to be looked at.
    mutating func observeNotify(_ index: UInt32, value: UInt32) {
        guard conformance.isOn else { return }
        let isKnown = exists(index)
        let evidence = Evidence(queue: Int(index), offset: UInt64(Register.queueNotify.rawValue), value: UInt64(value))
        judge(.notifiedQueueExists, isKnown, evidence)
        guard isKnown else { return }
        observeKick(QueueSet(queue: Int(index)), evidence)
    }

    /// Kicks came for some of `queues`, by an access or by other means.
    mutating func observeKick(_ queues: QueueSet, _ evidence: Evidence) {
        guard conformance.isOn else { return }
        judge(.kickAfterDriverOK, lifecycle.phase != .notLive, evidence)
        guard lifecycle.phase != .notLive else { return }
        judge(.deadDeviceLeftAlone, !isDead, evidence)
        guard !isDead else { return }
        judge(.notifiedQueueReady, !readyQueues.isDisjoint(with: queues), evidence)
        if lifecycle.suspendNegotiated {
            if lifecycle.dialect == .ratified {
                judge(
                    .ratifiedNoKick, conformance.conduct.awaited != .suspend && lifecycle.phase != .suspended, evidence)
            } else {
                judge(.draftNoKick, lifecycle.phase != .suspended, evidence)
            }
        }
        observeUse(evidence)
    }

    // MARK: Suspension

    /// From here on the driver may add no buffers: what there is, is remembered.
    mutating func markAvailable() {
        for index in 0..<queueCount { conformance.conduct.queues[index].available = queues[index].availableCount }
    }

    /// The device resumes: are the rings as they were?
    mutating func compareAvailable() {
        guard conformance.isOn else { return }
        for index in 0..<queueCount {
            guard let before = conformance.conduct.queues[index].available else { continue }
            conformance.conduct.queues[index].available = nil
            guard let now = queues[index].availableCount else { continue }
            judge(
                lifecycle.dialect == .draft ? .draftNoNewBuffers : .ratifiedNoNewBuffers, now == before,
                Evidence(queue: index, value: UInt64(now &- before)))
        }
    }
}

extension Evidence {
    init(at register: Register, _ value: UInt64) { self.init(offset: UInt64(register.rawValue), value: value) }
}
