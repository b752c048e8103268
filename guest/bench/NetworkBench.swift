// Frames of a fixed size, one way, as in an operating system's driver: several buffers in flight, interrupts for used buffers, and no
// interrupts while the driver polls the queue. A frame longer than 1514 bytes is a TCP segment that is to be cut by the receiver.

/// A network device under load, of whose queues one is used.
private struct NetworkLoad {
    static let header: UInt64 = 12
    /// Bytes of a receive buffer at most: longer frames are merged.
    static let room: UInt64 = 4096

    let benchmark: Benchmark
    let receives: Bool
    var queue: VirtQueue
    /// Bytes of each buffer in bulk memory, and their distance.
    private let length: UInt64
    private let stride: UInt64
    private let data: UInt64
    private let merges: Bool

    init(_ device: MMIODevice, _ benchmark: Benchmark, receives: Bool, _ arena: inout Arena) throws(Failure) {
        (self.benchmark, self.receives) = (benchmark, receives)
        let isLarge = benchmark.size > 1514
        let offloads: Features =
            receives
            ? [NetworkFeature.guestChecksum, NetworkFeature.guestTSO4]
            : [NetworkFeature.checksum, NetworkFeature.hostTSO4]
        let features = try device.negotiate(
            [.version1, NetworkFeature.mergeableBuffers, benchmark.form.features, isLarge ? offloads : []])
        if isLarge && !features.isSuperset(of: offloads) { throw .skipped("the device offers no segmentation") }
        merges = features.contains(NetworkFeature.mergeableBuffers)
        if !merges { throw .skipped("the device does not merge buffers") }
        // Both queues have to be there; buffers are added to one of them.
        var queues: [2 of VirtQueue] = [
            try VirtQueue(device, 0, features, size: benchmark.form.queueSize ?? 256, tagCount: 256, &arena),
            try VirtQueue(device, 1, features, size: benchmark.form.queueSize ?? 256, tagCount: 256, &arena),
        ]
        queue = queues[receives ? 0 : 1]
        queues[receives ? 1 : 0].setInterrupts(false)
        length = NetworkLoad.header &+ (receives && isLarge ? NetworkLoad.room : benchmark.size)
        stride = (length &+ 63) & ~63
        data = BulkMemory.take(stride &* benchmark.depth)
        if queue.depth(1) < Int(truncatingIfNeeded: benchmark.depth) { throw .skipped("the queue has too few entries") }
        takeInterrupts(32 &+ UInt64(device.input), device.base)
        try device.driverOK()
    }

    private func buffer(_ tag: Int) -> UInt64 { data &+ stride &* UInt64(truncatingIfNeeded: tag) }

    /// Writes a frame of TCP that has no receiver behind its header, by words.
    private func write(_ tag: Int) {
        let start = buffer(tag)
        for offset in 0..<(stride / 8) { store64(start &+ 8 &* offset, 0) }
        let frame = start &+ NetworkLoad.header
        func put(_ value: UInt64, _ count: UInt64, _ offset: UInt64) {
            for index in 0..<count {
                store8(frame &+ offset &+ index, UInt8(truncatingIfNeeded: value >> (8 &* (count &- 1 &- index))))
            }
        }
        put(0x5254_00ff_fffe, 6, 0)
        put(0x5254_0012_3456, 6, 6)
        put(0x0800_4500, 4, 12)
        put(benchmark.size &- 14, 2, 16)
        put(0x4006_0000_0a09_0002, 8, 22)
        put(0x0a09_0003, 4, 30)
        put(0x5010, 2, 46)
        guard benchmark.size > 1514 else { return }
        // NEEDS_CSUM, TCPv4; bytes of all headers, of a segment; where the checksum is.
        store64(start, 0x0022_05a8_0036_0101)
        store16(start &+ 8, 16)
    }

    /// Fills every buffer that is transmitted.
    func fill() {
        guard !receives else { return }
        for tag in 0..<benchmark.depth { write(Int(truncatingIfNeeded: tag)) }
    }

    private mutating func offer(_ tag: Int) throws(Failure) {
        queue.append(buffer(tag), length, receives ? .write : [])
        try queue.offer(tag)
    }

    /// Waits for an interrupt, unless a used buffer is there already.
    private mutating func waitInterrupt() throws(Failure) {
        let before = interruptsTaken()
        queue.setInterrupts(true)
        if queue.hasUsed { return }
        let deadline = Deadline()
        while interruptsTaken() == before {
            if deadline.passed { throw .timeout("the interrupt of a used buffer") }
            if benchmark.halts { haltUnlessInterrupted(before) } else { pauseBriefly() }
        }
    }

    /// Makes all buffers available that are to be received into.
    mutating func begin() throws(Failure) {
        queue.setInterrupts(false)
        guard receives else { return }
        for tag in 0..<benchmark.depth { try offer(Int(truncatingIfNeeded: tag)) }
        queue.kick()
    }

    mutating func run() throws(Failure) {
        var (offered, done): (UInt64, UInt64) = (0, 0)
        if !receives {
            while offered < min(benchmark.depth, benchmark.count) {
                try offer(Int(truncatingIfNeeded: offered))
                offered &+= 1
            }
            queue.kick()
        }
        // Buffers of the frame that is being received.
        var rest: UInt16 = 0
        while done < benchmark.count {
            try waitInterrupt()
            queue.setInterrupts(false)
            var mustKick = false
            while let used = try queue.takeUsed() {
                if receives {
                    if rest == 0 { rest = load16(buffer(used.tag) &+ 10) }
                    rest &-= 1
                    if rest == 0 { done &+= 1 }
                } else {
                    done &+= 1
                    guard offered < benchmark.count else { continue }
                    offered &+= 1
                }
                try offer(used.tag)
                mustKick = true
            }
            if mustKick { queue.kick() }
        }
    }
}

extension Bench {
    mutating func useNetwork(receives: Bool) throws(Failure) {
        guard let device = board.network else { throw .skipped("no network device") }
        var load = try NetworkLoad(device, benchmark, receives: receives, &board.arena)
        load.fill()
        let before = interruptsTaken()
        // The frames of the host come when it reads the line.
        try load.begin()
        try begin()
        try load.run()
        try end(benchmark.count, " interrupts ", interruptsTaken() &- before)
    }
}
