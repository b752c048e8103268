// The configuration of a machine.

import KVM
import Virtio
import VirtioABI

extension Machine {
    /// What a machine is made of, as the user chose.
    public struct Configuration: Sendable {
        /// A disk image.
        public struct Disk: Equatable, Sendable {
            /// The file or block device.
            public var path: String
            /// The driver may only read (VIRTIO_BLK_F_RO), and the file is opened to be read.
            public var readOnly = false
            /// The answer to GET_ID, at most 20 bytes; nil for the device's name on the board.
            public var id: String?
            /// The SUSPEND dialect and features it offers.
            public var offer = Offer()
            /// Request queues, 1 to 32.
            public var queues: UInt16 = 1
            /// Entries of a request queue, a power of two, 1 to 32768.
            public var queueSize: UInt16 = 256
            /// The I/O engine of its transfers.
            public var mode = IOMode.auto
            /// Transfers bypass the host's page cache (O_DIRECT).
            public var direct = false
            /// The image is written to although the host uses it too.
            public var force = false
            /// The image is raw, whatever it looks like.
            public var isRaw = false
            /// The logical block size in bytes that the driver is told, 512 to 4096; nil for the host's.
            public var blockSize: UInt32?
            /// Where writes go instead of into the image; nil for into the image.
            public var overlay: Overlay?

            /// Where what is written to a disk goes while its image is only read.
            public enum Overlay: Equatable, Sendable {
                /// Gone at the end of the run.
                case discarded
                /// Kept in this file, for further runs.
                case kept(String)
            }

            /// The image at `path`, writable.
            public init(path: String) { self.path = path }
        }

        /// A snapshot to continue.
        public struct Restore: Equatable, Sendable {
            /// Its folder.
            public var folder: String
            /// It is continued although a disk image was changed since, or the processor is another.
            public var force = false
            /// All of its memory is read first, and compared with its digest.
            public var verifies = false

            /// The snapshot in `folder`.
            public init(folder: String) { self.folder = folder }
        }

        /// A further port of the console.
        public struct Port: Equatable, Sendable {
            /// The host end.
            public var target: ConsoleTarget
            /// The name the driver reads (VIRTIO_CONSOLE_PORT_NAME).
            public var name: String

            /// A port named `name`, connected to `target`.
            public init(_ target: ConsoleTarget, name: String) {
                self.target = target
                self.name = name
            }
        }

        /// What a device offers to its driver.
        public struct Offer: Equatable, Sendable {
            /// The dialect of SUSPEND it offers.
            public var suspend = SuspendChoice.asTheMachine
            /// When a suspended device stops or resets a queue.
            public var freeze = FreezeScope.wide
            /// Changes to its other features.
            public var features = FeatureChoice()
            /// Its torture, if not the machine's.
            public var torture: Torture?

            /// The dialect of the machine, and the device's default features.
            public init() {}
        }

        /// Changes to the features that a device offers by default.
        public struct FeatureChoice: Equatable, Sendable {
            /// Offered in addition.
            public var adding: Features = []
            /// Not offered.
            public var withholding: Features = []

            /// The default features.
            public init() {}
        }

        /// The dialect of SUSPEND that a device offers.
        public enum SuspendChoice: Equatable, Sendable {
            /// The machine's dialect (`Configuration.suspend`).
            case asTheMachine
            /// This dialect; nil for none.
            case own(SuspendDialect?)

            func dialect(or machine: SuspendDialect?) -> SuspendDialect? {
                switch self {
                case .asTheMachine: machine
                case .own(let dialect): dialect
                }
            }
        }

        /// How the kernel finds its devices.
        public enum Discovery: String, CaseIterable, Sendable {
            /// Linux by ACPI, others by the command line.
            case auto
            /// By ACPI tables.
            case acpi
            /// By `virtio_mmio.device=` on the command line, and processors and interrupts by an MP table.
            case commandLine = "cmdline"
            /// By ACPI tables, the command line and the MP table: for a kernel that uses one of them.
            case both
            /// Not described: the kernel has to know them.
            case none

            /// Whether the kernel gets ACPI tables. `auto` has been decided.
            var usesACPI: Bool { self == .acpi || self == .both }
            /// Whether the kernel gets parameters and an MP table.
            var usesCommandLine: Bool { self == .commandLine || self == .both }
        }

