// A machine from configuration to end: makes memory, loader, devices, board and vCPUs in this order, and stops them in reverse.

import KVM
import TestGuest
import Virtio
import VirtioABI

/// One virtual machine and its guest.
public final class Machine: @unchecked Sendable {
    let hypervisor: Hypervisor
    let vm: SharedVM
    /// The state of the first vCPU; nil for a machine that continues a snapshot.
    private let entry: EntryState?
    private let restored: RestoredMachine?
    /// The boot protocol, the reason for it, and how the kernel finds its devices: a sentence.
    public let boot: String
    /// The kernel's command line.
    public let commandLine: String
    private let isLinux: Bool
    private let processors: Int
    let serial: SerialPort?
    let board: Board
    /// In the order of their slots.
    let devices: [BoardDevice]
    /// Under `control`, once the machine runs.
    var trace: TraceWriter?
    private let stallAfter: Duration?
    private let wantedText: WantedText?
    let completion = RunCompletion()
    private let symbols: Symbols
    let vcpus: VCPUSet
    let configuration: Configuration
    /// What the sandbox is made of: a sentence.
    public private(set) var sandbox = ""
    /// Nothing needs the pages of the program's start to stay as they are.
    private let dropsStartupPages = !StartupPages.areTraced

    /// Held while the guest is stopped or set going.
    let control = Lock()
    /// Under the lock: a control client has stopped the guest.
    var isPaused = false
    /// Under the lock: the run has ended, and the vCPUs are released.
    private(set) var isEnding = false
    /// Serves control clients; nil without one.
    private(set) var server: QMPServer?
    /// Takes snapshots, and begins and ends traces; nil if no file can be made.
    private(set) var snapshots: SnapshotThread?
    /// Under the lock: since when a debugger has the guest stopped, and how long it had before.
    var heldSince: Instant?
    var heldNanoseconds: UInt64 = 0
    /// Nil without a debugger.
    private(set) var debugger: Debugger?
    private(set) var debugServer: DebugServer?

    /// Makes the machine; no guest instruction has run when this returns.
    public convenience init(_ configuration: Configuration) throws(MachineError) {
        try self.init(configuration, hooks: TestHooks())
    }

    init(_ given: Configuration, hooks: TestHooks) throws(MachineError) {
        restored = try given.restore.map { (request) throws(MachineError) in try RestoredMachine(request) }
        var configuration = try restored?.applied(to: given) ?? given
        // Mistakes of the user come first: they are found without KVM.
        try HostFiles(configuration, isQTest: false).check()
        self.configuration = configuration
        let plan = try DevicePlan(
            configuration, for: BoardPurpose(isQTest: false, hasTestDevices: configuration.kernel == nil))
        symbols = Symbols(configuration.kernel.map { .path($0) })
        vcpus = VCPUSet(symbols: symbols)
        let ram: RAM
        do throws(RAMError) {
            if let restored { ram = try restored.makeRAM() } else { ram = try RAM(size: configuration.memory) }
        } catch { throw .memory(error) }
        let kernel: LoadedKernel
        if let restored {
            kernel = LoadedKernel(restored)
        } else {
            kernel = try Self.load(configuration, devices: plan.count, into: ram)
        }
        (commandLine, entry, boot, isLinux) = (kernel.commandLine, kernel.entry, kernel.boot, kernel.isLinux)
        let serialEnd = try configuration.serial.map { (target) throws(MachineError) in
            try ConsolePort(target, name: "the serial port", appends: configuration.appendsOutput)
        }

        do throws(KVMError) { hypervisor = try Hypervisor() } catch { throw .opening(error) }
        processors = configuration.processors
        try Self.checkProcessors(processors, hypervisor)
        vm = try SharedVM(hypervisor, ram)
        let keys = EscapeKeyTarget()
        let onKey: @Sendable (EscapeKeys.Action) -> Void = { [completion] action in
            switch action {
            case .quit: completion.report(.quit)
            case .help: Log.say(EscapeKeys.text)
            case .inform: keys.machine?.diagnose()
            case .snapshot: keys.machine?.requestSnapshot()
            }
        }
        let wantedText = configuration.snapshotText.map { WantedText($0) { onKey(.snapshot) } }
        self.wantedText = wantedText
        let serial = try serialEnd.map { [vm] (end) throws(MachineError) in
            try SerialPort(
                end, line: vm.line(gsi: SerialPort.gsi),
                escapeKeys: configuration.escapeKeys && configuration.serial == .stdio,
                wantedText: wantedText, onKey: onKey)
        }
        self.serial = serial
        stallAfter = configuration.stallAfter
        let onDeferred = configuration.onDeferredEvent
        // A suspended device must not notify its driver (D-20); the serial port's ring indicator may wake the guest.
        configuration.onDeferredEvent = { device in
            onDeferred(device)
            serial?.ring()
        }
        trace = try configuration.trace.map { (path) throws(MachineError) in
            try TraceWriter(path: path, time: MonotonicTime(), devices: plan.count)
        }
        let address = configuration.debug
        let breaks = address == nil ? nil : DeviceBreaks(vm, vcpus)
        var factory = DeviceFactory(
            configuration: configuration, connections: breaks ?? vm, usesIOEventFDs: hooks.usesIOEventFDs,
            time: MonotonicTime(),
            trace: trace, hooks: hooks, onEscapeKey: onKey)
        factory.wantedText = wantedText
        // The built-in guest wakes by itself.
        if configuration.kernel != nil {
            factory.onWaitingInput = { device in
                guard serial?.canWake != true else { return }
                Log.say(
                    "input waits at \(device), which is suspended, and cannot wake the guest: \(Self.wayToWake(serial))"
                )
            }
        }
        devices = try plan.makeDevices(factory)
        board = Board(
            regions: devices.enumerated().map { hooks.region($0.offset, breaks?.region($0.element) ?? $0.element) },
            testDevice: configuration.kernel == nil || configuration.testDevice ? devices : nil,
            serial: serial, timer: IntervalTimer(vm))
        server = try configuration.control.map { (target) throws(MachineError) in try QMPServer(self, at: target) }
        if configuration.takesSnapshots { snapshots = SnapshotThread(self) }
        if let address, let breaks {
            let debugger = try Debugger(self, hypervisor, breaks)
            self.debugger = debugger
            debugServer = try DebugServer(self, debugger, at: address)
        }
        // All is open, and the trace's thread is the machine's first.
        sandbox = try Sandbox.enter(
            configuration.sandbox, removingIn: configuration.socketFolders, making: configuration.folderOfSnapshots)
        try trace?.begin(devices.map(\.traced), memory: configuration.memory)
        keys.machine = self
    }

