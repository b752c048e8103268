// The board's serial port, for a kernel's early output and for waking it: a 16550A that only transmits and has a ring indicator.
// A thread writes the output from a buffer. While the buffer is full the transmitter reads as busy, so a slow host slows the guest
// down and no byte is lost.

import Glibc
import KVM

/// A serial port whose output goes to the host.
final class SerialPort: @unchecked Sendable {
    /// The ports of COM1.
    static let ports: Range<UInt16> = 0x3f8..<0x400
    /// The interrupt of COM1, edge-triggered.
    static let gsi: UInt32 = 4
    /// Bytes of the output buffer.
    private static let capacity = 64 << 10
    /// Most bytes of one write: a pipe that poll reports as writable takes so many without blocking.
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

    /// Makes a port that writes to `end`.
    init(_ end: ConsolePort, line: any InterruptLine) throws(MachineError) {
        self.end = end
        self.line = line
        do throws(KVMError) { eventFD = try EventFD() } catch { throw .kvm(error) }
        output.reserveCapacity(Self.capacity)
    }

    func start() throws(MachineError) {
        end.begin()
        thread = try Thread("serial") { [self] in serve() }
    }

    /// Writes the buffered output, for a second at most, and ends the thread.
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
            // A new cause needs a new edge.
            line.set(false)
            defer { line.set(uart.interrupts) }
            guard case .transmit(let byte) = uart.write(port - Self.ports.lowerBound, value),
                output.count < Self.capacity
            else { return false }
            output.append(byte)
            uart.setRoom(output.count < Self.capacity)
            return output.count == 1
        }
        if wakes { eventFD.signal() }
    }

    /// Signals a ring-indicator change, which wakes a system that enabled that interrupt.
    func ring() {
        lock.locked {
            line.set(false)
            uart.ring()
            line.set(uart.interrupts)
        }
    }

    /// Whether a ring-indicator change interrupts the guest: it has enabled that.
    var canWake: Bool { lock.locked { uart.interruptsOnRing } }

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
            // Output without a host end is dropped at once.
            let isGone = !next.isEmpty && end.output == nil
            var span = ready.mutableSpan
            unsafe span.withUnsafeMutableBufferPointer {
                _ = unsafe poll($0.baseAddress, 2, isGone ? 0 : deadline?.millisecondsLeft ?? -1)
            }
            eventFD.take()
            if ready[1].revents != 0 || isGone { removeWritten(end.write(next)) }
        }
    }

    private func removeWritten(_ count: Int) {
        lock.locked {
            output.removeFirst(count)
            uart.setRoom(output.count < Self.capacity)
            line.set(uart.interrupts)
        }
    }
}
