// Benchmark mode: the guest is a load for a monitor. The host measures the time between a console line before the timed
// part and one after it. The same options mean the same work under every monitor.
//
//   bench=NAME[,count=N][,depth=N][,size=N][,wait=pause|halt][,ring=0|3][,flush=0|1]
//
//   exit        the machine exits before any device access
//   mmio        `count` reads of MagicValue in the first window
//   blk-read    `count` random reads of `size` bytes, `depth` in flight, completion by interrupt
//   blk-seq     the same with sequential reads from the disk's start, repeated
//   blk-write, blk-seq-write   the same with writes; with flush=1 a flush follows each, and counts with it as one operation
//   console     `count` bytes of output in buffers of `size` bytes, `depth` in flight
//   net-send, net-receive      `count` frames of `size` bytes, `depth` buffers, completion by interrupt
//   suspend     `count` suspends and resumes of the idle disk
//   idle        halts until the host stops the machine
//
//   bench NAME begin
//   bench NAME end COUNT ticks T [accesses N] [interrupts N]
//
// In ring 3 a loop runs at the processor's speed on every host. `hlt` faults there, and the fault handler executes it
// (Ring3.S).

/// The benchmark options of the command line.
struct Benchmark {
    let name: Text
    var count: UInt64 = 1000
    var depth: UInt64 = 1
    var size: UInt64 = 4096
    /// Whether the processor halts while it waits, as under an operating system; otherwise it spins.
    var halts = true
    /// Whether a flush follows each write.
    var flushes = false
    private var ring: UInt64 = 3
    /// The form of the queues; by default indirect descriptors and event indices, as common drivers accept.
    let form: RingForm
    /// The last option that is not understood.
    private(set) var unknownOption: Text?

    /// Nil if the command line names no benchmark.
    init?(_ commandLine: KernelCommandLine) {
        var words: Text?
        commandLine.forEach("bench=") { words = $0 }
        guard var words else { return nil }
        let (form, choosesFeatures) = commandLine.form()
        self.form = choosesFeatures ? form : form.with([.indirectDescriptors, .eventIndex])
        name = words.removeFirst(before: UInt8(ascii: ","))
        while words.count > 0 {
            let option = words.removeFirst(before: UInt8(ascii: ","))
            if !set(option) { unknownOption = option }
        }
    }

    /// Sets the option `KEY=VALUE`; returns whether it is understood.
    private mutating func set(_ option: Text) -> Bool {
        var value = option
        if value.removePrefix("wait=") {
            halts = value.equals(Text("halt"))
            return halts || value.equals(Text("pause"))
        }
        let key = value.removeFirst(before: UInt8(ascii: "="))
        guard let number = value.number else { return false }
        if key.equals(Text("count")) {
            count = number
        } else if key.equals(Text("depth")) {
            depth = max(number, 1)
        } else if key.equals(Text("size")) {
            size = max(number, 1)
        } else if key.equals(Text("flush")) {
            flushes = number == 1
            return number <= 1
        } else if key.equals(Text("ring")) {
            ring = number
            return number == 0 || number == 3
        } else {
            return false
        }
        return true
    }

    /// Runs the benchmark in ring 0 or 3.
    func begin(_ startInfo: UInt64) -> Never {
        if name.equals(Text("exit")) { ProgramExit.success() }
        if ring == 3 { enterRing3(startInfo) }
        benchMain(startInfo: startInfo)
    }
}

/// Called by Ring3.S, in ring 3.
@c(benchMain)
func benchMain(startInfo: UInt64) -> Never {
    let commandLine = KernelCommandLine(startInfo: startInfo)
    guard let benchmark = Benchmark(commandLine) else { ProgramExit.failure() }
    var bench = Bench(benchmark, commandLine)
    do {
        try bench.run()
    } catch {
        bench.report(error)
        ProgramExit.failure()
    }
    ProgramExit.success()
}