    /// Runs the guest until it ends, something stops it, or `timeout` has passed. Once in a machine's life.
    public func run(timeout: Duration? = nil) throws(MachineError) -> Outcome {
        var stallWatch: StallWatch?
        // Output is written and disks are flushed when this is left.
        defer {
            // A snapshot that is being taken is finished.
            control.locked { isEnding = true }
            snapshots?.stop()
            Sandbox.giveUp()
            vcpus.stop()
            server?.stop()
            debugServer?.stop()
            stallWatch?.stop()
            for device in devices { device.stop() }
            serial?.stop()
            trace?.close()
        }
        // No guest instruction runs before every vCPU, device and thread exists: an INIT or SIPI to a vCPU that does not
        // exist is lost.
        try makeVCPUs()
        try restored?.restore(vm, board, serial, devices)
        for device in devices { try device.start() }
        try serial?.start()
        stallWatch = try stallAfter.map { (silence) throws(MachineError) in
            try StallWatch(devices, vcpus, after: silence) { [unowned self] in runState == .paused }
        }
        if dropsStartupPages { StartupPages.drop() }
        if configuration.startsPaused {
            isPaused = true
            vcpus.requestPause()
        }
        try snapshots?.start()
        try vcpus.start()
        try server?.start()
        try debugServer?.start()
        Sandbox.confine(.main)
        let start = Instant.now
        let outcome = completion.wait { timeout.map { deadline(from: start, $0) } }
        if outcome == .timedOut { sayStalls() }
        if let wantedText, !wantedText.wasFound {
            Log.say("there is no snapshot: neither the console nor the serial port printed the text of --snapshot-at")
        }
        postEnd(outcome)
        if case .stopped = outcome { isStuck = vcpus.states.areStuck(since: nil) }
        return outcome
    }

    /// Ends the run, from any thread, as `signal` would; false if it had already ended.
    @discardableResult
    public func stop(signal: Int32) -> Bool { completion.report(.stopped(signal: signal)) }

    /// The statistics of each device's threads, in the order of the slots.
    public var statistics: [(device: String, counts: DeviceStatistics)] {
        devices.map { ($0.name, $0.statistics) }
    }

    /// The exits of each vCPU; known when `run` has returned.
    public var exits: [ExitCounts] { vcpus.exits }
    /// Accesses of all vCPUs that nothing answered; known when `run` has returned.
    public var unclaimedAccesses: UnclaimedAccesses {
        var all = UnclaimedAccesses()
        for exits in exits { all.add(exits.unclaimed) }
        return all
    }
    /// A hint for a Linux whose command line names no console; nil for another kernel.
    public var consoleHint: String? {
        guard isLinux, !commandLine.split(separator: " ").contains(where: { $0.hasPrefix("console=") }) else {
            return nil
        }
        return "the kernel's command line names no console, so Linux may print nothing here: add -a console=hvc0, "
            + "or with --serial stdio -a console=ttyS0"
    }
    /// A sentence about the state of each vCPU.
    public var positions: [String] { vcpus.states.lines() }
    /// Whether the run was stopped from outside while every vCPU was halted with interrupts off.
    public private(set) var isStuck = false
    /// Bytes that the guest wrote to the absent serial port; known when `run` has returned.
    public var lostSerialOutput: Int { exits.reduce(0) { $0 + $1.lostOutput } }

