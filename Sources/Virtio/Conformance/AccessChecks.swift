// Checks of register accesses, configuration space accesses and descriptor chains. They do not change the device's
// behaviour.

import VirtioABI

extension MMIOTransport where Device: ~Copyable {
    // MARK: Registers

    /// Checks the driver's read of `register`.
    mutating func checkRegisterRead(_ register: Register) {
        guard conformance.isOn else { return }
        if register != .status { conformance.history.readsSinceAbort = nil }
        let evidence = Evidence(at: register, UInt64(queueSel))
        switch register {
        case .status: checkStatusRead()
        case .interruptStatus:
            conformance.history.shownEvents.formUnion(interruptStatus)
        case .deviceFeatures:
            check(.deviceFeaturesSelected, conformance.history.selectedDeviceFeatures, Evidence(at: register, 0))
        case .queueSizeMax, .queueReady, .queueReset:
            check(.queueSelected, conformance.history.selectedQueue, evidence)
            guard let index = selectedQueue else { return }
            checkQueueEndRead(register, index)
        case .queueSize, .queueDescLow, .queueDescHigh, .queueDriverLow, .queueDriverHigh, .queueDeviceLow,
            .queueDeviceHigh:
            checkQueueSetting(register, nil)
        case .shmLenLow, .shmLenHigh, .shmBaseLow, .shmBaseHigh: check(.noSharedMemory, false, evidence)
        default: break
        }
    }

    /// Checks the driver's write of `value` to `register`, before the device performs it.
    mutating func checkRegisterWrite(_ register: Register, _ value: UInt32) {
        guard conformance.isOn else { return }
        conformance.history.readsSinceAbort = nil
        let evidence = Evidence(at: register, UInt64(value))
        // QueueNotify has a check of its own, and so has Status.
        if register != .status, register != .interruptACK, register != .queueNotify { checkResetAwaited(evidence) }
        switch register {
        case .deviceFeaturesSel: conformance.history.selectedDeviceFeatures = true
        case .driverFeaturesSel: conformance.history.selectedDriverFeatures = true
        case .queueSel: conformance.history.selectedQueue = true
        case .driverFeatures:
            check(.driverFeaturesSelected, conformance.history.selectedDriverFeatures, evidence)
            check(.statusShowsSteps, lifecycle.hasDriver, evidence)
            if lifecycle.featuresLocked {
                let hasNewBit = value & ~driverFeatures.word(driverFeaturesSel) != 0
                check(hasNewBit ? .featuresFinal : .featuresRewritten, false, evidence)
            } else {
                conformance.markCovered(CheckSet(.featuresFinal, .featuresRewritten))
            }
        case .interruptACK:
            let known: InterruptStatus = [.usedBuffer, .configurationChange]
            let written = InterruptStatus(rawValue: value)
            let events = written.intersection(known)
            conformance.history.occurredEvents.formUnion(interruptStatus)
            check(.definedEvents, written.isSubset(of: known), evidence)
            check(.eventPending, events.isSubset(of: conformance.history.occurredEvents), evidence)
            check(.interruptStatusRead, events.isSubset(of: conformance.history.shownEvents), evidence)
            conformance.history.shownEvents.subtract(written)
        case .shmSel: check(.noSharedMemory, false, evidence)
        case .queueSize, .queueDescLow, .queueDescHigh, .queueDriverLow, .queueDriverHigh, .queueDeviceLow,
            .queueDeviceHigh, .queueReady, .queueReset:
            checkQueueSetting(register, value)
        default: break
        }
    }

