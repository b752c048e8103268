// Memory for queues and buffers. Nothing is freed: a check begins with an empty arena. It holds no Swift values.

/// Memory handed out from the bottom up.
struct Arena {
    private var next = arenaStart()

    /// Bytes left.
    var room: UInt64 { arenaEnd() &- next }

    /// Zeroed memory on a boundary of `alignment` bytes. Running out is a mistake in the program.
    mutating func take(_ bytes: UInt64, alignment: UInt64 = 16) -> UInt64 {
        let start = (next &+ alignment &- 1) & ~(alignment &- 1)
        next = start &+ (bytes &+ 31) & ~31
        precondition(next <= arenaEnd())
        // Four words a step: large queues are made for every check, and instructions are dear where ring 0 is emulated.
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
