// A network device on the bus: the model, a link, and the thread between them. Frames to transmit are copied into a buffer of fixed size
// under the lock, and finished; when it is full, requests wait. Long ones are sent straight from guest memory while the link takes them.
//
//   guest --> take, copy, finish (locked) --> output --> link           link --> receive (locked) --> guest
//         \-- take (locked) --> link, finish (locked)

import Glibc
import KVM
import Virtio
import VirtioABI

/// A network device with its link.
final class NetworkSlot: Slot<Network>, DeviceControl, @unchecked Sendable {
    /// Frames read from the link before the queues are served: the driver is interrupted once for them.
    private static let burst = 256
    /// Bytes of a frame that is sent from guest memory, and such frames that are sent before they are finished.
    private static let directSize = 4096
    private static let directBurst = 16
    /// Milliseconds between attempts to reach a peer that has gone.
    private static let reconnectInterval: Int32 = 200

    private let link: any NetworkBackend
    private let pairs: Int
    /// Frames are kept for the test command `takeOutput`.
    private let keepsOutput: Bool
    private let capture: FrameCapture?

    // Used by the device's thread alone:
    /// The link took no frame of that pair: it is polled.
    private var isBlocked: [Bool]
    /// The eventfd was signalled when the thread slept last.
    private var isSignalled = false
    /// Whether the other end of the link was there when this was last looked at.
    private var isUp = true
    /// When to try again to reach a peer that has gone.
    private var nextAttempt = Instant.now

    // Under the lock:
    /// Requests, of which those before `next` are finished.
    private var batch: Batch<Network.Request>
    private var next = 0
    /// Requests from `next` on that are being sent from guest memory.
    private var sending = 0
    /// How often frames were sent so.
    private var directRuns: UInt64 = 0
    /// For the queues whose chains the model completes in `take`: stays empty.
    private var unusedBatch: Batch<Network.Request>
    /// Frames behind their headers on their way to the link, by queue pair.
    private var output = InlineArray<8, FrameQueue> { _ in FrameQueue() }
    /// Frames that the link lost.
    private var lost: UInt64 = 0

    init(
        name: String, transport: consuming MMIOTransport<Network>, context: SlotContext, link: any NetworkBackend,
        keepsOutput: Bool, capture: FrameCapture?
    ) throws(MachineError) {
        self.link = link
        self.keepsOutput = keepsOutput
        self.capture = capture
        pairs = transport.parameters.pairs
        isBlocked = Array(repeating: false, count: pairs)
        batch = Batch(capacity: Self.burst, longestChain: transport.longestChain)
        unusedBatch = Batch(longestChain: transport.longestChain)
        try super.init(name: name, transport: transport, context: context)
    }

    // MARK: The thread

    override var threadKind: ThreadKind { link.mayReturn ? .networkSocket : .network }

    override func serve(_ worker: Worker) {
        while !lock.locked({ stopping }) {
            let readable = wait()
            if isSignalled { drainEventFD(of: worker, by: worker) }
            link.permit(lock.locked { transport.acceptedFeatures })
            for pair in 0..<pairs where readable.contains(QueueSet(queue: pair)) { read(pair) }
            _ = advance(mayPoll: true)
            transmit()
            followLink()
        }
        // What the guest was told is transmitted goes out while the link takes it.
        _ = step()
        transmit()
        capture?.flush()
    }

    override func step() -> Bool { advance(mayPoll: false) }

    /// Sleeps until there is work. Returns the pairs that have a frame to read.
    private func wait() -> QueueSet {
        var descriptors: [9 of pollfd] = .init(repeating: pollfd(nil, 0))
        descriptors[0] = pollfd(workers[0].eventFD.descriptor, POLLIN)
        let milliseconds: Int32 = lock.locked {
            for pair in 0..<pairs {
                let events = (transport.hasRoom(pair: pair) ? POLLIN : 0) | (isBlocked[pair] ? POLLOUT : 0)
                descriptors[pair + 1] = pollfd(events == 0 ? nil : link.descriptor(pair: pair), events)
            }
            return mustServe(servable) || mayCopy ? 0 : millisecondsToDeadline
        }
        if milliseconds != 0 { capture?.flush() }
        let isWaiting =
            link.mayReturn && !link.isConnected && (milliseconds < 0 || milliseconds > Self.reconnectInterval)
        sleep(on: &descriptors, isWaiting ? Self.reconnectInterval : milliseconds)
        isSignalled = descriptors[0].isReady
        var readable: QueueSet = []
        for pair in 0..<pairs {
            if descriptors[pair + 1].revents & Int16(POLLOUT) != 0 { isBlocked[pair] = false }
            // The end of a stream is read too.
            if descriptors[pair + 1].revents & ~Int16(POLLOUT) != 0 { readable.insert(QueueSet(queue: pair)) }
        }
        return readable
    }