    /// Checks an access to a register that sets up, stops or resets a queue. `value` is nil for a read.
    private mutating func checkQueueSetting(_ register: Register, _ value: UInt32?) {
        check(.queueSelected, conformance.history.selectedQueue, Evidence(at: register, UInt64(value ?? 0)))
        guard let index = selectedQueue else { return }
        let evidence = Evidence(queue: index, offset: UInt64(register.rawValue), value: value.map { UInt64($0) })
        checkTransitionAwaited(evidence)
        // Linux writes 0 to QueueReady of each queue after a reset, which is no setup.
        let isStop = register == .queueReady && value.map { $0 & 1 } == 0
        if value != nil, !isStop { checkQueuesAfterFeatures(evidence) }
        switch register {
        case .queueReady: if isStop { checkQueueStop(index) } else { checkQueueStart(index, evidence) }
        case .queueReset: if let value, value & 1 != 0 { checkQueueReset(index, evidence) }
        default:
            check(.readyQueueLeftAlone, !queues[index].isReady, evidence)
            if conformance.history.queues[index].ending { violate(.queueEndSeen, evidence) }
            if register == .queueSize, let value {
                check(.queueSizeAllowed, value <= UInt32(queues[index].configuration.sizeMax), evidence)
            }
            if value != nil { checkSuspendedQueue(evidence) }
        }
    }

    /// Checks that a write that sets up or resets a queue follows FEATURES_OK, and that the device accepted it.
    private mutating func checkQueuesAfterFeatures(_ evidence: Evidence) {
        if !lifecycle.featuresLocked, conformance.history.askedFeaturesOK {
            violate(.featuresRefused, evidence)
        } else {
            check(.queuesAfterFeatures, lifecycle.featuresLocked, evidence)
        }
    }

    /// The driver writes QueueReady = 0. For a queue that is not ready this needs no read-back.
    private mutating func checkQueueStop(_ index: Int) {
        guard queues[index].isReady else { return }
        conformance.history.queues[index].stopping = true
        conformance.history.queues[index].ending = true
    }

    /// Checks a write of QueueReady = 1.
    private mutating func checkQueueStart(_ index: Int, _ evidence: Evidence) {
        let history = conformance.history.queues[index]
        if history.stopping { violate(.queueStopReadBack, evidence) }
        if history.resetting { violate(.queueResetAwaited, evidence) }
        if history.ending, !history.stopping, !history.resetting { violate(.queueEndSeen, evidence) }
        conformance.history.queues[index].stopping = false
        checkSuspendedQueue(evidence)
    }

    /// Checks a write of QueueReset = 1. A queue that is reset need not be stopped first.
    private mutating func checkQueueReset(_ index: Int, _ evidence: Evidence) {
        guard lifecycle.featuresLocked else { return }
        check(.queueResetNegotiated, driverFeatures.contains(.ringReset), evidence)
        guard driverFeatures.contains(.ringReset) else { return }
        conformance.history.queues[index].stopping = false
        conformance.history.queues[index].resetting = true
        conformance.history.queues[index].ending = true
    }

    /// The driver reads QueueReady or QueueReset of queue `index`.
    private mutating func checkQueueEndRead(_ register: Register, _ index: Int) {
        let history = conformance.history.queues[index]
        switch register {
        case .queueReady:
            if history.stopping { conformance.markCovered(.queueStopReadBack) }
            conformance.history.queues[index].stopping = false
            guard history.ending, !queues[index].isReady else { return }
        case .queueReset:
            guard history.resetting, !queues[index].isResetting else { return }
            conformance.markCovered(.queueResetAwaited)
            conformance.history.queues[index].resetting = false
        default: return
        }
        conformance.markCovered(.queueEndSeen)
        conformance.history.queues[index].ending = false
    }

    /// Checks a write that sets up a queue: a suspended device ignores it. In 1.4 the driver stops when it has set
    /// SUSPEND.
    private mutating func checkSuspendedQueue(_ evidence: Evidence) {
        let pending = conformance.history.pendingTransition
        guard lifecycle.suspendNegotiated, pending != .resume else { return }
        let isRequested = pending == .suspend && lifecycle.dialect == .ratified
        check(.suspendedQueuesLeftAlone, !lifecycle.isFrozen && !isRequested, evidence)
    }

