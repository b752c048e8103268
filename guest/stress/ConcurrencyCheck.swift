// Concurrency check: all processors access one disk's registers at once, without a lock, and each writes down what it
// read. No driver may do this, so the device may fail or lose requests; what it may not do is show a value that no
// state of a device has. Afterwards a reset must make the disk work again.

/// What a processor counts.
private enum Count: Int {
    case accesses, setups, requests, running, suspended, needsReset, zero, stopping

    static let names: [8 of StaticString] = [
        "accesses", "setups", "requests", "running", "suspended", "needs-reset", "zero", "stopping",
    ]
}

/// What a processor found: the first value that no state of the device has, its name, and the counts.
private struct Findings {
    var what: StaticString = ""
    var value: UInt64 = 0
    var counts = [8 of UInt64](repeating: 0)
}

/// One of the processors.
private struct Contender {
    let disk: SharedDisk
    var random: Random
    var generation: UInt32 = 0
    var findings = Findings()
    private var accesses: UInt64 = 0

    init(_ disk: SharedDisk, _ processor: UInt64) {
        self.disk = disk
        random = Random(seed: disk.load.seed &* 8 &+ processor)
    }

    mutating func run() {
        generation = read(.configGeneration)
        let wanted = (disk.load.accesses ?? 0) / disk.load.processors
        while accesses < wanted {
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
        findings.counts[Count.accesses.rawValue] = accesses
    }

    private mutating func read(_ register: Register) -> UInt32 {
        accesses &+= 1
        return disk.device.read(register)
    }

    private mutating func write(_ register: Register, _ value: UInt32) {
        accesses &+= 1
        disk.device.write(register, value)
    }

    private mutating func count(_ count: Count) { findings.counts[count.rawValue] &+= 1 }

    /// Keeps the first value that is not right.
    private mutating func expect(_ isRight: Bool, _ what: StaticString, _ value: UInt32) {
        if isRight || findings.what.utf8CodeUnitCount > 0 { return }
        (findings.what, findings.value) = (what, UInt64(value))
    }

    // MARK: The ring

    /// Makes the next chain available if not too many are, and notifies the device.
    private mutating func offer() {
        if let chain = disk.ring.next {
            let status = disk.statusByte(chain)
            if load8(status) == 0 { count(.requests) }
            store8(status, 0xff)
            disk.ring.offer()
        }
        write(.queueNotify, random.once(in: 64) ? UInt32(random.below(4)) : 0)
    }

    /// Steps 1 to 8 of the initialisation, as if the processor were alone. One in 16 leaves addresses at 0, as happens to a
    /// processor whose device another one resets at that moment.
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
        disk.ring.clear()
        write(.queueSize, UInt32(disk.ring.size))
        writeAddresses(random.once(in: 16) ? random.below(8) : 7)
        write(.queueReady, 1)
        write(.status, 0x0f)
    }

    /// Writes the addresses of the descriptor area (bit 0 of `areas`), the driver area (1) and the device area (2).
    private mutating func writeAddresses(_ areas: UInt64) {
        let ring = disk.ring.format.areas
        if areas & 1 != 0 { write(.queueDescLow, .queueDescHigh, ring.descriptors) }
        if areas & 2 != 0 { write(.queueDriverLow, .queueDriverHigh, ring.driver) }
        if areas & 4 != 0 { write(.queueDeviceLow, .queueDeviceHigh, ring.device) }
    }

    private mutating func write(_ low: Register, _ high: Register, _ address: UInt64) {
        write(low, UInt32(truncatingIfNeeded: address))
        write(high, UInt32(truncatingIfNeeded: address &>> 32))
    }

    private mutating func lookAtUsed() {
        // In the first half of the ring: behind it, a queue of half the size has its avail_event.
        let chain = UInt16(random.below(UInt64(disk.ring.chains)))
        let (id, length) = disk.ring.entry(chain)
        // 0 is the id in an entry not yet written, and where a driver area at address 0 consists of used entries.
        expect((id == 0 || id % 2 == 1) && id < UInt32(disk.ring.size), "id of a used entry", id)
        // 16 and 528 are lengths of available descriptors, which a packed ring has there, too.
        let isOffered = disk.accepted.contains(.ringPacked) && (length == 16 || length == 528)
        expect(length == 0 || length == 1 || length == 513 || isOffered, "length of a used entry", length)
        let status = load8(disk.statusByte(chain))
        expect(status <= 2 || status == 0xff, "status byte", UInt32(status))
        let byte = load8(disk.data(chain) &+ UInt64(random.below(512)))
        expect(byte == disk.byte(chain) || chain % 2 == 1 && byte == 0, "byte of a sector", UInt32(byte))
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
        expect(isRight, "Status", value)
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
        expect(status <= 3, "InterruptStatus", status)
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
        expect(most == 0 || most == disk.sizeMax, "QueueSizeMax", most)
        let (ready, reset) = (read(.queueReady), read(.queueReset))
        expect(ready <= 1, "QueueReady", ready)
        expect(reset <= 1, "QueueReset", reset)
        if reset == 1 { count(.stopping) }
        if ready == 0, random.once(in: 4) { setUp() }
    }

