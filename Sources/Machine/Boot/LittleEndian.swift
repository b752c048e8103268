// Tables of numbers, as processors and firmware like them: little-endian, at fixed offsets.

extension [UInt8] {
    /// Appends a number, little-endian.
    mutating func append<T: FixedWidthInteger & UnsignedInteger>(_ value: T) {
        for shift in stride(from: 0, to: T.bitWidth, by: 8) { append(UInt8(truncatingIfNeeded: value >> T(shift))) }
    }

    /// Appends zeros up to an offset.
    mutating func pad(to offset: Int) { append(contentsOf: repeatElement(0, count: offset - count)) }

    /// Puts a number at `offset`, little-endian, over what is there.
    mutating func put<T: FixedWidthInteger & UnsignedInteger>(_ value: T, at offset: Int) {
        for index in 0..<T.bitWidth / 8 { self[offset + index] = UInt8(truncatingIfNeeded: value >> T(8 * index)) }
    }

    /// The little-endian number of so many bytes at `offset`; the caller has seen to it that they are there.
    func integer(at offset: Int, bytes: Int) -> UInt64 {
        self[offset..<offset + bytes].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
