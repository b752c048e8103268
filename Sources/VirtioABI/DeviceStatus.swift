// The device status field (VIRTIO 1.4, 2.1) and its SUSPEND bit, which has the same number in both dialects.

/// Device status bits.
public struct DeviceStatus: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static var acknowledge: DeviceStatus { DeviceStatus(rawValue: 1) }
    public static var driver: DeviceStatus { DeviceStatus(rawValue: 2) }
    public static var driverOK: DeviceStatus { DeviceStatus(rawValue: 4) }
    public static var featuresOK: DeviceStatus { DeviceStatus(rawValue: 8) }
    /// The 2024 draft: set while suspended. VIRTIO 1.4: set while suspended, and then `driverOK` is clear.
    public static var suspend: DeviceStatus { DeviceStatus(rawValue: 16) }
    public static var needsReset: DeviceStatus { DeviceStatus(rawValue: 64) }
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
