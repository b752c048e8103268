// The registry of device types: one row for each, in the order in which their devices stand on the bus. A machine, a qtest machine, the
// replay of a trace and the command line iterate over it; nothing else names a device type. A row stands in its type's own folder.

import Virtio
import VirtioABI

/// A device as the bus and the host use it.
typealias BoardDevice = any (MMIORegion & DeviceControl)

/// The opened host side of a device that is yet to be made.
protocol OpenedDevice {
    /// Makes the device called `name` for `slot`.
    func make(_ factory: DeviceFactory, name: String, slot: Int) throws(MachineError) -> BoardDevice
}

/// The purpose of a board.
struct BoardPurpose {
    /// A qtest client is the host side of the devices: it has their input and output.
    let isQTest: Bool
    /// The configuration names no devices: the board has those that the built-in guest's suite expects.
    let hasTestDevices: Bool
    /// The board is only described, and its configuration names no devices: it has one of each type.
    var isSample = false
}

/// A device type: a row of the registry.
public struct DeviceKind: Sendable {
    /// The virtio device ID (VIRTIO 1.4, 5).
    public let id: UInt32
    /// The name of its devices on the board, without the number: `blk` for `blk0`.
    public let name: String
    /// Its option on the command line, without the dashes.
    public let option: String
    /// The forms (`OptionWord`) of the words that its option takes behind the first comma, beside those that every device has.
    var words: [String] = []
    /// The features of the device type that `features=` adds and withholds, by the names that QEMU and Linux give them.
    public let features: [(name: String, feature: Features)]
    /// The features of the device type that its configuration decides on, by the same names.
    var fixedFeatures: [(name: String, feature: Features)] = []
    /// The test commands that it performs beside `TestCommand.common`, by their qtest verbs.
    let commands: [String]
    /// Opens the host side of the devices that a configuration asks for.
    let open: @Sendable (Machine.Configuration, BoardPurpose) throws(MachineError) -> [any OpenedDevice]
    /// Makes a device as described in a trace, over guest memory, for a replay; nil if the description is invalid.
    let replay: @Sendable (TracedDevice, GuestMemory) -> (any ReplayedDevice)?

    /// Every device type.
    public static let all = [console, block, entropy, network]

    /// The features that `features=` knows for this type: those of the rings, then its own.
    public var selectableFeatures: [(name: String, feature: Features)] { Self.ringFeatures + features }

    /// The name of `feature` in VIRTIO 1.4 and its section there; `draft` for the draft's SUSPEND. Nil for a feature of other types.
    func specification(of feature: Features) -> (name: String, section: String)? {
        if let own = (features + fixedFeatures).first(where: { $0.feature == feature }) {
            return ("VIRTIO_\(name.uppercased())_F_\(own.name.uppercased())", "5.\(id).3")
        }
        switch feature {
        case .version1: return ("VIRTIO_F_VERSION_1", "6")
        case .suspend: return ("VIRTIO_F_SUSPEND", "6")
        case .suspendDraft: return ("VIRTIO_F_SUSPEND", "draft")
        case .indirectDescriptors: return ("VIRTIO_F_INDIRECT_DESC", "6")
        case .ringPacked: return ("VIRTIO_F_RING_PACKED", "6")
        default:
            return Self.ringFeatures.first { $0.feature == feature }.map { ("VIRTIO_F_\($0.name.uppercased())", "6") }
        }
    }

    /// The features of the rings (VIRTIO 1.4, 6), which every device type has.
    static let ringFeatures: [(name: String, feature: Features)] = [
        ("indirect", .indirectDescriptors), ("event_idx", .eventIndex), ("packed", .ringPacked), ("in_order", .inOrder),
        ("notification_data", .notificationData), ("ring_reset", .ringReset),
    ]
}

/// The opened host sides of a board's devices that are yet to be made.
struct DevicePlan {
    private var devices: [(name: String, opened: any OpenedDevice)] = []

    /// Opens the host side of every device that `configuration` asks for.
    init(_ configuration: Machine.Configuration, for purpose: BoardPurpose) throws(MachineError) {
        for kind in DeviceKind.all {
            for (number, opened) in try kind.open(configuration, purpose).enumerated() {
                devices.append(("\(kind.name)\(number)", opened))
            }
        }
        guard devices.count <= MemoryMap.maximumSlots else { throw .tooManyDevices }
    }

    /// Devices of the board.
    var count: Int { devices.count }

    /// Makes the devices, in the order of their slots.
    func makeDevices(_ factory: DeviceFactory) throws(MachineError) -> [BoardDevice] {
        var made: [BoardDevice] = []
        for (name, opened) in devices { made.append(try opened.make(factory, name: name, slot: made.count)) }
        return made
    }
}
