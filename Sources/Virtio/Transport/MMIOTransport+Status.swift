// Status: carries out the lifecycle's actions. Drain and resume of SUSPEND (D-4, D-11, D-17).

import VirtioABI

extension MMIOTransport where Device: ~Copyable {
    /// The driver writes Status. Returns at once, whatever is in flight.
    mutating func writeStatus(_ value: UInt32) -> Effects {
        let acceptable =
            driverFeatures.isSubset(of: offered) && driverFeatures.contains(.version1) && driverFeaturesHigh.isEmpty
        checkStatusWrite(value)
        let wasLocked = lifecycle.featuresLocked
        let action = lifecycle.write(value, features: driverFeatures, acceptable: acceptable)
        if lifecycle.featuresLocked && !wasLocked { device.negotiated(driverFeatures) }
        updateHistory(after: action)
        return perform(action)
    }

    /// Carries out the action of a lifecycle event.
    mutating func perform(_ action: Lifecycle.Action) -> Effects {
        switch action {
        case .nothing: return Effects()
        case .abortResume:
            torture?.backendIsReady = false
            return Effects()
        case .reset: return reset().merging(.quiesce)
        case .beginReset:
            torture?.begin(.slowReset)
            return settleReset().merging(.cancel)
        case .goLive:
            if changedBeforeLive { interruptStatus.insert(.configurationChange) }
            return serveFromNowOn(readyQueues)
        case .beginSuspend: return beginDrain()
        case .abortSuspend:
            torture?.end(.slowSuspend)
            endDrain()
            return Effects(queues: readyQueues)
        case .beginResume:
            torture?.begin(.slowResume)
            return Effects(.resumeRequested)
        case .die(let notify):
            endDrain()
            if notify { interruptStatus.insert(.configurationChange) }
            return beginDeferredEndings()
        }
    }

    /// Begins to serve queues that are live from now on, in 1.4 not while it suspends: the driver finds there how to notify, whatever was
    /// in the memory.
    mutating func serveFromNowOn(_ queues: QueueSet) -> Effects {
        queues.forEach { self.queues[$0].live?.value.suppressNotifications(false) }
        return lifecycle.mayTake ? Effects(queues: queues) : Effects()
    }

    // MARK: Suspend

    /// Begins the drain. The draft completes what was available when SUSPEND was written, so that much is recorded.
    private mutating func beginDrain() -> Effects {
        torture?.begin(.slowSuspend)
        if lifecycle.dialect == .draft, requestsInFlight > 0, torture?.chooses(.retain, oneIn: 2) ?? false {
            return passDeadline()
        }
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

    /// Ends the drain if it is complete. The suspended value becomes readable here: every used entry and every
    /// InterruptStatus bit of the drain is already visible (D-4).
    mutating func settle() -> Effects {
        guard lifecycle.phase == .suspending, isDrained, lifecycle.drained() else { return Effects() }
        return enterSuspension()
    }

    /// The device has just become suspended.
    private mutating func enterSuspension() -> Effects {
        endDrain()
        // The resume delivers what is finished.
        torture?.forgetHeld()
        torture?.end(.slowSuspend)
        // The device reads the rings for the last time before the suspended value can be read (D-4).
        if conformance.isOn && lifecycle.dialect == .draft { recordAvailable() }
        reportedDeferred = false
        return Effects(.suspended)
    }

    /// Whether the drain is complete. Buffers that wait for input do not count (D-12).
    private var isDrained: Bool {
        guard torture.map({ $0.held.isEmpty && $0.isOver(.slowSuspend) }) ?? true else { return false }
        for index in 0..<queueCount {
            let wantsBuffer = device.wantsBuffer(queue: index)
            if !queues[index].isDrained(wantsBuffer: wantsBuffer) { return false }
        }
        return true
    }

    /// Limits the drain of queue `index` to what is available now.
    mutating func limitDrain(_ index: Int) {
        let wantsBuffer = device.wantsBuffer(queue: index)
        queues[index].limitDrain(wantsBuffer: wantsBuffer)
    }

    private mutating func endDrain() {
        for index in 0..<queueCount { queues[index].endDrain() }
    }

    /// The drain deadline passed (D-11). The host stops its timer when a drain ends: a late report counts for the drain
    /// in progress then.
    public mutating func drainDeadlinePassed() -> Effects {
        memory.recorder.record(.deadlinePassed)
        defer { closeCall() }
        return passDeadline()
    }

    private mutating func passDeadline() -> Effects {
        guard lifecycle.phase == .suspending else { return Effects() }
        let effects = perform(lifecycle.deadlinePassed())
        return lifecycle.phase == .suspended ? enterSuspension() : effects
    }

    // MARK: Resume

    /// The backend is ready after a resume request. Status shows the device running first, then everything that was
    /// deferred is delivered: stops and resets of queues, completions, configuration. Then the queues are served, because their
    /// notifications were ignored (D-17).
    public mutating func backendReady() -> Effects {
        memory.recorder.record(.backendReady)
        defer { closeCall() }
        guard torture?.isOver(.slowResume) ?? true else {
            torture?.backendIsReady = lifecycle.phase == .resuming
            return Effects()
        }
        return resume()
    }

    /// Ends the resume.
    mutating func resume() -> Effects {
        torture?.backendIsReady = false
        guard lifecycle.resumed() else { return Effects() }
        closeCall()
        checkNoBuffersAdded()
        var effects = beginDeferredEndings()
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

    /// Begins the stops and resets of queues that were deferred during the suspension, also in a dead device: the
    /// driver waits for them.
    private mutating func beginDeferredEndings() -> Effects {
        var effects = Effects()
        for index in 0..<queueCount {
            if let kind = queues[index].ending.afterResume { effects.merge(endQueue(index, as: kind)) }
        }
        return effects
    }

    /// Uses the chains of queue `index` that the backend finished during the suspension. Chains of a queue that the
    /// driver stopped are dropped.
    private mutating func deliverFinished(_ index: Int) {
        guard queues[index].ending == .none else { return queues[index].endIfIdle() }
        useFinished(index)
    }

    /// Queues that the driver enabled: those to serve after a notification that does not name a queue.
    public var readyQueues: QueueSet {
        var set: QueueSet = []
        for index in 0..<queueCount where queues[index].isReady { set.insert(QueueSet(queue: index)) }
        return set
    }

    // MARK: Reset of version 3

    /// Ends a reset in progress if no request is in flight: nothing older touches guest memory from here on (V3-DEV-1).
    mutating func settleReset() -> Effects {
        guard lifecycle.isResetting, requestsInFlight == 0, torture?.isOver(.slowReset) ?? true else {
            return Effects()
        }
        return reset()
    }

    /// DEVICE_NEEDS_RESET is set.
    var isDead: Bool {
        if case .dead = lifecycle.phase { true } else { false }
    }
}
