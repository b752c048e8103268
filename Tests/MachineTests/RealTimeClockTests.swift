// The registers of the real-time clock.

import Testing

@testable import Machine

@Suite("The real-time clock")
struct RealTimeClockTests {
    private func registers(_ numbers: [UInt8], at seconds: Int) -> [UInt8?] {
        let clock = RealTimeClock { seconds }
        return numbers.map {
            clock.write(0x70, $0)
            return clock.read(0x71)
        }
    }

    @Test(
        "The time is in decimal digits, with the century and the day of the week",
        arguments: [
            (0, [0x00, 0x00, 0x00, 0x05, 0x01, 0x01, 0x70, 0x19]),  // Thursday, 1 January 1970
            (951_868_799, [0x59, 0x59, 0x23, 0x03, 0x29, 0x02, 0x00, 0x20]),  // Tuesday, 29 February 2000, 23:59:59
            (1_767_225_599, [0x59, 0x59, 0x23, 0x04, 0x31, 0x12, 0x25, 0x20]),  // Wednesday, 31 December 2025, 23:59:59
            (4_102_444_800, [0x00, 0x00, 0x00, 0x06, 0x01, 0x01, 0x00, 0x21]),  // Friday, 1 January 2100
        ])
    func time(seconds: Int, digits: [UInt8]) {
        #expect(registers([0, 2, 4, 6, 7, 8, 9, 0x32], at: seconds) == digits)
    }

    @Test("No update is in progress, hours are 0 to 23, the time is valid, and bit 7 of the number is not part of it")
    func status() {
        #expect(registers([0x0a, 0x0b, 0x0c, 0x0d, 0x8d, 1, 0x7f], at: 0) == [0x26, 0x02, 0, 0x80, 0x80, 0, 0])
    }

    @Test("The time cannot be set, and the port of the number cannot be read")
    func readOnly() {
        let clock = RealTimeClock { 59 }
        clock.write(0x71, 0x12)
        #expect(clock.read(0x71) == 0x59 && clock.read(0x70) == nil)
    }
}
