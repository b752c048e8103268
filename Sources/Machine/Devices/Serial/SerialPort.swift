// The board's serial port, for a kernel's early output and to wake it: a 16550A that only sends, and rings. What it sends waits in a buffer for a thread that
// writes it; while that is full the transmitter is busy, so that a slow host slows the guest down and nothing is lost.

import Glibc
import KVM

/// A serial port whose output goes to the host.
final class SerialPort: @unchecked Sendable {
    /// COM1, where kernels look for one.
    static let ports: Range<UInt16> = 0x3f8..<0x400
    /// Its interrupt, edge-triggered.
    static let gsi: UInt32 = 4
    /// Bytes that may wait for the host.
    private static let room = 64 << 10
    /// Bytes written in one call: no more than a pipe takes at once when poll calls it writable.
    private static let chunk = 4096

    private let lock = Lock()
    private let line: any InterruptLine
    private let end: ConsolePort
    private let eventFD: EventFD
    private var thread: Thread?

    // Under the lock:
    private var uart = UART()
    private var output: [UInt8] = []
    private var stopping = false

    /// A port that writes to `end`.
    init(_ end: ConsolePort, line: any InterruptLine) throws(MachineError) {
        self.end = end
        self.line = line
        do throws(KVMError) { eventFD = try EventFD() } catch { throw .kvm(error) }
        output.reserveCapacity(Self.room)
    }

    func start() throws(MachineError) {
        end.begin()
        thread = try Thread("serial") { [self] in serve() }
    }

    /// Writes what waits, for a second at most, and ends the thread.
    func stop() {
        lock.locked { stopping = true }
        eventFD.signal()
        thread.take()?.join()
        end.shut()
    }

    // MARK: The guest

    /// The guest reads the register at `port`.
    func read(_ port: UInt16) -> UInt8 {
        lock.locked {
            defer { line.set(uart.interrupts) }
            return uart.read(port - Self.ports.lowerBound)
        }
    }

    /// The guest writes the register at `port`.
    func write(_ port: UInt16, _ value: UInt8) {
        let wakes = lock.locked {
            // An interrupt that is owed again is a new edge.
            line.set(false)
            defer { line.set(uart.interrupts) }
            guard case .transmit(let byte) = uart.write(port - Self.ports.lowerBound, value),
                output.count < Self.room
            else { return false }
            output.append(byte)
            uart.setRoom(output.count < Self.room)
            return output.count == 1
        }
        if wakes { eventFD.signal() }
    }

    /// The ring indicator: wakes a system that asked for that.
    func ring() {
        lock.locked {
            line.set(false)
            uart.ring()
            line.set(uart.interrupts)
        }
    }

    // MARK: The thread

    private func serve() {
        var deadline: Instant?
        while true {
            let (next, ends) = lock.locked { (output.prefix(Self.chunk), stopping) }
            if ends {
                deadline = deadline ?? Instant.now.advanced(by: .seconds(1))
                if next.isEmpty || deadline?.millisecondsLeft == 0 { return }
            }
            var ready: [2 of pollfd] = [
                pollfd(fd: ends ? -1 : eventFD.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: next.isEmpty ? -1 : end.output ?? -1, events: Int16(POLLOUT), revents: 0),
            ]
            // Output to nobody is dropped, and not waited for.
            let isGone = !next.isEmpty && end.output == nil
            var span = ready.mutableSpan
            unsafe span.withUnsafeMutableBufferPointer {
                _ = unsafe poll($0.baseAddress, 2, isGone ? 0 : deadline?.millisecondsLeft ?? -1)
            }
            eventFD.take()
            if ready[1].revents != 0 || isGone { sent(end.write(next)) }
        }
    }

    private func sent(_ count: Int) {
        lock.locked {
            output.removeFirst(count)
            uart.setRoom(output.count < Self.room)
            line.set(uart.interrupts)
        }
    }
}
