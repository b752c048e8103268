// A mutual exclusion lock: pthread's, not Synchronization.Mutex, because ThreadSanitizer supports it, and a condition variable
// can wait on it.

import Glibc

/// A non-recursive lock with one condition variable.
@safe final class Lock: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    init() {
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// Runs `body` with the lock held.
    func locked<Result: ~Copyable, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// Runs `body` with the lock held, unless it is held already.
    func lockedIfFree(_ body: () -> Void) {
        guard unsafe pthread_mutex_trylock(mutex) == 0 else { return }
        defer { unsafe pthread_mutex_unlock(mutex) }
        body()
    }

    /// Releases the lock until a broadcast, and takes it again; to be called with the lock held, in a loop around the awaited fact.
    func wait() { unsafe pthread_cond_wait(condition, mutex) }

    /// Waits for a broadcast until `deadline` at the latest; false once that has passed.
    func wait(until deadline: Instant) -> Bool {
        var time = deadline.timespec
        return unsafe pthread_cond_timedwait(condition, mutex, &time) != ETIMEDOUT
    }

    /// The same, for `milliseconds` at most.
    func wait(milliseconds: UInt64) { _ = wait(until: Instant.now.advanced(byNanoseconds: milliseconds * 1_000_000)) }

    /// Wakes every thread that waits.
    func broadcast() { unsafe pthread_cond_broadcast(condition) }
}

/// A point on the monotonic clock, in nanoseconds.
struct Instant: Comparable, Sendable {
    /// Since an unspecified point before the process.
    let nanoseconds: UInt64

    /// The current time of the host's monotonic clock.
    static var now: Instant {
        var time = Glibc.timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    var timespec: timespec {
        Glibc.timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    }

    /// The point `duration` later, at most `endOfTime`.
    func advanced(by duration: Duration) -> Instant {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, seconds < 1 << 32 else { return .endOfTime }
        return advanced(byNanoseconds: UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000))
    }

    /// The point `step` nanoseconds later, at most `endOfTime`.
    func advanced(byNanoseconds step: UInt64) -> Instant {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(step)
        return overflow ? .endOfTime : min(Instant(nanoseconds: sum), .endOfTime)
    }

    /// Later than any clock shows.
    static let endOfTime = Instant(nanoseconds: .max >> 1)

    /// Milliseconds from now until this point, rounded up, at most a day; 0 if it has passed. For `poll`.
    var millisecondsLeft: Int32 { milliseconds(from: .now) }

    /// Milliseconds from `now` until this point, likewise.
    func milliseconds(from now: Instant) -> Int32 {
        guard self > now else { return 0 }
        return Int32(min((nanoseconds - now.nanoseconds + 999_999) / 1_000_000, 86_400_000))
    }

    static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }
}
