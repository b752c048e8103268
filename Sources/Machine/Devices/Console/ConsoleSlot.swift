// The console on the bus: the model, a stream for each of its ports, and the thread between them.

import Glibc
import KVM
import Virtio
import VirtioABI

/// A console device and its host ends.
final class ConsoleSlot: Slot<Console>, DeviceControl, @unchecked Sendable {
    /// Indexed by port.
    private let streams: [ConsoleStream]
    /// The terminal of port 0.
    private let screen: Int32?
    /// Input at a suspended console was reported to `context.onWaitingInput`. Only the device's thread uses it.
    private var hasReportedInput = false
    private let onKey: @Sendable (EscapeKeys.Action) -> Void

    // Under the lock:
    /// For queues other than the transmit queues: the model completes their chains in `take`, so this stays empty.
    private var unusedBatch: Batch<Console.Request>

    /// Makes a console with a stream for each port of the model. The escape key's actions are passed to `onKey`.
    init(
        name: String, transport: consuming MMIOTransport<Console>, context: SlotContext, streams: [ConsoleStream],
        onKey: @escaping @Sendable (EscapeKeys.Action) -> Void
    ) throws(MachineError) {
        self.streams = streams
        screen = streams[0].end.screen
        self.onKey = onKey
        unusedBatch = Batch(longestChain: transport.longestChain)
        try super.init(name: name, transport: transport, context: context)
    }

    override func start() throws(MachineError) {
        for stream in streams {
            stream.end.begin()
            reportOpenChange(stream)
        }
        try super.start()
    }

    override func stop() {
        super.stop()
        for stream in streams { stream.end.shut() }
    }

    /// Reads the terminal again, if this job is in its foreground, and tells the driver if the terminal's size changed.
    override func hostChanged() {
        workers[0].signal()
        readSize()
    }

    private func readSize() {
        guard let size = ConsolePort.size(of: screen) else { return }
        resize(columns: size.columns, rows: size.rows)
    }

    private func resize(columns: UInt16, rows: UInt16) {
        let new = Console.Configuration(columns: columns, rows: rows)
        withTransport { apply(transport.change { $0 = new }) }
    }

    // MARK: The thread

    override var threadKind: ThreadKind { .console }

    override func serve(_ worker: Worker) {
        while !lock.locked({ stopping }) {
            let ready = wait()
            drainEventFD(of: worker, by: worker)
            for stream in streams {
                let (input, output) = ready[stream.port]
                if input { stream.end.door == nil ? readInput(stream) : admit(stream) }
                if input, stream.port == 0, stream.end.pseudoTerminal != nil { readSize() }
                if output { writeSome(stream) }
                reportOpenChange(stream)
            }
            advance(mayPoll: true)
            // New output is written at once where writing never blocks.
            for stream in streams where stream.end.neverWaits && lock.locked({ !stream.output.isEmpty }) {
                writeSome(stream)
            }
        }
        // Output of the guest is still written, notifications that were not yet served included, while the host accepts it.
        let deadline = Instant.now.advanced(by: .seconds(1))
        drainEventFD(of: worker, by: worker)
        while step(), deadline.millisecondsLeft > 0 {}
        for stream in streams {
            while lock.locked({ !stream.output.isEmpty }), isWritable(stream, within: deadline.millisecondsLeft) {
                writeSome(stream)
                _ = step()
            }
        }
    }

    override func step() -> Bool { advance(mayPoll: false) }

    /// Does the work that needs no waiting; true if more can be done at once. With `mayPoll` the thread may poll if the queues are
    /// empty.
    @discardableResult
    private func advance(mayPoll: Bool) -> Bool {
        checkDeadlines()
        return withTransport {
            for stream in streams { deliverBacklog(stream) }
            serveQueues(mayPoll: mayPoll)
            return mustServe(servable)
        }
    }

    /// The result of `wait`, indexed by port.
    private typealias Ready = [(input: Bool, output: Bool)]