        /// The kernel; nil for the built-in test guest, with its two disks in memory and the test device.
        public var kernel: String?
        /// Its boot protocol; nil to recognise it by its header.
        public var boot: BootProtocol?
        /// How the kernel finds its devices.
        public var discovery = Discovery.auto
        /// The kernel's initial RAM disk, or its modules, of which PVH and Multiboot have any number.
        public var modules: [String] = []
        /// Added to the kernel's command line, in this order, separated by spaces.
        public var append: [String] = []
        /// Bytes of guest memory.
        public var memory: UInt64 = 128 << 20
        /// Whether the guest has the test device, a port by which it holds, fails and releases requests. The built-in guest always
        /// has it.
        public var testDevice = false
        /// Processors, a number of `processorCounts`.
        public var processors = 1
        /// The numbers of processors that a machine can have.
        public static let processorCounts = 1...Hypervisor.vCPULimit
        /// The host end of the serial port; nil for no serial port. Its ring indicator changes when a suspended device first
        /// defers an event.
        public var serial: ConsoleTarget?
        /// Disk images, in the order of their slots.
        public var disks: [Disk] = []
        /// Entropy devices, in the order of their slots.
        public var entropy: [EntropyDevice] = []
        /// Network devices, in the order of their slots.
        public var networks: [NetworkDevice] = []
        /// The host end of the console's port 0.
        public var console = ConsoleTarget.stdio
        /// The SUSPEND dialect and features that the console offers.
        public var consoleOffer = Offer()
        /// Further ports of the console, from port 1 on.
        public var ports: [Port] = []
        /// The output files of the console, its ports and the serial port keep what is in them, and more is appended.
        public var appendsOutput = false
        /// Whether the input of the console or serial port at `.stdio` is searched for the escape key Ctrl-A: it is a terminal in raw
        /// mode.
        public var escapeKeys = false
        /// The dialect of SUSPEND that the devices offer; nil for none.
        public var suspend: SuspendDialect? = .draft
        /// What Version reads of every device.
        public var mmioVersion = MMIOVersion.two
        /// The torture of devices that have none of their own; nil for none.
        public var torture: Torture?
        /// Changes to the ring features that every device offers, where its own offer says nothing of them.
        public var features = FeatureChoice()
        /// The drain deadline, from the start of a drain. After it the device suspends with requests in flight (draft) or fails (1.4).
        public var drainDeadline: Duration = .seconds(10)

        /// The time without device activity after which devices with outstanding work are reported; nil for never.
        public var stallAfter: Duration?
        /// The action on a driver that breaks a clause of the specification.
        public var conform = ConformanceMode.report
        /// Whether each broken clause is printed, at its first, second, fourth, eighth ... time. The built-in guest breaks some on
        /// purpose.
        public var reportsViolations = true
        /// Where clients control the running machine, by QEMU's machine protocol; nil for nowhere.
        public var control: ClientTarget?
        /// Where a debugger connects; nil for nowhere.
        public var debug: DebugAddress?
        /// Whether the guest stops when its debugger is gone without a word; otherwise it runs on.
        public var stopsWithoutDebugger = false
        /// Whether the guest does not run before a control client or a debugger lets it.
        public var startsPaused = false
        /// The snapshot that the machine continues; nil to boot a kernel.
        public var restore: Restore?
        /// The folder of snapshots that a key or `snapshotText` asks for. In the sandbox there are no snapshots without it, and others only
        /// beside it.
        public var snapshotFolder: String?
        /// Text of the console or the serial port at which a snapshot is taken, once; nil for none.
        public var snapshotText: String?
        /// The file for a trace of all device events; nil for none.
        public var trace: String?
        /// Called with a device's name when it first defers an event to the end of its suspension. A suspended device must not
        /// notify its driver, so waking the guest needs other means. Called with the device's lock held: must not block, nor
        /// call the machine.
        public var onDeferredEvent: @Sendable (String) -> Void = { _ in }

        /// The sandbox that the process gets when all is open. It is for a process that runs one machine: it also restricts the thread
        /// that makes the machine.
        public var sandbox = Sandbox.Mode.off

        /// The built-in guest on a machine of 128 MiB.
        public init() {}

        /// Whether the configuration names no device besides the console, which every board has.
        var hasNoDevices: Bool { disks.isEmpty }

        /// Whether the configuration names no device at all.
        var hasNoNamedDevices: Bool { disks.isEmpty && entropy.isEmpty && networks.isEmpty && ports.isEmpty }

        /// The folders of the sockets that the machine makes, and removes at its end.
        var socketFolders: [String] {
            var paths = networks.compactMap(\.local)
            if case .unix(let path) = control { paths.append(path) }
            if case .unix(let path) = debug { paths.append(path) }
            for case .unix(let path) in ports.map(\.target) + [console] + [serial].compactMap(\.self) {
                paths.append(path)
            }
            return paths.map { HostFiles.folder(of: $0) }
        }

        /// Snapshots may be asked for, and can be taken.
        var takesSnapshots: Bool { snapshotFolder != nil || sandbox == .off && (control != nil || escapeKeys) }

        /// The folder in which snapshots are made; nil for none.
        var folderOfSnapshots: String? {
            snapshotFolder.map { HostFiles.folder(of: $0) }
        }

        /// The kernel's command line: a parameter for each of `devices` devices if the discovery says so, then `append`.
        ///
        /// The parameter has Linux's form, `virtio_mmio.device=SIZE@ADDRESS:GSI`, which the built-in guest reads too.
        func commandLine(devices: Int, _ discovery: Discovery) -> String {
            let parameters = (0..<(discovery.usesCommandLine ? devices : 0)).map { slot in
                let window = MemoryMap.window(slot: slot)
                return "virtio_mmio.device=4K@0x\(String(window.lowerBound, radix: 16)):\(MemoryMap.gsi(slot: slot))"
            }
            return (parameters + append).joined(separator: " ")
        }
    }
}
