// State shared by all checks: the devices found, the test device, memory, and the device under test.

/// The board, as described by the command line and found in the device windows.
struct Board {
    let slots: Slots
    private(set) var console: MMIODevice?
    /// The writable disk under test, and the first read-only disk.
    private(set) var disk: MMIODevice?
    private(set) var readOnlyDisk: MMIODevice?
    private(set) var network: MMIODevice?
    let hasTestDevice: Bool
    /// Input that the host sends to the console, from the command line; empty if none.
    private(set) var hostInput = Text("")
    /// The form of all queues; no optional features unless the command line names them.
    let form: RingForm
    /// The command line names the features to accept.
    let choosesFeatures: Bool
    /// Rounds of the check `suspend-cycles`.
    let cycles: UInt64
    /// Initial capacity of the writable disk; a check may change the capacity.
    private var sectors: UInt64 = 0
    /// Index of the writable disk among all disks, if the command line gives one; and the number of disks found.
    private let chosenDisk: UInt64?
    private var disks: UInt64 = 0
    /// Options of the load checks.
    let load: LoadOptions
    /// Measurements of the current check, printed with its result.
    var measurements = Measurements()
    var arena = Arena()
    /// The device under test: a failure report shows its Status.
    var subject: MMIODevice?

    init(_ commandLine: KernelCommandLine) {
        slots = commandLine.slots()
        hasTestDevice = in32(TestDevice.port) == TestDevice.signature
        var input = Text("")
        commandLine.forEach("input=") { input = $0 }
        hostInput = input
        (form, choosesFeatures) = commandLine.form()
        cycles = commandLine.number("cycles=") ?? 200
        chosenDisk = commandLine.number("disk=")
        load = LoadOptions(commandLine)
        for slot in 0..<slots.count where slots[slot].isPresent { identify(slots[slot]) }
    }

    private mutating func identify(_ device: MMIODevice) {
        switch device.read(.deviceID) {
        case DeviceID.console: console = console ?? device
        case DeviceID.block:
            let isWanted = (chosenDisk ?? disks) == disks
            disks &+= 1
            if device.offered.contains(BlockFeature.readOnly) {
                readOnlyDisk = readOnlyDisk ?? device
            } else if isWanted, disk == nil {
                disk = device
                sectors = capacity(device)
            }
        case DeviceID.network: network = device
        default: return
        }
        Interrupts.route(device)
    }

    /// Restores the initial state for a check: devices reset, backends released and ready, memory empty. A device that
    /// does not complete its reset is ignored here: the next check that initialises it fails.
    mutating func clear() {
        enableInterrupts()
        for slot in 0..<slots.count where slots[slot].isPresent {
            do { try slots[slot].reset() } catch {}
            if hasTestDevice {
                command(.release, slots[slot])
                command(.ready, slots[slot])
            }
            _ = Interrupts.takePendingStatus(slots[slot])
        }
        if hasTestDevice, let disk, capacity(disk) != sectors {
            command(.capacity, disk, UInt16(truncatingIfNeeded: sectors))
        }
        arena = Arena()
        subject = nil
    }

    private func capacity(_ disk: MMIODevice) -> UInt64 {
        UInt64(load32(disk.configuration(BlockConfiguration.capacity)))
    }

    func command(_ verb: TestDevice.Verb, _ device: MMIODevice, _ argument: UInt16 = 0) {
        out32(TestDevice.port, TestDevice.command(verb, slot: device.slot, argument: argument))
    }

    func needTestDevice() throws(Failure) {
        if !hasTestDevice { throw .skipped("no test device") }
    }

    /// The form for a check of the features `needed`. Skips the check if the command line names other features only.
    private func form(needing needed: Features) throws(Failure) -> RingForm {
        if choosesFeatures, !form.features.isSuperset(of: needed) {
            throw .skipped("not among the features to accept")
        }
        return form.with(needed)
    }

    /// Initialises the console for a check of the features `needed`.
    mutating func startConsole(needing needed: Features = []) throws(Failure) -> ConsoleDriver {
        let console = try startConsole(form(needing: needed))
        if !console.features.isSuperset(of: needed) { throw .skipped("device does not offer the feature") }
        return console
    }

    private mutating func startConsole(_ form: RingForm) throws(Failure) -> ConsoleDriver {
        guard let console else { throw .skipped("no console") }
        subject = console
        return try ConsoleDriver(console, form, &arena)
    }

    /// The writable disk, not initialised.
    mutating func needDisk() throws(Failure) -> MMIODevice {
        guard let disk else { throw .skipped("no writable disk") }
        subject = disk
        return disk
    }

    /// Initialises the writable disk for a check of the features `needed`.
    @inline(never)
    mutating func startDisk(needing needed: Features = []) throws(Failure) -> BlockDriver {
        let disk = try BlockDriver(needDisk(), form(needing: needed), &arena)
        if !disk.features.isSuperset(of: needed) { throw .skipped("device does not offer the feature") }
        return disk
    }

    /// Initialises the writable disk with SUSPEND; skips the check if the device does not offer it.
    @inline(never)
    mutating func startSuspendableDisk(live: Bool = true) throws(Failure) -> (BlockDriver, Suspend) {
        disableInterrupts()
        let disk = try BlockDriver(needDisk(), form.with(Suspend.features), &arena, live: live)
        return (disk, try Suspend(disk.device, disk.features))
    }

    /// Initialises the console with SUSPEND; skips the check if the device does not offer it.
    @inline(never)
    mutating func startSuspendableConsole() throws(Failure) -> (ConsoleDriver, Suspend) {
        disableInterrupts()
        let console = try startConsole(form.with(Suspend.features))
        return (console, try Suspend(console.device, console.features))
    }
}
