// The console on the bus: the model, a stream for each of its ports, and the thread between them.

import Glibc
import KVM
import Virtio
import VirtioABI

/// A console device with its host ends.
final class ConsoleSlot: Slot<Console>, DeviceControl, @unchecked Sendable {
    /// By port.
    private let streams: [ConsoleStream]
    /// Where the terminal's size can be asked for, if port 0's output is one.
    private let screen: Int32?
    private let onKey: @Sendable (EscapeKeys.Action) -> Void

    // Under the lock:
    /// Every queue but the transmit queues is answered on the spot, so this stays empty, and waits for no output.
    private var answered: Batch<Console.Request>
    /// While true, requests are not copied out.
    private var holding = false
    /// Waiting requests that may go on.
    private var released = 0

    /// A console on `ends`, one for each port of the model; with `escapeKeys`, the escape key is honoured at port 0 and its actions
    /// go to `onKey`.
    init(
        name: String, transport: consuming MMIOTransport<Console>, context: SlotContext, streams: [ConsoleStream],
        onKey: @escaping @Sendable (EscapeKeys.Action) -> Void
    ) throws(MachineError) {
        self.streams = streams
        screen = streams[0].end.output
        self.onKey = onKey
        answered = Batch(longestChain: transport.longestChain)
        try super.init(name: name, transport: transport, context: context)
    }

