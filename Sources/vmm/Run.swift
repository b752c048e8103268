// The options of `vmm run`, and which of them go together. Their meaning is in `Machine`.

import ArgumentParser
import Machine
import Virtio
import VirtioABI

/// Boots a kernel, the built-in test guest if none is named.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Boot a kernel; without one, the built-in guest, which tests the devices and reports in TAP.",
        usage: "vmm [run] [<options>] [<kernel>]",
        discussion: """
            Other commands: vmm ctl, machine, explain, check, trace-view, sweep and sweep-merge; vmm COMMAND --help shows theirs.

            Exit codes: 0 the guest powered off; 1 vmm failed; 32 the guest reset the machine; 33 the guest crashed; 34 it panicked; \
            64 usage; 65 a driver broke a clause under --conform strict; 124 timeout; 128+n stopped by signal n; 159 ended by its sandbox; \
            (v<<1)|1 after a write of v to the debug-exit port 0xf4.

            In a terminal every key goes to the guest but Ctrl-A: Ctrl-A x stops the machine, Ctrl-A i says where its devices \
            stand, Ctrl-A s takes a snapshot, Ctrl-A h lists the keys.
            """)

    @Argument(
        help: "The kernel: Linux's bzImage or vmlinux, or one with a PVH entry note or a Multiboot header.",
        completion: .file())
    var kernel: String?

    @Option(
        name: [.customShort("k"), .customLong("kernel")],
        help: ArgumentHelp("The same, as an option.", valueName: "path"), completion: .file())
    var kernelOption: String?

    @Option(
        help: ArgumentHelp(
            """
            How the kernel is booted: auto, pvh, multiboot, multiboot2, elf64 (Linux's 64-bit protocol for an ELF file), bzimage, or flat (code without a \
            header, loaded and entered at 1 MiB as PVH enters).
            """,
            valueName: "protocol"))
    var boot = BootOption(protocol: nil)

    @Option(
        help: ArgumentHelp(
            "How the kernel finds its devices: auto (Linux by ACPI, others by cmdline), acpi, cmdline, both, none.",
            valueName: "way"))
    var discovery = Machine.Configuration.Discovery.auto

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("An initial RAM disk; or a module, repeatable.", valueName: "path"), completion: .file())
    var initrd: [String] = []

    @Option(
        name: .shortAndLong, parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Added to the kernel's command line. Repeatable.", valueName: "string"))
    var append: [String] = []

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "Guest memory, with suffix K, M, G or T; without one in MiB. (default: 128M)", valueName: "size"),
        transform: { try ByteCount($0) })
    var memory: ByteCount?

    @Option(name: .shortAndLong, help: ArgumentHelp("Processors, 1 to 254. (default: 1)", valueName: "n"))
    var cpus: Int?

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            """
            A disk image: PATH\(DeviceKind.block.optionHelp). Repeatable. A comma in the path is written ,, and so everywhere. \
            Locked while in use; SIGUSR1 re-reads its size. Features: \(DeviceKind.block.featureNames).
            """,
            valueName: "disk"), completion: .file(), transform: { try Machine.Configuration.Disk(option: $0) })
    var disk: [Machine.Configuration.Disk] = []

    @Option(
        help: ArgumentHelp(
            """
            What the console is connected to: \(ConsoleTarget.forms.joined(separator: ", ")); then, if wanted, \
            \(DeviceKind.console.optionHelp). (default: stdio)
            """,
            valueName: "target"), completion: .targets, transform: { try ConsoleOption($0) })
    var console: ConsoleOption?

    @Option(
        help: ArgumentHelp(
            "A further port of the console: TARGET[,name=NAME], with a target as of --console. Repeatable.",
            valueName: "port"), completion: .targets,
        transform: { try Machine.Configuration.Port(option: $0) })
    var port: [Machine.Configuration.Port] = []

    @Option(
        defaultAsFlag: EntropyOption("host"), parsing: .next,
        help: ArgumentHelp(
            "An entropy device: the host's random bytes, or with seed=N the same in each run.", valueName: "source"),
        completion: .list(["host", "seed="]), transform: { EntropyOption($0) })
    var rng: EntropyOption?

    @Option(
        help: ArgumentHelp(
            """
            A network device: null, tap=NAME, unix=PATH (passt, or QEMU's -netdev stream) or unix-dgram=PATH, then \(DeviceKind.network.optionHelp). \
            Repeatable. The features are \(DeviceKind.network.featureNames).
            """,
            valueName: "net"), completion: .list(["null", "tap=", "unix=", "unix-dgram="]),
        transform: { try Machine.Configuration.NetworkDevice(option: $0) })
    var net: [Machine.Configuration.NetworkDevice] = []

    @Option(
        help: ArgumentHelp(
            """
            A 16550A at port 0x3f8, COM1: off, stdio (shares standard output with the console; input is the console's, unless that \
            is elsewhere), null, pty, unix=PATH or file=PATH. Its ring indicator changes when a suspended device defers an event, \
            which can wake a guest.
            """,
            valueName: "target"), completion: .targets, transform: { try SerialOption($0) })
    var serial = SerialOption(target: nil)

    @Option(
        help: ArgumentHelp(
            "The SUSPEND that devices offer: draft, 1.4 or off. (default: draft; the built-in guest runs with both)",
            valueName: "dialect"), completion: .list(Machine.Configuration.SuspendChoice.names))
    var suspend: SuspendOption?

    @OptionGroup(title: "Other devices than a kind one")
    var model: ModelOptions

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Ring features that devices offer and withhold, unless their own features= says otherwise.",
            valueName: "+name,-name"), transform: { try Machine.Configuration.FeatureChoice(option: $0) })
    var features: Machine.Configuration.FeatureChoice?

    @Option(
        help: ArgumentHelp(
            "How long a device may drain before it suspends with requests retained (draft) or fails (1.4).",
            valueName: "duration"), transform: { try TimeSpan($0) })
    var drainDeadline = TimeSpan(duration: .seconds(10))

    @Flag(
        help: """
            Give the kernel the port by which the built-in guest holds, fails and releases requests: 0x608, as \
            VirtioABI/TestDevice.swift says.
            """)
    var testDevice = false

    @Option(
        help: ArgumentHelp(
            """
            No kernel and no KVM: a client drives the devices through QEMU's qtest protocol, at stdio or at a socket, \
            unix=PATH. Without -d there are two disks of memory. The run ends when the client leaves.
            """,
            valueName: "target"), completion: .list(["stdio", "unix="]), transform: { try ClientTarget(option: $0) })
    var qtest: ClientTarget?

    @Option(
        help: ArgumentHelp(
            """
            What is done about drivers that break clauses of the specification: report them, nothing (off), or refuse the driver \
            (strict: DEVICE_NEEDS_RESET, and exit code 65). vmm explain says what a clause asks for. (default: report)
            """,
            valueName: "mode"))
    var conform: ConformanceMode?

    @Option(
        help: ArgumentHelp(
            "Write all that happens to the devices to a file of JSON lines, for vmm check and vmm trace-view.",
            valueName: "path"), completion: .file())
    var trace: String?

    @Option(
        help: ArgumentHelp(
            """
            Control the running machine by QEMU's machine protocol, as vmm ctl does: at a socket, unix=PATH, or at stdio, where the \
            console then is not.
            """,
            valueName: "target"), completion: .list(["stdio", "unix="]), transform: { try ClientTarget(option: $0) })
    var qmp: ClientTarget?

    @Flag(
        name: [.customShort("S"), .customLong("paused")],
        help: "Run no instruction of the guest before a control client's cont, or a debugger's continue.")
    var paused = false

    @Option(
        help: ArgumentHelp(
            """
            Instead of booting a kernel, go on from the snapshot in this folder. Its machine has the same processors, memory and devices; \
            -d, --net and --port, as often as it has them, change what they are connected to.
            """,
            valueName: "folder"), completion: .directory)
    var restore: String?

    @Flag(
        help:
            "Restore although a disk image was modified since the snapshot, or the processor lacks features the guest knows of."
    )
    var force = false

    @Flag(help: "Read all of a snapshot's memory before it is restored, and compare it with its digest.")
    var verify = false

    @Option(
        help: ArgumentHelp(
            "Take a snapshot once the console or the serial port prints this text. The machine goes on.",
            valueName: "text"))
    var snapshotAt: String?

    @Option(
        help: ArgumentHelp(
            """
            The folder of the snapshots of --snapshot-at and Ctrl-A s; a snapshot there is replaced. In the sandbox only this option lets \
            snapshots be taken, there and beside it. (default: snapshot, without the sandbox or with --snapshot-at)
            """,
            valueName: "folder"), completion: .directory)
    var snapshotTo: String?

    @Option(
        help: ArgumentHelp(
            """
            Debug the guest by GDB's remote protocol, with gdb or lldb: at a socket, unix=PATH, or at [HOST:]PORT, of the loopback \
            interface if no other is named. Its monitor help lists what can be asked of the devices.
            """,
            valueName: "address"), transform: { try DebugAddress(option: $0) })
    var gdb: DebugAddress?

    @Option(
        help: ArgumentHelp(
            "What the guest does when a debugger is gone without detaching: go on, or stop until the next connects. (default: go)",
            valueName: "what"))
    var gdbLost: LostDebugger?

    @Option(
        help: ArgumentHelp(
            """
            When no device has made progress for this time and one has work outstanding, or no processor can continue, report what \
            each most likely waits for. Ctrl-A i and SIGQUIT report at once, --timeout at the end.
            """,
            valueName: "duration"), transform: { try TimeSpan($0) })
    var stallAfter: TimeSpan?

    @Option(
        help: ArgumentHelp(
            """
            What vmm gives up before the guest runs: files, network, other processes, system calls. auto, as much as the host's kernel \
            can (-v says what it lacks); on, all, or no run; off. The environment's VMM_SANDBOX has the same values. (default: auto)
            """,
            valueName: "mode"))
    var sandbox: Sandbox.Mode?

    @Option(
        help: ArgumentHelp("Stop the guest after this time: 500ms, 30s, 2m, 1h.", valueName: "duration"),
        transform: { try TimeSpan($0) })
    var timeout: TimeSpan?

    @Flag(
        help:
            "At the end, print the outcome, and the clauses that drivers broke and kept, as one line of JSON on standard error."
    )
    var json = false

    @Flag(name: .shortAndLong, help: "Print what vmm does.")
    var verbose = false

    func validate() throws {
        if let rng, case .failure(let error) = rng.device {
            throw ValidationError(
                "The value '\(rng.description)' is invalid for '--rng <source>': \(error.description)")
        }
        if kernel != nil && kernelOption != nil {
            throw ValidationError("Name the kernel once, as an argument or with --kernel.")
        }
        if sandbox == nil, let mode = Sandbox.environment, Sandbox.Mode(rawValue: mode) == nil {
            throw ValidationError("Give VMM_SANDBOX one of the values auto, on and off, not '\(mode)'.")
        }
        let counts = Machine.Configuration.processorCounts
        guard counts.contains(cpus ?? 1) else {
            throw ValidationError("A machine has 1 to \(counts.upperBound) processors: give -c such a number.")
        }
        let targets = port.map(\.target) + [console?.target ?? (qtest == nil ? .stdio : .null)]
        if qmp == .stdio, targets.contains(.stdio) || serial.target == .stdio {
            throw ValidationError(
                "Standard input and output are the control client's with --qmp stdio: give the console another target.")
        }
        if qmp != nil && qtest == nil && builtIn && suspend == nil {
            throw ValidationError(
                "The built-in guest runs once in each dialect; for --qmp, choose one with --suspend.")
        }
        if targets.filter({ $0 == .stdio }).count > 1 {
            throw ValidationError(
                "Standard input and output serve one port: give the others, or the console, another target.")
        }
        if targets.count > Console.maximumPorts {
            throw ValidationError(
                "A console has at most \(Console.maximumPorts) ports, itself included: use fewer --port.")
        }
        if trace != nil && qtest == nil && builtIn && suspend == nil {
            throw ValidationError(
                "The built-in guest runs once in each dialect; for one --trace, choose one with --suspend.")
        }
        if paused && qmp == nil && gdb == nil {
            throw ValidationError("Nothing could let the guest run: give --paused (-S) with --gdb or --qmp.")
        }
        if gdb != nil && qtest == nil && builtIn && suspend == nil {
            throw ValidationError(
                "The built-in guest runs once in each dialect; for --gdb, choose one with --suspend.")
        }
        if gdbLost != nil && gdb == nil {
            throw ValidationError("Without --gdb no debugger is lost: leave --gdb-lost out.")
        }
        try validateSnapshots()
        guard qtest != nil else { return }
        let kernelOptions: [(name: String, isGiven: Bool)] = [
            ("a kernel", !builtIn), ("--initrd", !initrd.isEmpty), ("--append", !append.isEmpty),
            ("--cpus", cpus ?? 1 > 1),
            ("--serial", serial.target != nil), ("--boot", boot.protocol != nil), ("--discovery", discovery != .auto),
            ("--stall-after", stallAfter != nil), ("--qmp", qmp != nil), ("--gdb", gdb != nil),
            ("--test-device", testDevice),
        ]
        let given = kernelOptions.filter(\.isGiven).map(\.name)
        if !given.isEmpty {
            throw ValidationError(
                "With --qtest no kernel runs, and there is no processor: leave out \(given.joined(separator: ", ")).")
        }
        if (port.map(\.target) + [console?.target ?? .null]).contains(where: { $0 != .null }) {
            throw ValidationError("With --qtest the console is the client's (x-input, x-output): leave --console out.")
        }
    }

    private func validateSnapshots() throws {
        if snapshotAt == "" { throw ValidationError("Give --snapshot-at the text that the console prints.") }
        let isBuiltInTwice = builtIn && suspend == nil
        if snapshotAt != nil && (qtest != nil || isBuiltInTwice) {
            throw ValidationError(
                qtest != nil
                    ? "With --qtest no processor runs, and there is no snapshot: leave out --snapshot-at."
                    : "The built-in guest runs once in each dialect; for --snapshot-at, choose one with --suspend.")
        }
        guard restore != nil else {
            if force || verify { throw ValidationError("--force and --verify are for --restore: leave them out.") }
            return
        }
        let options: [(name: String, isGiven: Bool)] = [
            ("a kernel", kernel != nil || kernelOption != nil), ("--initrd", !initrd.isEmpty),
            ("--append", !append.isEmpty), ("--boot", boot.protocol != nil), ("--discovery", discovery != .auto),
            ("--memory", memory != nil), ("--cpus", cpus != nil), ("--rng", rng != nil), ("--suspend", suspend != nil),
            ("--features", features != nil), ("--test-device", testDevice), ("--qtest", qtest != nil),
        ]
        let given = options.filter(\.isGiven).map(\.name)
        if !given.isEmpty {
            throw ValidationError(
                "With --restore the machine is that of the snapshot: leave out \(given.joined(separator: ", ")).")
        }
        if let console, console.offer != Machine.Configuration.Offer() {
            throw ValidationError("With --restore the console offers what it offered: give --console a target alone.")
        }
    }
}
