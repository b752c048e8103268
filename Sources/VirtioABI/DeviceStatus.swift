// The device status field (VIRTIO 1.4, 2.1) and its SUSPEND bit, which has the same number in both dialects.

/// Device status bits.
public struct DeviceStatus: OptionSet, Hashable, Sendable {
    /// The byte in the specification's numbering.
    public let rawValue: UInt8
    /// Creates the set of the bits in `rawValue`.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// ACKNOWLEDGE: the guest has found the device.
    public static var acknowledge: DeviceStatus { DeviceStatus(rawValue: 1) }
    /// DRIVER: the guest has a driver for the device.
    public static var driver: DeviceStatus { DeviceStatus(rawValue: 2) }
    /// DRIVER_OK: the driver is set up.
    public static var driverOK: DeviceStatus { DeviceStatus(rawValue: 4) }
    /// FEATURES_OK: the driver has accepted its features, and the device has agreed.
    public static var featuresOK: DeviceStatus { DeviceStatus(rawValue: 8) }
    /// The 2024 draft: set while suspended. VIRTIO 1.4: set while suspended, and then `driverOK` is clear.
    public static var suspend: DeviceStatus { DeviceStatus(rawValue: 16) }
    /// DEVICE_NEEDS_RESET: the device has an error that only a reset mends.
    public static var needsReset: DeviceStatus { DeviceStatus(rawValue: 64) }
    /// FAILED: the driver has given the device up.
    public static var failed: DeviceStatus { DeviceStatus(rawValue: 128) }

    /// Status of a running device: 0x0f.
    public static var running: DeviceStatus { [.acknowledge, .driver, .featuresOK, .driverOK] }
}

/// The two SUSPEND protocols. They have the name VIRTIO_F_SUSPEND and the status bit in common, and nothing else.
public enum SuspendDialect: UInt8, CaseIterable, Hashable, Sendable {
    /// The draft of 27 February 2024 (v5): feature bit 42; the driver clears SUSPEND to resume.
    case draft
    /// VIRTIO 1.4: feature bit 43; the device clears DRIVER_OK, the driver sets it to resume.
    case ratified

    /// The feature bit of this dialect.
    public var feature: Features {
        switch self {
        case .draft: .suspendDraft
        case .ratified: .suspend
        }
    }

    /// What Status reads while the device is suspended and healthy: 0x1f or 0x1b.
    public var suspendedStatus: DeviceStatus {
        switch self {
        case .draft: [.acknowledge, .driver, .featuresOK, .driverOK, .suspend]
        case .ratified: [.acknowledge, .driver, .featuresOK, .suspend]
        }
    }
}
