// The digest of a snapshot's files. Not a cryptographic hash: it detects damage, not forgery. A change
// within one word of 8 bytes always changes it.

/// A digest of words of 64 bits.
struct Digest: Equatable {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    /// Adds a word. Each step is a bijection of the digest so far, and of the word.
    @inline(__always)
    mutating func add(_ word: UInt64) {
        let mixed = (value ^ word) &* 0x9e37_79b9_7f4a_7c15
        value = mixed << 29 | mixed >> 35
    }

    /// Adds bytes, a multiple of 8.
    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        let words = unsafe bytes.assumingMemoryBound(to: UInt64.self)
        for index in 0..<words.count { add(unsafe words[index]) }
    }

    /// The digest of `text`: its bytes as little-endian words, the last one filled up with zeros, and their number.
    init(of text: some Sequence<UInt8>) {
        var (word, count): (UInt64, UInt64) = (0, 0)
        for byte in text {
            word |= UInt64(byte) << (count % 8 * 8)
            count += 1
            if count % 8 == 0 {
                add(word)
                word = 0
            }
        }
        if count % 8 != 0 { add(word) }
        add(count)
    }

    /// The digest of nothing.
    init() {}
}
