// A set of checks, small enough to go along with a chain.

/// A set of checks.
public struct CheckSet: Equatable, Sendable {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    /// None.
    public init() {}

    init(_ checks: Check...) { for check in checks { insert(check) } }

    /// Whether `check` is one of them.
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

    /// Takes the first one out; nil when there is none.
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
