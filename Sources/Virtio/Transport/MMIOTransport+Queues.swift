// Kicks, requests and their completion. A worker calls `take` until it gets nothing, does the I/O without the lock, and calls
// `finish`. Both look at the lifecycle, so a kick that never came through QueueNotify obeys the same rules.

import VirtioABI

extension MMIOTransport where Device: ~Copyable {
    /// QueueNotify. Without VIRTIO_F_NOTIFICATION_DATA the value is the queue's index (4.2.3.3).
    mutating func notify(_ value: UInt32) -> Effects {
        guard value < UInt32(queueCount), queues[Int(value)].isReady, lifecycle.phase != .notLive, !isDead else {
            anomalies.note(.uselessNotify)
            return Effects()
        }
        // A suspended device looks at every ready queue when it resumes; the kick itself leaves no trace (D-7).
        return lifecycle.mayTake ? Effects(queues: QueueSet(queue: Int(value))) : Effects()
    }

    /// Pops what queue `index` has, as far as `batch` has room, and adds the requests to it. The effects name the queue
    /// again if something may be left.
    public mutating func take(queue index: Int, into batch: inout Batch<Device.Request>) -> Effects {
        precondition(index >= 0 && index < queueCount)
        var effects = Effects()
        // A driver that adds chains as fast as they are answered must not keep the host here.
        var answered = 0
        var broken: QueueFault?
        serving: while lifecycle.mayTake, queues[index].ending == .none, device.wantsBuffer(queue: index) {
            guard answered < batch.capacity, batch.hasRoom(queueSize: queues[index].size) else {
                effects.queues = QueueSet(queue: index)
                break
            }
            let mark = batch.segments.count
            switch queues[index].next(in: memory, &batch.segments) {
            case .empty: break serving
            case .fault(let fault):
                broken = fault
                break serving
            case .chain(var chain):
                switch device.take(&chain, queue: index, configuration) {
                case .done(let written):
                    batch.segments.truncate(to: mark)
                    let (head, descriptors) = chain.close()
                    queues[index].live?.put(head, descriptors: descriptors, written: written)
                    answered += 1
                case .work(let request, let reply):
                    guard let head = queues[index].live?.parked.park(chain, reply: reply) else { break serving }
                    let token = Token(queue: UInt16(index), head: head, epoch: queues[index].epoch)
                    batch.append(Work(token: token, request: request))
                case .unanswerable:
                    _ = chain.close()
                    broken = .noRoomForStatus
                    break serving
                }
            }
        }
        if answered > 0 { signalUsed(index) }
        effects.merge(broken.map { fault($0) } ?? settle())
        return effects
    }

    /// Whether the request is still wanted: neither the device nor its queue was reset since it was taken.
    public func isCurrent(_ token: Token) -> Bool {
        let index = Int(token.queue)
        return index < queueCount && queues[index].epoch == token.epoch && queues[index].isReady
    }

    /// The backend has done a request. In a suspended device the outcome is held, in a dead or reset one it is nobody's.
    public mutating func finish(_ token: Token, _ outcome: Outcome) -> Effects {
        let index = Int(token.queue)
        guard isCurrent(token) else { return Effects() }
        if lifecycle.isFrozen && !endsWhileSuspended(index) {
            queues[index].live?.parked.hold(token.head, outcome)
            return deferredEvent()
        }
        guard let chain = queues[index].live?.parked.unpark(token.head) else { return Effects() }
        if queues[index].ending != .none {
            queues[index].endIfIdle()
        } else if lifecycle.mayUse {
            put(chain, outcome, queue: index)
            signalUsed(index)
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

    /// Answers a chain and gives it back.
    mutating func put(_ chain: ParkedChains.Chain, _ outcome: Outcome, queue index: Int) {
        let written = device.finish(outcome, reply: chain.reply)
        queues[index].live?.put(chain.head, descriptors: chain.descriptors, written: written)
    }

    /// A used-buffer notification, unless the driver suppressed it. The bit may be set already: the line follows the
    /// register, so nothing is lost and nothing is skipped.
    mutating func signalUsed(_ index: Int) {
        if queues[index].wantsInterrupt() { interruptStatus.insert(.usedBuffer) }
    }
}

extension MMIOTransport where Device == Console {
    /// Bytes of input the console takes now. A suspended one keeps what it has and takes no more: the rest stays with the
    /// host.
    public var inputRoom: Int { lifecycle.isFrozen ? 0 : device.inputRoom }

    /// Input arrived: takes as many of `bytes` as there is room for, even while suspended, and says how many.
    public mutating func receive(_ bytes: Span<UInt8>, accepted: inout Int) -> Effects {
        accepted = 0
        while accepted < bytes.count, device.accept(bytes[accepted]) { accepted += 1 }
        if lifecycle.isFrozen { return accepted > 0 ? deferredEvent() : Effects() }
        return Effects(queues: QueueSet(queue: ConsoleQueue.receive))
    }
}
