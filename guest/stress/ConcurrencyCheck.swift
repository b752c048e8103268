// Concurrency check: all processors access one disk's registers at once, without a lock, and each writes down what it
// read. No driver may do this, so the device may fail or lose requests; what it may not do is show a value that no
// state of a device has. Afterwards a reset must make the disk work again.
//
// The requests are the same all the time: chain n, of descriptors 2n and 2n + 1, writes sector n / 2 if n is even, and
// reads it otherwise. Each byte of sector s is 0x80 + s, or 0 before the first write.

/// A value that no state of the device has.
private enum Finding: UInt64 {
    case identity = 1, status, interruptStatus, queueSizeMax, flag, generation, features, capacity, data, usedRing

    var what: StaticString {
        switch self {
        case .identity: "MagicValue, Version or DeviceID"
        case .status: "Status"
        case .interruptStatus: "InterruptStatus"
        case .queueSizeMax: "QueueSizeMax"
        case .flag: "QueueReady or QueueReset"
        case .generation: "ConfigGeneration, less than before"
        case .features: "DeviceFeatures"
        case .capacity: "capacity"
        case .data: "byte of a sector, or status byte"
        case .usedRing: "entry of the used ring"
        }
    }
}

/// What a processor counts.
private enum Count: UInt64 {
    case accesses, setups, requests, running, suspended, needsReset, zero, stopping

    static let names: [8 of StaticString] = [
        "accesses", "setups", "requests", "running", "suspended", "needs-reset", "zero", "stopping",
    ]
}

/// The disk and its ring, the same for all processors. Each has a record in memory, whose words are its state, its
/// first finding, that value, and the counts.
private struct SharedDisk {
    static let recordSize: UInt64 = 128
    static let chainSize: UInt64 = 1056
    enum State { static let ready: UInt64 = 1, done: UInt64 = 2 }

    let device: MMIODevice
    let accesses: UInt64
    let seed: UInt64
    let isTestable: Bool
    let version: UInt32
    let sizeMax: UInt32
    let size: UInt16
    let capacity: UInt32
    let offered: Features
    let accepted: Features
    let dialect: SuspendDialect?
    let ring: SplitFormat
    let chains: UInt16
    let memory: UInt64
    let records: UInt64
    let processors: UInt64

    init(_ board: inout Board, accesses: UInt64) throws(Failure) {
        device = try board.needDisk()
        self.accesses = accesses
        seed = board.load.seed
        isTestable = board.hasTestDevice
        version = device.read(.version)
        device.write(.queueSel, 0)
        sizeMax = device.read(.queueSizeMax)
        if sizeMax < 4 { throw .skipped("the queue has too few entries") }
        size = UInt16(truncatingIfNeeded: min(64, 1 << UInt32(31 &- sizeMax.leadingZeroBitCount)))
        capacity = load32(device.configuration(BlockConfiguration.capacity))
        offered = device.offered
        let form: Features = board.choosesFeatures ? board.form.features : .ringReset
        accepted = offered.intersection([
            .version1, BlockFeature.flush, form.subtracting([.ringPacked, .notificationData]), Suspend.features,
        ])
        dialect = accepted.isDisjoint(with: Suspend.features) ? nil : try Suspend(device, accepted).dialect
        ring = SplitFormat(size: size, eventIndex: accepted.contains(.eventIndex), &board.arena)
        chains = size / 2
        memory = board.arena.take(SharedDisk.chainSize &* UInt64(chains))
        processors = board.load.processors
        records = board.arena.take(SharedDisk.recordSize &* board.load.processors)
        for chain in 0..<chains { build(chain) }
        for entry in 0..<size {
            store16(ring.available &+ SplitRing.ring &+ 2 &* UInt64(entry), 2 &* (entry % chains))
        }
    }

    func header(_ chain: UInt16) -> UInt64 { memory &+ SharedDisk.chainSize &* UInt64(chain) }
    func data(_ chain: UInt16) -> UInt64 { header(chain) &+ 16 }
    func statusByte(_ chain: UInt16) -> UInt64 { data(chain) &+ 512 }
    func byte(_ chain: UInt16) -> UInt8 { 0x80 | UInt8(truncatingIfNeeded: chain / 2) }
    func record(_ processor: UInt64) -> UInt64 { records &+ SharedDisk.recordSize &* processor }

