// Measures durations. The frequency of the time stamp counter is unknown, so it is calibrated once against the local
// APIC's timer, whose ticks are nanoseconds under KVM and under QEMU. For reports, not for deadlines.

/// A clock in microseconds.
struct Clock {
    private let ticksInMicrosecond: UInt64

    private static let apic: UInt64 = 0xfee0_0000

    /// Calibrates for half a millisecond.
    init() {
        let (masked, divideByOne): (UInt32, UInt32) = (1 << 16, 0xb)
        store32(Clock.apic &+ 0x320, masked)
        store32(Clock.apic &+ 0x3e0, divideByOne)
        store32(Clock.apic &+ 0x380, ~0)
        let start = Clock.sample()
        var nanoseconds: UInt32 = 0
        // The number of reads bounds the loop if the timer does not count.
        for _ in 0..<100_000 where nanoseconds < 500_000 { nanoseconds = start.count &- load32(Clock.apic &+ 0x390) }
        let end = Clock.sample()
        let microseconds = UInt64(start.count &- end.count) / 1000
        ticksInMicrosecond = max(1, (end.stamp &- start.stamp) / max(1, microseconds))
        store32(Clock.apic &+ 0x380, 0)
    }

    /// Timer count and time stamp, read together. Of eight pairs returns the one read fastest: the host may preempt the
    /// processor between the two reads.
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

    /// Whole microseconds since the time stamp `stamp`.
    func microseconds(since stamp: UInt64) -> UInt64 { (timestamp() &- stamp) / ticksInMicrosecond }
}

/// Statistics of durations, in microseconds.
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
