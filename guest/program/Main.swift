// The test guest: a bare-metal program that drives the board's virtio-mmio devices as a conforming driver and reports
// the results in TAP. No operating system, no allocation, one processor, ring 0.

/// Called by the entry code with the physical address of `hvm_start_info`.
@c(guestMain)
func guestMain(startInfo: UInt64) -> Never {
    let commandLine = KernelCommandLine(startInfo: startInfo)
    Interrupts.start()
    enableInterrupts()
    let error = commandLine.error
    if error == nil, let benchmark = Benchmark(commandLine) { benchmark.begin(startInfo) }
    let board = Board(commandLine)
    if let console = board.console { EmergencyConsole.use(console) }
    var suite = Suite(commandLine, board)
    if let error { suite.reject(error) } else { suite.run() }
    suite.finish()
    if suite.failed { ProgramExit.failure() }
    ProgramExit.success()
}
