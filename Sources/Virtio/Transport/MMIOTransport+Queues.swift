// Available buffer notifications, requests and their completion. A worker thread calls `take` until it gets nothing,
// does the I/O without the lock, and calls `finish`. Both check the lifecycle, so a notification that bypasses
// QueueNotify obeys the same rules.

import VirtioABI

extension MMIOTransport where Device: ~Copyable {
    /// QueueNotify. The value is the queue's index or, with VIRTIO_F_NOTIFICATION_DATA, has it in bits 0 to 15
    /// (4.2.3.3). The ring position in the upper bits is ignored: the device reads it from the ring.
    mutating func notify(_ value: UInt32) -> Effects {
        let index = driverFeatures.contains(.notificationData) ? value & 0xffff : value
        checkNotification(index, value: value)
        guard exists(index), lifecycle.phase != .notLive, !lifecycle.isResetting, !isDead else {
            return Effects()
        }
        queues[Int(index)].notifications &+= 1
        guard queues[Int(index)].isReady else { return Effects() }
        // A suspended device serves every ready queue when it resumes; the notification itself is not kept (D-7).
        guard lifecycle.mayTake else { return Effects() }
        let effects = Effects(queues: QueueSet(queue: Int(index)))
        return isTortured ? effects.merging(disturb()) : effects
    }

    /// Available buffer notifications arrived for `queues` without a register access, as by an ioeventfd. The effects
    /// name the queues to serve.
    #if !hasFeature(Embedded)
        @_specialize(exported:true,where Device == Block)
        @_specialize(exported:true,where Device == Console)
        @_specialize(exported:true,where Device == Entropy)
        @_specialize(exported:true,where Device == Network)
    #endif
    public mutating func notified(_ queues: QueueSet) -> Effects {
        memory.recorder.record(.notified(queues))
        defer { closeCall() }
        checkNotifications(queues, Evidence(offset: UInt64(Register.queueNotify.rawValue)))
        let ready = readyQueues.intersection(queues)
        if lifecycle.phase != .notLive {
            (ready.isEmpty ? queues : ready).forEach { self.queues[$0].notifications &+= 1 }
        }
        let effects = lifecycle.mayTake ? Effects(queues: ready) : Effects()
        return isTortured ? effects.merging(disturb()) : effects
    }

