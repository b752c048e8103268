// Memory for queues and buffers. Nothing is freed: a check starts with an empty arena. It contains no Swift values.

/// A bump allocator.
struct Arena {
    private var next = arenaStart()

    /// Bytes left.
    var room: UInt64 { arenaEnd() &- next }

    /// Allocates zeroed memory aligned to `alignment` bytes. Exhaustion is an error in the program and traps.
    mutating func take(_ bytes: UInt64, alignment: UInt64 = 16) -> UInt64 {
        let start = (next &+ alignment &- 1) & ~(alignment &- 1)
        next = start &+ (bytes &+ 31) & ~31
        precondition(next <= arenaEnd())
        // Four words per step: checks allocate large queues, and instructions are slow where ring 0 is emulated.
        var word = start
        while word < next {
            store64(word, 0)
            store64(word &+ 8, 0)
            store64(word &+ 16, 0)
            store64(word &+ 24, 0)
            word &+= 32
        }
        return start
    }
}
