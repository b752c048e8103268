// Runs a benchmark: the devices it needs, and the two lines around its timed part.

/// The run of one benchmark.
struct Bench {
    let benchmark: Benchmark
    var board: Board
    var output: ConsoleDriver?
    private var start: UInt64 = 0

    init(_ benchmark: Benchmark, _ commandLine: KernelCommandLine) {
        self.benchmark = benchmark
        board = Board(commandLine)
        // Without a console the lines go to the first serial port.
        if let console = board.console {
            EmergencyConsole.use(console)
            output = try? ConsoleDriver(console, benchmark.form, &board.arena)
        }
    }

    mutating func run() throws(Failure) {
        if benchmark.name.equals(Text("mmio")) { return try readRegister() }
        if benchmark.name.equals(Text("blk-read")) { return try useDisk(sequentially: false, writes: false) }
        if benchmark.name.equals(Text("blk-seq")) { return try useDisk(sequentially: true, writes: false) }
        if benchmark.name.equals(Text("blk-write")) { return try useDisk(sequentially: false, writes: true) }
        if benchmark.name.equals(Text("blk-seq-write")) { return try useDisk(sequentially: true, writes: true) }
        if benchmark.name.equals(Text("console")) { return try writeConsole() }
        if benchmark.name.equals(Text("net-send")) { return try useNetwork(receives: false) }
        if benchmark.name.equals(Text("net-receive")) { return try useNetwork(receives: true) }
        if benchmark.name.equals(Text("suspend")) { return try suspendDisk() }
        if benchmark.name.equals(Text("idle")) { return try idle() }
        throw .skipped("no benchmark of this name")
    }

    // MARK: The lines

    mutating func begin() throws(Failure) {
        var line = Line()
        line.put("bench ")
        line.put(benchmark.name)
        line.put(" begin\n")
        try send(line)
        start = timestamp()
    }

    /// Prints the end line: `count`, the ticks of the timed part, and `value` named `fact`, unless that is empty.
    mutating func end(_ count: UInt64, _ fact: StaticString = "", _ value: UInt64 = 0) throws(Failure) {
        let ticks = timestamp() &- start
        var line = Line()
        line.put("bench ")
        line.put(benchmark.name)
        line.put(" end ")
        line.put(decimal: count)
        line.put(" ticks ")
        line.put(decimal: ticks)
        if fact.utf8CodeUnitCount > 0 {
            line.put(fact)
            line.put(decimal: value)
        }
        line.put("\n")
        try send(line)
    }

    private mutating func send(_ line: Line) throws(Failure) {
        guard output != nil else {
            for index in 0..<line.count { EmergencyConsole.put(line.bytes[index]) }
            return
        }
        guard let buffer = output?.buffer else { return }
        for index in 0..<line.count { store8(buffer &+ UInt64(truncatingIfNeeded: index), line.bytes[index]) }
        _ = try output?.send(UInt64(truncatingIfNeeded: line.count))
    }

    /// Prints the error in place of the end line.
    mutating func report(_ failure: Failure) {
        var line = Line()
        line.put("bench ")
        line.put(benchmark.name)
        line.put(" failed: ")
        switch failure {
        case .skipped(let reason): line.put(reason)
        case .timeout(let what): line.put(what)
        case .unexpected(let what, _, let actual):
            line.put(what)
            line.put(": ")
            line.put(decimal: actual)
        }
        line.put("\n")
        do { try send(line) } catch {}
    }

    // MARK: Benchmarks without a queue of their own

    private mutating func readRegister() throws(Failure) {
        let window = board.slots[0]
        guard board.slots.count > 0 else { throw .skipped("no device window") }
        try begin()
        var wrong: UInt64 = 0
        for _ in 0..<benchmark.count where window.read(.magicValue) != Register.magic { wrong &+= 1 }
        try end(benchmark.count)
        try expect(wrong, 0, "reads of MagicValue that were not the magic value")
    }

    private mutating func idle() throws(Failure) {
        try begin()
        while true { haltUnlessInterrupted(interruptsTaken()) }
    }

    /// Counts register accesses from the suspend request to its acknowledgement; each is an exit.
    private mutating func suspendDisk() throws(Failure) {
        guard let disk = board.disk ?? board.readOnlyDisk else { throw .skipped("no disk") }
        let features = try disk.negotiate([.version1, BlockFeature.readOnly, Suspend.features, benchmark.form.features])
        _ = try VirtQueue(disk, 0, features, size: benchmark.form.queueSize, &board.arena)
        try disk.driverOK()
        let handshake = try Suspend(disk, features)
        try begin()
        var accesses: UInt64 = 0
        for _ in 0..<benchmark.count {
            handshake.requestSuspend()
            accesses &+= 1
            repeat { accesses &+= 1 } while disk.status != handshake.suspended && accesses < benchmark.count &* 100
            try handshake.resume()
        }
        try end(benchmark.count, " accesses ", accesses)
    }

    /// Sends buffers with `depth` in flight and polls for used buffers, as console drivers do.
    private mutating func writeConsole() throws(Failure) {
        let text = BulkMemory.take(benchmark.size)
        for index in 0..<benchmark.size { store8(text &+ index, index % 64 == 63 ? 10 : UInt8(ascii: "x")) }
        try begin()
        // Moves the driver out of `output`: the queue has one driver state.
        guard var console = output else { throw .skipped("no console") }
        output = nil
        let depth = min(Int(truncatingIfNeeded: benchmark.depth), Int(console.transmit.size))
        var left = benchmark.count
        var nextTag = 0
        var inFlight = 0
        console.transmit.setInterrupts(false)
        while left > 0 || inFlight > 0 {
            while left > 0, inFlight < depth {
                let bytes = min(left, benchmark.size)
                console.transmit.append(text, bytes)
                try console.transmit.offer(nextTag)
                nextTag = (nextTag + 1) % depth
                left &-= bytes
                inFlight += 1
            }
            console.transmit.kick()
            _ = try console.transmit.waitUsed("a used transmit buffer")
            inFlight -= 1
            while try console.transmit.takeUsed() != nil { inFlight -= 1 }
        }
        output = console
        try end(benchmark.count)
    }
}

/// A line of text under construction, at most 128 bytes.
struct Line {
    var bytes = [128 of UInt8](repeating: 0)
    var count = 0

    mutating func put(_ byte: UInt8) {
        guard count < bytes.count else { return }
        bytes[count] = byte
        count += 1
    }
    mutating func put(_ text: Text) { for index in 0..<text.count { put(text[index]) } }
    mutating func put(_ literal: StaticString) { put(Text(literal)) }
    mutating func put(decimal value: UInt64) { Text.decimal(value) { put($0) } }
}

/// Memory for data, from 16 MiB up: larger than the arena, and not zeroed.
enum BulkMemory {
    static let start: UInt64 = 16 << 20

    /// The start of the memory; a benchmark calls this once.
    static func take(_ bytes: UInt64) -> UInt64 { start }
}
