// The console on the bus: the model, the host's descriptors, and the thread between them. Output is taken into a buffer of
// fixed size, so a guest that spins until its transmit buffer is used does not wait for a slow terminal; when that
// buffer is full, requests wait.

import Glibc
import KVM
import Virtio
import VirtioABI

/// A console device with its host end.
final class ConsoleSlot: Slot<Console>, DeviceControl, @unchecked Sendable {
    /// Bytes of output that may wait for the host.
    private static let outputRoom = 64 << 10
    /// Bytes of input that may wait beside the model's own buffer, where a test types.
    private static let inputRoom = 64 << 10
    /// Bytes written in one call: no more than a pipe takes at once when poll calls it writable.
    private static let chunk = 4096

    private var port: ConsolePort
    /// Where the terminal's size can be asked for, if the output is one.
    private let screen: Int32?
    private var keys: EscapeKeys?
    private let onKey: @Sendable (EscapeKeys.Action) -> Void

    // Under the lock:
    /// Input the model had no room for.
    private var backlog: [UInt8] = []
    private var output: [UInt8] = []
    private var batch: Batch<Console.Request>
    /// The request being copied out, and how much of it is out.
    private var current = 0
    private var copied = 0
    /// Every queue but the transmit queue is answered on the spot, so this stays empty, and waits for no output.
    private var answered: Batch<Console.Request>
    /// While true, requests are not copied out.
    private var holding = false
    /// Waiting requests that may go on.
    private var released = 0

    /// A console on `port`; with `escapeKeys`, the escape key is honoured and its actions go to `onKey`.
    init(
        name: String, transport: consuming MMIOTransport<Console>, place: Place, port: ConsolePort, escapeKeys: Bool,
        onKey: @escaping @Sendable (EscapeKeys.Action) -> Void
    ) throws(MachineError) {
        self.port = port
        screen = port.output
        keys = escapeKeys ? EscapeKeys() : nil
        self.onKey = onKey
        batch = Batch(longestChain: transport.longestChain)
        answered = Batch(longestChain: transport.longestChain)
        output.reserveCapacity(Self.outputRoom)
        try super.init(name: name, transport: transport, place: place)
    }

    override func start() throws(MachineError) {
        port.begin()
        try super.start()
    }

    override func stop() {
        super.stop()
        port.close()
    }

    /// Tells the driver if the terminal's size changed.
    func rereadSize() {
        guard let size = ConsolePort.size(of: screen) else { return }
        resize(columns: size.columns, rows: size.rows)
    }

    private func resize(columns: UInt16, rows: UInt16) {
        let new = Console.Configuration(columns: columns, rows: rows)
        perform { apply(transport.change { $0 = new }) }
    }

    // MARK: The thread

    override func serve() {
        while !lock.locked({ stopping }) {
            let ready = wait()
            answerDoorbell()
            if ready.input { typed() }
            if ready.output { writeSome() }
            _ = step()
        }
        // What the guest sent gets printed, a kick that nobody has looked at included, as long as somebody takes it.
        let deadline = Instant.now.advanced(by: .seconds(1))
        answerDoorbell()
        while step(), deadline.millisecondsLeft > 0 {}
        while port.output != nil, lock.locked({ !output.isEmpty }), isWritable(within: deadline.millisecondsLeft) {
            writeSome()
            _ = step()
        }
    }

    override func step() -> Bool {
        checkPatience()
        return perform {
            deliverBacklog()
            serveQueues()
            return !servable.isEmpty
        }
    }

    /// Sleeps until there is something to do.
    private func wait() -> (input: Bool, output: Bool) {
        let (wantsInput, wantsOutput, sleep) = lock.locked {
            (
                keys != nil || backlog.isEmpty && transport.inputRoom() > 0, !output.isEmpty,
                servable.isEmpty ? patienceLeft : 0
            )
        }
        var descriptors: [3 of pollfd] = [
            pollfd(fd: doorbell.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: wantsInput ? port.input ?? -1 : -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: wantsOutput ? port.output ?? -1 : -1, events: Int16(POLLOUT), revents: 0),
        ]
        let gone = wantsOutput && port.output == nil
        self.sleep(on: &descriptors, gone ? 0 : sleep)
        return (descriptors[1].revents != 0, descriptors[2].revents != 0 || gone)
    }

    /// Whether the output takes bytes, `milliseconds` from now at the latest; 0 is too late.
    private func isWritable(within milliseconds: Int32) -> Bool {
        guard let output = port.output, milliseconds > 0 else { return false }
        var descriptor = pollfd(fd: output, events: Int16(POLLOUT), revents: 0)
        return unsafe poll(&descriptor, 1, milliseconds) > 0
    }

