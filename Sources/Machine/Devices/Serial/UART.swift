// The registers of a 16550A serial port that transmits a byte in no time, and takes input when it has room. Sans-I/O: no thread, no file.
// National Semiconductor PC16550D data sheet.

/// A 16550A. Register offsets are 0 to 7.
struct UART: Sendable {
    /// The effect of a register write.
    enum Effect: Equatable {
        case none
        /// Transmit a byte.
        case transmit(UInt8)
    }

    /// Bytes of the receiver's FIFO. Without it there is one.
    private static let depth = 16
    /// The fill at which the FIFO interrupts, by the upper two bits of its control register.
    private static let triggers = [1, 4, 8, 14]

    // Register bits by their names in the data sheet.
    private enum Line { static let dataReady: UInt8 = 1, overrun: UInt8 = 2, empty: UInt8 = 0x60 }
    private enum Enable {
        static let received: UInt8 = 1, transmitEmpty: UInt8 = 2, lineStatus: UInt8 = 4, modemStatus: UInt8 = 8
    }
    /// Trailing edge of the ring indicator (TERI), in the modem status register.
    private static let trailingEdgeRing: UInt8 = 4
    private static let divisorLatch: UInt8 = 0x80
    private static let loopback: UInt8 = 0x10

    /// Whether a byte can be transmitted. While it cannot, the transmitter reads as busy.
    private(set) var hasRoom = true

    private var interruptEnable: UInt8 = 0
    private var hasFIFO = false
    private var trigger = 1
    private var lineControl: UInt8 = 0
    private var modemControl: UInt8 = 0
    private var scratch: UInt8 = 0
    private var divisor: (low: UInt8, high: UInt8) = (12, 0)
    private var received: [UInt8] = []
    private var hasOverrun = false
    /// The transmitter became empty, and the driver has not yet read that interrupt (THRE).
    private var emptyInterruptPending = false
    /// Ring-indicator change (TERI) not yet read by the driver.
    private var ringChangePending = false

    /// The interrupt with the highest priority, as IIR encodes it; nil if none is pending.
    var cause: UInt8? {
        if interruptEnable & Enable.lineStatus != 0, hasOverrun { return 6 }
        // Below the trigger it is the interrupt of the time for which nothing came: our bytes come at once, and then no more.
        if interruptEnable & Enable.received != 0, !received.isEmpty { return received.count >= trigger ? 4 : 0xc }
        if interruptEnable & Enable.transmitEmpty != 0, emptyInterruptPending { return 2 }
        if interruptEnable & Enable.modemStatus != 0, ringChangePending { return 0 }
        return nil
    }

    /// Whether a ring-indicator change raises the interrupt output.
    var interruptsOnRing: Bool { interruptEnable & Enable.modemStatus != 0 }

    /// Sets whether a byte can be transmitted.
    mutating func setRoom(_ room: Bool) {
        if room && !hasRoom { emptyInterruptPending = true }
        hasRoom = room
    }

    /// How many bytes of input can be received now. In loopback there is none.
    var inputRoom: Int { isLoopback ? 0 : room }
    private var room: Int { (hasFIFO ? Self.depth : 1) - received.count }

    /// Receives input, at most `inputRoom` bytes.
    mutating func receive(_ bytes: ArraySlice<UInt8>) { received += bytes }

    /// Pulses the ring indicator.
    mutating func ring() { ringChangePending = true }

    mutating func read(_ offset: UInt16) -> UInt8 {
        switch offset {
        case 0 where latchesDivisor: return divisor.low
        case 0: return received.isEmpty ? 0 : received.removeFirst()
        case 1: return latchesDivisor ? divisor.high : interruptEnable
        case 2:
            let cause = cause
            if cause == 2 { emptyInterruptPending = false }
            return (cause ?? 1) | (hasFIFO ? 0xc0 : 0)
        case 3: return lineControl
        case 4: return modemControl
        case 5:
            defer { hasOverrun = false }
            return (received.isEmpty ? 0 : Line.dataReady) | (hasOverrun ? Line.overrun : 0)
                | (hasRoom ? Line.empty : 0)
        case 6:
            defer { ringChangePending = false }
            return modemStatus | (ringChangePending ? Self.trailingEdgeRing : 0)
        default: return scratch
        }
    }

    mutating func write(_ offset: UInt16, _ value: UInt8) -> Effect {
        switch offset {
        case 0 where latchesDivisor: divisor.low = value
        case 0: return send(value)
        case 1 where latchesDivisor: divisor.high = value
        case 1:
            if value & ~interruptEnable & Enable.transmitEmpty != 0 && hasRoom { emptyInterruptPending = true }
            interruptEnable = value & 0xf
        case 2:
            // A change of the mode clears the FIFO, as its own bit does.
            if value & 2 != 0 || hasFIFO != (value & 1 != 0) { received.removeAll() }
            hasFIFO = value & 1 != 0
            trigger = hasFIFO ? Self.triggers[Int(value >> 6)] : 1
        case 3: lineControl = value
        case 4: modemControl = value & 0x1f
        case 7: scratch = value
        default: break  // the status registers are read-only
        }
        return .none
    }

    // MARK: Snapshots

    /// Eight bytes of registers, then the receiver's contents with their number in front.
    var saved: [UInt8] {
        let flags = [hasRoom, hasFIFO, hasOverrun, emptyInterruptPending, ringChangePending]
        let bits = flags.indices.reduce(0 as UInt8) { flags[$1] ? $0 | 1 << UInt8($1) : $0 }
        return [
            bits, interruptEnable, UInt8(trigger), lineControl, modemControl, scratch, divisor.low, divisor.high,
            UInt8(received.count),
        ] + received
    }

    /// Restores `saved`, and removes it from the front of `state`; no effect if it is cut.
    mutating func restore(from state: inout ArraySlice<UInt8>) {
        let bytes = Array(state.prefix(9))
        guard bytes.count == 9, Int(bytes[8]) <= Self.depth, state.count >= 9 + Int(bytes[8]) else { return }
        func flag(_ index: Int) -> Bool { bytes[0] & 1 << UInt8(index) != 0 }
        (hasRoom, hasFIFO, hasOverrun) = (flag(0), flag(1), flag(2))
        (emptyInterruptPending, ringChangePending) = (flag(3), flag(4))
        (interruptEnable, trigger, lineControl) = (bytes[1], Int(bytes[2]), bytes[3])
        (modemControl, scratch, divisor) = (bytes[4], bytes[5], (bytes[6], bytes[7]))
        received = Array(state.dropFirst(9).prefix(Int(bytes[8])))
        state = state.dropFirst(9 + received.count)
    }

    private var latchesDivisor: Bool { lineControl & Self.divisorLatch != 0 }
    private var isLoopback: Bool { modemControl & Self.loopback != 0 }

    /// DCD, DSR and CTS are always set; in loopback the inputs are the port's own outputs.
    private var modemStatus: UInt8 {
        guard isLoopback else { return 0xb0 }
        // DTR, RTS, OUT1, OUT2 are looped back to DSR, CTS, RI, DCD.
        let outputs = modemControl
        return (outputs & 1) << 5 | (outputs & 2) << 3 | (outputs & 4) << 4 | (outputs & 8) << 4
    }

    /// Transmits a byte, which is complete at once.
    private mutating func send(_ byte: UInt8) -> Effect {
        emptyInterruptPending = hasRoom
        guard isLoopback else { return .transmit(byte) }
        if room > 0 { received.append(byte) } else { hasOverrun = true }
        return .none
    }
}
