// What the checks run on: the devices found, the test device, memory, and the device the running check is about.

/// The board as the command line and the devices describe it.
struct Board {
    let slots: Slots
    private(set) var console: MMIODevice?
    /// The first disk that can be written, and the first that cannot.
    private(set) var disk: MMIODevice?
    private(set) var readOnlyDisk: MMIODevice?
    let hasTestDevice: Bool
    /// What the host sends to the console, as the command line tells; empty if it sends nothing.
    private(set) var hostInput = Text("")
    /// The form of all queues; where the command line does not say which features, none.
    let form: RingForm
    /// The command line says which features.
    let choosesFeatures: Bool
    /// How often the check of suspend cycles goes round.
    let cycles: UInt64
    /// The size the writable disk began with, which a check may have changed.
    private var sectors: UInt64 = 0
    /// The number the command line gives the writable disk among all disks, if it does, and how many were found.
    private let chosenDisk: UInt64?
    private var disks: UInt64 = 0
    /// What the command line says of the load checks.
    let load: LoadOptions
    /// What the running check wants to be printed with its line.
    var measurements = Measurements()
    var arena = Arena()
    /// The device whose Status a failure shows.
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
        default: return
        }
        Interrupts.route(device)
    }

    /// Back to where every check begins: devices reset, backends neither held nor late, memory empty. A device that
    /// does not come out of its reset is the business of the next check that starts it, which fails.
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

    /// The form for a check that is about `needed`. Where the command line chooses the features, those are all.
    private func form(needing needed: Features) throws(Failure) -> RingForm {
        if choosesFeatures, !form.features.isSuperset(of: needed) {
            throw .skipped("not among the features to accept")
        }
        return form.with(needed)
    }

    /// The console, initialised for a check, which is about the features `needed`.
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

    /// The writable disk, untouched.
    mutating func needDisk() throws(Failure) -> MMIODevice {
        guard let disk else { throw .skipped("no writable disk") }
        subject = disk
        return disk
    }

    /// The writable disk, initialised for a check, which is about the features `needed`.
    @inline(never)
    mutating func startDisk(needing needed: Features = []) throws(Failure) -> BlockDriver {
        let disk = try BlockDriver(needDisk(), form(needing: needed), &arena)
        if !disk.features.isSuperset(of: needed) { throw .skipped("device does not offer the feature") }
        return disk
    }

    /// The same with SUSPEND, if the device offers it.
    @inline(never)
    mutating func startSuspendableDisk(live: Bool = true) throws(Failure) -> (BlockDriver, Suspend) {
        disableInterrupts()
        let disk = try BlockDriver(needDisk(), form.with(Suspend.features), &arena, live: live)
        return (disk, try Suspend(disk.device, disk.features))
    }

    /// The console with SUSPEND, if it offers it.
    @inline(never)
    mutating func startSuspendableConsole() throws(Failure) -> (ConsoleDriver, Suspend) {
        disableInterrupts()
        let console = try startConsole(form.with(Suspend.features))
        return (console, try Suspend(console.device, console.features))
    }
}
