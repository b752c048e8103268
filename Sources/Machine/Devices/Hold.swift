// The test commands `hold` and `release`: which of the requests that a device has taken may start.

/// The requests that a test holds back.
struct Hold {
    /// Requests wait.
    private(set) var isOn = false
    /// Requests that may start nevertheless.
    private(set) var released = 0

    /// Whether the next request may start.
    var permitsNext: Bool { !isOn || released > 0 }

    /// Requests wait from here on.
    mutating func begin() { isOn = true }

    /// Lets `count` more of the `waiting` requests start; nil for all of them, and all that come.
    mutating func release(_ count: Int?, of waiting: Int) {
        isOn = isOn && count != nil
        released += min(waiting - released, count ?? waiting)
    }

    /// A request has started.
    mutating func started() { released = max(0, released - 1) }

    /// `waiting` requests are left: others were dropped.
    mutating func limit(to waiting: Int) { released = min(released, waiting) }
}
