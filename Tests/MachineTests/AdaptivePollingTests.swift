// How long a worker polls for its driver before it sleeps, with the test's own clock.

import Testing

@testable import Machine

@Suite("A worker that waits for its driver")
struct AdaptivePollingTests {
    private var polling = AdaptivePolling()

    /// Has no work from `start` on, and work after `pause`. Returns how long the worker polled. All in microseconds.
    private mutating func wait(from start: UInt64, _ pause: UInt64) -> UInt64 {
        var polled: UInt64 = 0
        for elapsed in 0..<pause {
            guard polling.shouldPoll(at: Instant(nanoseconds: (start + elapsed) * 1000)) else { break }
            polled += 1
        }
        polling.end(at: Instant(nanoseconds: (start + pause) * 1000))
        return polled
    }

    @Test("sleeps at once, until a driver came back soon")
    mutating func firstSleeps() {
        #expect(wait(from: 0, 100) == 0)
        #expect(wait(from: 1000, 30) == 30)
        #expect(wait(from: 2000, 79) == 79)
    }

    @Test("sleeps after 80 us, and then at once, when a driver is slow")
    mutating func slowDriver() {
        _ = wait(from: 0, 10)
        #expect(wait(from: 1000, 400) == 80)
        #expect(wait(from: 2000, 400) == 0)
        #expect(wait(from: 3000, 119) == 0)
        #expect(wait(from: 4000, 119) == 80)
    }

    @Test("does not count the time of work as waiting")
    mutating func work() {
        _ = wait(from: 0, 10)
        polling.end(at: Instant(nanoseconds: 5_000_000))
        #expect(wait(from: 6000, 400) == 80)
    }
}
