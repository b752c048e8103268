// The board's serial port, a 16550A, for kernels that have no driver of the console, or none yet, and for waking one. A thread moves bytes
// between the registers and the host end. Both directions have back-pressure: while the output buffer is full the transmitter reads as busy,
// and while the receiver's FIFO is full input stays at the host; so no byte is lost.

import Glibc
import KVM

/// A serial port with its host end.
final class SerialPort: @unchecked Sendable {
    /// The ports of COM1.
    static let ports: Range<UInt16> = 0x3f8..<0x400
    /// The interrupt of COM1, edge-triggered.
    static let gsi: UInt32 = 4
    /// Most bytes of one read or write: a pipe that poll reports as writable takes so many without blocking.
    private static let chunk = 4096

    private let lock = Lock()
    private let line: any InterruptLine
    private let end: ConsolePort
    private let eventFD: EventFD
    private let onKey: @Sendable (EscapeKeys.Action) -> Void
    private var thread: Thread?
    /// Only the thread uses them.
    private var keys: EscapeKeys?

    // Under the lock:
    private var uart = UART()
    private var output: OutputBuffer
    /// Input that the receiver had no room for.
    private var backlog: [UInt8] = []
    /// The thread does not listen for input, because the receiver has no room.
    private var isInputPaused = false
    private var stopping = false
    /// The level of the interrupt line.
    private var level = false

    /// Makes a port with the host end `end`. With `escapeKeys` its input is searched for the escape key, whose actions are passed to
    /// `onKey`.
    init(
        _ end: ConsolePort, line: any InterruptLine, escapeKeys: Bool,
        wantedText: WantedText? = nil, onKey: @escaping @Sendable (EscapeKeys.Action) -> Void
    ) throws(MachineError) {
        self.end = end
        self.line = line
        self.onKey = onKey
        keys = escapeKeys ? EscapeKeys() : nil
        output = OutputBuffer(keepsNewest: end.awaitsFirstPeer)
        output.watch = wantedText.map { TextWatch($0) }
        do throws(KVMError) { eventFD = try EventFD() } catch { throw .kvm(error) }
    }

    func start() throws(MachineError) {
        end.begin()
        thread = try Thread("serial", .console) { [self] in serve() }
    }

    /// Writes the buffered output, for a second at most, and ends the thread.
    func stop() {
        lock.locked { stopping = true }
        eventFD.signal()
        thread.take()?.join()
        end.shut()
    }

    /// Reads a terminal again, if this job is in its foreground.
    func hostChanged() { eventFD.signal() }

    // MARK: The guest

    /// The guest reads the register at `port`.
    func read(_ port: UInt16) -> UInt8 {
        let (value, wakes) = access { uart in uart.read(port - Self.ports.lowerBound) }
        if wakes { eventFD.signal() }
        return value
    }

    /// The guest writes the register at `port`.
    func write(_ port: UInt16, _ value: UInt8) {
        let (_, wakes) = access { uart in
            guard case .transmit(let byte) = uart.write(port - Self.ports.lowerBound, value) else { return }
            output.append(byte)
            uart.setRoom(output.hasRoom)
        }
        if wakes { eventFD.signal() }
    }

    /// Signals a ring-indicator change, which wakes a system that enabled that interrupt.
    func ring() { _ = access { uart in uart.ring() } }

    /// Whether a ring-indicator change interrupts the guest: it has enabled that.
    var canWake: Bool { lock.locked { uart.interruptsOnRing } }

    /// Does `body`, passes input on, and sets the interrupt line; true if the thread has new work then.
    private func access<Result>(_ body: (inout UART) -> Result) -> (Result, wakes: Bool) {
        lock.locked {
            let (wasEmpty, cause) = (output.isEmpty, uart.cause)
            let result = body(&uart)
            // Another cause needs another edge.
            if uart.cause != cause { setLine(false) }
            deliverInput()
            setLine(uart.cause != nil)
            return (result, wasEmpty && !output.isEmpty || isInputPaused && uart.inputRoom > 0)
        }
    }

    private func setLine(_ new: Bool) {
        guard new != level else { return }
        level = new
        line.set(new)
    }

    /// Gives the receiver as much of the backlog as it has room for; with the lock held.
    private func deliverInput() {
        let count = min(uart.inputRoom, backlog.count)
        guard count > 0 else { return }
        uart.receive(backlog[..<count])
        backlog.removeFirst(count)
    }

    // MARK: Snapshots

    /// The registers, and the input that waits for them, for a snapshot. Output that the host has not taken is this machine's alone.
    var saved: [UInt8] { lock.locked { uart.saved + backlog } }

    /// Continues what `saved` returned. Before `start`.
    func restore(_ state: [UInt8]) {
        _ = access { uart in
            var rest = state[...]
            uart.restore(from: &rest)
            uart.setRoom(output.hasRoom)
            backlog = Array(rest.prefix(Self.chunk))
        }
    }

    // MARK: The thread

    private func serve() {
        var deadline: Instant?
        while true {
            let (next, listens, ends) = lock.locked {
                let hasRoom = backlog.isEmpty && uart.inputRoom > 0
                isInputPaused = !hasRoom
                return (output.keepsNewest ? [] : output.bytes.prefix(Self.chunk), hasRoom || keys != nil, stopping)
            }
            if ends {
                deadline = deadline ?? Instant.now.advanced(by: .seconds(1))
                if next.isEmpty || deadline?.millisecondsLeft == 0 { return }
            }
            var ready: [3 of pollfd] = [
                pollfd(ends ? nil : eventFD.descriptor, POLLIN),
                pollfd(listens && !ends ? end.source : nil, POLLIN),
                pollfd(next.isEmpty ? nil : end.output, POLLOUT),
            ]
            // Output without a host end is dropped at once.
            let isGone = !next.isEmpty && end.output == nil
            ready.wait(isGone ? 0 : deadline?.millisecondsLeft ?? -1)
            eventFD.take()
            if ready[1].isReady { end.door == nil ? readInput() : admit() }
            if ready[2].isReady || isGone { removeWritten(end.write(next)) }
        }
    }

    private func removeWritten(_ count: Int) {
        _ = access { uart in
            output.remove(count)
            uart.setRoom(output.hasRoom)
        }
    }

    private func readInput() {
        let bytes = end.read(Self.chunk)
        // Keys are read even if the guest takes none: an escape key may stop the machine.
        let (input, actions) = keys?.filter(bytes) ?? (bytes, [])
        _ = access { _ in backlog += input.prefix(Self.chunk - backlog.count) }
        actions.forEach(onKey)
    }

    /// Accepts a peer. The first gets the output that was kept.
    private func admit() {
        end.admit()
        guard output.keepsNewest, !end.awaitsFirstPeer else { return }
        if let sentence = lock.locked({ output.firstPeerConnected() }) { Log.say("the serial port: \(sentence)") }
    }
}