    /// Pops the available chains of queue `index`, as far as `batch` has room, and adds their requests to it. The
    /// effects name the queue again if chains may be left.
    ///
    /// If the ring is empty and VIRTIO_F_EVENT_IDX was negotiated, the driver is asked to notify when it adds the next
    /// chain. A host that will check the queue again before it waits passes false for `requestsNotification`: the
    /// driver then need not notify meanwhile.
    #if !hasFeature(Embedded)
        @_specialize(exported:true,where Device == Block)
        @_specialize(exported:true,where Device == Console)
        @_specialize(exported:true,where Device == Entropy)
        @_specialize(exported:true,where Device == Network)
    #endif
    public mutating func take(
        queue index: Int, into batch: inout Batch<Device.Request>, requestsNotification: Bool = true
    ) -> Effects {
        precondition(index >= 0 && index < queueCount)
        let room = batch.capacity - batch.count
        var longest: UInt16 = 0
        for index in 0..<queueCount { longest = max(longest, queues[index].configuration.longestChain) }
        memory.recorder.record(
            .take(
                queue: UInt16(index), room: UInt16(room), segments: UInt32(batch.segments.free),
                requestsNotification: requestsNotification))
        defer { closeCall() }
        var effects = Effects()
        // A driver that adds chains as fast as they are answered must not keep the host in this loop.
        var answered = 0
        var used = false
        var broken: QueueFault?
        let before = batch.count
        let limits = isTortured ? takeLimits(requestsNotification) : (one: false, suppresses: false)
        let live = lifecycle.mayTake && queues[index].ending == .none ? queues[index].live : nil
        serving: while let queue = live, device.wantsBuffer(queue: index) {
            guard answered < room, batch.hasRoom(longestChain: longest) else {
                effects.queues = QueueSet(queue: index)
                break
            }
            if limits.one, answered + batch.count > before {
                serveLater(index)
                break
            }
            let mark = batch.segments.count
            if Device.mergesBuffers, group.isEmpty { group.start = queue.value.positions.available }
            switch queues[index].next(&batch.segments, requestsNotification: requestsNotification && !limits.suppresses)
            {
            case .empty:
                if limits.suppresses { suppressNotifications(of: index) }
                break serving
            case .fault(let fault):
                batch.segments.truncate(to: mark)
                broken = fault
                break serving
            case .chain(var chain):
                memory.recorder.record(
                    .available(
                        queue: UInt16(index), id: chain.id,
                        readable: UInt32(truncatingIfNeeded: chain.readable.byteCount),
                        writable: UInt32(truncatingIfNeeded: chain.writable.byteCount)))
                let taken = device.take(&chain, queue: index, configuration)
                check(chain.findings, chain.id, queue: index)
                switch taken {
                case .continued(let written):
                    batch.segments.truncate(to: mark)
                    group.add(chain, written)
                    // Empty buffers do not end: what has taken as many entries as the queue has cannot become whole.
                    if group.slots >= UInt32(queues[index].configuration.size) {
                        effects.queues = QueueSet(queue: index)
                        break serving
                    }
                case .putBack:
                    batch.segments.truncate(to: mark)
                    _ = chain.close()
                    queues[index].putBack(to: group.start)
                    group.removeAll()
                    answered += 1
                case .done(let written) where Device.mergesBuffers && !group.isEmpty:
                    batch.segments.truncate(to: mark)
                    group.add(chain, written)
                    put(group.chains, queue: index)
                    group.removeAll()
                    answered += 1
                    used = true
                case .done(let written):
                    batch.segments.truncate(to: mark)
                    answered += 1
                    if queue.value.parked.mustQueue {
                        queue.value.parked.park(chain, written: written)
                    } else {
                        let (id, slots, _) = chain.close()
                        put(id, slots: slots, written: written, in: queue, index)
                        used = true
                    }
                case .work(let request, let reply):
                    if isTortured, refuses(request) {
                        batch.segments.truncate(to: mark)
                        answered += 1
                        queue.value.parked.park(chain, written: device.finish(Outcome(.unsupported), reply: reply))
                        useFinished(index)
                        continue
                    }
                    let name = queue.value.parked.park(chain, reply: reply)
                    let token = Token(queue: UInt16(truncatingIfNeeded: index), name: name, epoch: queues[index].epoch)
                    memory.recorder.record(.request(token, Device.summary(of: request)))
                    batch.append(Work(token: token, request: request))
                case .unanswerable:
                    batch.segments.truncate(to: mark)
                    _ = chain.close()
                    broken = .noRoomForStatus
                    break serving
                }
            }
        }
        if Device.mergesBuffers, !group.isEmpty {
            queues[index].putBack(to: group.start)
            device.buffersEnded(
                queue: index, mayCome: group.slots + group.lastSlots <= queues[index].configuration.size)
            group.removeAll()
        }
        if used, let live { notifyUsed(live) }
        if answered > 0 { effects.queues.formUnion(device.queuesAffected(byQueue: index)) }
        effects.merge(broken.map { fault($0, queue: index) } ?? settle())
        return effects
    }

    /// Whether the request is still valid: neither the device nor its queue was reset since it was taken.
    public func isCurrent(_ token: Token) -> Bool {
        let index = Int(token.queue)
        return index < queueCount && queues[index].epoch == token.epoch && queues[index].isReady
    }

    /// Whether the outcome of a request will reach the driver: its queue is live, and the driver is not stopping it.
    /// Otherwise the host need not do the I/O, but it still reports an outcome, of any value.
    #if !hasFeature(Embedded)
        @_specialize(exported:true,where Device == Block)
        @_specialize(exported:true,where Device == Console)
        @_specialize(exported:true,where Device == Entropy)
        @_specialize(exported:true,where Device == Network)
    #endif
    public func isWanted(_ token: Token) -> Bool {
        isCurrent(token) && queues[Int(token.queue)].ending == .none && !lifecycle.isResetting
    }

