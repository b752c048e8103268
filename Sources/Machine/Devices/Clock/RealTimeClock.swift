// The clock of a PC, so that a kernel without kvm-clock knows the date: the registers of an MC146818 that tell the host's time and cannot
// set it. No alarm, no interrupt, no memory. Motorola MC146818A data sheet; the century is where PCs keep it.

import Glibc

/// The board's real-time clock, which runs in UTC.
final class RealTimeClock: @unchecked Sendable {
    /// The port of the register's number, and the port of the register.
    static let ports: ClosedRange<UInt16> = 0x70...0x71
    /// The register of the century, which the FADT names (ACPI 6.5, 5.2.9).
    static let century: UInt8 = 0x32

    private let lock = Lock()
    private let now: @Sendable () -> Int
    /// The register that is accessible; under the lock.
    private var index: UInt8 = 0

    /// A clock that tells the time of `now`, in seconds since 1970.
    init(now: @escaping @Sendable () -> Int = { time(nil) }) { self.now = now }

    /// The number of the register that is accessible: all of the clock's state.
    var selected: UInt8 {
        get { lock.locked { index } }
        set { lock.locked { index = newValue & 0x7f } }
    }

    /// The guest reads a byte; nil for the port of the number, which is only written.
    func read(_ port: UInt16) -> UInt8? {
        port == Self.ports.upperBound ? register(lock.locked { index }) : nil
    }

    /// The guest writes a byte. The registers are read-only.
    func write(_ port: UInt16, _ value: UInt8) {
        // Bit 7 of the number masks a PC's NMI.
        if port == Self.ports.lowerBound { lock.locked { index = value & 0x7f } }
    }

    /// The date that is `days` after 1 January 1970, in the Gregorian calendar. Not gmtime(3), which opens the time zone's file. Years are
    /// counted from March, so that the leap day is their last, in eras of 400 years.
    private static func date(_ days: Int) -> (year: Int, month: Int, day: Int) {
        let (era, rest) = (days + 719_468).quotientAndRemainder(dividingBy: 146_097)
        let year = (rest - rest / 1460 + rest / 36_524 - rest / 146_096) / 365
        let day = rest - (365 * year + year / 4 - year / 100)
        let month = (5 * day + 2) / 153
        return (
            400 * era + year + (month >= 10 ? 1 : 0), month < 10 ? month + 3 : month - 9,
            day - (153 * month + 2) / 5 + 1
        )
    }

    private func register(_ index: UInt8) -> UInt8 {
        switch index {
        // Register A: no update is in progress, for a read takes the time of its instant; the usual divider and rate.
        case 0x0a: return 0x26
        // Register B: 24 hours, binary-coded decimal numbers.
        case 0x0b: return 0x02
        // Register D: the time is valid.
        case 0x0d: return 0x80
        default: break
        }
        let seconds = now()
        let (second, minute, hour) = (seconds % 60, seconds / 60 % 60, seconds / 3600 % 24)
        let (year, month, day) = Self.date(seconds / 86400)
        // 1 January 1970 was a Thursday; Sunday is 1.
        let weekday = (seconds / 86400 + 4) % 7 + 1
        return switch index {
        case 0: Self.decimal(second)
        case 2: Self.decimal(minute)
        case 4: Self.decimal(hour)
        case 6: Self.decimal(weekday)
        case 7: Self.decimal(day)
        case 8: Self.decimal(month)
        case 9: Self.decimal(year % 100)
        case Self.century: Self.decimal(year / 100)
        default: 0
        }
    }

    /// A number below 100 as two decimal digits.
    private static func decimal(_ value: Int) -> UInt8 { UInt8((value / 10) << 4 | value % 10) }
}
