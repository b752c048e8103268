// The parts in which a batch is submitted, with the test's own clock: one part lasts as long as the driver needs to come back.

import Testing

@testable import Machine

@Suite("The parts of a batch")
struct BatchPartsTests {
    private var parts = BatchParts()
    /// In nanoseconds.
    private var time: UInt64 = 1_000_000

    private var now: Instant { Instant(nanoseconds: time) }

    /// Copies `bytes` in `microseconds` and completes them.
    private mutating func copy(_ bytes: Int, in microseconds: UInt64) {
        let start = now
        time += microseconds * 1000
        parts.copied(bytes, from: start, to: now)
        parts.completed(at: now)
    }

    /// The driver comes back after `microseconds`; the queues are looked at meanwhile unless the host is copying.
    private mutating func comeBack(after microseconds: UInt64, whileCopying: Bool = false) {
        if !whileCopying { parts.foundNothing() }
        time += microseconds * 1000
        parts.foundBuffers(at: now)
    }

    @Test("are small until the driver has come back once")
    mutating func first() {
        #expect(parts.size == 32 << 10)
        copy(100_000, in: 10)
        #expect(parts.size == 32 << 10)
        comeBack(after: 50)
        #expect(parts.size == 500_000)
    }

    @Test("are larger, the longer the driver takes, and never smaller than 32 KiB")
    mutating func exitCost() {
        copy(100_000, in: 10)
        comeBack(after: 1)
        #expect(parts.size == 32 << 10)
        for _ in 0..<20 {
            copy(100_000, in: 10)
            comeBack(after: 200)
        }
        #expect(1_900_000...2_000_000 ~= parts.size)
    }

    @Test("count from the first completion that the driver has not followed up")
    mutating func severalParts() {
        copy(100_000, in: 10)
        copy(100_000, in: 10)
        comeBack(after: 30)
        #expect(parts.size == 400_000)
    }

    @Test("become smaller, and not larger, when the driver came back during the copy")
    mutating func upperBound() {
        copy(100_000, in: 10)
        comeBack(after: 50)
        copy(100_000, in: 10)
        comeBack(after: 400, whileCopying: true)
        #expect(parts.size == 500_000)
        copy(100_000, in: 10)
        comeBack(after: 20, whileCopying: true)
        #expect(parts.size == 200_000)
    }

    @Test("follow an idle driver for at most a millisecond, and recover")
    mutating func idle() {
        copy(100_000, in: 10)
        comeBack(after: 5_000_000)
        #expect(parts.size == 10_000_000)
        for _ in 0..<30 {
            copy(100_000, in: 10)
            comeBack(after: 10)
        }
        #expect(90_000...110_000 ~= parts.size)
    }

    @Test("depend only on data that were copied, and survive any time and size")
    mutating func extremes() {
        parts.copied(0, from: now, to: Instant(nanoseconds: time + 1))
        parts.copied(4096, from: now, to: now)
        parts.copied(4096, from: now, to: Instant(nanoseconds: 0))
        comeBack(after: 0)
        #expect(parts.size == 32 << 10)
        parts.copied(.max, from: Instant(nanoseconds: 0), to: Instant(nanoseconds: 1))
        parts.completed(at: now)
        parts.foundBuffers(at: Instant(nanoseconds: 0))
        comeBack(after: 1000)
        _ = parts.size
    }
}
