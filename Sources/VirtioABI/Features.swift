// Feature bits (VIRTIO 1.4, 2.2 and 6). Bits 0 to 23 belong to the device type: see Block.swift and Console.swift.

/// A set of feature bits, bit n of the specification at bit n of `rawValue`. Bits 64 and above are not defined yet.
public struct Features: OptionSet, Hashable, Sendable {
    /// The bits 0 to 63.
    public let rawValue: UInt64
    /// Creates the set of the bits in `rawValue`.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The set of one feature bit, numbered as in the specification (0 to 63).
    public init(bit: Int) { self.init(rawValue: 1 << UInt64(bit)) }

    /// VIRTIO_F_INDIRECT_DESC (6): a descriptor can refer to a table of descriptors.
    public static var indirectDescriptors: Features { Features(bit: 28) }
    /// VIRTIO_F_EVENT_IDX (6): each side says at which index it wants the next notification.
    public static var eventIndex: Features { Features(bit: 29) }
    /// VIRTIO_F_VERSION_1 (6): the device and the driver comply with VIRTIO 1.0 and later.
    public static var version1: Features { Features(bit: 32) }
    /// VIRTIO_F_ACCESS_PLATFORM (6): the platform limits or translates the device's memory accesses.
    public static var accessPlatform: Features { Features(bit: 33) }
    /// VIRTIO_F_RING_PACKED (6): the packed virtqueue layout.
    public static var ringPacked: Features { Features(bit: 34) }
    /// VIRTIO_F_IN_ORDER (6): the device uses buffers in the order in which they were made available.
    public static var inOrder: Features { Features(bit: 35) }
    /// VIRTIO_F_ORDER_PLATFORM (6): memory accesses are ordered as the platform describes.
    public static var orderPlatform: Features { Features(bit: 36) }
    /// VIRTIO_F_NOTIFICATION_DATA (6): a notification carries the ring position beside the queue's index.
    public static var notificationData: Features { Features(bit: 38) }
    /// VIRTIO_F_RING_RESET (6): the driver can reset a single queue.
    public static var ringReset: Features { Features(bit: 40) }
    /// VIRTIO_F_SUSPEND of the 2024 draft.
    public static var suspendDraft: Features { Features(bit: 42) }
    /// VIRTIO_F_SUSPEND of VIRTIO 1.4.
    public static var suspend: Features { Features(bit: 43) }

    /// The 32 bits that DeviceFeatures or DriverFeatures holds for selector `word`; 0 from word 2 on.
    public func word(_ word: UInt32) -> UInt32 {
        word < 2 ? UInt32(truncatingIfNeeded: rawValue >> (UInt64(word) * 32)) : 0
    }

    /// This set with the 32 bits of selector `word` replaced; unchanged from word 2 on.
    public func replacing(word: UInt32, with value: UInt32) -> Features {
        guard word < 2 else { return self }
        let shift = UInt64(word) * 32
        return Features(rawValue: rawValue & ~(0xffff_ffff << shift) | UInt64(value) << shift)
    }
}
