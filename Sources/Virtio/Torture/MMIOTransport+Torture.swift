// A device under torture: what it puts off ends here, and here it does what nothing asks for. The other choices are made where
// the device acts, in MMIOTransport+Queues and MMIOTransport+Registers.

import VirtioABI

extension MMIOTransport where Device: ~Copyable {
    /// The device's torture; nil for none.
    public var chosenTorture: Torture? { torture?.torture }

    /// Whether something waits for `delayPassed`. A host looks after each call, and reports it within milliseconds.
    public var isDelayed: Bool {
        guard let torture else { return false }
        if torture.counts { return true }
        // What a device in this phase cannot go on with waits for more than time.
        if lifecycle.mayUse, !torture.held.isEmpty { return true }
        if lifecycle.mayTake, !torture.unserved.union(torture.suppressed).isEmpty { return true }
        if mayChange, torture.closesPorts || passing != nil { return true }
        return lifecycle.phase == .resuming && torture.backendIsReady
    }

    /// Reports that time has passed since something was put off: some of it goes on.
    public mutating func delayPassed() -> Effects {
        memory.recorder.record(.delayPassed)
        defer { closeCall() }
        guard isTortured else { return Effects() }
        torture?.pass()
        var effects = torture?.isOver(.config) ?? true ? endChange() : Effects()
        if mayChange, torture?.closesPorts ?? false { effects.merge(disturbPorts()) }
        effects.merge(serveAgain())
        useHeld()
        for index in 0..<queueCount where torture?.isOver(endOf: index) ?? true { queues[index].mayEnd = true }
        for index in 0..<queueCount where queues[index].mayEnd { queues[index].endIfIdle() }
        if lifecycle.phase == .resuming, torture?.backendIsReady ?? false, torture?.isOver(.slowResume) ?? true {
            effects.merge(resume())
        }
        effects.merge(settleReset())
        effects.merge(settle())
        return effects
    }

    /// The queues that have waited to be served. Those that suppressed notifications ask for them first, and are read once more
    /// afterwards.
    private mutating func serveAgain() -> Effects {
        guard lifecycle.mayTake, let waiting = torture?.takeWaiting() else { return Effects() }
        waiting.suppressed.forEach { queues[$0].live?.value.suppressNotifications(false) }
        return Effects(queues: waiting.suppressed.union(waiting.unserved).intersection(readyQueues))
    }

    /// Finishes a request of a device under torture, which may be used later.
    @inline(never)
    mutating func finishLater(_ token: Token, _ outcome: Outcome, in queue: LiveQueuePointer) -> Effects {
        let index = Int(token.queue)
        let mayUse = lifecycle.mayUse && queues[index].ending == .none
        queue.value.parked.finish(token.name, outcome)
        if mayUse, !(torture?.holds(token) ?? false), !queue.value.parked.inOrder {
            _ = useFinished(token.name, in: queue, index)
            notifyUsed(queue)
            return settle().merging(disturb())
        }
        let isHeld = torture.map { $0.held.last == token } ?? false
        return settleFinished(index, isHeld: isHeld).merging(disturb())
    }

    /// Uses the requests that were held.
    private mutating func useHeld() {
        guard lifecycle.mayUse, let tokens = torture?.takeHeld(), !tokens.isEmpty else { return }
        let together = torture?.chooses(.group, oneIn: 2) ?? false
        var touched: QueueSet = []
        for token in tokens where isCurrent(token) && queues[Int(token.queue)].ending == .none {
            guard let queue = queues[Int(token.queue)].live else { continue }
            if queue.value.parked.inOrder {
                useFinished(Int(token.queue))
            } else if useFinished(token.name, in: queue, Int(token.queue)) {
                touched.insert(QueueSet(queue: Int(token.queue)))
                if !together { notifyUsed(queue) }
            }
        }
        if together { touched.forEach { if let queue = queues[$0].live { notifyUsed(queue) } } }
    }

    /// Uses the chain `name` of queue `index`, if it is finished; false otherwise. Only without VIRTIO_F_IN_ORDER.
    private mutating func useFinished(_ name: UInt16, in queue: LiveQueuePointer, _ index: Int) -> Bool {
        var (probe, cursor) = (name, name)
        guard queue.value.parked.next(from: &probe)?.name == name else { return false }
        return useFinished(from: &cursor, in: queue, index)
    }

    // MARK: The chain loop

    /// Whether `take` serves one buffer only, and whether it suppresses notifications if the ring is empty.
    @inline(never)
    mutating func takeLimits(_ requestsNotification: Bool) -> (one: Bool, suppresses: Bool) {
        let one = torture?.chooses(.partial, oneIn: 2) ?? false
        return (one, requestsNotification && torture?.chooses(.suppress, oneIn: 4) ?? false)
    }

    /// Queue `index` has buffers that are served later.
    @inline(never)
    mutating func serveLater(_ index: Int) {
        torture?.unserved.insert(QueueSet(queue: index))
        torture?.begin(.partial)
    }

