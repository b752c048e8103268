// Checks that load the disk, each run alone because the command line names it and says how long it goes on:
//
//   stress=N          N requests, many at once, of all kinds, with suspends between and under them (StressCheck.swift)
//   records=N         N numbered records, each told of on the console once it is flushed (RecordsCheck.swift)
//   latency=N         N suspends of an idle disk, and some of a loaded and of a stuck one (LatencyCheck.swift)
//   quiet=N           every device suspended for N looks at each Status (LatencyCheck.swift)
//   seed=N            what is random, and what data belong to this run; 1 without this
//   queues=N          so many request queues, 4 at most, as far as the device has them
//   depth=N           no more than N requests in flight in a queue
//   suspend-every=N   a suspend for N requests, on average; 0 for none, 40 without this
//   errors=N          N requests may fail with an I/O error; no further one may, and none without this

/// What the command line says of the load checks.
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

    /// One of the checks is to run in place of the others.
    var isWanted: Bool { requests != nil || records != nil || latency != nil || quiet != nil }
}

extension Suite {
    /// Runs the checks that the command line names.
    mutating func run(_ load: LoadOptions) {
        if load.requests != nil { run([Check("stress", stress)]) }
        if load.records != nil { run([Check("records", records)]) }
        if load.latency != nil { run([Check("suspend-latency", suspendLatency)]) }
        if load.quiet != nil { run([Check("suspend-quiet", suspendQuiet)]) }
    }
}

/// Numbers that look random and are the same for the same seed (xorshift).
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

    /// True once in `times`.
    mutating func once(in times: UInt64) -> Bool { below(times) == 0 }
}
