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
        #expect(uart.interrupts && uart.read(2) & 0xf == 2 && !uart.interrupts)
        uart.setRoom(false)
        #expect(uart.read(5) == 0 && !uart.interrupts)
        uart.setRoom(true)
        #expect(uart.read(5) == 0x60 && uart.interrupts)
        _ = uart.write(1, 0)
        #expect(!uart.interrupts && uart.read(2) & 0xf == 1)
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
        for byte: UInt8 in 0..<17 { #expect(uart.write(0, byte) == .none) }
        #expect(uart.read(2) & 0xf == 6)
        #expect(uart.read(5) & 3 == 3 && uart.read(5) & 3 == 1)
        #expect(uart.read(2) & 0xf == 4)
        for byte: UInt8 in 0..<16 { #expect(uart.read(0) == byte) }
        #expect(!uart.interrupts && uart.read(5) & 1 == 0)
    }

    @Test("The ring indicator interrupts once, if the driver enabled modem status interrupts")
    mutating func ringIndicator() {
        uart.ring()
        #expect(!uart.interrupts)
        _ = uart.write(1, 8)
        #expect(uart.interrupts && uart.read(2) & 0xf == 0)
        #expect(uart.read(6) == 0xb4 && uart.read(6) == 0xb0 && !uart.interrupts && uart.read(2) & 0xf == 1)
    }

    @Test("A FIFO shows in IIR when it is enabled")
    mutating func fifo() {
        #expect(uart.read(2) == 1)
        _ = uart.write(2, 1)
        #expect(uart.read(2) == 0xc1)
    }
}
