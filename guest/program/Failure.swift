// Why a check did not pass, and the waits and comparisons that say so.

/// Why a check did not pass.
enum Failure: Error {
    case unexpected(StaticString, expected: UInt64, actual: UInt64)
    case timeout(StaticString)
    case skipped(StaticString)
}

/// The end of a wait, by the time stamp counter: a few seconds on any machine.
struct Deadline {
    private let start = timestamp()

    var passed: Bool { timestamp() &- start > 1 << 34 }
}

/// Fails the check unless both numbers are the same. `what` names the value, not the rule.
func expect(_ actual: some BinaryInteger, _ expected: some BinaryInteger, _ what: StaticString) throws(Failure) {
    try expectSame(UInt64(truncatingIfNeeded: actual), UInt64(truncatingIfNeeded: expected), what)
}

/// Out of line, because everything calls it.
@inline(never)
private func expectSame(_ actual: UInt64, _ expected: UInt64, _ what: StaticString) throws(Failure) {
    if actual != expected { throw .unexpected(what, expected: expected, actual: actual) }
}

/// Fails the check unless `condition` holds.
func expect(_ condition: Bool, _ what: StaticString) throws(Failure) {
    try expectSame(condition ? 1 : 0, 1, what)
}

/// Waits until `condition` holds; fails the check with `what` when the deadline passes first.
@inline(never)
func wait(_ what: StaticString, until condition: () -> Bool) throws(Failure) {
    let deadline = Deadline()
    while !condition() {
        if deadline.passed { throw .timeout(what) }
    }
}

/// Fails the check unless `value` stays the same for as long as many reads of a device register take: time in which the
/// device could do what it must not.
@inline(never)
func expectUnchanged(_ device: MMIODevice, _ what: StaticString, _ value: () -> UInt64) throws(Failure) {
    let before = value()
    for _ in 0..<50 {
        _ = device.status
        try expect(value(), before, what)
    }
}