    override func start() throws(MachineError) {
        for stream in streams {
            stream.end.begin()
            tellIfOpen(stream)
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
        guard let size = ConsolePort.size(of: screen) else { return }
        resize(columns: size.columns, rows: size.rows)
    }

    private func resize(columns: UInt16, rows: UInt16) {
        let new = Console.Configuration(columns: columns, rows: rows)
        withTransport { apply(transport.change { $0 = new }) }
    }

    // MARK: The thread

    override func serve(_ worker: Worker) {
        while !lock.locked({ stopping }) {
            let ready = wait()
            drainEventFD(of: worker, by: worker)
            for stream in streams {
                let (input, output) = ready[stream.port]
                if input { stream.end.door == nil ? typed(stream) : stream.end.admit() }
                if output { writeSome(stream) }
                tellIfOpen(stream)
            }
            advance(mayPoll: true)
            // What has just come goes out at once where that needs no asking.
            for stream in streams where stream.end.neverWaits && lock.locked({ !stream.output.isEmpty }) {
                writeSome(stream)
            }
        }
        // What the guest sent gets printed, a kick that nobody has looked at included, as long as somebody takes it.
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

    /// Does what can be done without sleeping, and says whether there is more to do at once. Where there is nothing now, a thread
    /// that `mayPoll` may find more soon.
    @discardableResult
    private func advance(mayPoll: Bool) -> Bool {
        checkDrainDeadline()
        return withTransport {
            for stream in streams { deliverBacklog(stream) }
            serveQueues(mayPoll: mayPoll)
            return mustServe(servable)
        }
    }

    /// What `wait` found, by port.
    private typealias Ready = [(input: Bool, output: Bool)]

    /// Sleeps until there is something to do. Descriptor 0 is the eventFD, then come each port's input, or its door, and output.
    private func wait() -> Ready {
        var descriptors: [32 of pollfd] = .init(repeating: pollfd(fd: -1, events: 0, revents: 0))
        descriptors[0] = pollfd(fd: workers[0].eventFD.descriptor, events: Int16(POLLIN), revents: 0)
        var dropped: QueueSet = []
        let sleep: Int32 = lock.locked {
            for stream in streams {
                let listens =
                    stream.keys != nil || stream.backlog.isEmpty && transport.inputRoom(port: stream.port) > 0
                    || wakesGuest && transport.shouldReportInput
                let source = listens ? stream.end.source ?? -1 : -1
                descriptors[2 * stream.port + 1] = pollfd(fd: source, events: Int16(POLLIN), revents: 0)
                guard !stream.output.isEmpty else { continue }
                if stream.end.output == nil { dropped.insert(QueueSet(queue: stream.port)) }
                descriptors[2 * stream.port + 2] = pollfd(
                    fd: stream.end.output ?? -1, events: Int16(POLLOUT), revents: 0)
            }
            return !mustServe(servable) && dropped.isEmpty ? millisecondsToDrainDeadline : 0
        }
        self.sleep(on: &descriptors, sleep)
        return streams.map {
            (
                descriptors[2 * $0.port + 1].revents != 0,
                descriptors[2 * $0.port + 2].revents != 0 || dropped.contains(QueueSet(queue: $0.port))
            )
        }
    }

    /// Whether the stream's end takes bytes, `milliseconds` from now at the latest; 0 is too late.
    private func isWritable(_ stream: ConsoleStream, within milliseconds: Int32) -> Bool {
        guard let output = stream.end.output, milliseconds > 0 else { return false }
        var descriptor = pollfd(fd: output, events: Int16(POLLOUT), revents: 0)
        return unsafe poll(&descriptor, 1, milliseconds) > 0
    }

    /// Tells the driver if somebody came to the host's end of a port, or left it.
    private func tellIfOpen(_ stream: ConsoleStream) {
        let isOpen = stream.port == 0 || stream.end.isOpen
        guard isOpen != stream.saidOpen else { return }
        withTransport {
            stream.saidOpen = isOpen
            apply(transport.setOpen(isOpen, port: stream.port))
        }
    }

    // MARK: Input

    private func typed(_ stream: ConsoleStream) {
        guard stream.keys != nil else {
            // The thread may have begun to listen before the device was suspended.
            guard lock.locked({ transport.inputRoom(port: stream.port) > 0 }) else {
                return withTransport { apply(transport.inputPending()) }
            }
            let bytes = stream.end.read(ConsoleStream.chunk)
            return lock.locked { stream.backlog += bytes }
        }
        // Keys are read whether the guest takes them or not: one of them may stop the machine.
        let (bytes, actions) = stream.keys?.filter(stream.end.read(ConsoleStream.chunk)) ?? ([], [])
        withTransport {
            stream.backlog += bytes.prefix(max(0, ConsoleStream.chunk - stream.backlog.count))
            if !stream.backlog.isEmpty { apply(transport.inputPending()) }
        }
        actions.forEach(onKey)
    }

    /// Hands on what waits at the host, unless the device is suspended; with the lock held.
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

    /// Requests that are not out.
    private var waiting: Int { streams.reduce(0) { $0 + $1.waiting } }

    /// The transmit queues whose last batch is not all out.
    private var busy: QueueSet {
        var set: QueueSet = []
        for stream in streams where stream.batch.count > 0 {
            set.insert(QueueSet(queue: ConsoleQueue.transmit(port: stream.port)))
        }
        return set
    }

    /// Queues that can be served now. One batch of output at a time: what does not fit is taken when this one is out.
    private var servable: QueueSet { transport.readyQueues.subtracting(busy) }

    /// Fills receive buffers, and copies transmit requests out as far as there is room; with the lock held.
    private func serveQueues(mayPoll: Bool) {
        copyOut()
        serve(servable, by: workers[0], mayPoll: mayPoll) { queue, requestsNotification in
            guard let stream = streams.first(where: { ConsoleQueue.transmit(port: $0.port) == queue }) else {
                apply(transport.take(queue: queue, into: &answered, requestsNotification: requestsNotification))
                return false
            }
            apply(transport.take(queue: queue, into: &stream.batch, requestsNotification: requestsNotification))
            return stream.batch.count > 0
        }
        copyOut()
    }

    /// Copies requests into the output buffers and finishes those that are out whole; with the lock held.
    private func copyOut() {
        for stream in streams {
            while !holding || released > 0, let token = stream.copyNext() {
                released = max(0, released - 1)
                apply(transport.finish(token, .ok()))
            }
            stream.clearIfDone()
        }
        released = min(released, waiting)
    }

    /// Writes some output, without the lock.
    private func writeSome(_ stream: ConsoleStream) {
        let limit = stream.end.neverWaits ? ConsoleStream.outputRoom : ConsoleStream.chunk
        let chunk = lock.locked { stream.output.prefix(limit) }
        let written = stream.end.write(chunk)
        lock.locked { stream.removeOutput(written) }
    }

    override func emergency(_ byte: UInt8) {
        streams[0].append(byte)
        wake(workers[0])
    }

    /// While suspended the host's input is not listened to.
    override func suspensionChanged() {
        // At once: a thread that sees the device suspended finds itself rung.
        workers[0].signal()
    }

    override func cancel() {
        for stream in streams where stream.waiting > 0 && !transport.isWanted(stream.batch[stream.current].token) {
            // They are all of one queue.
            for index in stream.current..<stream.batch.count {
                apply(transport.finish(stream.batch[index].token, .ioError))
            }
            stream.clear()
        }
        released = min(released, waiting)
    }

    // MARK: Tests

    override func perform(_ command: TestCommand) throws(TestCommandError) {
        switch command {
        case .hold: lock.locked { holding = true }
        case .release(let count): release(count)
        case .input(let bytes, let port): try input(bytes, port)
        case .open(let port, let isOpen): try open(port, isOpen)
        case .resize(let columns, let rows): resize(columns: columns, rows: rows)
        default: try super.perform(command)
        }
    }

    private func release(_ count: Int?) {
        lock.locked {
            holding = holding && count != nil
            released = min(waiting, released + (count ?? 0))
        }
        workers[0].signal()
    }

    /// Takes input as from a terminal, all of it or none.
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
            stream.saidOpen = isOpen
            apply(transport.setOpen(isOpen, port: port))
        }
    }

    private func stream(_ port: Int) -> ConsoleStream? { streams.indices.contains(port) ? streams[port] : nil }

    /// The output of a port that waits for the host, which now has it; nil if there is no such port.
    override func takeOutput(port: Int) -> [UInt8]? { lock.locked { stream(port)?.takeOutput() } }

    override var portNames: [[UInt8]] { transport.portNames }

    override var backendState: BackendState {
        BackendState(
            holding: holding, waiting: waiting,
            output: streams.reduce(0) { $0 + $1.output.count }, input: streams.reduce(0) { $0 + $1.backlog.count })
    }
}
