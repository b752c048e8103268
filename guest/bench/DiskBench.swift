// Disk reads and writes as in an operating system's driver: several requests in flight, interrupts for used buffers, and no
// interrupts while the driver polls the queue.

/// A disk under load. Each tag has its header and status byte in the arena, its data in bulk memory.
private struct DiskLoad {
    let benchmark: Benchmark
    var queue: VirtQueue
    private let requests: UInt64
    private let data: UInt64
    /// Blocks of `size` bytes on the disk.
    private let blocks: UInt64
    private let sequentially: Bool
    private let writes: Bool
    private var random: UInt64 = 0x9e37_79b9_7f4a_7c15
    private var next: UInt64 = 0

    init(
        _ disk: MMIODevice, _ benchmark: Benchmark, sequentially: Bool, writes: Bool, _ arena: inout Arena
    ) throws(Failure) {
        self.benchmark = benchmark
        self.sequentially = sequentially
        self.writes = writes
        // Without FLUSH a device has to make each write durable (5.2.6.2).
        let features = try disk.negotiate(
            [.version1, writes ? BlockFeature.flush : BlockFeature.readOnly, benchmark.form.features])
        if writes && !features.contains(BlockFeature.flush) { throw .skipped("the disk offers no flush") }
        let tagCount = Int(truncatingIfNeeded: benchmark.depth)
        queue = try VirtQueue(disk, 0, features, size: benchmark.form.queueSize ?? 256, tagCount: tagCount, &arena)
        if queue.depth(3) < tagCount { throw .skipped("the queue has too few entries for the depth") }
        requests = arena.take(32 &* benchmark.depth)
        data = BulkMemory.take(benchmark.depth &* benchmark.size)
        let sectors = load32(disk.configuration(BlockConfiguration.capacity))
        blocks = UInt64(sectors) &* 512 / benchmark.size
        if blocks == 0 || benchmark.size % 512 != 0 { throw .skipped("the size does not fit the disk") }
        takeInterrupts(32 &+ UInt64(disk.input), disk.base)
        try disk.driverOK()
    }

    /// Returns the block of the next transfer.
    private mutating func chooseBlock() -> UInt64 {
        if sequentially {
            next = next &+ 1 < blocks ? next &+ 1 : 0
            return next
        }
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return random % blocks
    }

    /// Offers a read or a write of the next block.
    mutating func offer(_ tag: Int) throws(Failure) {
        let kind = writes ? BlockRequest.Kind.write : BlockRequest.Kind.read
        let header = begin(tag, kind, sector: chooseBlock() &* (benchmark.size / 512))
        let index = UInt64(truncatingIfNeeded: tag)
        queue.append(data &+ benchmark.size &* index, benchmark.size, writes ? [] : .write)
        queue.append(header &+ 16, 1, .write)
        try queue.offer(tag)
    }

    /// Offers a flush.
    mutating func offerFlush(_ tag: Int) throws(Failure) {
        let header = begin(tag, BlockRequest.Kind.flush, sector: 0)
        queue.append(header &+ 16, 1, .write)
        try queue.offer(tag)
    }

    /// Writes the header of a request and appends it to the chain; returns its address. The status byte follows it.
    private mutating func begin(_ tag: Int, _ kind: UInt32, sector: UInt64) -> UInt64 {
        let header = requests &+ 32 &* UInt64(truncatingIfNeeded: tag)
        store32(header, kind)
        store32(header &+ 4, 0)
        store64(header &+ UInt64(BlockRequest.sectorOffset), sector)
        store8(header &+ 16, 0xff)
        queue.append(header, UInt64(BlockRequest.headerSize))
        return header
    }

    /// Whether the request of `tag` is a flush.
    func isFlush(_ tag: Int) -> Bool {
        load32(requests &+ 32 &* UInt64(truncatingIfNeeded: tag)) == BlockRequest.Kind.flush
    }

    func expectSuccess(_ used: Used) throws(Failure) {
        let status = load8(requests &+ 32 &* UInt64(truncatingIfNeeded: used.tag) &+ 16)
        try expect(status, BlockRequest.Status.ok.rawValue, "status byte of the request")
    }

    /// Waits for an interrupt, unless a used buffer is there already.
    mutating func waitInterrupt() throws(Failure) {
        let before = interruptsTaken()
        queue.setInterrupts(true)
        if queue.hasUsed { return }
        let deadline = Deadline()
        while interruptsTaken() == before {
            if deadline.passed { throw .timeout("the interrupt of a used request") }
            if benchmark.halts { haltUnlessInterrupted(before) } else { pauseBriefly() }
        }
    }

    mutating func run() throws(Failure) {
        var (offered, done): (UInt64, UInt64) = (0, 0)
        queue.setInterrupts(false)
        while offered < min(benchmark.depth, benchmark.count) {
            try offer(Int(truncatingIfNeeded: offered))
            offered &+= 1
        }
        queue.kick()
        while done < benchmark.count {
            try waitInterrupt()
            queue.setInterrupts(false)
            var mustKick = false
            while let used = try queue.takeUsed() {
                try expectSuccess(used)
                if benchmark.flushes, !isFlush(used.tag) {
                    try offerFlush(used.tag)
                    mustKick = true
                    continue
                }
                done &+= 1
                guard offered < benchmark.count else { continue }
                try offer(used.tag)
                offered &+= 1
                mustKick = true
            }
            if mustKick { queue.kick() }
        }
    }
}

extension Bench {
    mutating func useDisk(sequentially: Bool, writes: Bool) throws(Failure) {
        if benchmark.flushes && !writes { throw .skipped("flush=1 is for writes") }
        guard let disk = board.disk ?? (writes ? nil : board.readOnlyDisk) else { throw .skipped("no disk") }
        var load = try DiskLoad(disk, benchmark, sequentially: sequentially, writes: writes, &board.arena)
        let before = interruptsTaken()
        try begin()
        try load.run()
        try end(benchmark.count, " interrupts ", interruptsTaken() &- before)
    }
}
