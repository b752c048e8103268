// Kicks, requests and their completion. A worker calls `take` until it gets nothing, does the I/O without the lock, and calls
// `finish`. Both look at the lifecycle, so a kick that never came through QueueNotify obeys the same rules.

import VirtioABI

extension MMIOTransport where Device: ~Copyable {
    /// QueueNotify. The value is the queue's index or, with VIRTIO_F_NOTIFICATION_DATA, has it in bits 0 to 15 (4.2.3.3). Where the
    /// next buffer will be, which stands above, is seen in the ring.
    mutating func notify(_ value: UInt32) -> Effects {
        let index = driverFeatures.contains(.notificationData) ? value & 0xffff : value
        checkNotification(index, value: value)
        guard exists(index), queues[Int(index)].isReady, lifecycle.phase != .notLive, !isDead else { return Effects() }
        queues[Int(index)].notifications &+= 1
        // A suspended device looks at every ready queue when it resumes; the kick itself leaves no trace (D-7).
        return lifecycle.mayTake ? Effects(queues: QueueSet(queue: Int(index))) : Effects()
    }

    /// The host was kicked for some of `queues`, without an access that says which. Returns those to look at.
    public mutating func notified(_ queues: QueueSet) -> Effects {
        memory.recorder.record(.notified(queues))
        defer { closeCall() }
        checkNotifications(queues, Evidence(offset: UInt64(Register.queueNotify.rawValue)))
        readyQueues.intersection(queues).forEach { self.queues[$0].notifications &+= 1 }
        return lifecycle.mayTake ? Effects(queues: readyQueues.intersection(queues)) : Effects()
    }