    private func build(_ chain: UInt16) {
        let isWrite = chain % 2 == 0
        store32(header(chain), isWrite ? BlockRequest.Kind.write : BlockRequest.Kind.read)
        store64(header(chain) &+ UInt64(BlockRequest.sectorOffset), UInt64(chain / 2))
        let word = UInt64(byte(chain)) &* 0x0101_0101_0101_0101
        for n: UInt64 in 0..<64 where isWrite { store64(data(chain) &+ 8 &* n, word) }
        store8(statusByte(chain), 0xff)
        let first: UInt32 = isWrite ? 528 : 16
        let table = ring.descriptors &+ 32 &* UInt64(chain)
        put(Descriptor(address: header(chain), length: first, flags: .next, next: 2 &* chain &+ 1), table)
        put(Descriptor(address: header(chain) &+ UInt64(first), length: 529 &- first, flags: .write), table &+ 16)
    }

    private func put(_ descriptor: Descriptor, _ address: UInt64) {
        store64(address, descriptor.address)
        store64(address &+ 8, descriptor.high)
    }
}

/// One of the processors.
private struct Contender {
    let disk: SharedDisk
    let record: UInt64
    var random: Random
    var generation: UInt32 = 0
    var accesses: UInt64 = 0

    init(_ disk: SharedDisk, processor: UInt64) {
        self.disk = disk
        record = disk.record(processor)
        random = Random(seed: disk.seed &* 8 &+ processor)
    }

    mutating func run() {
        generation = read(.configGeneration)
        while accesses < disk.accesses {
            switch random.below(128) {
            case 0..<40: offer()
            case 40..<56: readStatus()
            case 56..<64: acknowledge()
            case 64..<76: write(.status, 0x1f)
            case 76..<86: write(.status, disk.dialect == .draft ? 0x0f : 0x1f)
            case 86..<88: writeStatus()
            case 88..<92: write(.queueSel, random.once(in: 4) ? UInt32(random.below(3)) : 0)
            case 92..<94: write(.queueReady, random.once(in: 2) ? 1 : 0)
            case 94: write(.queueReset, 1)
            case 95..<100: readQueue()
            case 100..<103: configureQueue()
            case 103..<111: readConfiguration()
            case 111..<113: store8(disk.device.configuration(BlockConfiguration.writeback), 1)
            case 113..<117: selectFeatures()
            case 117..<121: identify()
            case 121..<125: lookAtUsed()
            default: command()
            }
        }
        store64(record &+ 24, accesses)
    }

    private mutating func read(_ register: Register) -> UInt32 {
        accesses &+= 1
        return disk.device.read(register)
    }

    private mutating func write(_ register: Register, _ value: UInt32) {
        accesses &+= 1
        disk.device.write(register, value)
    }

    private func count(_ count: Count) {
        let address = record &+ 24 &+ 8 &* count.rawValue
        store64(address, load64(address) &+ 1)
    }

    /// Writes the first finding down.
    private func expect(_ condition: Bool, _ finding: Finding, _ value: some UnsignedInteger & FixedWidthInteger) {
        if condition || load64(record &+ 8) != 0 { return }
        store64(record &+ 16, UInt64(value))
        store64(record &+ 8, finding.rawValue)
    }

    // MARK: The ring

    /// Makes the next chain available if not too many are, and notifies the device.
    private mutating func offer() {
        let index = load16(disk.ring.available &+ SplitRing.index)
        if index &- load16(disk.ring.used &+ SplitRing.index) < disk.chains &- min(8, disk.chains &- 1) {
            let status = disk.statusByte(index % disk.chains)
            if load8(status) == 0 { count(.requests) }
            store8(status, 0xff)
            increment16(disk.ring.available &+ SplitRing.index)
        }
        write(.queueNotify, random.once(in: 64) ? UInt32(random.below(4)) : 0)
    }

