// The registers of a 16550A serial port, with a byte's time of nothing. Calls go in, values come out; no thread and no file.
// National Semiconductor PC16550D data sheet.

/// A 16550A. Register offsets are 0 to 7.
struct UART: Sendable {
    /// What a register write asks for.
    enum Effect: Equatable {
        case none
        /// A byte goes out.
        case transmit(UInt8)
    }

    private static let receiveDepth = 16

    // Register bits by their names in the data sheet.
    private enum Line { static let dataReady: UInt8 = 1, overrun: UInt8 = 2, empty: UInt8 = 0x60 }
    private enum Enable {
        static let received: UInt8 = 1, transmitEmpty: UInt8 = 2, lineStatus: UInt8 = 4, modemStatus: UInt8 = 8
    }
    /// The ring indicator has gone off (TERI).
    private static let rang: UInt8 = 4
    private static let divisorLatch: UInt8 = 0x80
    private static let loopback: UInt8 = 0x10

    /// There is room for a byte to go out. While there is none the transmitter reads as busy, and a driver waits.
    private(set) var hasRoom = true

    private var interruptEnable: UInt8 = 0
    private var hasFIFO = false
    private var lineControl: UInt8 = 0
    private var modemControl: UInt8 = 0
    private var scratch: UInt8 = 0
    private var divisor: (low: UInt8, high: UInt8) = (12, 0)
    private var received: [UInt8] = []
    private var overran = false
    /// The transmitter became empty, and the driver has not been told.
    private var owesEmpty = false
    /// The telephone rang, and nobody has looked.
    private var hasRung = false

    /// What IIR would tell, without the bit for none; nil for nothing.
    private var cause: UInt8? {
        if interruptEnable & Enable.lineStatus != 0, overran { return 6 }
        if interruptEnable & Enable.received != 0, !received.isEmpty { return 4 }
        if interruptEnable & Enable.transmitEmpty != 0, owesEmpty { return 2 }
        if interruptEnable & Enable.modemStatus != 0, hasRung { return 0 }
        return nil
    }

    /// The interrupt output.
    var interrupts: Bool { cause != nil }

    /// Bytes can go out again, or no more for now.
    mutating func setRoom(_ room: Bool) {
        if room && !hasRoom { owesEmpty = true }
        hasRoom = room
    }

    /// The telephone rings once: the classic way to wake a machine.
    mutating func ring() { hasRung = true }

    mutating func read(_ offset: UInt16) -> UInt8 {
        switch offset {
        case 0 where latchesDivisor: return divisor.low
        case 0: return received.isEmpty ? 0 : received.removeFirst()
        case 1: return latchesDivisor ? divisor.high : interruptEnable
        case 2:
            let cause = cause
            if cause == 2 { owesEmpty = false }
            return (cause ?? 1) | (hasFIFO ? 0xc0 : 0)
        case 3: return lineControl
        case 4: return modemControl
        case 5:
            defer { overran = false }
            return (received.isEmpty ? 0 : Line.dataReady) | (overran ? Line.overrun : 0) | (hasRoom ? Line.empty : 0)
        case 6:
            defer { hasRung = false }
            return modemStatus | (hasRung ? Self.rang : 0)
        default: return scratch
        }
    }

    mutating func write(_ offset: UInt16, _ value: UInt8) -> Effect {
        switch offset {
        case 0 where latchesDivisor: divisor.low = value
        case 0: return send(value)
        case 1 where latchesDivisor: divisor.high = value
        case 1:
            if value & ~interruptEnable & Enable.transmitEmpty != 0 && hasRoom { owesEmpty = true }
            interruptEnable = value & 0xf
        case 2:
            hasFIFO = value & 1 != 0
            if value & 2 != 0 { received.removeAll() }
        case 3: lineControl = value
        case 4: modemControl = value & 0x1f
        case 7: scratch = value
        default: break  // the status registers
        }
        return .none
    }

    private var latchesDivisor: Bool { lineControl & Self.divisorLatch != 0 }

    /// The other side is always ready; in loopback it is this side's own outputs.
    private var modemStatus: UInt8 {
        guard modemControl & Self.loopback != 0 else { return 0xb0 }
        // DTR, RTS, OUT1, OUT2 show as DSR, CTS, RI, DCD.
        let outputs = modemControl
        return (outputs & 1) << 5 | (outputs & 2) << 3 | (outputs & 4) << 4 | (outputs & 8) << 4
    }

    /// A byte is out as soon as it is written.
    private mutating func send(_ byte: UInt8) -> Effect {
        owesEmpty = hasRoom
        guard modemControl & Self.loopback != 0 else { return .transmit(byte) }
        if received.count < Self.receiveDepth { received.append(byte) } else { overran = true }
        return .none
    }
}
