// Where the driver's accesses and chains are put to the checks: what is asked of each register, of the configuration space, and of a
// queue as it is set up, used and given back. Nothing here changes what the device does.

import VirtioABI

extension MMIOTransport where Device: ~Copyable {
    // MARK: Registers

    /// The driver reads a register.
    mutating func observeRead(_ register: Register) {
        guard conformance.isOn else { return }
        if register != .status { conformance.conduct.readsSinceAbort = nil }
        let evidence = Evidence(at: register, UInt64(queueSel))
        switch register {
        case .status: observeStatusRead()
        case .interruptStatus:
            conformance.conduct.shownEvents = interruptStatus.union(conformance.conduct.shownEvents ?? [])
        case .deviceFeatures:
            judge(.deviceFeaturesSelected, conformance.conduct.selectedDeviceFeatures, Evidence(at: register, 0))
        case .queueSizeMax, .queueReady, .queueReset:
            judge(.queueSelected, conformance.conduct.selectedQueue, evidence)
            guard let index = selectedQueue else { return }
            if register == .queueReady, !queues[index].isReady, conformance.conduct.queues[index].stopping {
                conformance.conduct.queues[index].stopping = false
                conformance.exercise(.queueStopReadBack)
            }
            if register == .queueReset, !queues[index].isResetting, conformance.conduct.queues[index].resetting {
                conformance.conduct.queues[index].resetting = false
                conformance.exercise(.queueResetAwaited)
            }
        case .queueSize, .queueDescLow, .queueDescHigh, .queueDriverLow, .queueDriverHigh, .queueDeviceLow,
            .queueDeviceHigh:
            observeQueueSetting(register, nil)
        case .shmLenLow, .shmLenHigh, .shmBaseLow, .shmBaseHigh: judge(.noSharedMemory, false, evidence)
        default: break
        }
    }

    /// The driver writes a register, which has not been carried out.
    mutating func observeWrite(_ register: Register, _ value: UInt32) {
        guard conformance.isOn else { return }
        conformance.conduct.readsSinceAbort = nil
        let evidence = Evidence(at: register, UInt64(value))
        switch register {
        case .deviceFeaturesSel: conformance.conduct.selectedDeviceFeatures = true
        case .driverFeaturesSel: conformance.conduct.selectedDriverFeatures = true
        case .queueSel: conformance.conduct.selectedQueue = true
        case .driverFeatures:
            judge(.driverFeaturesSelected, conformance.conduct.selectedDriverFeatures, evidence)
            judge(.featuresFinal, !lifecycle.featuresLocked, evidence)
            judge(.statusShowsSteps, lifecycle.hasDriver, evidence)
        case .interruptACK:
            let known: InterruptStatus = [.usedBuffer, .configurationChange]
            let written = InterruptStatus(rawValue: value)
            judge(.definedEvents, written.isSubset(of: known), evidence)
            let shown = conformance.conduct.shownEvents
            judge(.eventPending, written.intersection(known).isSubset(of: shown ?? interruptStatus), evidence)
            judge(.interruptStatusRead, shown != nil, evidence)
            let left = shown?.subtracting(written) ?? []
            conformance.conduct.shownEvents = left.isEmpty ? nil : left
        case .shmSel: judge(.noSharedMemory, false, evidence)
        case .queueSize, .queueDescLow, .queueDescHigh, .queueDriverLow, .queueDriverHigh, .queueDeviceLow,
            .queueDeviceHigh, .queueReady, .queueReset:
            observeQueueSetting(register, value)
        default: break
        }
    }

