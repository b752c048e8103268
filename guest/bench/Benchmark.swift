// The benchmark mode: the guest as a load for a monitor, timed by the host, which sees a line on the console before the
// timed part and one behind it. The same words mean the same work under every monitor.
//
//   bench=NAME[,count=N][,depth=N][,size=N][,wait=pause|halt][,ring=0|3]
//
//   exit        the machine ends before a device is touched
//   mmio        `count` reads of MagicValue of the first window, whatever is there
//   blk-read    `count` random reads of `size` bytes, `depth` in flight, each answer told by an interrupt
//   blk-seq     the same one after the other from the disk's start, round and round
//   console     `count` bytes of output in buffers of `size` bytes, `depth` in flight
//   suspend     `count` times the idle disk is suspended and resumed
//   idle        waits to be stopped
//
//   bench NAME begin
//   bench NAME end COUNT ticks T [accesses N] [interrupts N]
//
// Ring 3 is where a loop runs at the processor's speed on every host. It cannot halt: `hlt` there faults, and the handler
// halts in its place (Ring3.S).

/// What the command line asks for.
struct Benchmark {
    let name: Text
    var count: UInt64 = 1000
    var depth: UInt64 = 1
    var size: UInt64 = 4096
    /// The processor sleeps while it has nothing to do, as an operating system's does; else it spins.
    var halts = true
    private var ring: UInt64 = 3
    /// The form of the queues: by default what a driver of today accepts.
    let form: RingForm

    /// Nil where no benchmark is asked for.
    init?(_ commandLine: KernelCommandLine) {
        var words: Text?
        commandLine.forEach("bench=") { words = $0 }
        guard var words else { return nil }
        let (form, choosesFeatures) = commandLine.form()
        self.form = choosesFeatures ? form : form.with([.indirectDescriptors, .eventIndex])
        name = words.removeFirst(before: UInt8(ascii: ","))
        while words.count > 0 {
            var word = words.removeFirst(before: UInt8(ascii: ","))
            let key = word.removeFirst(before: UInt8(ascii: "="))
            if key.equals(Text("wait")) { halts = word.equals(Text("halt")) }
            guard let number = word.number else { continue }
            if key.equals(Text("count")) { count = number }
            if key.equals(Text("depth")) { depth = max(number, 1) }
            if key.equals(Text("size")) { size = max(number, 1) }
            if key.equals(Text("ring")) { ring = number }
        }
    }

    /// Runs it in its ring.
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
