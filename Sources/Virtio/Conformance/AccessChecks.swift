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
            conformance.history.shownEvents = interruptStatus.union(conformance.history.shownEvents ?? [])
        case .deviceFeatures:
            check(.deviceFeaturesSelected, conformance.history.selectedDeviceFeatures, Evidence(at: register, 0))
        case .queueSizeMax, .queueReady, .queueReset:
            check(.queueSelected, conformance.history.selectedQueue, evidence)
            guard let index = selectedQueue else { return }
            if register == .queueReady, !queues[index].isReady, conformance.history.queues[index].stopping {
                conformance.history.queues[index].stopping = false
                conformance.markCovered(.queueStopReadBack)
            }
            if register == .queueReset, !queues[index].isResetting, conformance.history.queues[index].resetting {
                conformance.history.queues[index].resetting = false
                conformance.markCovered(.queueResetAwaited)
            }
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
        switch register {
        case .deviceFeaturesSel: conformance.history.selectedDeviceFeatures = true
        case .driverFeaturesSel: conformance.history.selectedDriverFeatures = true
        case .queueSel: conformance.history.selectedQueue = true
        case .driverFeatures:
            check(.driverFeaturesSelected, conformance.history.selectedDriverFeatures, evidence)
            check(.featuresFinal, !lifecycle.featuresLocked, evidence)
            check(.statusShowsSteps, lifecycle.hasDriver, evidence)
        case .interruptACK:
            let known: InterruptStatus = [.usedBuffer, .configurationChange]
            let written = InterruptStatus(rawValue: value)
            check(.definedEvents, written.isSubset(of: known), evidence)
            let shown = conformance.history.shownEvents
            check(.eventPending, written.intersection(known).isSubset(of: shown ?? interruptStatus), evidence)
            check(.interruptStatusRead, shown != nil, evidence)
            let left = shown?.subtracting(written) ?? []
            conformance.history.shownEvents = left.isEmpty ? nil : left
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
        if conformance.history.pendingTransition == .suspend, lifecycle.dialect == .ratified {
            violate(.ratifiedVerified, evidence)
        }
        let isReset = register == .queueReset && value == 1
        let isStop = register == .queueReady && value.map { $0 & 1 } == 0
        if conformance.history.queues[index].stopping {
            check(.queueStopReadBack, isStop || isReset, evidence)
        }
        if conformance.history.queues[index].resetting { check(.queueResetAwaited, isReset, evidence) }
        switch register {
        case .queueReady:
            // Writing QueueReady = 0 to a queue that is not ready needs no read-back.
            conformance.history.queues[index].stopping = isStop && queues[index].isReady
        case .queueReset: conformance.history.queues[index].resetting = isReset
        default:
            check(.readyQueueLeftAlone, !queues[index].isReady, evidence)
            if register == .queueSize, let value {
                check(.queueSizeAllowed, value <= UInt32(queues[index].configuration.sizeMax), evidence)
            }
        }
    }

    /// Marks the clauses on queue setup covered: queue `index` has become ready with valid registers.
    mutating func markQueueSetUpCovered(_ index: Int) {
        guard conformance.isOn else { return }
        let isPacked = driverFeatures.contains(.ringPacked)
        conformance.markCovered(isPacked ? .packedAlignment : .splitAlignment)
        if !isPacked { conformance.markCovered(.splitSize) }
        conformance.markCovered(.addressInMemory)
    }

    // MARK: Configuration space

    /// Checks an access of `width` bytes at `offset` of the configuration space. `value` is nil for a read.
    mutating func checkConfigurationAccess(at offset: Int, width: Int, written value: UInt64?) {
        guard conformance.isOn else { return }
        conformance.history.readsSinceAbort = nil
        let evidence = Evidence(offset: UInt64(offset) + UInt64(Register.configuration), value: value)
        let field = Device.field(at: offset)
        check(.registerDefined, field != nil, evidence)
        if let field {
            check(
                .fieldWidth,
                width == min(field.width, 4) && (offset - field.offset) % width == 0, evidence)
            check(.fieldOffered, field.feature.isSubset(of: offered), evidence)
            if field.needsFeaturesOK, value == nil {
                check(.writebackAfterFeatures, lifecycle.featuresLocked, evidence)
            }
            if value != nil, device.emergencyByte(0, at: offset) == nil {
                check(.configurationLeftAlone, lifecycle.featuresLocked, evidence)
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
    mutating func check(_ findings: ChainFindings, _ id: UInt16, queue index: Int) {
        conformance.markCovered(findings.covered)
        var broken = findings.broken
        while let check = broken.removeFirst() { violate(check, Evidence(queue: index, value: UInt64(id))) }
    }

    /// Checks, before chain `id` is used, that its descriptors have not changed since it was popped.
    mutating func checkUnchanged(_ id: UInt16, _ fingerprint: ChainFingerprint, queue index: Int) {
        let isPacked = driverFeatures.contains(.ringPacked)
        let isUnchanged =
            switch queues[index].live {
            case .some(let queue): queue.isUnchanged(id, fingerprint)
            case .none: true
            }
        let evidence = Evidence(queue: index, value: UInt64(id))
        if conformance.history.isDelivering { check(.draftBuffersKept, isUnchanged, evidence) }
        check(isPacked ? .packedDescriptorKept : .splitDescriptorKept, isUnchanged, evidence)
    }
}
