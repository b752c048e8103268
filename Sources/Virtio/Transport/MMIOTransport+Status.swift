// Status: what the lifecycle decides, carried out. Drain and resume of SUSPEND (D-4, D-11, D-17).

import VirtioABI

extension MMIOTransport where Device: ~Copyable {
    /// The driver writes Status. It returns at once, whatever is in flight.
    mutating func writeStatus(_ value: UInt32) -> Effects {
        let acceptable =
            driverFeatures.isSubset(of: offered) && driverFeatures.contains(.version1) && driverFeaturesHigh.isEmpty
        checkStatusWrite(value)
        let wasLocked = lifecycle.featuresLocked
        let action = lifecycle.write(value, features: driverFeatures, acceptable: acceptable)
        if lifecycle.featuresLocked && !wasLocked { device.negotiated(driverFeatures) }
        follow(action)
        return perform(action)
    }

    /// Does what a lifecycle event asks for.
    mutating func perform(_ action: Lifecycle.Action) -> Effects {
        switch action {
        case .nothing, .abortResume: return Effects()
        case .reset: return reset()
        case .goLive: return Effects(queues: readyQueues)
        case .beginSuspend: return beginDrain()
        case .abortSuspend:
            endDrain()
            return Effects(queues: readyQueues)
        case .beginResume: return Effects(.resumeRequested)
        case .die(let notify):
            endDrain()
            if notify { interruptStatus.insert(.configurationChange) }
            return beginDeferredResets()
        }
    }

    // MARK: Suspend

    /// The draft finishes what was available when SUSPEND was written: remember how far that is.
    private mutating func beginDrain() -> Effects {
        if lifecycle.dialect == .draft {
            for index in 0..<queueCount { limitDrain(index) }
        }
        var effects = settle()
        if lifecycle.phase == .suspending {
            effects.events.insert(.drainBegan)
            effects.queues = readyQueues
        }
        return effects
    }

    /// Looks whether a drain is over. If it is, the suspended value becomes readable here: every used entry and every
    /// InterruptStatus bit of the drain is already there (D-4).
    mutating func settle() -> Effects {
        guard lifecycle.phase == .suspending, isDrained, lifecycle.drained() else { return Effects() }
        return enterSuspension()
    }

    /// The device has just become suspended.
    private mutating func enterSuspension() -> Effects {
        endDrain()
        // The last look at the rings is before the suspended value can be read (D-4).
        if conformance.isOn && lifecycle.dialect == .draft { markAvailable() }
        toldDeferred = false
        return Effects(.suspended)
    }

    /// Buffers that wait for input are not work (D-12).
    private var isDrained: Bool {
        for index in 0..<queueCount {
            let wantsBuffer = device.wantsBuffer(queue: index)
            if !queues[index].isDrained(wantsBuffer: wantsBuffer) { return false }
        }
        return true
    }

    /// Takes what queue `index` has now as all that the drain consumes of it.
    mutating func limitDrain(_ index: Int) {
        let wantsBuffer = device.wantsBuffer(queue: index)
        queues[index].limitDrain(wantsBuffer: wantsBuffer)
    }

    private mutating func endDrain() {
        for index in 0..<queueCount { queues[index].endDrain() }
    }

    /// The host's patience with a drain is over (D-11). The host stops its clock when a drain ends: a late report counts for
    /// the drain that is under way then.
    public mutating func drainDeadlinePassed() -> Effects {
        memory.recorder.record(.deadlinePassed)
        defer { closeCall() }
        guard lifecycle.phase == .suspending else { return Effects() }
        let effects = perform(lifecycle.deadlinePassed())
        return lifecycle.phase == .suspended ? enterSuspension() : effects
    }

    // MARK: Resume

    /// The backend is ready after a resume request. Status shows the device running first, then everything that was
    /// deferred is delivered: queue resets, completions, configuration, then the queues, whose kicks were ignored (D-17).
    public mutating func backendReady() -> Effects {
        memory.recorder.record(.backendReady)
        defer { closeCall() }
        guard lifecycle.resumed() else { return Effects() }
        compareAvailable()
        var effects = beginDeferredResets()
        effects.events.insert(.resumed)
        conformance.history.isDelivering = lifecycle.dialect == .draft
        for index in 0..<queueCount { deliverFinished(index) }
        conformance.history.isDelivering = false
        if let staged {
            _ = commit(staged)
            interruptStatus.insert(.configurationChange)
        }
        effects.queues = readyQueues
        return effects
    }

    /// Carries out the queue resets that came during the suspension. A driver waits for them, also where the device died.
    private mutating func beginDeferredResets() -> Effects {
        var effects = Effects()
        for index in 0..<queueCount where queues[index].ending == .resetPended {
            effects.merge(endQueue(index, as: .reset))
        }
        return effects
    }

    /// Uses the chains of queue `index` that the backend finished during the suspension. Those of a queue that the driver
    /// took away go with it.
    private mutating func deliverFinished(_ index: Int) {
        guard queues[index].ending == .none else { return queues[index].endIfIdle() }
        useFinished(index, from: 0)
    }

    /// Queues the driver enabled: those to look at after a kick that did not say which queue it was for.
    public var readyQueues: QueueSet {
        var set: QueueSet = []
        for index in 0..<queueCount where queues[index].isReady { set.insert(QueueSet(queue: index)) }
        return set
    }

    /// DEVICE_NEEDS_RESET is set.
    var isDead: Bool {
        if case .dead = lifecycle.phase { true } else { false }
    }
}