    /// The driver sets a queue up, or stops it; without a value it reads one of the registers for that.
    private mutating func observeQueueSetting(_ register: Register, _ value: UInt32?) {
        judge(.queueSelected, conformance.conduct.selectedQueue, Evidence(at: register, UInt64(value ?? 0)))
        guard let index = selectedQueue else { return }
        let evidence = Evidence(queue: index, offset: UInt64(register.rawValue), value: value.map { UInt64($0) })
        observeUse(evidence)
        if conformance.conduct.awaited == .suspend, lifecycle.dialect == .ratified {
            violate(.ratifiedVerified, evidence)
        }
        let isReset = register == .queueReset && value == 1
        let isStop = register == .queueReady && value.map { $0 & 1 } == 0
        if conformance.conduct.queues[index].stopping {
            judge(.queueStopReadBack, isStop || isReset, evidence)
        }
        if conformance.conduct.queues[index].resetting { judge(.queueResetAwaited, isReset, evidence) }
        switch register {
        case .queueReady:
            // Who stops a queue that is none has nothing to wait for.
            conformance.conduct.queues[index].stopping = isStop && queues[index].isReady
        case .queueReset: conformance.conduct.queues[index].resetting = isReset
        default:
            judge(.readyQueueLeftAlone, !queues[index].isReady, evidence)
            if register == .queueSize, let value {
                judge(.queueSizeAllowed, value <= UInt32(queues[index].configuration.sizeMax), evidence)
            }
        }
    }

    /// Queue `index` has just gone live: its registers were in order.
    mutating func observeSetUp(_ index: Int) {
        guard conformance.isOn else { return }
        let isPacked = driverFeatures.contains(.ringPacked)
        conformance.exercise(isPacked ? .packedAlignment : .splitAlignment)
        if !isPacked { conformance.exercise(.splitSize) }
        conformance.exercise(.addressInMemory)
    }

    // MARK: Configuration space

    /// The driver reads `width` bytes at `offset` of the configuration space, or writes them.
    mutating func observeConfiguration(at offset: Int, width: Int, written value: UInt64?) {
        guard conformance.isOn else { return }
        conformance.conduct.readsSinceAbort = nil
        let evidence = Evidence(offset: UInt64(offset) + UInt64(Register.configuration), value: value)
        let field = Device.field(at: offset)
        judge(.registerDefined, field != nil, evidence)
        if let field {
            judge(
                .fieldWidth,
                width == min(field.width, 4) && (offset - field.offset) % width == 0, evidence)
            judge(.fieldOffered, field.feature.isSubset(of: offered), evidence)
            if field.needsFeaturesOK, value == nil {
                judge(.writebackAfterFeatures, lifecycle.featuresLocked, evidence)
            }
            if value != nil, device.emergencyByte(0, at: offset) == nil {
                judge(.configurationLeftAlone, lifecycle.featuresLocked, evidence)
            }
        }
        guard lifecycle.suspendNegotiated else { return }
        switch (lifecycle.dialect, value) {
        case (.draft, _): judge(.draftConfigurationLeftAlone, !lifecycle.isFrozen, evidence)
        case (.ratified, .some):
            judge(
                .ratifiedConfigurationKept, !lifecycle.isFrozen && conformance.conduct.awaited != .suspend, evidence)
        default: break
        }
        observeUse(evidence)
    }

    // MARK: Chains

    /// What was seen in a chain that was popped.
    mutating func observe(_ remarks: Remarks, _ id: UInt16, queue index: Int) {
        conformance.exercise(remarks.exercised)
        var broken = remarks.broken
        while let check = broken.removeFirst() { violate(check, Evidence(queue: index, value: UInt64(id))) }
    }

    /// A chain is about to be used: is it as it was when it was popped?
    mutating func observe(_ id: UInt16, _ witness: Witness, queue index: Int) {
        let isPacked = driverFeatures.contains(.ringPacked)
        let isUnchanged =
            switch queues[index].live {
            case .some(let queue): queue.isUnchanged(id, witness)
            case .none: true
            }
        let evidence = Evidence(queue: index, value: UInt64(id))
        if conformance.conduct.isDelivering { judge(.draftBuffersKept, isUnchanged, evidence) }
        judge(isPacked ? .packedDescriptorKept : .splitDescriptorKept, isUnchanged, evidence)
    }
}