    /// Reports the backend's outcome of a request. In a suspended device its chain is deferred until the resume; with
    /// VIRTIO_F_IN_ORDER it waits for older ones; in a dead device it is not used. After a reset the outcome is
    /// ignored.
    #if !hasFeature(Embedded)
        @_specialize(exported:true,where Device == Block)
        @_specialize(exported:true,where Device == Console)
        @_specialize(exported:true,where Device == Entropy)
        @_specialize(exported:true,where Device == Network)
    #endif
    public mutating func finish(_ token: Token, _ outcome: Outcome) -> Effects {
        memory.recorder.record(.finish(token, outcome))
        defer { closeCall() }
        let index = Int(token.queue)
        guard isCurrent(token), let queue = queues[index].live, queue.value.parked.isInFlight(token.name) else {
            return Effects()
        }
        if isTortured { return finishLater(token, tortured(outcome), in: queue) }
        if lifecycle.mayUse, queues[index].ending == .none, !queue.value.parked.inOrder {
            checkUnchanged(token.name, in: queue, queue: index)
            use(queue.value.parked.remove(token.name), .outcome(outcome), in: queue, index)
            notifyUsed(queue)
            return settle()
        }
        queue.value.parked.finish(token.name, outcome)
        return settleFinished(index, isHeld: false)
    }

    /// What follows after a request of queue `index` is finished and not used.
    mutating func settleFinished(_ index: Int, isHeld: Bool) -> Effects {
        if lifecycle.isResetting { return settleReset() }
        if lifecycle.isFrozen && !endsWhileSuspended(index) { return deferredEvent() }
        if queues[index].ending != .none {
            queues[index].endIfIdle()
        } else if lifecycle.mayUse, !isHeld {
            useFinished(index)
        }
        return settle()
    }

    /// Whether a suspended device may complete the stop of queue `index`: in the narrow scope the driver waits for it
    /// now, in the wide scope the registers keep their values.
    private func endsWhileSuspended(_ index: Int) -> Bool {
        freezeScope == .narrow && queues[index].ending != .none
    }

    /// The driver stops queue `index`: by QueueReady = 0 (MM-5, MM-12) or QueueReset = 1 (MM-6, 2.6.1). In the wide
    /// scope a suspended device defers the stop until the resume (D-16).
    mutating func endQueue(_ index: Int, as kind: QueueEnding) -> Effects {
        let kind = lifecycle.isFrozen && freezeScope == .wide ? kind.deferred : kind
        if kind.afterResume == nil, torture != nil {
            queues[index].mayEnd = torture?.beginEnd(of: index, kind.isReset ? .slowQueueReset : .slowReady) ?? true
        }
        queues[index].end(as: kind)
        var effects = settle()
        if queues[index].ending != .none { effects.events.insert(.cancel) }
        return effects
    }

    /// Uses the finished chains of queue `index` that may be used now.
    mutating func useFinished(_ index: Int) {
        guard let queue = queues[index].live else { return }
        var cursor: UInt16 = 0
        var used = false
        while useFinished(from: &cursor, in: queue, index) { used = true }
        if used { notifyUsed(queue) }
    }

    /// Uses the next of them whose name is not below `cursor`, and moves `cursor` behind it; false if there is none.
    mutating func useFinished(from cursor: inout UInt16, in queue: LiveQueuePointer, _ index: Int) -> Bool {
        guard let (name, answer) = queue.value.parked.next(from: &cursor) else { return false }
        checkUnchanged(name, in: queue, queue: index)
        use(queue.value.parked.removeFinished(name), answer, in: queue, index)
        return true
    }

    /// Completes a chain that was removed from the parked ones, and uses it.
    @inline(always)
    private mutating func use(
        _ chain: ParkedChains.Chain, _ answer: ParkedChains.Answer, in queue: LiveQueuePointer, _ index: Int
    ) {
        let written =
            switch answer {
            case .outcome(let outcome): device.finish(outcome, reply: chain.reply)
            case .written(let count): count
            }
        put(chain.id, slots: chain.slots, written: written, in: queue, index)
    }

