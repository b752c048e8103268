// Text as address and length, with the parsing that the command line needs. String would allocate.

/// Bytes in memory.
struct Text {
    var start: UInt64
    var count: UInt64

    init(start: UInt64, count: UInt64) {
        self.start = start
        self.count = count
    }

    /// A literal, at its linked address.
    init(_ literal: StaticString) {
        start = UInt64(UInt(bitPattern: unsafe literal.utf8Start))
        count = UInt64(literal.utf8CodeUnitCount)
    }

    /// The bytes at `address` up to a NUL; empty if the address is 0.
    init(terminatedAt address: UInt64) {
        start = address
        count = 0
        while address != 0, load8(address &+ count) != 0 { count &+= 1 }
    }

    subscript(index: UInt64) -> UInt8 { load8(start &+ index) }

    func hasPrefix(_ prefix: Text) -> Bool {
        guard prefix.count <= count else { return false }
        for index in 0..<prefix.count where self[index] != prefix[index] { return false }
        return true
    }

    func equals(_ other: Text) -> Bool { count == other.count && hasPrefix(other) }

    /// Removes and returns the text before the first `separator`, or all of it if there is none; removes the separator.
    mutating func removeFirst(before separator: UInt8) -> Text {
        var length: UInt64 = 0
        while length < count, self[length] != separator { length &+= 1 }
        let first = Text(start: start, count: length)
        let taken = min(length &+ 1, count)
        self = Text(start: start &+ taken, count: count &- taken)
        return first
    }

    /// Removes `prefix` if the text begins with it; returns whether it did.
    mutating func removePrefix(_ prefix: StaticString) -> Bool {
        let prefix = Text(prefix)
        guard hasPrefix(prefix) else { return false }
        self = Text(start: start &+ prefix.count, count: count &- prefix.count)
        return true
    }

    /// The text as a number: decimal or 0x, with an optional suffix K or M; nil if it is not a number of 64 bits.
    var number: UInt64? {
        var digits = self
        let radix: UInt64 = digits.removePrefix("0x") ? 16 : 10
        var value: UInt64 = 0
        var index: UInt64 = 0
        while index < digits.count, let digit = Text.digit(digits[index]), digit < radix {
            guard value <= (.max &- digit) / radix else { return nil }
            value = value &* radix &+ digit
            index &+= 1
        }
        guard index > 0 else { return nil }
        guard index < digits.count else { return value }
        guard index &+ 1 == digits.count else { return nil }
        return switch digits[index] | 0x20 {
        case UInt8(ascii: "k"): value << 10
        case UInt8(ascii: "m"): value << 20
        default: nil
        }
    }

    /// Calls `put` with the characters of the value, after 0x.
    static func hexadecimal(_ value: UInt64, _ put: (UInt8) -> Void) {
        put(UInt8(ascii: "0"))
        put(UInt8(ascii: "x"))
        var shift: UInt64 = 60
        while shift > 0, value >> shift == 0 { shift &-= 4 }
        while true {
            let digit = UInt8(truncatingIfNeeded: value >> shift) & 15
            put(digit < 10 ? UInt8(ascii: "0") &+ digit : UInt8(ascii: "a") &+ digit &- 10)
            if shift == 0 { return }
            shift &-= 4
        }
    }

    /// Calls `put` with the digits of the value.
    static func decimal(_ value: UInt64, _ put: (UInt8) -> Void) {
        var unit: UInt64 = 1
        while value / unit >= 10 { unit &*= 10 }
        while unit > 0 {
            put(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value / unit % 10))
            unit /= 10
        }
    }

    private static func digit(_ byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte &- UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte &- UInt8(ascii: "a") &+ 10)
        default: nil
        }
    }
}
