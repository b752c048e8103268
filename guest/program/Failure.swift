// The error of a check that did not pass, and the waits and comparisons that throw it.

/// Reason why a check did not pass.
enum Failure: Error {
    case unexpected(StaticString, expected: UInt64, actual: UInt64)
    case timeout(StaticString)
    case skipped(StaticString)
}

/// Deadline of a wait, measured with the time stamp counter: a few seconds on any machine.
struct Deadline {
    private let start = timestamp()
    private let cycles: UInt64

    /// `times` as long as usual.
    init(times: UInt64 = 1) { cycles = times << 34 }

    var passed: Bool { timestamp() &- start > cycles }
}

/// Fails the check unless both numbers are equal. `what` names the value, not the rule.
func expect(_ actual: some BinaryInteger, _ expected: some BinaryInteger, _ what: StaticString) throws(Failure) {
    try expectSame(UInt64(truncatingIfNeeded: actual), UInt64(truncatingIfNeeded: expected), what)
}

/// Not inlined, because every check calls it.
@inline(never)
private func expectSame(_ actual: UInt64, _ expected: UInt64, _ what: StaticString) throws(Failure) {
    if actual != expected { throw .unexpected(what, expected: expected, actual: actual) }
}

/// Fails the check unless `condition` holds.
func expect(_ condition: Bool, _ what: StaticString) throws(Failure) {
    try expectSame(condition ? 1 : 0, 1, what)
}

/// Waits until `condition` holds. Fails the check with `what` if the deadline passes first.
@inline(never)
func wait(_ what: StaticString, until condition: () -> Bool) throws(Failure) {
    let deadline = Deadline()
    while !condition() {
        if deadline.passed { throw .timeout(what) }
    }
}

/// Fails the check if `value` changes during 50 reads of a device register. The reads give the device time to make a
/// change that is not allowed.
@inline(never)
func expectUnchanged(_ device: MMIODevice, _ what: StaticString, _ value: () -> UInt64) throws(Failure) {
    let before = value()
    for _ in 0..<50 {
        _ = device.status
        try expect(value(), before, what)
    }
}