    private mutating func configureQueue() {
        if random.once(in: 2) { return writeAddresses(7) }
        write(.queueSize, random.once(in: 4) ? UInt32(disk.ring.size) / 2 : UInt32(disk.ring.size))
    }

    private mutating func readConfiguration() {
        let new = read(.configGeneration)
        expect(new &- generation < 1 << 31, "ConfigGeneration, which went back", new)
        generation = new
        accesses &+= 2
        let low = load32(disk.device.configuration(BlockConfiguration.capacity))
        let high = load32(disk.device.configuration(BlockConfiguration.capacity) &+ 4)
        // A device under torture adds up to 504, and 1 to the upper half.
        expect(low &- disk.capacity < 1024, "capacity", low)
        expect(high <= 1, "upper half of the capacity", high)
    }

    private mutating func selectFeatures() {
        write(.deviceFeaturesSel, UInt32(random.below(3)))
        let word = read(.deviceFeatures)
        expect(word == disk.offered.word(0) || word == disk.offered.word(1) || word == 0, "DeviceFeatures", word)
        if random.once(in: 8) { write(.driverFeaturesSel, UInt32(random.below(2))) }
    }

    private mutating func identify() {
        let (magic, version, id) = (read(.magicValue), read(.version), read(.deviceID))
        expect(magic == Register.magic, "MagicValue", magic)
        expect(version == disk.version, "Version", version)
        expect(id == DeviceID.block, "DeviceID", id)
    }

    /// A command for the test device: requests held, failed and released, resumes that take time, other capacities.
    private mutating func command() {
        guard disk.hasTestDevice else { return identify() }
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

/// The disk under test, and what each processor found. Only the processor itself writes there, until its state is 2.
private nonisolated(unsafe) var sharedDisk: SharedDisk?
private nonisolated(unsafe) var findings = [8 of Findings](repeating: Findings())

private func run(_ disk: SharedDisk, _ processor: UInt64) {
    store64(disk.state(processor), 1)
    while load64(disk.state(0)) == 0 { pauseBriefly() }
    var contender = Contender(disk, processor)
    contender.run()
    unsafe findings[Int(processor)] = contender.findings
    fence()
    store64(disk.state(processor), 2)
}

/// Called by the entry code of each further processor.
@c(processorMain)
func processorMain(id: UInt64) -> Never {
    if let disk = unsafe sharedDisk, id < disk.load.processors { run(disk, id) }
    halt()
}

func concurrency(_ board: inout Board) throws(Failure) {
    let disk = try SharedDisk(&board)
    unsafe sharedDisk = disk
    startProcessors()
    for id in 1..<disk.load.processors { try wait("a further processor") { load64(disk.state(id)) == 1 } }
    run(disk, 0)
    let deadline = Deadline(times: 64)
    for id in 1..<disk.load.processors {
        while load64(disk.state(id)) != 2 { if deadline.passed { throw .timeout("the end of a further processor") } }
    }
    for count in Count.names.indices {
        var sum: UInt64 = 0
        for id in 0..<Int(disk.load.processors) { sum &+= unsafe findings[id].counts[count] }
        board.measurements.add(Count.names[count], sum)
    }
    for id in 0..<Int(disk.load.processors) where unsafe findings[id].what.utf8CodeUnitCount > 0 {
        throw unsafe .unexpected(findings[id].what, expected: 0, actual: findings[id].value)
    }
    if board.hasTestDevice { board.command(.fail, disk.device, 0) }
    board.clear()
    try expectWorks(&board)
}

/// The disk, after a reset, does what a disk does, and suspends.
private func expectWorks(_ board: inout Board) throws(Failure) {
    var disk = try BlockDriver(board.needDisk(), board.form.with(Suspend.features), &board.arena)
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
