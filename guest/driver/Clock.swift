// How long something took. The time stamp counter has no unit of its own, so it is measured once against the local
// APIC's timer, whose ticks are nanoseconds under KVM and under QEMU. For reports, not for deadlines.

/// A clock of microseconds.
struct Clock {
    private let ticksInMicrosecond: UInt64

    private static let apic: UInt64 = 0xfee0_0000

    /// Measures for half a millisecond.
    init() {
        let (masked, divideByOne): (UInt32, UInt32) = (1 << 16, 0xb)
        store32(Clock.apic &+ 0x320, masked)
        store32(Clock.apic &+ 0x3e0, divideByOne)
        store32(Clock.apic &+ 0x380, ~0)
        let start = Clock.sample()
        var nanoseconds: UInt32 = 0
        // A timer that does not count ends this by the number of looks.
        for _ in 0..<100_000 where nanoseconds < 500_000 { nanoseconds = start.count &- load32(Clock.apic &+ 0x390) }
        let end = Clock.sample()
        let microseconds = UInt64(start.count &- end.count) / 1000
        ticksInMicrosecond = max(1, (end.stamp &- start.stamp) / max(1, microseconds))
        store32(Clock.apic &+ 0x380, 0)
    }

    /// The timer's count and the time stamp of one moment: of several pairs the one that took least to read, because
    /// between the two the processor may have been somebody else's.
    private static func sample() -> (count: UInt32, stamp: UInt64) {
        var (best, width): ((count: UInt32, stamp: UInt64), UInt64) = ((0, 0), .max)
        for _ in 0..<8 {
            let before = timestamp()
            let count = load32(apic &+ 0x390)
            let after = timestamp()
            if after &- before < width { (best, width) = ((count, before), after &- before) }
        }
        return best
    }

    /// Whole microseconds since `stamp` was the time stamp.
    func microseconds(since stamp: UInt64) -> UInt64 { (timestamp() &- stamp) / ticksInMicrosecond }
}

/// Lengths of time of one kind.
struct Durations {
    private(set) var count: UInt64 = 0
    private(set) var longest: UInt64 = 0
    private var sum: UInt64 = 0

    var mean: UInt64 { count == 0 ? 0 : sum / count }

    mutating func add(_ microseconds: UInt64) {
        count &+= 1
        sum &+= microseconds
        longest = max(longest, microseconds)
    }
}
