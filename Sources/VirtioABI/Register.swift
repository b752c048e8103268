// The virtio-mmio register map, version 2 (VIRTIO 1.4, 4.2.2). Constants only: Virtio/Transport implements the
// registers. Shared with the guest, so it compiles as Embedded Swift.

/// A control register, by its byte offset from the device's base. All are 32 bits wide, aligned (4.2.2.2).
public enum Register: UInt32, CaseIterable, Sendable {
    case magicValue = 0x000
    case version = 0x004
    case deviceID = 0x008
    case vendorID = 0x00c
    case deviceFeatures = 0x010
    case deviceFeaturesSel = 0x014
    case driverFeatures = 0x020
    case driverFeaturesSel = 0x024
    case queueSel = 0x030
    case queueSizeMax = 0x034
    case queueSize = 0x038
    case queueReady = 0x044
    case queueNotify = 0x050
    case interruptStatus = 0x060
    case interruptACK = 0x064
    case status = 0x070
    case queueDescLow = 0x080
    case queueDescHigh = 0x084
    case queueDriverLow = 0x090
    case queueDriverHigh = 0x094
    case queueDeviceLow = 0x0a0
    case queueDeviceHigh = 0x0a4
    case shmSel = 0x0ac
    case shmLenLow = 0x0b0
    case shmLenHigh = 0x0b4
    case shmBaseLow = 0x0b8
    case shmBaseHigh = 0x0bc
    case queueReset = 0x0c0
    case configGeneration = 0x0fc

    /// Registers of the legacy interface (version 1) at offsets that version 2 does not use: GuestPageSize, QueueAlign
    /// and QueuePFN.
    public static let legacy: [UInt32] = [0x028, 0x03c, 0x040]

    /// MagicValue: "virt", little-endian.
    public static let magic: UInt32 = 0x7472_6976
    /// Version of a non-legacy device.
    public static let mmioVersion: UInt32 = 2
    /// Offset of the device-specific configuration space.
    public static let configuration: UInt32 = 0x100
    /// Size of a device's MMIO window in bytes: one page.
    public static let window: UInt64 = 0x1000

    /// Access directions of a register.
    public enum Direction: Sendable { case read, write, both }

    /// How a driver may access the register (4.2.2, "Direction").
    public var direction: Direction {
        switch self {
        case .magicValue, .version, .deviceID, .vendorID, .deviceFeatures, .queueSizeMax, .interruptStatus,
            .shmLenLow, .shmLenHigh, .shmBaseLow, .shmBaseHigh, .configGeneration:
            .read
        case .deviceFeaturesSel, .driverFeatures, .driverFeaturesSel, .queueSel, .queueSize, .queueNotify,
            .interruptACK, .queueDescLow, .queueDescHigh, .queueDriverLow, .queueDriverHigh, .queueDeviceLow,
            .queueDeviceHigh, .shmSel:
            .write
        case .queueReady, .status, .queueReset: .both
        }
    }
}

/// Bits of InterruptStatus and InterruptACK (4.2.2, offsets 0x060 and 0x064).
public struct InterruptStatus: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The device has used a buffer in at least one virtqueue.
    public static var usedBuffer: InterruptStatus { InterruptStatus(rawValue: 1 << 0) }
    /// The configuration has changed, or DEVICE_NEEDS_RESET was set.
    public static var configurationChange: InterruptStatus { InterruptStatus(rawValue: 1 << 1) }
}