    @inline(always)
    private func put(_ id: UInt16, slots: UInt16, written: UsedLength, in queue: LiveQueuePointer, _ index: Int) {
        queue.value.put(id, slots: slots, written: written)
        memory.recorder.record(.used(queue: UInt16(index), id: id, length: written.length))
    }

    private mutating func put(_ chains: [UsedChain], queue index: Int) {
        queues[index].live?.value.put(chains)
        for chain in chains {
            memory.recorder.record(.used(queue: UInt16(index), id: chain.id, length: chain.written.length))
        }
    }

    /// Sets InterruptStatus for a used buffer notification, unless the driver suppressed it. The bit may be set
    /// already: the line follows the register, so no interrupt is lost.
    @inline(always)
    mutating func notifyUsed(_ queue: LiveQueuePointer) {
        if queue.value.wantsInterrupt() || isTortured && interruptsAnyway() {
            interruptStatus.insert(.usedBuffer)
        }
    }
}

/// Chains of a queue that the driver sees used at once: `take` collects them until the last is answered.
struct ChainGroup {
    private(set) var chains: [UsedChain] = []
    /// The position of the first one in its ring.
    var start = RingPosition()
    /// Ring entries that all of them take, and the last one.
    private(set) var slots: UInt32 = 0
    private(set) var lastSlots: UInt32 = 0

    var isEmpty: Bool { chains.isEmpty }

    mutating func add(_ chain: consuming DescriptorChain, _ written: UsedLength) {
        let (id, slots, _) = chain.close()
        chains.append(UsedChain(id: id, slots: slots, written: written))
        lastSlots = UInt32(slots)
        self.slots += lastSlots
    }

    mutating func removeAll() {
        chains.removeAll(keepingCapacity: true)
        (slots, lastSlots) = (0, 0)
    }
}

extension MMIOTransport where Device == Block {
    /// What write_zeroes_may_unmap reads, if write zeroes is offered.
    public var writeZeroesMayUnmap: Bool { device.writeZeroesMayUnmap }
    /// The block sizes in the configuration space.
    public var blockSizes: BlockSizes { device.blockSizes }
}

extension MMIOTransport where Device == Console {
    /// Bytes of input the console accepts now for `port`. A suspended console keeps what it has and accepts no more:
    /// the rest stays with the host.
    public func inputRoom(port: Int = 0) -> Int { lifecycle.isFrozen ? 0 : device.inputRoom(port: port) }

    /// The names of ports 1 and up, in UTF-8.
    public var portNames: [[UInt8]] { device.portNames }

    /// Reports that input waits at the host. While the device is suspended it is deferred until the resume, like any
    /// other event.
    public mutating func inputPending() -> Effects { lifecycle.isFrozen ? deferredEvent() : Effects() }

    /// Whether the device is suspended and nothing has been reported as deferred yet.
    public var shouldReportInput: Bool { lifecycle.isFrozen && !reportedDeferred }

    /// Input arrived for `port`. Accepts as many of `bytes` as there is room for, even while suspended, and stores
    /// their number in `accepted`.
    public mutating func receive(_ bytes: Span<UInt8>, port: Int = 0, accepted: inout Int) -> Effects {
        memory.recorder.recordInput(bytes, port: port)
        defer { closeCall() }
        accepted = 0
        while accepted < bytes.count, device.accept(bytes[accepted], port: port) { accepted += 1 }
        return offerData(accepted > 0, queue: ConsoleQueue.receive(port: port))
    }

    /// The host's end of `port` was opened or closed. Port 0 is open from the start.
    public mutating func setOpen(_ isOpen: Bool, port: Int) -> Effects {
        memory.recorder.record(.open(port: UInt8(port), isOpen: isOpen))
        defer { closeCall() }
        let owed = device.setOpen(isOpen, port: port)
        return offerData(owed, queue: ConsoleQueue.controlReceive)
    }

    /// Asks the host to serve queue `index`, or defers that, if the device has data for its driver there.
    private mutating func offerData(_ hasData: Bool, queue index: Int) -> Effects {
        guard hasData else { return Effects() }
        if lifecycle.isFrozen { return deferredEvent() }
        return Effects(queues: index < queueCount ? QueueSet(queue: index) : [])
    }
}
