// A board, the limits of machines and the abilities of the host, as `vmm machine` shows them: each number is read from the table that the
// machine itself uses. Nothing is run, and KVM is not needed.

import CLinux
import KVM
import Virtio
import VirtioABI

/// The description of a machine that is not made.
public struct MachineDescription: Sendable {
    /// A feature that a device offers.
    public struct Feature: Sendable {
        /// Its name in the specification, such as `VIRTIO_BLK_F_FLUSH`.
        public let name: String
        /// Its number in the specification, 0 to 63.
        public let bit: Int
        /// Its section in VIRTIO 1.4; `draft` for the draft's SUSPEND.
        public let section: String
        /// The ids of the clauses that name it.
        public let clauses: [String]
    }

    /// A device in its slot.
    public struct Device: Sendable {
        /// Its name on the board: `blk0`.
        public let name: String
        /// The virtio device ID.
        public let id: UInt32
        /// Its option on the command line, without the dashes.
        public let option: String
        /// Its window: guest-physical addresses.
        public let window: Range<UInt64>
        /// Its interrupt line, level-triggered.
        public let gsi: UInt32
        /// What it offers, by ascending bit.
        public let features: [Feature]
        /// QueueSizeMax of each queue.
        public let queues: [UInt16]
    }

    /// A range of addresses or ports, both ends included.
    public struct Area: Sendable {
        /// The first address or port.
        public let first: UInt64
        /// The last one.
        public let last: UInt64
        /// What is there.
        public let what: String
    }

    /// A property of the host.
    public struct Ability: Sendable {
        /// `KVM`, `io_uring`, `Landlock` or `seccomp`.
        public let name: String
        /// Whether the host has it.
        public let isThere: Bool
        /// What it is, or what is missing and what to do.
        public let what: String
    }

    /// In the order of their slots.
    public let devices: [Device]
    /// Guest-physical memory, by ascending address; a range may lie within another.
    public let memory: [Area]
    /// The I/O ports, by ascending number.
    public let ports: [Area]
    /// The greatest values, by name.
    public let limits: [(name: String, value: UInt64)]
    /// What the host can do.
    public let host: [Ability]

    /// Describes the machine of `configuration`; if that names no device, one with a device of each type.
    public init(_ configuration: Machine.Configuration) throws(MachineError) {
        var configuration = configuration
        configuration.kernel = configuration.kernel ?? ""
        let purpose = BoardPurpose(isQTest: true, hasTestDevices: false, isSample: configuration.hasNoNamedDevices)
        let plan = try DevicePlan(configuration, for: purpose)
        let ram: RAM
        do throws(RAMError) { ram = try RAM(size: configuration.memory) } catch { throw .memory(error) }
        let factory = DeviceFactory(
            configuration: configuration, connections: QTestConnections(ram), usesIOEventFDs: false,
            time: SteppedTime())
        devices = try plan.makeDevices(factory).enumerated().map { Device($1.state, slot: $0) }
        memory = Self.memory(ram)
        ports = Board.ports.map {
            Area(first: UInt64($0.range.lowerBound), last: UInt64($0.range.upperBound), what: $0.what)
        }
        limits = [
            ("processors", UInt64(Machine.Configuration.processorCounts.upperBound)),
            ("devices", UInt64(MemoryMap.maximumSlots)),
            ("memory", MemoryMap.maximumRAM), ("commandLine", UInt64(MemoryMap.commandLine.count - 1)),
            ("consolePorts", UInt64(Console.maximumPorts)), ("networkPairs", UInt64(Network.maximumPairs)),
            ("deviceQueues", UInt64(MMIOTransport<Block>.maximumQueues)),
        ]
        host = Self.hostAbilities()
    }

    private static func memory(_ ram: RAM) -> [Area] {
        func area(_ range: Range<UInt64>, _ what: String) -> Area {
            Area(first: range.lowerBound, last: range.upperBound - 1, what: what)
        }
        func page(_ first: UInt32, _ bytes: UInt64, _ what: String) -> Area {
            area(UInt64(first)..<UInt64(first) + bytes, what)
        }
        let slots = MemoryMap.window(slot: 0).lowerBound..<MemoryMap.window(slot: MemoryMap.maximumSlots - 1).upperBound
        let areas =
            ram.map.map { area($0.range, $0.type == .ram ? "RAM" : "reserved, as a PC's display and firmware") } + [
                area(MemoryMap.segments, "segment descriptors of a kernel entered in 64-bit mode"),
                area(MemoryMap.startInfo, "start information of PVH, or Linux's boot parameters"),
                area(MemoryMap.commandLine, "the kernel's command line"),
                area(MemoryMap.pageTables, "page tables of a kernel entered in 64-bit mode"),
                area(MemoryMap.acpi, "ACPI tables"), area(MemoryMap.mpTable, "MP table"),
                area(MemoryMap.hole, "hole: no RAM"), area(slots, "virtio-mmio slots, a page each"),
                page(MemoryMap.ioAPIC, 0x1000, "IOAPIC"), page(MemoryMap.localAPIC, 0x1000, "local APIC"),
                page(MemoryMap.hypervisorPages, 0x4000, "reserved for KVM"),
            ]
        return areas.sorted { ($0.first, $1.last) < ($1.first, $0.last) }
    }

