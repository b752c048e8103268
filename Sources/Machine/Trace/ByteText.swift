// Text as bytes in a buffer of fixed size, without strings and without allocations.
//
// Safety of the unsafe code: every append checks that the buffer has room for the longest of its kind.

/// ASCII text, to which more can be appended.
@safe struct ByteText: ~Copyable {
    private let bytes: UnsafeMutablePointer<UInt8>
    private let capacity: Int
    private(set) var count = 0

    /// Empty text of at most `capacity` bytes.
    init(capacity: Int) {
        self.capacity = capacity
        unsafe bytes = .allocate(capacity: capacity)
    }

    deinit { unsafe bytes.deallocate() }

    var room: Int { capacity - count }

    subscript(index: Int) -> UInt8 {
        get {
            precondition(0..<count ~= index)
            return unsafe bytes[index]
        }
        set {
            precondition(0..<count ~= index)
            unsafe bytes[index] = newValue
        }
    }

    mutating func removeAll() { count = 0 }

    /// Calls `body` with the bytes.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        unsafe body(UnsafeRawBufferPointer(start: bytes, count: count))
    }

    @inline(__always)
    mutating func append(_ text: StaticString) {
        precondition(text.utf8CodeUnitCount <= room)
        unsafe (bytes + count).update(from: text.utf8Start, count: text.utf8CodeUnitCount)
        count += text.utf8CodeUnitCount
    }

    @inline(__always)
    mutating func append(_ text: borrowing ByteText) {
        precondition(text.count <= room)
        unsafe (bytes + count).update(from: text.bytes, count: text.count)
        count += text.count
    }

    /// Appends ASCII text that is no literal. It has a label, because a literal would be a `String`.
    mutating func append(string text: String) {
        var text = text
        text.withUTF8 { source in
            precondition(source.count <= room)
            guard let start = source.baseAddress else { return }
            unsafe (bytes + count).update(from: start, count: source.count)
            count += source.count
        }
    }

    /// Appends `value` in decimal.
    mutating func append(decimal value: UInt64) {
        precondition(room >= 20)
        var (length, limit) = (1, UInt64(10))
        while value >= limit, length < 20 { (length, limit) = (length + 1, limit &* 10) }
        var (index, rest) = (count + length, value)
        count = index
        while index > count - length {
            index -= 1
            let quotient = rest / 10
            unsafe bytes[index] = UInt8(truncatingIfNeeded: rest &- quotient &* 10) | UInt8(ascii: "0")
            rest = quotient
        }
    }

    /// Appends `value` in hexadecimal.
    @inline(__always)
    mutating func append(hexadecimal value: UInt64) {
        precondition(room >= 16)
        let high = UInt32(truncatingIfNeeded: value >> 32)
        if high != 0 { append(digitsOf: high, leastDigits: 1) }
        append(digitsOf: UInt32(truncatingIfNeeded: value), leastDigits: high == 0 ? 1 : 8)
    }

    /// Appends the hexadecimal digits of `value`, computed side by side in the bytes of one word. Writes eight bytes, of which those
    /// after the last digit do not count.
    @inline(__always)
    private mutating func append(digitsOf value: UInt32, leastDigits: Int) {
        var word = UInt64(value)
        word = (word | word << 16) & 0x0000_ffff_0000_ffff
        word = (word | word << 8) & 0x00ff_00ff_00ff_00ff
        word = (word | word << 4) & 0x0f0f_0f0f_0f0f_0f0f
        let letters = ((word &+ 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101
        word = word &+ 0x3030_3030_3030_3030 &+ letters &* UInt64(UInt8(ascii: "a") - 10 - UInt8(ascii: "0"))
        let length = max(leastDigits, (UInt32.bitWidth - value.leadingZeroBitCount + 3) / 4)
        let digits = word.bigEndian >> UInt64(8 * (8 - length))
        unsafe UnsafeMutableRawPointer(bytes + count).storeBytes(of: digits.littleEndian, as: UInt64.self)
        count += length
    }
}