    /// Steps 1 to 8 of the initialisation, as if the processor were alone.
    private mutating func setUp() {
        count(.setups)
        write(.status, 0)
        for _ in 0..<20 where read(.status) != 0 {}
        write(.status, 1)
        write(.status, 3)
        for word: UInt32 in 0..<2 {
            write(.driverFeaturesSel, word)
            write(.driverFeatures, disk.accepted.word(word))
        }
        write(.status, 0x0b)
        write(.queueSel, 0)
        store16(disk.ring.available &+ SplitRing.index, 0)
        store16(disk.ring.used &+ SplitRing.index, 0)
        write(.queueSize, UInt32(disk.size))
        writeAddresses()
        write(.queueReady, 1)
        write(.status, 0x0f)
    }

    private mutating func writeAddresses() {
        write(.queueDescLow, UInt32(truncatingIfNeeded: disk.ring.descriptors))
        write(.queueDescHigh, 0)
        write(.queueDriverLow, UInt32(truncatingIfNeeded: disk.ring.available))
        write(.queueDriverHigh, 0)
        write(.queueDeviceLow, UInt32(truncatingIfNeeded: disk.ring.used))
        write(.queueDeviceHigh, 0)
    }

    private func lookAtUsed() {
        let index = load16(disk.ring.used &+ SplitRing.index) &- 1
        let entry = disk.ring.used &+ SplitRing.ring &+ 8 &* UInt64(index % disk.size)
        let (id, length) = (load32(entry), load32(entry &+ 4))
        expect(id % 2 == 0 && id < UInt32(disk.size), .usedRing, id)
        expect(length == 0 || length == 1 || length == 513, .usedRing, length)
        let chain = index % disk.chains
        let status = load8(disk.statusByte(chain))
        expect(status <= 2 || status == 0xff, .data, status)
        let byte = load8(disk.data(chain) &+ UInt64(index) % 512)
        expect(byte == disk.byte(chain) || chain % 2 == 1 && byte == 0, .data, byte)
    }

    // MARK: Registers

    /// Status is that of a state: what 2.1 and both dialects of SUSPEND allow together. Initialises a device that needs it.
    private mutating func readStatus() {
        let value = read(.status)
        let status = DeviceStatus(rawValue: UInt8(truncatingIfNeeded: value))
        let isSuspended = status.contains(.suspend)
        var isRight = value & ~0xdf == 0
        if status.contains(.driverOK) { isRight = isRight && status.contains(.featuresOK) }
        if isSuspended {
            isRight = isRight && disk.dialect != nil && status.contains(.featuresOK)
            isRight = isRight && status.contains(.driverOK) == (disk.dialect == .draft)
            isRight = isRight && !(disk.dialect == .draft && status.contains(.needsReset))
        }
        expect(isRight, .status, value)
        if status.contains(.needsReset) {
            count(.needsReset)
        } else if isSuspended {
            count(.suspended)
        } else if status.contains(.driverOK) {
            return count(.running)
        } else if value == 0 {
            count(.zero)
        }
        if !isSuspended || status.contains(.needsReset), random.once(in: 2) { setUp() }
    }

    private mutating func acknowledge() {
        let status = read(.interruptStatus)
        expect(status <= 3, .interruptStatus, status)
        write(.interruptACK, random.once(in: 4) ? UInt32(random.below(8)) : status)
    }

    private mutating func writeStatus() {
        switch random.below(8) {
        case 0...1: setUp()
        case 2: write(.status, 0)
        case 3: write(.status, 0x10)
        case 4: write(.status, 0x0b)
        case 5: write(.status, 0x8f)
        default: write(.status, 0x1b)
        }
    }

    private mutating func readQueue() {
        let most = read(.queueSizeMax)
        expect(most == 0 || most == disk.sizeMax, .queueSizeMax, most)
        let (ready, reset) = (read(.queueReady), read(.queueReset))
        expect(ready <= 1, .flag, ready)
        expect(reset <= 1, .flag, reset)
        if reset == 1 { count(.stopping) }
        if ready == 0, random.once(in: 4) { setUp() }
    }

    private mutating func configureQueue() {
        if random.once(in: 2) { return writeAddresses() }
        write(.queueSize, random.once(in: 4) ? UInt32(disk.size) / 2 : UInt32(disk.size))
    }

    private mutating func readConfiguration() {
        let new = read(.configGeneration)
        expect(new &- generation < 1 << 31, .generation, new)
        generation = new
        accesses &+= 2
        let low = load32(disk.device.configuration(BlockConfiguration.capacity))
        let high = load32(disk.device.configuration(BlockConfiguration.capacity) &+ 4)
        // A device under torture adds up to 504, and 1 to the upper half.
        expect(low &- disk.capacity < 1024, .capacity, low)
        expect(high <= 1, .capacity, high)
    }