    /// Sleeps until there is work. Descriptor 0 is the eventfd, followed by each port's input (or listening socket) and output.
    private func wait() -> Ready {
        var descriptors: [32 of pollfd] = .init(repeating: pollfd(nil, 0))
        descriptors[0] = pollfd(workers[0].eventFD.descriptor, POLLIN)
        var dropped: QueueSet = []
        let sleep: Int32 = lock.locked {
            for stream in streams {
                let listens =
                    stream.keys != nil || stream.backlog.isEmpty && transport.inputRoom(port: stream.port) > 0
                    || transport.shouldReportInput && (wakesGuest || onWaitingInput != nil && !hasReportedInput)
                descriptors[2 * stream.port + 1] = pollfd(listens ? stream.end.source : nil, POLLIN)
                guard !stream.output.isEmpty else { continue }
                if stream.end.output == nil, !stream.output.keepsNewest { dropped.insert(QueueSet(queue: stream.port)) }
                descriptors[2 * stream.port + 2] = pollfd(stream.end.output, POLLOUT)
            }
            // What was written made room for requests.
            let mayCopy = hold.permitsNext && streams.contains { $0.waiting > 0 && $0.output.hasRoom }
            return !mustServe(servable) && !mayCopy && dropped.isEmpty ? millisecondsToDeadline : 0
        }
        self.sleep(on: &descriptors, sleep)
        return streams.map {
            (
                descriptors[2 * $0.port + 1].isReady,
                descriptors[2 * $0.port + 2].isReady || dropped.contains(QueueSet(queue: $0.port))
            )
        }
    }

    /// Waits at most `milliseconds` until the stream's end accepts bytes; false on timeout, and at once for 0.
    private func isWritable(_ stream: ConsoleStream, within milliseconds: Int32) -> Bool {
        guard let output = stream.end.output, milliseconds > 0 else { return false }
        return pollfd(output, POLLOUT).isReady(within: milliseconds)
    }

    /// Accepts the peer of a port. The first gets the output that was kept.
    private func admit(_ stream: ConsoleStream) {
        stream.end.admit()
        guard stream.output.keepsNewest, !stream.end.awaitsFirstPeer else { return }
        if let sentence = lock.locked({ stream.output.firstPeerConnected() }) { Log.say("\(name): \(sentence)") }
    }

    /// Notifies the driver if the host end of a port was opened or closed.
    private func reportOpenChange(_ stream: ConsoleStream) {
        let isOpen = stream.port == 0 || stream.end.isOpen
        guard isOpen != stream.reportedOpen else { return }
        withTransport {
            stream.reportedOpen = isOpen
            apply(transport.setOpen(isOpen, port: stream.port))
        }
    }

    // MARK: Input

    private func readInput(_ stream: ConsoleStream) {
        guard stream.keys != nil else {
            // The thread may have started polling before the device was suspended.
            guard lock.locked({ transport.inputRoom(port: stream.port) > 0 }) else { return reportInput() }
            let bytes = stream.end.read(ConsoleStream.chunk)
            return lock.locked { stream.backlog += bytes }
        }
        // Keys are read even if the guest takes none: an escape key may stop the machine.
        let (bytes, actions) = stream.keys?.filter(stream.end.read(ConsoleStream.chunk)) ?? ([], [])
        withTransport {
            stream.backlog += bytes.prefix(max(0, ConsoleStream.chunk - stream.backlog.count))
        }
        if !bytes.isEmpty { reportInput() }
        actions.forEach(onKey)
    }

    /// Tells the model of input that a suspended device does not take, and once the machine, whose guest may have to be woken.
    private func reportInput() {
        let isSuspended = withTransport {
            apply(transport.inputPending())
            return transport.lifecycle.phase == .suspended
        }
        guard isSuspended, !hasReportedInput else { return }
        hasReportedInput = true
        onWaitingInput?(name)
    }

    /// Passes the backlog to the model if it has room, which it has not while suspended; with the lock held.
    private func deliverBacklog(_ stream: ConsoleStream) {
        if !stream.backlog.isEmpty, transport.inputRoom(port: stream.port) > 0 { receive(stream) }
    }

    /// Gives the model as much of the backlog as it has room for.
    private func receive(_ stream: ConsoleStream) {
        var accepted = 0
        apply(transport.receive(stream.backlog.span, port: stream.port, accepted: &accepted))
        stream.backlog.removeFirst(accepted)
    }

    // MARK: Output

    /// Requests not yet copied to the output buffers.
    private var waiting: Int { streams.reduce(0) { $0 + $1.waiting } }

    /// The transmit queues whose last batch is not completely copied.
    private var busy: QueueSet {
        var set: QueueSet = []
        for stream in streams where stream.batch.count > 0 {
            set.insert(QueueSet(queue: ConsoleQueue.transmit(port: stream.port)))
        }
        return set
    }

    /// Queues that can be served now: a transmit queue only once its last batch is copied.
    private var servable: QueueSet { transport.readyQueues.subtracting(busy) }

