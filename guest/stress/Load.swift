// Checks that load the disk. The command line selects one of them, which then runs alone; its options are in KnownWord.swift.

/// Options of the load checks.
struct LoadOptions {
    let requests: UInt64?
    let records: UInt64?
    let latency: UInt64?
    let quiet: UInt64?
    let accesses: UInt64?
    /// The IPv4 address of the network device's peer.
    let peer: UInt64?
    let seed: UInt64
    let queues: UInt64
    let depth: UInt64
    let suspendEvery: UInt64
    let errors: UInt64
    let processors: UInt64

    init(_ commandLine: KernelCommandLine) {
        requests = commandLine.number("stress=")
        records = commandLine.number("records=")
        latency = commandLine.number("latency=")
        quiet = commandLine.number("quiet=")
        accesses = commandLine.number("concurrency=")
        peer = commandLine.number("peer=")
        seed = commandLine.number("seed=") ?? 1
        queues = min(max(commandLine.number("queues=") ?? 1, 1), UInt64(StressDisk.maximumQueues))
        depth = max(commandLine.number("depth=") ?? .max, 1)
        suspendEvery = commandLine.number("suspend-every=") ?? 40
        errors = commandLine.number("errors=") ?? 0
        processors = min(max(commandLine.number("processors=") ?? 2, 2), 8)
    }

    /// Whether a load check runs in place of the others.
    var isWanted: Bool {
        requests != nil || records != nil || latency != nil || quiet != nil || accesses != nil || peer != nil
    }
}

/// Calls `body` with the load checks that the command line selects.
func forEachCheck(of load: LoadOptions, _ body: (Check) -> Void) {
    if load.requests != nil { body(Check("stress", stress)) }
    if load.records != nil { body(Check("records", records)) }
    if load.latency != nil { body(Check("suspend-latency", suspendLatency)) }
    if load.quiet != nil { body(Check("suspend-quiet", suspendQuiet)) }
    if load.accesses != nil { body(Check("concurrency", concurrency)) }
    if load.peer != nil { for index in networkChecks.indices { body(networkChecks[index]) } }
}

/// Pseudo-random numbers (xorshift), reproducible from the seed.
struct Random {
    private var state: UInt64

    init(seed: UInt64) { state = (seed &+ 1) &* 0x9e37_79b9_7f4a_7c15 | 1 }

    /// A number below `limit`, which is less than 2^32; 0 for a limit of 0.
    mutating func below(_ limit: UInt64) -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return ((state >> 32) &* limit) >> 32
    }

    /// True with probability 1 / `times`.
    mutating func once(in times: UInt64) -> Bool { below(times) == 0 }
}