    /// Reports to the driver whether the other end is there. One that has gone is down for an interval at least, and seen as down.
    private func followLink() {
        let isDue = !isUp && nextAttempt <= .now
        if isDue { link.reconnect() }
        let hasChanged = isUp != link.isConnected
        if isDue || hasChanged {
            nextAttempt = .now.advanced(byNanoseconds: UInt64(Self.reconnectInterval) * 1_000_000)
        }
        guard hasChanged else { return }
        isUp.toggle()
        Log.say(
            isUp
                ? "\(name): the link is up"
                : "\(name): the other end of the link has gone; the link is down"
                    + (link.mayReturn ? " until it is back" : ""))
        setLink(isUp)
    }

    private func setLink(_ isUp: Bool) { withTransport { apply(transport.change { $0.isLinkUp = isUp }) } }

    // MARK: Receiving

    /// Reads frames from the link, as far as the model has room. The lock is held for one at a time: a vCPU may want it.
    private func read(_ pair: Int) {
        var isReading = true
        for _ in 0..<Self.burst where isReading {
            withTransport(by: workers[0]) {
                unsafe apply(
                    transport.receive(pair: pair, accepted: &isReading) { buffer in
                        let length = unsafe link.read(pair: pair, into: buffer)
                        if let capture, length > NetworkHeader.size {
                            let frame = unsafe UnsafeRawBufferPointer(rebasing: buffer[NetworkHeader.size..<length])
                            capture.add(unsafe Span(_unsafeBytes: frame), .received)
                        }
                        return length
                    })
            }
        }
    }

    // MARK: Transmitting

    /// Does the work that needs no waiting; true if more can be done at once. With `mayPoll` the thread may poll if the queues are
    /// empty.
    private func advance(mayPoll: Bool) -> Bool {
        checkDeadlines()
        return withTransport(by: workers[0]) {
            copyRequests()
            serve(servable, by: workers[0], mayPoll: mayPoll) { queue, requestsNotification in
                guard isTransmit(queue) else {
                    apply(transport.take(queue: queue, into: &unusedBatch, requestsNotification: requestsNotification))
                    return false
                }
                apply(transport.take(queue: queue, into: &batch, requestsNotification: requestsNotification))
                return batch.count > 0
            }
            copyRequests()
            return mustServe(servable) || mayCopy
        }
    }

    private func isTransmit(_ queue: Int) -> Bool { queue % 2 == 1 }

    /// Queues that can be served now: the transmit queues only once their last batch is copied. With the lock held.
    private var servable: QueueSet {
        guard batch.count > 0 else { return transport.readyQueues }
        var receiving: QueueSet = []
        transport.readyQueues.forEach { if !isTransmit($0) { receiving.insert(QueueSet(queue: $0)) } }
        return receiving
    }

    /// Whether a request can be copied now; with the lock held.
    private var mayCopy: Bool {
        guard isReleased, !goesDirectly(batch[next].request) else { return false }
        let request = batch[next].request
        return output[request.pair].hasRoom(for: NetworkHeader.size + request.data.byteCount)
    }

    /// Whether there is a request that is not held back; with the lock held.
    private var isReleased: Bool { next < batch.count && hold.permitsNext }

    /// Whether a request is to be sent from guest memory, which it is once the output is empty.
    private func goesDirectly(_ request: Network.Request) -> Bool {
        link.sendsDirectly && request.data.byteCount >= Self.directSize && !isBlocked[request.pair] && !hold.isOn
            && !keepsOutput && capture == nil
    }

    /// Copies requests to the output as far as there is room, and finishes them; with the lock held. The driver is interrupted once for
    /// all of them.
    private func copyRequests() {
        var effects = Effects()
        while mayCopy {
            let work = batch[next]
            next += 1
            hold.started()
            let header = work.request.header.bytes
            let isCopied =
                transport.isWanted(work.token) && output[work.request.pair].append(header.span, work.request.data)
            effects.merge(transport.finish(work.token, isCopied ? .ok() : .ioError))
        }
        if next == batch.count { clear() }
        apply(effects)
    }

    private func clear() {
        batch.removeAll()
        next = 0
        hold.limit(to: 0)
    }