    // MARK: Input

    private func typed() {
        guard keys != nil else {
            // The thread may have begun to listen before the device was suspended.
            guard lock.locked({ transport.inputRoom() > 0 }) else { return }
            let bytes = port.read(Self.chunk)
            return lock.locked { backlog += bytes }
        }
        // Keys are read whether the guest takes them or not: one of them may stop the machine.
        let (bytes, actions) = keys?.filter(port.read(Self.chunk)) ?? ([], [])
        lock.locked { backlog += bytes.prefix(max(0, Self.chunk - backlog.count)) }
        actions.forEach(onKey)
    }

    /// Hands on what waits at the host, unless the device is suspended; with the lock held.
    private func deliverBacklog() {
        if !backlog.isEmpty, transport.inputRoom() > 0 { receive() }
    }

    /// Gives the model as much of the backlog as it has room for.
    private func receive() {
        var accepted = 0
        apply(transport.receive(backlog.span, accepted: &accepted))
        backlog.removeFirst(accepted)
    }

    // MARK: Output

    /// Queues that can be served now. One batch of output at a time: what does not fit is taken when this one is out.
    private var servable: QueueSet {
        batch.count == 0 ? pending : pending.subtracting(QueueSet(queue: ConsoleQueue.transmit))
    }

    /// Fills receive buffers, and copies transmit requests out as far as there is room; with the lock held.
    private func serveQueues() {
        copyOut()
        let queues = servable
        pending.subtract(queues)
        queues.forEach { queue in
            if queue == ConsoleQueue.transmit {
                apply(transport.take(queue: queue, into: &batch))
            } else {
                apply(transport.take(queue: queue, into: &answered))
            }
        }
        copyOut()
    }

    /// Copies requests into the output buffer and finishes those that are out whole; with the lock held.
    private func copyOut() {
        while current < batch.count {
            if holding && released == 0 { return }
            let work = batch[current]
            copied += append(work.request.data, from: copied)
            guard copied == work.request.data.byteCount else { return }
            copied = 0
            current += 1
            released = max(0, released - 1)
            apply(transport.finish(work.token, .ok()))
        }
        batch.removeAll()
        current = 0
        released = 0
    }

    /// Appends the bytes of `data` from `offset` on, as far as there is room, and says how many.
    private func append(_ data: Segments, from offset: Int) -> Int {
        let before = output.count
        var skip = offset
        data.forEach { buffer in
            let start = min(skip, buffer.count)
            let count = min(buffer.count - start, Self.outputRoom - output.count)
            unsafe output.append(contentsOf: UnsafeRawBufferPointer(start: buffer.base + start, count: count))
            skip -= start
        }
        return output.count - before
    }

    /// Writes some output, without the lock.
    private func writeSome() {
        let chunk = lock.locked { output.prefix(Self.chunk) }
        let written = port.write(chunk)
        lock.locked { output.removeFirst(written) }
    }

    override func emergency(_ byte: UInt8) {
        if output.count < Self.outputRoom { output.append(byte) }
        mustRing = true
    }

    /// While suspended the host's input is not listened to.
    override func suspensionChanged() { mustRing = true }

    override func cancel() {
        for index in current..<batch.count { apply(transport.finish(batch[index].token, .ioError)) }
        batch.removeAll()
        current = 0
        copied = 0
        released = 0
    }

    // MARK: Tests

    @discardableResult
    override func steer(_ command: DeviceCommand) -> Bool {
        switch command {
        case .hold: lock.locked { holding = true }
        case .release(let count): release(count)
        case .input(let bytes): return input(bytes)
        case .resize(let columns, let rows): resize(columns: columns, rows: rows)
        case .fail, .capacity, .holdResume, .ready, .deadline, .fatal: return super.steer(command)
        }
        return true
    }

    override var backendState: BackendState {
        BackendState(
            holding: holding, waiting: batch.count - current, output: output.count, input: backlog.count)
    }

    private func release(_ count: Int?) {
        lock.locked {
            holding = holding && count != nil
            released = min(batch.count - current, released + (count ?? 0))
        }
        doorbell.signal()
    }

    /// Takes input as from a terminal; false, having taken none of it, if too much waits already.
    private func input(_ bytes: [UInt8]) -> Bool {
        perform {
            guard bytes.count <= Self.inputRoom - backlog.count else { return false }
            backlog += bytes
            receive()
            return true
        }
    }

    /// The output that waits for the host, which now has it.
    func takeOutput() -> [UInt8] {
        lock.locked {
            defer { output.removeAll(keepingCapacity: true) }
            return output
        }
    }
}
