// The size of the parts in which a batch of transfers from the page cache is submitted. No clock: the caller supplies the time.

/// Sizes the parts of a batch. The host copies a part during its submission, then its requests are completed, and the driver processes
/// them while the next part is copied. An interrupt costs the driver exits, so a part lasts as long as the driver needs to come back:
/// with smaller parts the driver would be interrupted more often than it can process, with larger ones it would wait.
struct BatchParts {
    /// The smallest part, and every part until both quantities are known.
    static let minimumBytes = 32 << 10
    /// A driver that takes longer is idle; in nanoseconds.
    private static let longestReturn: UInt64 = 1_000_000

    /// Nanoseconds from the completion of requests to the driver's next available buffers.
    private var returnTime: UInt64?
    /// Bytes that the host copies in a microsecond.
    private var copyRate: UInt64?
    /// When the first requests were completed that the driver has not followed up with buffers.
    private var completed: Instant?
    /// The queues were empty since then.
    private var wasEmpty = false

    /// Bytes of the next part.
    var size: Int {
        guard let returnTime, let copyRate else { return Self.minimumBytes }
        let bytes = returnTime.multipliedReportingOverflow(by: copyRate)
        return bytes.overflow ? .max : max(Self.minimumBytes, Int(clamping: bytes.partialValue / 1000))
    }

    /// A part of which `bytes` were copied was submitted between `start` and `end`.
    mutating func copied(_ bytes: Int, from start: Instant, to end: Instant) {
        guard bytes > 0, end > start else { return }
        let rate = UInt64(min(bytes, 1 << 40)) * 1000 / (end.nanoseconds - start.nanoseconds)
        copyRate = Self.average(copyRate, rate)
    }

    /// Requests were completed.
    mutating func completed(at now: Instant) {
        if completed == nil { completed = now }
    }

    /// The queues were empty.
    mutating func foundNothing() { wasEmpty = true }

    /// The queues had available buffers.
    mutating func foundBuffers(at now: Instant) {
        guard let began = completed.take() else { return }
        let elapsed = min(now.nanoseconds - min(began, now).nanoseconds, Self.longestReturn)
        // Without an empty queue in between the driver came back while the host was copying: `elapsed` is an upper bound.
        returnTime = wasEmpty ? Self.average(returnTime, elapsed) : min(returnTime ?? elapsed, elapsed)
        wasEmpty = false
    }

    /// The mean, with a weight of a quarter for the new value.
    private static func average(_ mean: UInt64?, _ value: UInt64) -> UInt64 {
        mean.map { ($0 / 4) * 3 + value / 4 } ?? value
    }
}
