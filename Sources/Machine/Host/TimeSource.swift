// Clocks. Only deadlines of a device's drain are on one that can be exchanged; what limits a whole run is the host's time.

/// A clock.
protocol TimeSource: Sendable {
    /// What it shows now. It never goes back.
    var now: Instant { get }
}

/// The host's monotonic clock.
struct MonotonicTime: TimeSource {
    var now: Instant { .now }
}

/// A clock that stands still until somebody moves it. It begins at 0.
final class SteppedTime: TimeSource, @unchecked Sendable {
    private let lock = Lock()
    private var current = Instant(nanoseconds: 0)

    var now: Instant { lock.locked { current } }

    /// Moves it on to `instant`; not back.
    func move(to instant: Instant) { lock.locked { current = max(current, instant) } }
}
