// The registers of the 16550A.

import Testing

@testable import Machine

@Suite("The serial port's registers")
struct UARTTests {
    private var uart = UART()

    @Test("Bytes are transmitted when they are written, and the transmitter is empty afterwards")
    mutating func transmits() {
        #expect(uart.read(5) == 0x60)
        #expect(uart.write(0, 0x41) == .transmit(0x41))
        #expect(uart.read(5) == 0x60)
    }

    @Test("Without room the transmitter is busy, and it interrupts when there is room again")
    mutating func backPressure() {
        _ = uart.write(1, 2)
        #expect(uart.cause != nil && uart.read(2) & 0xf == 2 && uart.cause == nil)
        uart.setRoom(false)
        #expect(uart.read(5) == 0 && uart.cause == nil)
        uart.setRoom(true)
        #expect(uart.read(5) == 0x60 && uart.cause != nil)
        _ = uart.write(1, 0)
        #expect(uart.cause == nil && uart.read(2) & 0xf == 1)
    }

    @Test("The divisor is accessible with the latch bit set, the scratch register keeps its value")
    mutating func latches() {
        _ = uart.write(3, 0x83)
        #expect(uart.write(0, 1) == .none && uart.write(1, 2) == .none)
        #expect(uart.read(0) == 1 && uart.read(1) == 2)
        _ = uart.write(3, 3)
        #expect(uart.read(1) == 0 && uart.read(3) == 3)
        _ = uart.write(7, 0xa5)
        #expect(uart.read(7) == 0xa5)
    }

    @Test("In loopback mode the outputs are the inputs, bytes are received, and too many cause an overrun")
    mutating func loopback() {
        #expect(uart.read(6) == 0xb0)
        _ = uart.write(4, 0x1a)  // RTS, OUT2
        #expect(uart.read(6) == 0x90)
        _ = uart.write(1, 5)
        _ = uart.write(2, 1)
        for byte: UInt8 in 0..<17 { #expect(uart.write(0, byte) == .none) }
        #expect(uart.read(2) & 0xf == 6)
        #expect(uart.read(5) & 3 == 3 && uart.read(5) & 3 == 1)
        #expect(uart.read(2) & 0xf == 4)
        for byte: UInt8 in 0..<16 { #expect(uart.read(0) == byte) }
        #expect(uart.cause == nil && uart.read(5) & 1 == 0)
    }

    @Test("The ring indicator interrupts once, if the driver enabled modem status interrupts")
    mutating func ringIndicator() {
        uart.ring()
        #expect(uart.cause == nil)
        _ = uart.write(1, 8)
        #expect(uart.cause != nil && uart.read(2) & 0xf == 0)
        #expect(uart.read(6) == 0xb4 && uart.read(6) == 0xb0 && uart.cause == nil && uart.read(2) & 0xf == 1)
    }

    @Test("A FIFO shows in IIR when it is enabled")
    mutating func fifo() {
        #expect(uart.read(2) == 1)
        _ = uart.write(2, 1)
        #expect(uart.read(2) == 0xc1)
    }

    @Test("The receiver has room for 16 bytes with its FIFO, for one without it, and for none in loopback")
    mutating func receives() {
        #expect(uart.inputRoom == 1)
        _ = uart.write(2, 1)
        #expect(uart.inputRoom == 16)
        uart.receive([1, 2, 3])
        #expect(uart.inputRoom == 13 && uart.read(5) & 1 == 1)
        _ = uart.write(4, 0x10)
        #expect(uart.inputRoom == 0)
        _ = uart.write(4, 0)
        #expect(uart.read(0) == 1 && uart.read(0) == 2 && uart.read(0) == 3)
        #expect(uart.inputRoom == 16 && uart.read(5) & 1 == 0)
    }

    @Test(
        "Input interrupts from the FIFO's trigger on, and below it as what nothing followed",
        arguments: [(0, 1), (1, 4), (2, 8), (3, 14)])
    mutating func triggers(code: UInt8, level: Int) {
        _ = uart.write(2, code << 6 | 1)
        uart.receive([0])
        #expect(uart.cause == nil)
        _ = uart.write(1, 1)
        #expect(uart.read(2) == (level == 1 ? 0xc4 : 0xcc))
        uart.receive([UInt8](repeating: 0, count: level - 1)[...])
        #expect(uart.read(2) == 0xc4)
        for _ in 0..<level { _ = uart.read(0) }
        #expect(uart.read(2) == 0xc1)
    }

    @Test("The FIFO is cleared by its bit, and by a change of the mode")
    mutating func clears() {
        for control: UInt8 in [3, 0] {
            _ = uart.write(2, 1)
            uart.receive([1, 2])
            _ = uart.write(2, control)
            #expect(uart.read(5) & 1 == 0)
        }
    }
}
