// Memory for queues and buffers. Nothing is freed: a check begins with an empty arena. It holds no Swift values.

/// Memory handed out from the bottom up.
struct Arena {
    private var next = arenaStart()

    /// Zeroed memory on a boundary of `alignment` bytes. Running out is a mistake in the program.
    mutating func take(_ bytes: UInt64, alignment: UInt64 = 16) -> UInt64 {
        let start = (next &+ alignment &- 1) & ~(alignment &- 1)
        next = start &+ (bytes &+ 7) & ~7
        precondition(next <= arenaEnd())
        var word = start
        while word < next {
            store64(word, 0)
            word &+= 8
        }
        return start
    }
}
