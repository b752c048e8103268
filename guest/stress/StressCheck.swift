// Stress check: many requests of all kinds in flight, with suspends at random moments. Each request must be used once,
// and each read must return what the last write left. The waits alternate between interrupts and polling.

/// State of the check.
private struct Stress {
    private let load: LoadOptions
    private let hasTestDevice: Bool
    private var random: Random
    private var disk: StressDisk
    private let map: DiskMap
    private let suspend: Suspend?
    private let clock = Clock()
    /// Whether the driver wants used buffer notifications; otherwise it polls.
    private var waitsByInterrupt = true
    private var offered: UInt64 = 0
    private var inFlight: UInt64 = 0
    private var maximumInFlight: UInt64 = 0
    private var nextSuspend: UInt64 = 0
    private var counts = [6 of UInt64](repeating: 0)
    private var errors: UInt64 = 0
    private var suspends = Durations()
    private var aborts: UInt64 = 0
    private let firstInterrupt: UInt64

    init(_ board: inout Board) throws(Failure) {
        load = board.load
        hasTestDevice = board.hasTestDevice
        random = Random(seed: load.seed)
        disk = try StressDisk(&board)
        map = DiskMap(capacity: disk.capacity, seed: load.seed & 0xffff, &board.arena)
        suspend = disk.features.isDisjoint(with: Suspend.features) ? nil : try Suspend(disk.device, disk.features)
        firstInterrupt = Interrupts.count(disk.device)
    }

    /// Runs until `requests` requests have been made available and used.
    mutating func run(_ requests: UInt64) throws(Failure) {
        while offered < requests {
            if random.once(in: 32) { toggleInterrupts() }
            let queue = Int(random.below(UInt64(disk.queueCount)))
            let burst = random.once(in: 8) ? UInt64(disk.depth) : 1 &+ random.below(8)
            var isFull = false
            for _ in 0..<min(burst, requests &- offered) where !isFull {
                if let tag = disk.takeTag(queue) { try offer(tag) } else { isFull = true }
            }
            disk.queues[queue].kick()
            if suspend != nil, offered >= nextSuspend {
                nextSuspend = offered &+ 1 &+ random.below(2 &* load.suspendEvery)
                try suspendAndResume()
            }
            _ = try takeAll()
            if isFull { try awaitUsed() }
        }
        while inFlight > 0 { try awaitUsed() }
        for queue in 0..<disk.queueCount {
            let disk = disk
            try expectUnchanged(disk.device, "used index after the last request") {
                UInt64(disk.queues[queue].deviceIndex)
            }
            try expect(disk.queues[queue].pending, 0, "used entries after the last request")
        }
    }

    private mutating func toggleInterrupts() {
        waitsByInterrupt.toggle()
        for queue in 0..<disk.queueCount { disk.queues[queue].setInterrupts(waitsByInterrupt) }
    }

    // MARK: Requests

    /// Makes a random request available with `tag`. Reads only known sectors; writes instead if no such sector is free,
    /// flushes if none is free at all.
    private mutating func offer(_ tag: Int) throws(Failure) {
        var request = StressRequest(kind: chooseKind())
        for attempt in 0..<6 where request.kind != .flush {
            if attempt == 3, request.kind == .read { request.kind = .write }
            (request.first, request.count) = map.choose(&random, most: disk.maximumSectors)
            let isUsable = request.kind != .read || map.isKnown(request.first, request.count)
            if isUsable, map.isFree(request.first, request.count, changing: request.kind.changes) { break }
            request.count = 0
        }
        if request.count == 0 { request = StressRequest(kind: canFlush ? .flush : .none, first: 0, count: 0) }
        guard request.kind != .none else { return disk.release(tag) }
        offered &+= 1
        inFlight &+= 1
        maximumInFlight = max(maximumInFlight, inFlight)
        request.number = UInt32(truncatingIfNeeded: offered)
        map.begin(request.first, request.count, changing: request.kind.changes)
        for n in 0..<request.count {
            let memory = disk.data(tag) &+ 512 &* n
            if request.kind == .write { map.fill(memory, request.first &+ n, request.number) }
            if request.kind == .read { map.poison(memory) }
        }
        let sector = request.kind == .flush ? 0 : map.sector(request.first)
        let cut = random.once(in: 4) ? 16 &* (1 &+ random.below(32 &* request.count)) : 0
        try disk.offer(tag, request, sector: sector, cut: cut)
    }

    private var canFlush: Bool { disk.features.contains(BlockFeature.flush) }

    private mutating func chooseKind() -> StressRequest.Kind {
        switch random.below(64) {
        case 0..<28: .read
        case 56..<60 where canFlush: .flush
        case 60..<62 where disk.features.contains(BlockFeature.writeZeroes): .writeZeroes
        case 62 where disk.features.contains(BlockFeature.discard): .discard
        default: .write
        }
    }

