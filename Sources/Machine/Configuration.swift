// What a user can choose about a machine.

import Virtio
import VirtioABI

extension Machine {
    /// A machine to be made.
    public struct Configuration: Sendable {
        /// A disk image.
        public struct Disk: Equatable, Sendable {
            /// The file or block device.
            public var path: String
            public var readOnly = false
            /// What GET_ID answers, at most 20 bytes; nil for the device's name on the board.
            public var id: String?
            /// What it offers.
            public var offer = Offer()
            /// Request queues, 1 to 32.
            public var queues: UInt16 = 1
            /// Entries of a request queue, a power of two, 1 to 32768.
            public var queueSize: UInt16 = 256
            /// How its transfers are done.
            public var mode = IOMode.auto
            /// They go past the host's page cache.
            public var direct = false

            /// The image at `path`, writable.
            public init(path: String) { self.path = path }
        }

        /// A further port of the console.
        public struct Port: Equatable, Sendable {
            /// What it is connected to.
            public var target: ConsoleTarget
            /// What the driver is told that it is called.
            public var name: String

            /// A port called `name`.
            public init(_ target: ConsoleTarget, name: String) {
                self.target = target
                self.name = name
            }
        }

        /// What a device offers its driver.
        public struct Offer: Equatable, Sendable {
            /// The dialect of SUSPEND.
            public var suspend = SuspendChoice.asTheMachine
            /// The registers that a suspension freezes.
            public var freeze = FreezeScope.wide
            /// The other features.
            public var features = FeatureChoice()

            /// The dialect of the machine, and the device's own features.
            public init() {}
        }

        /// Changes to the features that a device offers by default.
        public struct FeatureChoice: Equatable, Sendable {
            /// Offered too.
            public var adding: Features = []
            /// Not offered.
            public var withholding: Features = []

            /// No change.
            public init() {}
        }

        /// The SUSPEND a device offers.
        public enum SuspendChoice: Equatable, Sendable {
            /// What the machine's other devices offer.
            case asTheMachine
            /// This dialect, or none.
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
            /// By `virtio_mmio.device=` on the command line.
            case commandLine = "cmdline"
            /// It knows already.
            case none
        }

        /// The kernel; nil for the built-in test guest, which brings two disks of memory and the test device.
        public var kernel: String?
        /// How it is booted; nil for what its first bytes say.
        public var boot: BootProtocol?
        /// How it finds its devices.
        public var discovery = Discovery.auto
        /// The initial RAM disk handed to the kernel.
        public var initrd: String?
        /// Added to the kernel's command line, in this order, separated by spaces.
        public var append: [String] = []
        /// Bytes of guest memory.
        public var memory: UInt64 = 128 << 20
        /// The port by which a guest steers its devices' backends, to test its drivers; the built-in guest always has it.
        public var testDevice = false
        /// Processors, 1 to 254.
        public var processors = 1
        /// Where the serial port writes; nil for no serial port. It rings when something first waits for the end of a device's
        /// suspension.
        public var serial: ConsoleTarget?
        /// Disk images, in the order of their slots.
        public var disks: [Disk] = []
        /// Entropy devices.
        public var entropy: [EntropyDevice] = []
        /// What the console is connected to.
        public var console = ConsoleTarget.stdio
        /// What the console offers.
        public var consoleOffer = Offer()
        /// Further ports of the console, from port 1 on.
        public var ports: [Port] = []
        /// The output files of the console, its ports and the serial port keep what is in them, and more is appended.
        public var appendsOutput = false
        /// The console is a terminal in raw mode: the escape key is vmm's.
        public var escapeKeys = false
        /// The dialect of SUSPEND that the devices offer; nil for none.
        public var suspend: SuspendDialect? = .draft
        /// How long a drain may take before the device suspends without it (draft) or fails (1.4).
        public var drainDeadline: Duration = .seconds(10)

        /// Silence after which devices with work outstanding are spoken of; nil for never.
        public var stallAfter: Duration?
        /// What is done about drivers that break clauses of the specification.
        public var conform = ConformanceMode.report
        /// Each clause they break is printed, at its first, second, fourth, eighth ... time. The built-in guest breaks some on purpose.
        public var reportsViolations = true
        /// The file for a trace of all that happens to the devices; nil for none.
        public var trace: String?
        /// Called with a device's name when something first has to wait for the end of its suspension: a suspended device may
        /// not tell its driver, so whoever wants to wake the guest does it by other means. The device's lock is held: do
        /// little, and call nothing of the machine.
        public var onDeferredEvent: @Sendable (String) -> Void = { _ in }

        /// The built-in guest on a machine of 128 MiB.
        public init() {}

        /// No device is named but the console, which every board has.
        var hasNoDevices: Bool { disks.isEmpty }

        /// The kernel's command line: what the user appended, behind the places of `devices` devices if it finds them so.
        ///
        /// `virtio_mmio.device=SIZE@ADDRESS:GSI` is Linux's form; the built-in guest and other kernels without ACPI read it
        /// too.
        func commandLine(devices: Int, _ discovery: Discovery) -> String {
            let places = (0..<(discovery == .commandLine ? devices : 0)).map { slot in
                let window = MemoryMap.window(slot: slot)
                return "virtio_mmio.device=4K@0x\(String(window.lowerBound, radix: 16)):\(MemoryMap.gsi(slot: slot))"
            }
            return (places + append).joined(separator: " ")
        }
    }
}
