// The header of a kernel for the Multiboot protocols: only whether there is one. Multiboot 0.6.96, 3.1; Multiboot2 2.0, 3.1.

enum Multiboot {
    /// The version of the Multiboot header of `image`, 1 or 2; nil if it has none.
    static func version(of image: borrowing Image) -> Int? {
        guard let start = try? image.bytes(at: 0, count: Int(min(image.size, 32 << 10))) else { return nil }
        /// Whether there is a header in the first `bytes` bytes: `words` words that begin with `magic` and whose sum is 0.
        func has(_ magic: UInt32, words: Int, alignment: Int, in bytes: Int) -> Bool {
            stride(from: 0, through: min(start.count, bytes) - 4 * words, by: alignment).contains { offset in
                start.integer(at: offset, bytes: 4) == UInt64(magic)
                    && (0..<words).reduce(0) {
                        UInt32(truncatingIfNeeded: start.integer(at: offset + 4 * $1, bytes: 4)) &+ $0
                    } == 0
            }
        }
        if has(0xe852_50d6, words: 4, alignment: 8, in: 32 << 10) { return 2 }
        return has(0x1bad_b002, words: 3, alignment: 4, in: 8 << 10) ? 1 : nil
    }
}