    /// Takes all used buffers; returns their number.
    private mutating func takeAll() throws(Failure) -> UInt64 {
        var taken: UInt64 = 0
        for queue in 0..<disk.queueCount {
            while let used = try disk.queues[queue].takeUsed() {
                try finish(queue &* disk.depth &+ used.tag, used.length)
                taken &+= 1
            }
        }
        return taken
    }

    private mutating func finish(_ tag: Int, _ length: UInt32) throws(Failure) {
        let request = disk.request(tag)
        try expect(request.kind != .none, "a request where one is answered")
        disk.setRequest(tag, StressRequest(kind: .none))
        let status = load8(disk.statusByte(tag))
        let failed = status == BlockRequest.Status.ioError.rawValue && errors < load.errors
        if failed { errors &+= 1 } else { try expect(status, BlockRequest.Status.ok.rawValue, "status byte") }
        if request.kind.changes {
            let left = request.kind == .write ? request.number : DiskMap.zeroes
            let unknown = failed || request.kind == .discard
            map.endChanging(request.first, request.count, unknown ? DiskMap.unknown : left)
        } else {
            if request.kind == .read, !failed {
                try map.verify(disk.data(tag), request, disk.features.contains(.inOrder) ? nil : length)
            }
            map.endReading(request.first, request.count)
        }
        counts[Int(request.kind.rawValue)] &+= 1
        inFlight &-= 1
        disk.release(tag)
    }

    /// Waits until the device has used a buffer, and takes all used buffers.
    private mutating func awaitUsed() throws(Failure) {
        let deadline = Deadline()
        while inFlight > 0, !deadline.passed {
            let device = disk.device
            let before = Interrupts.count(device)
            if waitsByInterrupt { for queue in 0..<disk.queueCount { disk.queues[queue].setInterrupts(true) } }
            if try takeAll() > 0 { return }
            if waitsByInterrupt { try wait("an interrupt") { Interrupts.count(device) != before } }
        }
        if inFlight > 0 { throw .timeout("a used request") }
    }

    // MARK: Suspends

    /// Suspends and resumes with the requests in flight. In the draft aborts one suspend in eight.
    private mutating func suspendAndResume() throws(Failure) {
        guard let suspend else { return }
        let start = timestamp()
        suspend.requestSuspend()
        if suspend.dialect == .draft, random.once(in: 8) {
            aborts &+= 1
            suspend.requestResume()
            return try suspend.awaitRunning()
        }
        try suspend.awaitSuspended()
        suspends.add(clock.microseconds(since: start))
        // A draft device uses all buffers made available before; a 1.4 device leaves those that it has not popped.
        let mustBeUsed = suspend.dialect == .draft && hasTestDevice
        if random.once(in: 2) { _ = try takeAll() }
        _ = disk.device.status
        let interrupts = Interrupts.count(disk.device)
        let used = pending
        if mustBeUsed { try expect(UInt64(used), inFlight, "requests used when a draft device is suspended") }
        for _ in 0..<4 { try expect(disk.device.status, suspend.suspended, "Status while suspended") }
        try expect(pending, used, "used entries while suspended")
        try expect(Interrupts.count(disk.device), interrupts, "interrupts while suspended")
        try suspend.resume()
    }

    private var pending: UInt64 {
        var sum: UInt64 = 0
        for queue in 0..<disk.queueCount { sum &+= UInt64(disk.queues[queue].pending) }
        return sum
    }

    // MARK: Results

    func summarise(_ measurements: inout Measurements) {
        measurements.add("requests", offered)
        measurements.add("reads", count(.read))
        measurements.add("writes", count(.write))
        measurements.add("flushes", count(.flush))
        measurements.add("discards", count(.discard))
        measurements.add("zeroes", count(.writeZeroes))
        measurements.add("errors", errors)
        measurements.add("left", inFlight)
        measurements.add("deepest", maximumInFlight)
        measurements.add("queues", UInt64(disk.queueCount))
        measurements.add("interrupts", Interrupts.count(disk.device) &- firstInterrupt)
        measurements.add("suspends", suspends.count)
        measurements.add("aborts", aborts)
        measurements.add("suspend-us", suspends.mean)
        measurements.add("suspend-us-max", suspends.longest)
    }

    private func count(_ kind: StressRequest.Kind) -> UInt64 { counts[Int(kind.rawValue)] }
}

func stress(_ board: inout Board) throws(Failure) {
    let requests = board.load.requests ?? 0
    var stress = try Stress(&board)
    enableInterrupts()
    do {
        try stress.run(requests)
        stress.summarise(&board.measurements)
    } catch {
        stress.summarise(&board.measurements)
        throw error
    }
}