    /// Reports the state of each device, its driver and each vCPU.
    public func diagnose() {
        for device in devices { Log.say(device.state.report) }
        for position in positions { Log.say(position) }
    }

    /// Reports the devices that make no progress, when the run has timed out; `positions` are reported after it.
    private func sayStalls() {
        for state in StallReport.stalled(devices.map(\.state)) { Log.say(state.report) }
    }

    /// The clauses that the devices' drivers kept and broke.
    public var conformance: [ConformanceReport] { devices.map(\.conformance) }

    /// The host may have changed: tells the guest of a terminal or a disk of another size, and reads the terminal again.
    public func hostChanged() {
        for device in devices { device.hostChanged() }
        serial?.hostChanged()
        server?.hostChanged()
    }

    private func makeVCPUs() throws(MachineError) {
        let supported: CPUID
        do throws(KVMError) { supported = try hypervisor.supportedCPUID() } catch { throw .kvm(error) }
        let features = try restored?.features(on: supported) ?? supported
        for id in 0..<processors {
            let vcpu = try makeVCPU(id, features)
            try restored?.restore(vcpu, id)
            vcpus.add(
                VCPUThread(
                    vcpu, id: id, vm: vm, board: board, completion: completion, symbols: symbols, debugger: debugger))
        }
    }

    private func makeVCPU(_ id: Int, _ features: CPUID) throws(MachineError) -> VCPU {
        do throws(KVMError) {
            let vcpu = try VCPU(vm.machine, id: UInt32(id))
            try vcpu.setCPUID(features, of: processors)
            if id == 0 { try entry?.apply(to: vcpu) }
            return vcpu
        } catch { throw .kvm(error) }
    }

    private static func checkProcessors(
        _ count: Int, _ hypervisor: borrowing Hypervisor
    ) throws(MachineError) {
        let most: Int
        do throws(KVMError) { most = try hypervisor.maximumVCPUs() } catch { throw .kvm(error) }
        guard count <= most else { throw .tooManyProcessors(most: most) }
    }

    /// What makes input at a suspended device wake the guest.
    private static func wayToWake(_ serial: SerialPort?) -> String {
        serial == nil
            ? "with --serial there is a serial port whose ring indicator can"
            : "the serial port's ring indicator can, once the guest enables that (Linux: hold /dev/ttyS0 open, stty -clocal, "
                + "power/wakeup enabled)"
    }

    // MARK: Parts

    /// Loads the kernel; returns what a machine needs to know of it.
    private static func load(
        _ configuration: Configuration, devices: Int, into ram: RAM
    ) throws(MachineError) -> LoadedKernel {
        do throws(LoaderError) {
            let source = configuration.kernel.map { ImageSource.path($0) }
            let loader = try Loader(
                kernel: source ?? .bytes(TestGuest.elf(), name: "the built-in guest"), as: configuration.boot)
            var discovery = configuration.discovery
            if discovery == .auto { discovery = loader.isLinux ? .acpi : .commandLine }
            let commandLine = configuration.commandLine(devices: devices, discovery)
            let processors = configuration.processors
            let acpi =
                discovery.usesACPI
                ? ACPITables(processors: processors, slots: devices, hasSerialPort: configuration.serial != nil) : nil
            let mp = discovery.usesCommandLine ? MPTable(processors: processors, slots: devices) : nil
            let entry = try loader.load(
                into: ram, commandLine: commandLine, modules: configuration.modules.map { .path($0) },
                acpi: acpi?.bytes, mpTable: mp?.bytes)
            let boot =
                "the kernel is booted as \(loader.bootProtocol.rawValue), \(loader.why); "
                + "it is told of its devices \(discovery.phrase)"
            return LoadedKernel(
                commandLine: commandLine, entry: entry, boot: boot, isLinux: loader.isLinux)
        } catch { throw .kernel(error) }
    }
}

/// A kernel in guest memory.
private struct LoadedKernel {
    let commandLine: String
    let entry: EntryState?
    /// The sentence for `Machine.boot`.
    let boot: String
    let isLinux: Bool
}

extension LoadedKernel {
    /// The kernel of a snapshot.
    fileprivate init(_ restored: RestoredMachine) {
        let file = restored.file
        self.init(
            commandLine: file.commandLine, entry: nil, boot: "the machine goes on from its snapshot", isLinux: false)
    }
}

/// The machine that the escape keys act on.
private final class EscapeKeyTarget: @unchecked Sendable {
    /// Set before the guest runs.
    weak var machine: Machine?
}

extension Machine.Configuration.Discovery {
    fileprivate var phrase: String {
        switch self {
        case .auto, .acpi: "by ACPI"
        case .commandLine: "on its command line and by an MP table"
        case .both: "by ACPI, on its command line and by an MP table"
        case .none: "nothing"
        }
    }
}