    private mutating func selectFeatures() {
        write(.deviceFeaturesSel, UInt32(random.below(3)))
        let word = read(.deviceFeatures)
        expect(word == disk.offered.word(0) || word == disk.offered.word(1) || word == 0, .features, word)
        if random.once(in: 8) { write(.driverFeaturesSel, UInt32(random.below(2))) }
    }

    private mutating func identify() {
        let (magic, version, id) = (read(.magicValue), read(.version), read(.deviceID))
        expect(magic == Register.magic, .identity, magic)
        expect(version == disk.version, .identity, version)
        expect(id == DeviceID.block, .identity, id)
    }

    /// A command for the test device: requests held, failed and released, resumes that take time, other capacities.
    private mutating func command() {
        guard disk.isTestable else { return identify() }
        accesses &+= 1
        let (verb, argument): (TestDevice.Verb, UInt16) =
            switch random.below(16) {
            case 0: (.hold, 0)
            case 1...3: (.release, 0)
            case 4: (.fail, 1)
            case 5...8: (.capacity, UInt16(truncatingIfNeeded: disk.capacity) &+ UInt16(random.below(8)))
            case 9...10: (.holdResume, 0)
            case 11...14: (.ready, 0)
            default: (.deadline, 0)
            }
        out32(TestDevice.port, TestDevice.command(verb, slot: disk.device.slot, argument: argument))
    }
}

/// The disk under test, for the other processors.
private nonisolated(unsafe) var sharedDisk: SharedDisk?

/// Called by the entry code of each further processor.
@c(processorMain)
func processorMain(id: UInt64) -> Never {
    if let disk = unsafe sharedDisk, id < disk.processors {
        store64(disk.record(id), SharedDisk.State.ready)
        while load64(disk.record(0)) == 0 { pauseBriefly() }
        var contender = Contender(disk, processor: id)
        contender.run()
        store64(disk.record(id), SharedDisk.State.done)
    }
    halt()
}

func concurrency(_ board: inout Board) throws(Failure) {
    let processors = board.load.processors
    let disk = try SharedDisk(&board, accesses: (board.load.accesses ?? 0) / processors)
    unsafe sharedDisk = disk
    startProcessors()
    for id in 1..<processors {
        try wait("a further processor") { load64(disk.record(id)) == SharedDisk.State.ready }
    }
    store64(disk.record(0), SharedDisk.State.ready)
    var contender = Contender(disk, processor: 0)
    contender.run()
    let deadline = Deadline(times: 64)
    for id in 1..<processors {
        while load64(disk.record(id)) != SharedDisk.State.done {
            if deadline.passed { throw .timeout("the end of a further processor") }
        }
    }
    for count in Count.names.indices {
        var sum: UInt64 = 0
        for id in 0..<processors { sum &+= load64(disk.record(id) &+ 24 &+ 8 &* UInt64(count)) }
        board.measurements.add(Count.names[count], sum)
    }
    for id in 0..<processors {
        guard let finding = Finding(rawValue: load64(disk.record(id) &+ 8)) else { continue }
        throw .unexpected(finding.what, expected: 0, actual: load64(disk.record(id) &+ 16))
    }
    if board.hasTestDevice { board.command(.fail, disk.device, 0) }
    board.clear()
    try expectWorks(&board)
}

/// The disk, after a reset, does what a disk does, and suspends.
private func expectWorks(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk(needing: Suspend.features.intersection(board.needDisk().offered))
    for round in 0..<4 {
        for tag in 0..<2 {
            disk.fill(tag, seed: UInt64(round &+ 1), bytes: 512)
            try disk.run(BlockRequest.Kind.write, sector: 100, bytes: 512, tag: tag)
            try disk.run(BlockRequest.Kind.read, sector: 100, bytes: 512, tag: tag)
            try disk.verify(tag, seed: UInt64(round &+ 1), bytes: 512)
        }
        if let suspend = try? Suspend(disk.device, disk.features) {
            try suspend.suspend()
            try suspend.resume()
        }
    }
}
