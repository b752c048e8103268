// Numbers and bytes as qtest and GDB's remote protocol write them: C's strtoull with base 0, hexadecimal, and base64 (RFC 4648, 4).

/// A word of a line.
typealias Word = ArraySlice<UInt8>

extension Word {
    /// The word as text, for messages and names.
    var text: String { String(decoding: self, as: UTF8.self) }

    /// The whole word as a number: decimal, hexadecimal after `0x`, octal after `0`, with an optional sign. A negative number is
    /// taken modulo 2^64, as strtoull does. Nil if the word is not a number or needs more than 64 bits.
    var number: UInt64? {
        guard let (magnitude, isNegative) = signedMagnitude else { return nil }
        return isNegative ? 0 &- magnitude : magnitude
    }

    /// The whole word as a signed number; nil if its magnitude needs more than 63 bits.
    var signedNumber: Int64? {
        guard let (magnitude, isNegative) = signedMagnitude, let value = Int64(exactly: magnitude) else { return nil }
        return isNegative ? -value : value
    }

    private var signedMagnitude: (magnitude: UInt64, isNegative: Bool)? {
        var digits = self
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative || digits.first == UInt8(ascii: "+") { digits.removeFirst() }
        var base: UInt64 = 10
        if let rest = digits.afterHexPrefix {
            (digits, base) = (rest, 16)
        } else if digits.count > 1, digits.first == UInt8(ascii: "0") {
            (digits, base) = (digits.dropFirst(), 8)
        }
        guard !digits.isEmpty else { return nil }
        var value: UInt64 = 0
        for character in digits {
            guard let digit = character.hexadecimalDigit, UInt64(digit) < base else { return nil }
            let (product, tooBig) = value.multipliedReportingOverflow(by: base)
            let (sum, overflow) = product.addingReportingOverflow(UInt64(digit))
            if tooBig || overflow { return nil }
            value = sum
        }
        return (value, isNegative)
    }

    /// A number of 1 to 16 hexadecimal digits; nil for anything else.
    var hexadecimalNumber: UInt64? {
        guard 1...16 ~= count, allSatisfy({ $0.hexadecimalDigit != nil }) else { return nil }
        return reduce(0) { $0 << 4 | UInt64($1.hexadecimalDigit ?? 0) }
    }

    /// What is in front of the first `separator`, and what is behind it; nil without one.
    func cut(_ separator: Unicode.Scalar) -> (first: Word, rest: Word?) {
        let first = prefix { $0 != UInt8(ascii: separator) }
        return (first, first.endIndex == endIndex ? nil : suffix(from: first.endIndex + 1))
    }

    /// The word decoded as `0x` and two hexadecimal digits a byte; nil if it has another form.
    var hexadecimalBytes: [UInt8]? { afterHexPrefix?.hexadecimalPairs }

    /// The word decoded as two hexadecimal digits a byte; nil if it has another form.
    var hexadecimalPairs: [UInt8]? {
        guard count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count / 2)
        for index in stride(from: startIndex, to: endIndex, by: 2) {
            guard let high = self[index].hexadecimalDigit, let low = self[index + 1].hexadecimalDigit else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    /// The word decoded as base64 with padding; nil if it has another form.
    var base64Bytes: [UInt8]? {
        guard count % 4 == 0 else { return nil }
        let padding = reversed().prefix(2).prefix { $0 == UInt8(ascii: "=") }.count
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count / 4 * 3)
        var bits: UInt32 = 0
        var held = 0
        for character in dropLast(padding) {
            guard let value = character.base64Value else { return nil }
            bits = bits << 6 | UInt32(value)
            held += 6
            guard held >= 8 else { continue }
            held -= 8
            bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(held)))
            bits &= 1 << UInt32(held) - 1
        }
        return bytes
    }

    private var afterHexPrefix: Word? {
        guard count > 2, first == UInt8(ascii: "0"), self[startIndex + 1] | 0x20 == UInt8(ascii: "x") else {
            return nil
        }
        return dropFirst(2)
    }
}

extension [UInt8] {
    private static let digits = Array("0123456789abcdef".utf8)
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Two hexadecimal digits a byte, without a prefix.
    var hexadecimal: String {
        var text: [UInt8] = []
        text.reserveCapacity(2 * count)
        for byte in self {
            text.append(Self.digits[Int(byte >> 4)])
            text.append(Self.digits[Int(byte & 0xf)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Base64, with padding.
    var base64: String {
        var text: [UInt8] = []
        text.reserveCapacity((count + 2) / 3 * 4)
        for start in stride(from: 0, to: count, by: 3) {
            let group = self[start..<Swift.min(start + 3, count)]
            var bits: UInt32 = 0
            for place in 0..<3 { bits = bits << 8 | UInt32(place < group.count ? group[start + place] : 0) }
            for place in 0..<4 {
                let value = Int(bits >> UInt32(18 - 6 * place) & 0x3f)
                text.append(place <= group.count ? Self.alphabet[value] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension UInt8 {
    /// The value of a hexadecimal digit of either case.
    /// The value of a hexadecimal digit; nil for another character.
    var hexadecimalDigit: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    fileprivate var base64Value: UInt8? {
        switch self {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): self - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): self - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