    /// Pops what queue `index` has, as far as `batch` has room, and adds the requests to it. The effects name the queue
    /// again if something may be left.
    ///
    /// At the end of the ring a driver with VIRTIO_F_EVENT_IDX is asked to notify of the next chain. A host that will look again
    /// before it rests may go without: then the driver need not notify meanwhile.
    @_specialize(where Device == Block)
    @_specialize(where Device == Console)
    public mutating func take(
        queue index: Int, into batch: inout Batch<Device.Request>, requestsNotification: Bool = true
    ) -> Effects {
        precondition(index >= 0 && index < queueCount)
        let room = batch.capacity - batch.count
        memory.recorder.record(
            .take(
                queue: UInt16(index), room: UInt16(room), segments: UInt32(batch.segments.free),
                requestsNotification: requestsNotification))
        defer { closeCall() }
        var effects = Effects()
        // A driver that adds chains as fast as they are answered must not keep the host here.
        var answered = 0
        var used = false
        var broken: QueueFault?
        serving: while lifecycle.mayTake, queues[index].ending == .none, device.wantsBuffer(queue: index) {
            guard answered < room, batch.hasRoom(longestChain: longestChain) else {
                effects.queues = QueueSet(queue: index)
                break
            }
            let mark = batch.segments.count
            switch queues[index].next(&batch.segments, requestsNotification: requestsNotification) {
            case .empty: break serving
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
                if let findings = chain.findings.value { check(findings, chain.id, queue: index) }
                switch taken {
                case .done(let written):
                    batch.segments.truncate(to: mark)
                    answered += 1
                    if queues[index].mustQueue {
                        queues[index].live?.parked.park(chain, written: written)
                    } else {
                        let (id, slots, _) = chain.close()
                        put(id, slots: slots, written: written, queue: index)
                        used = true
                    }
                case .work(let request, let reply):
                    guard let name = queues[index].live?.parked.park(chain, reply: reply) else { break serving }
                    let token = Token(queue: UInt16(index), name: name, epoch: queues[index].epoch)
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
        if used { signalUsed(index) }
        if answered > 0 { effects.queues.formUnion(device.consequences(ofQueue: index)) }
        effects.merge(broken.map { fault($0, queue: index) } ?? settle())
        return effects
    }

    /// Whether the request is still known: neither the device nor its queue was reset since it was taken.
    public func isCurrent(_ token: Token) -> Bool {
        let index = Int(token.queue)
        return index < queueCount && queues[index].epoch == token.epoch && queues[index].isReady
    }

    /// Whether the outcome of a request will reach the driver: its queue is there, and the driver is not taking it away. For one
    /// that will not, a host need do no I/O; it still reports an outcome, whatever that is.
    public func isWanted(_ token: Token) -> Bool { isCurrent(token) && queues[Int(token.queue)].ending == .none }

    /// The backend has done a request. In a suspended device its chain waits for the resume, in one that uses buffers in order
    /// for those before it; in a dead or reset one it is nobody's.
    @_specialize(where Device == Block)
    public mutating func finish(_ token: Token, _ outcome: Outcome) -> Effects {
        memory.recorder.record(.finish(token, outcome))
        defer { closeCall() }
        let index = Int(token.queue)
        guard isCurrent(token), queues[index].live?.parked.finish(token.name, outcome) == true else { return Effects() }
        if lifecycle.isFrozen && !endsWhileSuspended(index) { return deferredEvent() }
        if queues[index].ending != .none {
            queues[index].endIfIdle()
        } else if lifecycle.mayUse {
            useFinished(index, from: token.name)
        }
        return settle()
    }

    /// Whether a suspended device may finish taking queue `index` away: in the narrow scope the driver waits for that now, in
    /// the wide one what it reads stays as it was.
    private func endsWhileSuspended(_ index: Int) -> Bool {
        freezeScope == .narrow && (queues[index].ending == .disabled || queues[index].ending == .reset)
    }

    /// The driver takes queue `index` away: by QueueReady = 0 (MM-5, MM-12) or QueueReset = 1 (MM-6, 2.6.1).
    mutating func endQueue(_ index: Int, as kind: QueueEnding) -> Effects {
        queues[index].end(as: kind)
        var effects = settle()
        if queues[index].ending != .none { effects.events.insert(.cancel) }
        return effects
    }

    /// Uses the chains of queue `index` that are finished and may be used now, from the one of name `cursor` on.
    mutating func useFinished(_ index: Int, from cursor: UInt16) {
        var cursor = cursor
        var used = false
        while let (chain, answer) = queues[index].live?.parked.next(from: &cursor) {
            if let fingerprint = chain.fingerprint { checkUnchanged(chain.id, fingerprint, queue: index) }
            let written =
                switch answer {
                case .outcome(let outcome): device.finish(outcome, reply: chain.reply)
                case .written(let count): count
                }
            put(chain.id, slots: chain.slots, written: written, queue: index)
            used = true
        }
        if used { signalUsed(index) }
    }

    private mutating func put(_ id: UInt16, slots: UInt16, written: UsedLength, queue index: Int) {
        queues[index].live?.put(id, slots: slots, written: written)
        memory.recorder.record(.used(queue: UInt16(index), id: id, length: written.length))
    }

    /// A used-buffer notification, unless the driver suppressed it. The bit may be set already: the line follows the
    /// register, so nothing is lost and nothing is skipped.
    mutating func signalUsed(_ index: Int) {
        if queues[index].live?.wantsInterrupt() == true { interruptStatus.insert(.usedBuffer) }
    }
}

extension MMIOTransport where Device == Console {
    /// Bytes of input the console takes now for `port`. A suspended one keeps what it has and takes no more: the rest stays with
    /// the host.
    public func inputRoom(port: Int = 0) -> Int { lifecycle.isFrozen ? 0 : device.inputRoom(port: port) }

    /// The names of ports 1 and up, in UTF-8.
    public var portNames: [[UInt8]] { device.portNames }

    /// Input waits at the host while the device is suspended: the host hears of it as of anything that has to wait for the resume.
    public mutating func inputWaits() -> Effects { lifecycle.isFrozen ? deferredEvent() : Effects() }

    /// A host that wants to hear of that has not yet, in this suspension.
    public var wantsToHearOfInput: Bool { lifecycle.isFrozen && !toldDeferred }

    /// Input arrived for `port`: takes as many of `bytes` as there is room for, even while suspended, and says how many.
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

    /// The device has something for its driver, by queue `index`.
    private mutating func offerData(_ hasData: Bool, queue index: Int) -> Effects {
        guard hasData else { return Effects() }
        if lifecycle.isFrozen { return deferredEvent() }
        return Effects(queues: index < queueCount ? QueueSet(queue: index) : [])
    }
}
