// Clocks. Only drain deadlines use one that can be exchanged; the limit of a whole run is on the host's clock.

/// A clock.
protocol TimeSource: Sendable {
    /// The present instant. It never goes back.
    var now: Instant { get }
}

/// The host's monotonic clock.
struct MonotonicTime: TimeSource {
    var now: Instant { .now }
}

/// A clock that moves only by `move`. It begins at 0.
final class SteppedTime: TimeSource, @unchecked Sendable {
    private let lock = Lock()
    private var current = Instant(nanoseconds: 0)

    var now: Instant { lock.locked { current } }

    /// Advances to `instant`; never back.
    func move(to instant: Instant) { lock.locked { current = max(current, instant) } }
}
