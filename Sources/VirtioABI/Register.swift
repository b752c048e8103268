// The virtio-mmio register map, version 2 (VIRTIO 1.4, 4.2.2). Constants only: Virtio/Transport implements the
// registers. Shared with the guest, so it compiles as Embedded Swift.

/// A control register, by its byte offset from the device's base. All are 32 bits wide, aligned (4.2.2.2).
public enum Register: UInt32, CaseIterable, Sendable {
    /// Reads `magic`.
    case magicValue = 0x000
    /// Reads `mmioVersion`.
    case version = 0x004
    /// The device type (5); 0 where there is no device.
    case deviceID = 0x008
    /// The vendor of the device.
    case vendorID = 0x00c
    /// 32 feature bits that the device offers: the word that DeviceFeaturesSel selects.
    case deviceFeatures = 0x010
    /// Selects the word of DeviceFeatures: 0 for bits 0 to 31.
    case deviceFeaturesSel = 0x014
    /// 32 feature bits that the driver accepts: the word that DriverFeaturesSel selects.
    case driverFeatures = 0x020
    /// Selects the word of DriverFeatures: 0 for bits 0 to 31.
    case driverFeaturesSel = 0x024
    /// Selects the queue of the queue registers, by its index.
    case queueSel = 0x030
    /// Maximum size of the selected queue, in elements; 0 if the queue does not exist.
    case queueSizeMax = 0x034
    /// The size of the selected queue that the driver uses, in elements.
    case queueSize = 0x038
    /// 1 makes the selected queue ready, 0 stops it; reads back when it is done.
    case queueReady = 0x044
    /// Notifies the device of available buffers: the queue's index, or with VIRTIO_F_NOTIFICATION_DATA more.
    case queueNotify = 0x050
    /// The events that the driver has not acknowledged: see `InterruptStatus`.
    case interruptStatus = 0x060
    /// The events that the driver has handled.
    case interruptACK = 0x064
    /// The device status: see `DeviceStatus`. Writing 0 resets the device.
    case status = 0x070
    /// Guest-physical address of the selected queue's descriptor area, bits 0 to 31.
    case queueDescLow = 0x080
    /// Guest-physical address of the selected queue's descriptor area, bits 32 to 63.
    case queueDescHigh = 0x084
    /// Guest-physical address of the selected queue's driver area, bits 0 to 31.
    case queueDriverLow = 0x090
    /// Guest-physical address of the selected queue's driver area, bits 32 to 63.
    case queueDriverHigh = 0x094
    /// Guest-physical address of the selected queue's device area, bits 0 to 31.
    case queueDeviceLow = 0x0a0
    /// Guest-physical address of the selected queue's device area, bits 32 to 63.
    case queueDeviceHigh = 0x0a4
    /// Selects the shared memory region of the SHM registers, by its id.
    case shmSel = 0x0ac
    /// Length of the selected shared memory region in bytes, bits 0 to 31; all ones if there is none.
    case shmLenLow = 0x0b0
    /// Length of the selected shared memory region in bytes, bits 32 to 63.
    case shmLenHigh = 0x0b4
    /// Guest-physical address of the selected shared memory region, bits 0 to 31; all ones if there is none.
    case shmBaseLow = 0x0b8
    /// Guest-physical address of the selected shared memory region, bits 32 to 63.
    case shmBaseHigh = 0x0bc
    /// 1 resets the selected queue, with VIRTIO_F_RING_RESET; reads 0 when it is done.
    case queueReset = 0x0c0
    /// Changes whenever the configuration space changes: equal before and after means a consistent read.
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
    public enum Direction: Sendable {
        /// Read-only.
        case read
        /// Write-only.
        case write
        /// Readable and writable.
        case both
    }

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
    /// The register's value.
    public let rawValue: UInt32
    /// Creates the set of the bits in `rawValue`.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The device has used a buffer in at least one virtqueue.
    public static var usedBuffer: InterruptStatus { InterruptStatus(rawValue: 1 << 0) }
    /// The configuration has changed, or DEVICE_NEEDS_RESET was set.
    public static var configurationChange: InterruptStatus { InterruptStatus(rawValue: 1 << 1) }
}
