// A 16550A's registers, as drivers try them.

import Testing

@testable import Machine

@Suite("The serial port's registers")
struct UARTTests {
    private var uart = UART()

    @Test("Bytes go out as they are written, and the transmitter is empty again")
    mutating func transmits() {
        #expect(uart.read(5) == 0x60)
        #expect(uart.write(0, 0x41) == .transmit(0x41))
        #expect(uart.read(5) == 0x60)
    }

    @Test("Without room the transmitter is busy, and its interrupt comes when there is room again")
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

    @Test("The divisor hides behind the latch bit, the scratch register keeps what it is given")
    mutating func latches() {
        _ = uart.write(3, 0x83)
        #expect(uart.write(0, 1) == .none && uart.write(1, 2) == .none)
        #expect(uart.read(0) == 1 && uart.read(1) == 2)
        _ = uart.write(3, 3)
        #expect(uart.read(1) == 0 && uart.read(3) == 3)
        _ = uart.write(7, 0xa5)
        #expect(uart.read(7) == 0xa5)
    }

    @Test("In loopback the outputs are the inputs, bytes come back, and too many are an overrun")
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

    @Test("A ring is told once, to a driver that wants to hear of the modem")
    mutating func rings() {
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
