// Checks of the entropy device (VIRTIO 1.4, 5.4). They poll with interrupts off.

let entropyChecks: [_ of Check] = [
    Check("entropy-data", entropyData),
    Check("entropy-lengths", entropyLengths),
    Check("entropy-suspend", entropySuspend),
]

/// An entropy device with its queue ready, and a buffer for each tag.
private struct EntropyDriver {
    static let bufferSize: UInt64 = 64

    let device: MMIODevice
    let features: Features
    var queue: VirtQueue
    private let memory: UInt64

    /// Resets and initialises the board's entropy device; accepts `needed` too.
    init(_ board: inout Board, needing needed: Features = []) throws(Failure) {
        var found: MMIODevice?
        for slot in 0..<board.slots.count where board.slots[slot].isPresent {
            if board.slots[slot].read(.deviceID) == DeviceID.entropy { found = board.slots[slot] }
        }
        guard let found else { throw .skipped("no entropy device") }
        disableInterrupts()
        device = found
        board.subject = found
        features = try found.negotiate([.version1, board.form.with(needed).features])
        queue = try VirtQueue(found, 0, features, size: board.form.queueSize, &board.arena)
        memory = board.arena.take(EntropyDriver.bufferSize &* UInt64(VirtQueue.tagCount))
        try found.driverOK()
    }

    /// Buffers that fit in the queue at once.
    var depth: Int { min(VirtQueue.tagCount, queue.depth(1)) }

    func buffer(_ tag: Int) -> UInt64 { memory &+ EntropyDriver.bufferSize &* UInt64(truncatingIfNeeded: tag) }

    /// Makes the first `count` bytes of a tag's buffer available, zeroed, without a notification.
    mutating func offer(_ tag: Int, _ count: UInt64 = EntropyDriver.bufferSize) throws(Failure) {
        for offset in 0..<(EntropyDriver.bufferSize / 8) { store64(buffer(tag) &+ 8 &* offset, 0) }
        queue.append(buffer(tag), count, .write)
        try queue.offer(tag)
    }

    /// Fails unless the first `count` bytes of a tag's buffer are random and the rest is as it was. That 16 random words are all 0 does not
    /// happen.
    func expectRandom(_ tag: Int, _ count: UInt64 = EntropyDriver.bufferSize) throws(Failure) {
        var any: UInt8 = 0
        for offset in 0..<count { any |= load8(buffer(tag) &+ offset) }
        if count >= 8 { try expect(any != 0, "random bytes") }
        for offset in count..<EntropyDriver.bufferSize {
            try expect(load8(buffer(tag) &+ offset), 0, "byte behind the buffer")
        }
    }
}

/// 5.4.6: two buffers are filled, each with other bytes.
private func entropyData(_ board: inout Board) throws(Failure) {
    var driver = try EntropyDriver(&board)
    for tag in 0..<min(2, driver.depth) {
        try driver.offer(tag)
        driver.queue.kick()
        let used = try driver.queue.waitUsed("random bytes")
        try expect(UInt64(used.length), EntropyDriver.bufferSize, "used length")
        try driver.expectRandom(used.tag)
    }
    guard driver.depth > 1 else { return }
    try expect(load64(driver.buffer(0)) != load64(driver.buffer(1)), "other bytes in each buffer")
}

/// 5.4.6.2: the used length is what was written, and nothing else is.
private func entropyLengths(_ board: inout Board) throws(Failure) {
    var driver = try EntropyDriver(&board)
    let lengths: [4 of UInt64] = [1, 7, 8, 33]
    for index in lengths.indices {
        try driver.offer(0, lengths[index])
        driver.queue.kick()
        let used = try driver.queue.waitUsed("random bytes")
        try expect(UInt64(used.length), lengths[index], "used length")
        try driver.expectRandom(0, lengths[index])
    }
}

/// A device suspended with buffers posted, of which it was not notified, has filled them all after the resume: the draft before it is
/// suspended, 1.4 then.
private func entropySuspend(_ board: inout Board) throws(Failure) {
    var driver = try EntropyDriver(&board, needing: Suspend.features)
    let suspend = try Suspend(driver.device, driver.features)
    for tag in 0..<driver.depth { try driver.offer(tag) }
    try suspend.suspend()
    try expectUnchanged(driver.device, "used entries while suspended") { UInt64(driver.queue.pending) }
    try suspend.resume()
    for _ in 0..<driver.depth {
        let used = try driver.queue.waitUsed("random bytes after the resume")
        try expect(UInt64(used.length), EntropyDriver.bufferSize, "used length")
        try driver.expectRandom(used.tag)
    }
}
