// `vmm run`: makes a machine from the options, runs it, says how it ended, and returns its exit code.

import ArgumentParser
import Machine
import Virtio
import VirtioABI

extension Run {
    func run() throws {
        let code: Int32
        do throws(MachineError) {
            code = try bootAll()
        } catch {
            Log.say(error.description)
            code = 1
        }
        throw ExitCode(code)
    }

    /// Boots the machine, the built-in guest once in each dialect if none was named. Stops at the first failure.
    private func bootAll() throws(MachineError) -> Int32 {
        StandardStreams.ensureOpen()
        let signals = try Signals()
        if let qtest { return try serve(qtest, signals) }
        if suspend != nil || !builtIn { return try boot(suspend ?? SuspendOption(dialect: .draft), signals) }
        for dialect in SuspendDialect.allCases {
            let run = { @Sendable () throws(MachineError) in
                try boot(
                    SuspendOption(dialect: dialect), signals, isFirst: dialect == .draft, isLast: dialect == .ratified)
            }
            // The sandbox of the first run would not let the second begin.
            let code = dialect == .draft && sandboxMode != .off ? try Sandbox.callApart(run) : try run()
            if code != 0 { return code }
        }
        return 0
    }

    /// The option's value, or the environment's.
    private var sandboxMode: Sandbox.Mode {
        sandbox ?? Sandbox.environment.flatMap { Sandbox.Mode(rawValue: $0) } ?? .auto
    }

    /// Makes the machine, runs it to its end, and prints the outcome. The last machine is not deallocated: the kernel does that with
    /// the process, in less than half the time.
    private func boot(
        _ suspend: SuspendOption, _ signals: Signals, isFirst: Bool = true, isLast: Bool = true
    ) throws(MachineError) -> Int32 {
        var configuration = makeConfiguration(suspend.dialect)
        configuration.appendsOutput = !isFirst
        let machine = try Machine(configuration)
        if isLast { _ = unsafe Unmanaged.passRetained(machine) }
        try signals.act(on: machine)
        if configuration.escapeKeys { Terminal.makeRaw() }
        defer {
            Terminal.restore()
            try? signals.act(on: nil)
        }
        if verbose {
            Log.say(machine.boot)
            Log.say(machine.sandbox)
            sayFeatureBit(suspend.dialect)
            Log.say("kernel command line: \(machine.commandLine)")
        }
        if let hint = machine.consoleHint { Log.say(hint) }

        let start = ContinuousClock.now
        let outcome = try machine.run(timeout: timeout?.duration)
        let duration = ContinuousClock.now - start
        let elapsed = TimeSpan(duration: duration)
        Terminal.restore()
        if verbose {
            for entry in machine.statistics { Log.say(entry.device, entry.counts) }
            for (id, exits) in machine.exits.enumerated() { Log.say("vcpu\(id): \(exits)") }
            for sentence in machine.unclaimedAccesses.sentences { Log.say(sentence) }
        }
        if verbose || outcome == .timedOut || machine.isStuck {
            for position in machine.positions { Log.say(position) }
        }
        let conformance = machine.conformance
        if conform != .off, verbose || configuration.reportsViolations && conformance.hasViolation {
            Log.say(conformance.sentence)
            if verbose { Log.say(conformance.coveredSentence) }
        }
        if machine.lostSerialOutput > 0 {
            Log.say(
                "the guest wrote \(machine.lostSerialOutput) bytes to the serial port, which is off; see them with --serial stdio"
            )
        }
        let code = exitCode(outcome, conformance)
        let ending =
            builtIn && outcome == .debugExit(Ports.guestFailed)
            ? "the built-in guest failed: its lines \"not ok\", or its last line, say what" : outcome.sentence
        Log.say("\(builtIn ? "SUSPEND \(suspend.description): " : "")\(ending) (\(elapsed.description))")
        sayRefusals(conformance, exitCode: code)
        guard json else { return code }
        let isWritten = Log.report(outcome, exitCode: code, after: duration, conformance, machine.unclaimedAccesses)
        return code == 0 && !isWritten ? 1 : code
    }

    /// The exit code. A refused driver makes it 65 in a strict run, however the run ended, except if the user stopped it.
    private func exitCode(_ outcome: Machine.Outcome, _ conformance: [ConformanceReport]) -> Int32 {
        switch outcome {
        case .stopped, .quit: outcome.exitCode
        default: conform == .strict && conformance.bindingViolations != nil ? 65 : outcome.exitCode
        }
    }

