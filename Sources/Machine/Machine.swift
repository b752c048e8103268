// A machine, from its configuration to its end: memory, loader, devices, board, vCPU, in this order, then the way back.

import KVM
import TestGuest
import Virtio
import VirtioABI

/// One virtual machine with its guest.
public final class Machine: @unchecked Sendable {
    private let hypervisor: Hypervisor
    private let vm: SharedVM
    private let entry: EntryState
    /// What the kernel is told.
    public let commandLine: String
    private let board: Board
    private let console: ConsoleSlot
    private let disks: [BlockSlot]
    private let ending = Ending()

    /// Makes the machine; no guest instruction has run when this returns.
    public convenience init(_ configuration: Configuration) throws(MachineError) {
        try self.init(configuration, interposing: Interposition())
    }

    init(_ configuration: Configuration, interposing between: Interposition) throws(MachineError) {
        // What the user got wrong comes first: it can be told without KVM.
        let images = try Self.openDisks(configuration, memoryDisks: configuration.kernel == nil)
        guard images.count < MemoryMap.maximumSlots else { throw .tooManyDevices }
        let ram: RAM
        do throws(RAMError) { ram = try RAM(size: configuration.memory) } catch { throw .memory(error) }
        commandLine = configuration.commandLine(devices: images.count + 1)
        entry = try Self.load(configuration, into: ram, commandLine)
        let ends = try Self.openConsole(configuration)

        do throws(KVMError) { hypervisor = try Hypervisor() } catch { throw .opening(error) }
        vm = try SharedVM(hypervisor, ram)
        let parts = Parts(
            configuration: configuration, wiring: vm, kicksAreEvents: between.kicksAreEvents, time: MonotonicTime())
        console = try parts.console(ends, slot: 0) { [ending] action in
            switch action {
            case .quit: ending.report(.stopped(signal: 2))
            case .help: Log.say(EscapeKeys.text)
            }
        }
        var disks: [BlockSlot] = []
        for var image in images {
            image.backend = between.backend(image.backend)
            disks.append(try parts.disk(image, number: disks.count, slot: disks.count + 1))
        }
        self.disks = disks

        let regions: [any MMIORegion] = [console] + disks
        board = Board(
            regions: regions.enumerated().map { between.region($0.offset, $0.element) },
            testDevice: configuration.kernel == nil ? [console] + disks : nil)
    }

    /// Runs the guest until it ends, something stops it, or `timeout` has passed. Once in a machine's life.
    public func run(timeout: Duration? = nil) throws(MachineError) -> Outcome {
        let vcpu = try makeVCPU()
        // Output is written and disks are flushed when this is left.
        defer { for device in devices { device.stop() } }
        for device in devices { try device.start() }
        let thread = try VCPUThread(vcpu, id: 0, board: board, ending: ending)
        let outcome = ending.wait(until: timeout.map { Instant.now.advanced(by: $0) })
        exits = thread.stop()
        return outcome
    }

    /// Ends the run, from any thread, as `signal` would; false if it had ended before.
    @discardableResult
    public func stop(signal: Int32) -> Bool { ending.report(.stopped(signal: signal)) }

    /// What each device's thread did, by the device's name, in the order of the slots.
    public var statistics: [(device: String, counts: DeviceStatistics)] {
        devices.map { ($0.name, $0.statistics) }
    }

    /// How often the guest left its processor for this process; known when `run` has returned.
    public private(set) var exits = ExitCounts()

    /// Tells the guest if the terminal's size changed.
    public func rereadConsoleSize() { console.rereadSize() }

    /// Tells the guest of disks whose size changed.
    public func rereadDiskSizes() { for disk in disks { disk.rereadCapacity() } }

    /// The devices in the order of their slots.
    private var devices: [any DeviceControl] { [console] + disks }

    private func makeVCPU() throws(MachineError) -> VCPU {
        do throws(KVMError) {
            let vcpu = try VCPU(vm.machine, id: 0)
            try vcpu.setCPUID(try hypervisor.supportedCPUID())
            try entry.apply(to: vcpu)
            return vcpu
        } catch { throw .kvm(error) }
    }

    // MARK: Parts

    private static func load(
        _ configuration: Configuration, into ram: RAM, _ commandLine: String
    ) throws(MachineError) -> EntryState {
        do throws(LoaderError) {
            let source = configuration.kernel.map { ImageSource.path($0) }
            let loader = try Loader(kernel: source ?? .bytes(TestGuest.elf(), name: "the built-in guest"))
            return try loader.load(
                into: ram, commandLine: commandLine,
                initrd: configuration.initrd.map { .path($0) })
        } catch { throw .kernel(error) }
    }

    /// The host ends of the console's ports, by port.
    private static func openConsole(_ configuration: Configuration) throws(MachineError) -> [ConsolePort] {
        var ends = [try ConsolePort(configuration.console, name: "console0")]
        for port in configuration.ports { ends.append(try ConsolePort(port.target, name: "port \(port.name)")) }
        return ends
    }

    /// The disks the user named; with `memoryDisks`, before them the two that the built-in guest expects.
    static func openDisks(_ configuration: Configuration, memoryDisks: Bool) throws(MachineError) -> [DiskImage] {
        var images: [DiskImage] = []
        if memoryDisks {
            images.append(DiskImage(backend: try MemoryDisk(size: 16 << 20), readOnly: false, features: .allRings))
            images.append(DiskImage(backend: try MemoryDisk(size: 1 << 20), readOnly: true, features: .allRings))
        }
        for disk in configuration.disks {
            if disk.mode == .uring {
                do throws(RingRefusal) { _ = try Ring(size: 1) } catch {
                    throw .host("io_uring is not to be had; use io=auto", errno: error.errno)
                }
            }
            let file = try FileDisk(path: disk.path, readOnly: disk.readOnly, direct: disk.direct)
            images.append(
                DiskImage(
                    backend: file, readOnly: disk.readOnly, id: disk.id, suspend: disk.suspend, freeze: disk.freeze,
                    features: disk.features, queues: disk.queues, queueSize: disk.queueSize, mode: disk.mode))
        }
        return images
    }
}

/// What is put between the parts of a machine: nothing, or what a test breaks them with.
struct Interposition {
    /// What the bus sees in a slot.
    var region: (_ slot: Int, _ region: any MMIORegion) -> any MMIORegion = { $1 }
    /// Kicks bypass the bus as events; false where what is between has to see them.
    var kicksAreEvents = true
    /// What a disk uses for its bytes.
    var backend: (any BlockBackend) -> any BlockBackend = { $0 }
}

/// A disk before it is a device.
struct DiskImage {
    var backend: any BlockBackend
    let readOnly: Bool
    var id: String?
    var suspend = Machine.Configuration.SuspendChoice.asTheMachine
    var freeze = FreezeScope.wide
    var features = Machine.Configuration.FeatureChoice()
    var queues: UInt16 = 1
    var queueSize: UInt16 = 256
    var mode = IOMode.auto
}