    /// Passes frames to the link as far as it takes them: the output, then requests of long frames.
    private func transmit() {
        guard !keepsOutput else { return }
        for pair in 0..<pairs where !output[pair].isEmpty { transmitOutput(pair) }
        while sendDirectly() {}
    }

    /// Passes the output of a pair to the link. Only this thread changes the output, under the lock, so it reads it without.
    private func transmitOutput(_ pair: Int) {
        var (sent, gone): (Int, UInt64) = (0, 0)
        guard !isBlocked[pair] else { return }
        output[pair].forEach { frame in
            let result = link.send(frame, pair: pair)
            isBlocked[pair] = result == .wouldBlock
            guard result != .wouldBlock else { return false }
            if result == .lost {
                gone += 1
            } else {
                capture?.add(frame.extracting(NetworkHeader.size...), .transmitted)
            }
            sent += 1
            return true
        }
        lock.locked {
            lost += gone
            for _ in 0..<sent { output[pair].removeFirst() }
        }
    }

    /// Sends requests of long frames from guest memory, and finishes them. Returns whether there may be more.
    private func sendDirectly() -> Bool {
        let run = lock.locked {
            while next + sending < batch.count, sending < Self.directBurst {
                let work = batch[next + sending]
                let isReady = goesDirectly(work.request) && output[work.request.pair].isEmpty
                guard isReady, transport.isWanted(work.token) else { break }
                sending += 1
            }
            return next..<(next + sending)
        }
        guard !run.isEmpty else { return false }
        var (sent, gone): (Int, UInt64) = (0, 0)
        // The batch and `next` stay as they are while `sending` is not 0.
        for index in run {
            let request = batch[index].request
            let result = link.send(request.header.bytes, request.data, pair: request.pair)
            isBlocked[request.pair] = result == .wouldBlock
            guard result != .wouldBlock else { break }
            if result == .lost { gone += 1 }
            sent += 1
        }
        withTransport(by: workers[0]) {
            var effects = Effects()
            for _ in 0..<sent {
                effects.merge(transport.finish(batch[next].token, .ok()))
                next += 1
                hold.started()
            }
            lost += gone
            (sending, directRuns) = (0, directRuns &+ 1)
            lock.broadcast()
            if next == batch.count { clear() }
            apply(effects)
        }
        return sent == run.count
    }

    /// Waits until the frames that are being sent from guest memory are sent; with the lock held.
    override func quiesce() {
        let run = directRuns
        while sending > 0, directRuns == run { lock.wait() }
    }

    override func cancel() {
        for index in (next + sending)..<batch.count where !transport.isWanted(batch[index].token) {
            apply(transport.finish(batch[index].token, .ioError))
        }
        guard sending == 0 else { return }
        while next < batch.count, !transport.isWanted(batch[next].token) { next += 1 }
        if next == batch.count { clear() }
    }

    // MARK: Tests

    override func perform(_ command: TestCommand) throws(TestCommandError) {
        switch command {
        case .input(let bytes, let pair):
            guard pair < pairs else { throw .noPort }
            let frame = [UInt8](repeating: 0, count: NetworkHeader.size) + bytes
            let isTaken = withTransport {
                var accepted = false
                apply(transport.receive(frame.span, pair: pair, accepted: &accepted))
                return accepted
            }
            guard isTaken else { throw .noRoom }
            capture?.add(bytes.span, .received)
            capture?.flush()
        case .link(let isUp): setLink(isUp)
        default: try super.perform(command)
        }
    }

    /// Takes the oldest transmitted frame of a queue pair, without its header; empty if there is none.
    override func takeOutput(port pair: Int) -> [UInt8]? {
        lock.locked {
            guard pair < pairs else { return nil }
            guard !output[pair].isEmpty else { return [] }
            defer {
                output[pair].removeFirst()
                capture?.flush()
            }
            return output[pair].withFirst { frame in
                capture?.add(frame.extracting(NetworkHeader.size...), .transmitted)
                return (NetworkHeader.size..<frame.count).map { frame[$0] }
            }
        }
    }

    override func restoreBackend(_ bytes: [UInt8]) { isUp = transport.configuration.isLinkUp }

    override var network: Network.Parameters? { transport.parameters }

    override var frames: FrameCounts? { transport.frameCounts.lacking(lost) }

    override var backendState: BackendState {
        var frames = 0
        for pair in 0..<pairs { frames += output[pair].count }
        return BackendState(
            holding: hold.isOn, waiting: batch.count - next, output: frames, frames: transport.waitingFrames)
    }
}