    /// Says which devices refused their driver in a strict run, and for which clauses.
    private func sayRefusals(_ conformance: [ConformanceReport], exitCode: Int32) {
        guard conform == .strict, let violations = conformance.bindingViolations else { return }
        let reason = exitCode == 65 ? "exit code 65, because " : ""
        Log.say("\(reason)--conform strict refused the driver of \(violations); vmm explain CLAUSE says more")
    }

    /// Makes the devices, which a qtest client drives until it leaves.
    private func serve(_ target: ClientTarget, _ signals: Signals) throws(MachineError) -> Int32 {
        var configuration = makeConfiguration(dialect)
        // A client that breaks clauses on purpose is the usual one: it asks for reports.
        let reports = verbose || conform == .strict || conform == .report
        configuration.reportsViolations = reports
        let machine = try QTestMachine(configuration)
        let sandbox = try machine.open(target)
        if verbose {
            sayFeatureBit(configuration.suspend)
            Log.say(sandbox)
        }
        try signals.act(on: machine)
        let start = ContinuousClock.now
        let outcome = try machine.run(timeout: timeout?.duration)
        try signals.act(on: nil)
        let code = exitCode(outcome, machine.conformance)
        if verbose || code != 0 { Log.say(outcome.sentence) }
        if reports, machine.conformance.hasViolation { Log.say(machine.conformance.sentence) }
        sayRefusals(machine.conformance, exitCode: code)
        guard json else { return code }
        let isWritten = Log.report(outcome, exitCode: code, after: ContinuousClock.now - start, machine.conformance)
        return code == 0 && !isWritten ? 1 : code
    }

    /// Says which meaning of feature bit 42 applies, where the dialects disagree.
    private func sayFeatureBit(_ suspend: SuspendDialect?) {
        guard suspend == .draft else { return }
        Log.say(
            "devices offer the draft's SUSPEND as feature bit 42, a device-type bit in VIRTIO 1.4; use --suspend 1.4 for 1.4's bit 43"
        )
    }

    /// Whether the built-in guest runs.
    var builtIn: Bool { kernel == nil && kernelOption == nil && restore == nil }

    /// The dialect of SUSPEND that devices offer if the guest is not run once in each.
    var dialect: SuspendDialect? { suspend.map(\.dialect) ?? .draft }

    /// The configuration that these options describe.
    func makeConfiguration(_ suspend: SuspendDialect?) -> Machine.Configuration {
        var configuration = Machine.Configuration()
        configuration.kernel = kernel ?? kernelOption
        configuration.boot = boot.protocol
        configuration.discovery = discovery
        configuration.processors = cpus ?? 1
        configuration.serial = serial.target
        configuration.testDevice = testDevice
        configuration.modules = initrd
        configuration.append = append
        configuration.memory = memory?.bytes ?? 128 << 20
        configuration.disks = disk
        configuration.entropy = [rng].compactMap { try? $0?.device.get() }
        configuration.networks = net
        configuration.suspend = suspend
        configuration.features = features ?? configuration.features
        configuration.drainDeadline = drainDeadline.duration
        configuration.mmioVersion = model.mmioVersion
        configuration.torture = model.torture
        configuration.conform = conform ?? .report
        configuration.reportsViolations = !builtIn || verbose
        configuration.control = qmp
        configuration.debug = gdb
        configuration.stopsWithoutDebugger = gdbLost == .stop
        configuration.startsPaused = paused
        configuration.restore = restore.map { Machine.Configuration.Restore(folder: $0) }
        configuration.restore?.force = force
        configuration.restore?.verifies = verify
        configuration.snapshotText = snapshotAt
        configuration.snapshotFolder = snapshotTo ?? (snapshotAt == nil ? nil : "snapshot")
        configuration.trace = trace
        configuration.stallAfter = stallAfter?.duration
        configuration.sandbox = sandboxMode
        configuration.console = console?.target ?? (qtest == nil || qtest == .stdio ? .stdio : .null)
        configuration.consoleOffer = console?.offer ?? Machine.Configuration.Offer()
        configuration.ports = port
        // Standard input belongs to one of the two.
        let isSerialInteractive = configuration.serial == .stdio && configuration.console != .stdio
        if configuration.serial == .stdio, !isSerialInteractive {
            configuration.serial = .descriptors(input: nil, output: 1)
        }
        guard configuration.console == .stdio || isSerialInteractive, Terminal.isInteractive else {
            return configuration
        }
        // The built-in guest takes no keys, so Ctrl-C keeps its usual meaning.
        configuration.escapeKeys = !builtIn
        if builtIn, configuration.console == .stdio { configuration.console = .descriptors(input: nil, output: 1) }
        return configuration
    }
}
