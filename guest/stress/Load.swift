// Checks that load the disk. The command line selects one of them, which then runs alone:
//
//   stress=N          N requests of all kinds, many in flight, suspends between and during them (StressCheck.swift)
//   records=N         N numbered records, each reported on the console once it is flushed (RecordsCheck.swift)
//   latency=N         N suspends of an idle disk, N / 4 of a loaded one, one of a stuck one (LatencyCheck.swift)
//   quiet=N           all devices suspended during N reads of each Status (LatencyCheck.swift)
//   seed=N            seed of the random numbers and of the data; default 1
//   queues=N          number of request queues, at most 4 and what the device has; default 1
//   depth=N           maximum number of requests in flight per queue
//   suspend-every=N   one suspend per N requests on average; 0 for none, default 40
//   errors=N          maximum number of requests that may fail with an I/O error; default 0

/// Options of the load checks.
struct LoadOptions {
    let requests: UInt64?
    let records: UInt64?
    let latency: UInt64?
    let quiet: UInt64?
    let seed: UInt64
    let queues: UInt64
    let depth: UInt64
    let suspendEvery: UInt64
    let errors: UInt64

    init(_ commandLine: KernelCommandLine) {
        requests = commandLine.number("stress=")
        records = commandLine.number("records=")
        latency = commandLine.number("latency=")
        quiet = commandLine.number("quiet=")
        seed = commandLine.number("seed=") ?? 1
        queues = min(max(commandLine.number("queues=") ?? 1, 1), UInt64(StressDisk.maximumQueues))
        depth = max(commandLine.number("depth=") ?? .max, 1)
        suspendEvery = commandLine.number("suspend-every=") ?? 40
        errors = commandLine.number("errors=") ?? 0
    }

    /// Whether a load check runs in place of the others.
    var isWanted: Bool { requests != nil || records != nil || latency != nil || quiet != nil }
}

extension Suite {
    /// Runs the load checks that the command line selects.
    mutating func run(_ load: LoadOptions) {
        if load.requests != nil { run([Check("stress", stress)]) }
        if load.records != nil { run([Check("records", records)]) }
        if load.latency != nil { run([Check("suspend-latency", suspendLatency)]) }
        if load.quiet != nil { run([Check("suspend-quiet", suspendQuiet)]) }
    }
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
