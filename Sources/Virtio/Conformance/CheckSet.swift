/// A set of checks, as a bit mask of 128 bits.
public struct CheckSet: Equatable, Sendable {
    /// Number of checks that a set, and a device's counters, have room for.
    static let capacity = 128

    private var low: UInt64 = 0
    private var high: UInt64 = 0

    /// Creates an empty set.
    public init() {}

    init(_ checks: Check...) { for check in checks { insert(check) } }

    /// Whether the set contains `check`.
    public func contains(_ check: Check) -> Bool {
        let bit = UInt64(1) << UInt64(check.rawValue & 63)
        return (check.rawValue < 64 ? low : high) & bit != 0
    }

    mutating func insert(_ check: Check) {
        let bit = UInt64(1) << UInt64(check.rawValue & 63)
        if check.rawValue < 64 { low |= bit } else { high |= bit }
    }

    mutating func formUnion(_ other: CheckSet) {
        low |= other.low
        high |= other.high
    }

    /// Removes and returns the check with the lowest number; nil if the set is empty.
    mutating func removeFirst() -> Check? {
        if low != 0 {
            defer { low &= low - 1 }
            return Check(rawValue: UInt8(low.trailingZeroBitCount))
        }
        guard high != 0 else { return nil }
        defer { high &= high - 1 }
        return Check(rawValue: UInt8(64 + high.trailingZeroBitCount))
    }
}
