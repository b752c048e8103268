// Runs checks and reports them in the Test Anything Protocol, version 13, through the console's transmit queue. Some
// checks use the console themselves, so it is initialised again after every check.

/// Calls `body` with each check of a run, in order: the load checks that the command line selects, or else the suite.
func forEachCheck(_ load: LoadOptions, _ body: (Check) -> Void) {
    if load.isWanted { return forEachCheck(of: load, body) }
    forEach(transportChecks, body)
    forEach(consoleChecks, body)
    forEach(blockChecks, body)
    forEach(entropyChecks, body)
    forEach(interruptChecks, body)
    forEach(ringChecks, body)
    forEach(suspendChecks, body)
    forEach(suspendedChecks, body)
}

private func forEach<let count: Int>(_ checks: [count of Check], _ body: (Check) -> Void) {
    for index in checks.indices { body(checks[index]) }
}

/// A check with its stable name.
struct Check: Sendable {
    let name: StaticString
    let body: @Sendable (inout Board) throws(Failure) -> Void

    init(_ name: StaticString, _ body: @escaping @Sendable (inout Board) throws(Failure) -> Void) {
        self.name = name
        self.body = body
    }
}

/// Runs the checks in order and writes the report.
struct Suite {
    private let commandLine: KernelCommandLine
    private var board: Board
    private var output: ConsoleDriver?
    private var column: UInt64 = 0
    private var number: UInt64 = 0
    private(set) var failed = false

    init(_ commandLine: KernelCommandLine, _ board: Board) {
        self.commandLine = commandLine
        self.board = board
        openOutput()
        put("TAP version 13\n")
    }

    /// Runs the selected checks in their order.
    mutating func run() {
        describeForm()
        if board.choosesFeatures { checkFeatures() }
        forEachCheck(board.load) { run($0) }
    }

    /// Reports a command line that is not understood as the only check, and as failed.
    mutating func reject(_ error: CommandLineError) {
        number &+= 1
        failed = true
        put("# command line: ")
        put(Text(error.key))
        put(error.value)
        put(" ")
        put(error.reason)
        put("\nnot ok 1 - command-line\n")
    }

    /// Reports the form of the queues if it is not the default.
    private mutating func describeForm() {
        guard let output, board.choosesFeatures || board.form.queueSize != nil else { return }
        put("# the console's queues: entries ")
        put(decimal: UInt64(output.transmit.size))
        put(", features")
        put(names: output.features)
        put("\n")
    }

    private mutating func put(names features: Features) {
        for index in RingFeature.all.indices where features.contains(RingFeature.all[index].feature) {
            put(" ")
            put(RingFeature.all[index].name)
        }
    }

    /// Fails if a feature named on the command line is not offered: the run would not cover what it is meant to. Runs
    /// regardless of the checks selected.
    private mutating func checkFeatures() {
        number &+= 1
        var offered = board.form.features
        for slot in 0..<board.slots.count where board.slots[slot].isPresent {
            offered.formIntersection(board.slots[slot].offered)
        }
        let missing = board.form.features.subtracting(offered)
        if missing.isEmpty { return report("features-offered", nil, nil) }
        put("# not offered by every device:")
        put(names: missing)
        put("\n")
        report(
            "features-offered",
            board.hasTestDevice
                ? .unexpected("features offered", expected: board.form.features.rawValue, actual: offered.rawValue)
                : .skipped("not vmm's devices"), nil)
    }

    /// Runs one check on a cleared board, if the command line selects it.
    @inline(never)
    private mutating func run(_ check: Check) {
        guard commandLine.selects(check.name) else { return }
        number &+= 1
        output = nil
        board.measurements = Measurements()
        let failure = failure(of: check)
        let status = board.subject?.status
        openOutput()
        put(board.measurements, of: check.name)
        report(check.name, failure, status)
    }

    private mutating func failure(of check: Check) -> Failure? {
        do {
            try check.body(&board)
            return nil
        } catch {
            return error
        }
    }

    /// Writes the plan last, when the number of checks is known.
    mutating func finish() {
        put("1..")
        put(decimal: number)
        put("\n")
    }

    @inline(never)
    private mutating func openOutput() {
        do {
            board.clear()
            output = try board.startConsole()
            column = 0
        } catch {
            bailOut("the console does not start")
        }
    }

    @inline(never)
    private func bailOut(_ why: StaticString) -> Never {
        EmergencyConsole.resetConsole()
        EmergencyConsole.put(Text("Bail out! "))
        EmergencyConsole.put(Text(why))
        EmergencyConsole.put(UInt8(ascii: "\n"))
        ProgramExit.failure()
    }

    private mutating func put(_ measurements: Measurements, of name: StaticString) {
        guard measurements.count > 0 else { return }
        put("# ")
        put(name)
        put(":")
        for index in 0..<measurements.count {
            put(" ")
            put(measurements[index].name)
            put("=")
            put(decimal: measurements[index].value)
        }
        put("\n")
    }

    private mutating func report(_ name: StaticString, _ failure: Failure?, _ status: UInt32?) {
        let passed =
            switch failure {
            case nil, .skipped: true
            default: false
            }
        put(passed ? "ok " : "not ok ")
        put(decimal: number)
        put(" - ")
        put(name)
        if let failure { put(failure) }
        if !passed {
            failed = true
            if let status {
                put("; Status ")
                put(hexadecimal: UInt64(status))
            }
        }
        put("\n")
    }

    private mutating func put(_ failure: Failure) {
        put(" # ")
        switch failure {
        case .skipped(let reason):
            put("SKIP ")
            put(reason)
        case .timeout(let what):
            put("timed out waiting for: ")
            put(what)
        case .unexpected(let what, let expected, let actual):
            put(what)
            put(": expected ")
            put(hexadecimal: expected)
            put(", actual ")
            put(hexadecimal: actual)
        }
    }

    private mutating func put(_ literal: StaticString) { put(Text(literal)) }

    @inline(never)
    private mutating func put(_ text: Text) {
        for index in 0..<text.count { put(text[index]) }
    }

    private mutating func put(decimal value: UInt64) { Text.decimal(value) { put($0) } }
    private mutating func put(hexadecimal value: UInt64) { Text.hexadecimal(value) { put($0) } }

    /// Buffers a byte; sends the buffer at the end of a line or when it is full.
    @inline(never)
    private mutating func put(_ byte: UInt8) {
        guard let buffer = output?.buffer else { return }
        store8(buffer &+ column, byte)
        column &+= 1
        guard byte == UInt8(ascii: "\n") || column == ConsoleDriver.bufferSize else { return }
        do {
            _ = try output?.send(column)
            column = 0
        } catch {
            bailOut("the console does not use its transmit buffer")
        }
    }
}