    /// Serves the queues, and copies transmit requests to the output buffers as far as there is room; with the lock held.
    private func serveQueues(mayPoll: Bool) {
        copyRequests()
        serve(servable, by: workers[0], mayPoll: mayPoll) { queue, requestsNotification in
            guard let stream = streams.first(where: { ConsoleQueue.transmit(port: $0.port) == queue }) else {
                apply(transport.take(queue: queue, into: &unusedBatch, requestsNotification: requestsNotification))
                return false
            }
            apply(transport.take(queue: queue, into: &stream.batch, requestsNotification: requestsNotification))
            return stream.batch.count > 0
        }
        copyRequests()
    }

    /// Copies requests to the output buffers, and finishes those that are completely copied; with the lock held.
    private func copyRequests() {
        for stream in streams {
            while hold.permitsNext, let token = stream.copyNextRequest() {
                hold.started()
                apply(transport.finish(token, .ok()))
            }
            stream.clearIfDone()
        }
        hold.limit(to: waiting)
    }

    /// Writes some of the output; without the lock.
    private func writeSome(_ stream: ConsoleStream) {
        if stream.output.keepsNewest { return }
        let limit = stream.end.neverWaits ? OutputBuffer.capacity : ConsoleStream.chunk
        let chunk = lock.locked { stream.output.bytes.prefix(limit) }
        let written = stream.end.write(chunk)
        lock.locked { stream.output.remove(written) }
    }

    override func emergency(_ byte: UInt8) {
        streams[0].output.append(byte, isEmergency: true)
        wake(workers[0])
    }

    /// Wakes the thread, which does not poll the host's input while suspended.
    override func suspensionChanged() {
        // Under the lock, so that a thread that sees the device suspended also sees this signal.
        workers[0].signal()
    }

    override func cancel() {
        for stream in streams where stream.waiting > 0 && !transport.isWanted(stream.batch[stream.current].token) {
            // All requests of a batch are from one queue.
            for index in stream.current..<stream.batch.count {
                apply(transport.finish(stream.batch[index].token, .ioError))
            }
            stream.clear()
        }
        hold.limit(to: waiting)
    }

    // MARK: Tests

    override func perform(_ command: TestCommand) throws(TestCommandError) {
        switch command {
        case .input(let bytes, let port): try input(bytes, port)
        case .open(let port, let isOpen): try open(port, isOpen)
        case .resize(let columns, let rows): resize(columns: columns, rows: rows)
        default: try super.perform(command)
        }
    }

    /// Accepts all of `bytes` as input from the host, or throws and accepts none.
    private func input(_ bytes: [UInt8], _ port: Int) throws(TestCommandError) {
        guard let stream = stream(port) else { throw .noPort }
        let fits = withTransport {
            guard bytes.count <= ConsoleStream.inputRoom - stream.backlog.count else { return false }
            stream.backlog += bytes
            receive(stream)
            return true
        }
        guard fits else { throw .noRoom }
    }

    /// Opens or closes the host end of a port other than port 0, which is always open.
    private func open(_ port: Int, _ isOpen: Bool) throws(TestCommandError) {
        guard port > 0, let stream = stream(port) else { throw .noPort }
        withTransport {
            stream.reportedOpen = isOpen
            apply(transport.setOpen(isOpen, port: port))
        }
    }

    private func stream(_ port: Int) -> ConsoleStream? { streams.indices.contains(port) ? streams[port] : nil }

    /// Takes the pending output of `port`; nil if there is no such port.
    override func takeOutput(port: Int) -> [UInt8]? { lock.locked { stream(port)?.output.takeAll() } }

    // MARK: Snapshots

    /// For each port whether its host end was open, then what was typed and not yet taken by the model: its length, and the bytes.
    override var savedBackend: [UInt8] {
        streams.flatMap { stream in
            let typed = stream.backlog.prefix(0xffff)
            return [stream.reportedOpen ? 1 : 0, UInt8(typed.count & 0xff), UInt8(typed.count >> 8)] + typed
        }
    }

    override func restoreBackend(_ bytes: [UInt8]) {
        var rest = bytes[...]
        for stream in streams {
            guard let isOpen = rest.popFirst(), let low = rest.popFirst(), let high = rest.popFirst() else { return }
            stream.reportedOpen = isOpen != 0
            let count = Int(low) | Int(high) << 8
            stream.backlog = Array(rest.prefix(count))
            rest = rest.dropFirst(count)
        }
    }

    override var portNames: [[UInt8]] { transport.portNames }

    override var backendState: BackendState {
        BackendState(
            holding: hold.isOn, waiting: waiting,
            output: streams.reduce(0) { $0 + $1.output.count }, input: streams.reduce(0) { $0 + $1.backlog.count })
    }
}
