// Little-endian numbers at fixed offsets in byte arrays, for the tables of processors and firmware.

extension [UInt8] {
    /// Appends a number, little-endian.
    mutating func append<T: FixedWidthInteger & UnsignedInteger>(_ value: T) {
        for shift in stride(from: 0, to: T.bitWidth, by: 8) { append(UInt8(truncatingIfNeeded: value >> T(shift))) }
    }

    /// Appends zeros up to an offset.
    mutating func pad(to offset: Int) { append(contentsOf: repeatElement(0, count: offset - count)) }

    /// Overwrites the bytes at `offset` with a number, little-endian.
    mutating func put<T: FixedWidthInteger & UnsignedInteger>(_ value: T, at offset: Int) {
        for index in 0..<T.bitWidth / 8 { self[offset + index] = UInt8(truncatingIfNeeded: value >> T(8 * index)) }
    }

    /// The byte that makes the sum of all bytes 0 when it takes the place of one that is 0.
    var checksum: UInt8 { self[...].checksum }

    /// The little-endian number in the `bytes` bytes at `offset`, which have to exist.
    func integer(at offset: Int, bytes: Int) -> UInt64 {
        self[offset..<offset + bytes].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

extension ArraySlice<UInt8> {
    /// As for the array.
    var checksum: UInt8 { reduce(0, &-) }
}