    /// Suppresses the notifications of queue `index` for a time.
    @inline(never)
    mutating func suppressNotifications(of index: Int) {
        queues[index].live?.value.suppressNotifications(true)
        torture?.suppressed.insert(QueueSet(queue: index))
        torture?.begin(.suppress)
    }

    /// Whether a used buffer interrupts although the driver suppressed that.
    @inline(never)
    mutating func interruptsAnyway() -> Bool { torture?.chooses(.spurious, oneIn: 8) ?? false }

    // MARK: What nothing asks for

    /// Called when the driver notifies the device, and when a request ends.
    mutating func disturb() -> Effects {
        guard lifecycle.phase == .running else { return Effects() }
        if torture?.dies() ?? false { return failed() }
        if torture?.chooses(.spurious, oneIn: 16) ?? false {
            generation &+= 2
            interruptStatus.insert(.configurationChange)
        }
        var effects = Effects()
        if torture?.closesPorts == false, torture?.chooses(.ports, oneIn: 16) ?? false { effects.merge(disturbPorts()) }
        let choice = Device.deviceID == DeviceID.network ? TortureChoice.link : .storm
        if let word = torture?.word(choice), word % 16 == 0 { effects.merge(beginChange(word >> 8)) }
        return effects
    }

    /// Whether the device may change what its driver sees.
    private var mayChange: Bool { lifecycle.mayUse || lifecycle.phase == .notLive }

    private mutating func disturbPorts() -> Effects {
        torture?.closesPorts.toggle()
        return Effects(queues: device.disturbPorts())
    }

    /// Shows the driver another configuration, until `endChange`.
    private mutating func beginChange(_ word: UInt64) -> Effects {
        let other = device.passing(configuration, word)
        guard passing == nil, other != configuration else { return Effects() }
        torture?.begin(.config)
        return show(other)
    }

    /// Shows the driver the configuration that the host has set again.
    private mutating func endChange() -> Effects {
        guard passing != nil, mayChange else { return Effects() }
        return show(nil)
    }

    private mutating func show(_ other: Device.Configuration?) -> Effects {
        passing = other
        generation &+= 1
        let effects = Effects(queues: device.configurationChanged(to: other ?? configuration))
        if lifecycle.mayUse { interruptStatus.insert(.configurationChange) }
        return effects
    }

    /// Changes the configuration between two reads of its parts, of which the driver has just read one.
    mutating func changeAfterRead() {
        guard lifecycle.phase == .running || lifecycle.phase == .notLive,
            let word = torture?.word(.config), word % 4 == 0
        else { return }
        let queues = beginChange(word >> 8).queues
        torture?.unserved.formUnion(queues)
    }

    /// Ends such a change before the driver reads ConfigGeneration: a driver that reads it sees that its parts do not fit.
    mutating func endChangeBeforeGeneration() {
        guard passing != nil, torture?.torture.contains(.config) ?? false else { return }
        let queues = endChange().queues
        torture?.unserved.formUnion(queues)
    }

    // MARK: Outcomes

    /// Whether the device does not support a request that it need not support: that for a disk's identity.
    @inline(never)
    mutating func refuses(_ request: Device.Request) -> Bool {
        Device.summary(of: request).kind == .identify && torture?.chooses(.fail, oneIn: 4) ?? false
    }

    /// The outcome of a request as the device reports it.
    mutating func tortured(_ outcome: Outcome) -> Outcome {
        var outcome = outcome
        guard outcome.result == .ok else { return outcome }
        if Device.deviceID == DeviceID.block, torture?.chooses(.fail, oneIn: 16) ?? false { return .ioError }
        if Device.deviceID == DeviceID.entropy, outcome.written > 1, let word = torture?.word(.short) {
            outcome.written = 1 + UInt32(word % UInt64(outcome.written))
        }
        return outcome
    }

    // MARK: The device as it is made

    /// The features of `features` that are offered: VIRTIO_F_VERSION_1 and SUSPEND are not among them.
    static func subset(of features: Features, _ torture: Torture?) -> Features {
        guard let torture, torture.contains(.features) else { return features }
        // Each of two words drops a feature of four in four: a driver meets most of them, and each is missing at times.
        let dropped = torture.word(.features, 0) & torture.word(.features, 1)
        return features.subtracting(Features(rawValue: dropped))
    }

    /// QueueSizeMax of a queue that may have `size` entries.
    static func queueSize(_ size: UInt16, queue index: Int, _ offered: Features, _ torture: Torture?) -> UInt16 {
        guard let torture, torture.contains(.sizes) else { return size }
        let word = torture.word(.sizes, UInt32(index))
        // A request of two descriptors needs two entries, or an indirect table.
        let least = offered.contains(.indirectDescriptors) ? 0 : 2
        var small = UInt16(1) << UInt16(least + Int(word % 6))
        if offered.contains(.ringPacked), small > 1, word >> 8 & 1 == 0 { small += UInt16(word >> 16 & 0xffff) % small }
        return min(size, small)
    }
}
