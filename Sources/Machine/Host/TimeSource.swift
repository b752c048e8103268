// Clocks. Drain deadlines use a replaceable clock; the timeout of a run uses the host's.

/// A clock.
protocol TimeSource: Sendable {
    /// The current time. It never goes back.
    var now: Instant { get }
}

/// The host's monotonic clock.
struct MonotonicTime: TimeSource {
    var now: Instant { .now }
}

/// A clock that starts at 0 and advances only by `move(to:)`.
final class SteppedTime: TimeSource, @unchecked Sendable {
    private let lock = Lock()
    private var current = Instant(nanoseconds: 0)

    var now: Instant { lock.locked { current } }

    /// Advances to `instant`; never back.
    func move(to instant: Instant) { lock.locked { current = max(current, instant) } }
}
