/// A set of checks, as a bit mask of 128 bits.
public struct CheckSet: Equatable, Sendable {
    /// Number of checks that a set, and a device's counters, have room for.
    static let capacity = 128

    private var bits: UInt128 = 0

    /// Creates an empty set.
    public init() {}

    init(_ checks: Check...) { for check in checks { insert(check) } }

    var isEmpty: Bool { bits == 0 }

    /// Whether the set contains `check`.
    public func contains(_ check: Check) -> Bool { bits & Self.bit(check) != 0 }

    @inline(always)
    mutating func insert(_ check: Check) { bits |= Self.bit(check) }

    mutating func formUnion(_ other: CheckSet) { bits |= other.bits }

    @inline(always)
    private static func bit(_ check: Check) -> UInt128 { 1 &<< UInt128(check.rawValue) }

    /// Removes and returns the check with the lowest number; nil if the set is empty.
    mutating func removeFirst() -> Check? {
        guard bits != 0 else { return nil }
        defer { bits &= bits - 1 }
        return Check(rawValue: UInt8(bits.trailingZeroBitCount))
    }
}