    private static func hostAbilities() -> [Ability] {
        var abilities: [Ability] = []
        do throws(KVMError) {
            let processors = try Hypervisor().maximumVCPUs()
            abilities.append(Ability(name: "KVM", isThere: true, what: "up to \(processors) processors a machine"))
        } catch {
            abilities.append(Ability(name: "KVM", isThere: false, what: MachineError.opening(error).description))
        }
        do throws(RingError) {
            _ = try Ring(size: 1)
            abilities.append(Ability(name: "io_uring", isThere: true, what: "io=auto of a disk uses it"))
        } catch {
            abilities.append(
                Ability(
                    name: "io_uring", isThere: false, what: "\(reason(error.errno)); io=auto of a disk uses threads"))
        }
        let version = Landlock.version
        let missing = Landlock.additions.filter { version < $0.version }.map(\.what)
        abilities.append(
            Ability(
                name: "Landlock", isThere: version > 0,
                what: version <= 0
                    ? "\(reason(-version)); --sandbox auto runs without it"
                    : "version \(version)"
                        + (missing.isEmpty ? "" : ", which does not restrict \(missing.joined(separator: ", "))")))
        let filter = clinux_filter(nil, 0)
        abilities.append(
            Ability(
                name: "seccomp", isThere: filter == 0,
                what: filter == 0
                    ? "filters of system calls" : "\(reason(abs(filter))); --sandbox auto runs without filters"))
        return abilities
    }
}

extension MachineDescription.Device {
    fileprivate init(_ state: DeviceState, slot: Int) {
        let kind = DeviceKind.all.first { $0.id == state.model.deviceID }
        name = state.name
        id = state.model.deviceID
        option = kind?.option ?? ""
        window = MemoryMap.window(slot: slot)
        gsi = MemoryMap.gsi(slot: slot)
        let offered = state.model.offered
        features = (0..<64).filter { offered.contains(Features(bit: $0)) }.map { bit in
            let (name, section) = kind?.specification(of: Features(bit: bit)) ?? ("bit \(bit)", "")
            return MachineDescription.Feature(
                name: name, bit: bit, section: section, clauses: Clause.naming(name).map { "\($0.id)" })
        }
        queues = state.model.queues.map(\.sizeMax)
    }
}

extension Clause {
    /// The clauses whose texts have `word`, which no letter, digit or underscore follows.
    static func naming(_ word: String) -> [Clause] {
        all.filter { clause in
            [clause.sentence, clause.cause, clause.remedy].contains { text in
                text.description.split { !($0.isLetter || $0.isNumber || $0 == "_") }.contains { $0 == word }
            }
        }
    }
}

extension MachineDescription {
    /// The description as one line of JSON. Addresses and ports are strings, `0x...`.
    public var json: String {
        let registers = Register.allCases.map { register -> JSON in
            [
                "name": .string(register.name), "offset": .bits(register.rawValue, digits: 3),
                "access": .string(register.direction.word),
            ]
        }
        let description: JSON = [
            "version": .string(Machine.version), "devices": .array(devices.map(\.json)), "registers": .array(registers),
            "configurationSpace": .bits(Register.configuration, digits: 3),
            "slots": [
                "first": .bits(MemoryMap.slots, digits: 8), "size": .count(MemoryMap.slotSize),
                "interrupts": .array(MemoryMap.slotGSIs.map { .count($0) }), "trigger": "level",
            ],
            "memory": .array(memory.map { $0.json(digits: 8) }), "ports": .array(ports.map { $0.json(digits: 3) }),
            "limits": .object(limits.map { JSON.Member(name: $0.name, value: .count($0.value)) }),
            "host": .array(
                host.map { ["name": .string($0.name), "available": .bool($0.isThere), "what": .string($0.what)] }),
        ]
        return description.text
    }
}

extension MachineDescription.Device {
    fileprivate var json: JSON {
        [
            "name": .string(name), "type": .count(id), "option": .string(option),
            "address": .bits(window.lowerBound, digits: 8), "interrupt": .count(gsi),
            "features": .array(
                features.map {
                    [
                        "name": .string($0.name), "bit": .count($0.bit), "section": .string($0.section),
                        "clauses": .array($0.clauses.map { .string($0) }),
                    ]
                }),
            "queues": .array(queues.map { .count($0) }),
        ]
    }
}

extension MachineDescription.Area {
    fileprivate func json(digits: Int) -> JSON {
        ["first": .bits(first, digits: digits), "last": .bits(last, digits: digits), "what": .string(what)]
    }
}

extension Register.Direction {
    /// `read`, `write` or `read, write`.
    public var word: String {
        switch self {
        case .read: "read"
        case .write: "write"
        case .both: "read, write"
        }
    }
}