    /// Checks queue `index`, which has become ready with valid registers.
    mutating func checkNewQueue(_ index: Int) {
        guard conformance.isOn else { return }
        let isPacked = driverFeatures.contains(.ringPacked)
        conformance.markCovered(isPacked ? .packedAlignment : .splitAlignment)
        if !isPacked { conformance.markCovered(.splitSize) }
        conformance.markCovered(.addressInMemory)
        guard memory.recorder.canLoad else { return }
        check(
            .ringEmptyWhenReady, queues[index].isEmpty,
            Evidence(queue: index, offset: UInt64(Register.queueReady.rawValue), value: 1))
    }

    // MARK: Configuration space

    /// Checks an access of `width` bytes at `offset` of the configuration space. `value` is nil for a read.
    mutating func checkConfigurationAccess(at offset: Int, width: Int, written value: UInt64?) {
        guard conformance.isOn else { return }
        conformance.history.readsSinceAbort = nil
        let evidence = Evidence(offset: UInt64(offset) + UInt64(Register.configuration), value: value)
        checkResetAwaited(evidence)
        let field = Device.field(at: offset)
        check(.registerDefined, field != nil, evidence)
        if let field {
            check(
                .fieldWidth,
                width == min(field.width, 4) && (offset - field.offset) % width == 0, evidence)
            check(.fieldOffered, field.feature.isSubset(of: offered), evidence)
            if field.needsFeaturesOK, value == nil {
                check(.writebackAfterFeatures, conformance.history.askedFeaturesOK, evidence)
            }
            if value != nil, device.emergencyByte(0, at: offset) == nil {
                check(.configurationLeftAlone, conformance.history.askedFeaturesOK, evidence)
            }
        }
        guard lifecycle.suspendNegotiated else { return }
        // 1.4: an emergency write changes no field and is performed in every state (5.3.5.1, D-15).
        if lifecycle.dialect == .ratified, value != nil, device.emergencyByte(0, at: offset) != nil { return }
        switch (lifecycle.dialect, value) {
        case (.draft, _): check(.draftConfigurationLeftAlone, !lifecycle.isFrozen, evidence)
        case (.ratified, .some):
            check(
                .ratifiedConfigurationKept, !lifecycle.isFrozen && conformance.history.pendingTransition != .suspend,
                evidence)
        default: break
        }
        checkTransitionAwaited(evidence)
    }

    // MARK: Chains

    /// Records the findings of the chain with head or buffer id `id`, popped from queue `index`.
    @inline(always)
    mutating func check(_ findings: ChainFindingsPointer, _ id: UInt16, queue index: Int) {
        guard findings.isOn else { return }
        conformance.markCovered(findings.covered)
        if !findings.broken.isEmpty { violate(findings.broken, id, queue: index) }
    }

    private mutating func violate(_ checks: CheckSet, _ id: UInt16, queue index: Int) {
        var broken = checks
        while let check = broken.removeFirst() { violate(check, Evidence(queue: index, value: UInt64(id))) }
    }

    /// Checks, before the chain that `queue` has parked as `name` is used, that its descriptors have not changed since it was
    /// popped.
    @inline(always)
    mutating func checkUnchanged(_ name: UInt16, in queue: LiveQueuePointer, queue index: Int) {
        guard conformance.isOn else { return }
        checkParked(name, in: queue, queue: index)
    }

    @inline(never)
    private mutating func checkParked(_ name: UInt16, in queue: LiveQueuePointer, queue index: Int) {
        guard let isUnchanged = queue.value.isUnchanged(name) else { return }
        let kept: Check = queue.value.isPacked ? .packedDescriptorKept : .splitDescriptorKept
        guard !isUnchanged || conformance.history.isDelivering else { return conformance.markCovered(kept) }
        let evidence = Evidence(queue: index, value: UInt64(queue.value.parked.id(name)))
        if conformance.history.isDelivering { check(.draftBuffersKept, isUnchanged, evidence) }
        check(kept, isUnchanged, evidence)
    }
}
