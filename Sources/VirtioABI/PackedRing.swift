// The packed virtqueue's layout in guest memory (VIRTIO 1.4, 2.8), all little-endian.

/// Sizes, offsets and flags of a packed queue's descriptor ring and of its two event suppression structures.
public enum PackedRing {
    /// Size of a descriptor in bytes (2.8.13).
    public static let descriptorSize: UInt64 = 16
    /// Required alignment of the descriptor ring in bytes (2.8).
    public static let descriptorAlignment: UInt64 = 16
    /// Required alignment of an event suppression structure in bytes (2.8.10.1).
    public static let eventAlignment: UInt64 = 4

    /// Offset of the buffer's length in a descriptor, le32, in bytes. Its address, le64, is at 0.
    public static let length = 8
    /// Offset of the buffer's id, le16.
    public static let id = 12
    /// Offset of the flags, le16.
    public static let flags = 14

    /// VIRTQ_DESC_F_AVAIL: the driver writes it equal to its wrap counter when it makes the descriptor available. With
    /// `usedBit` it tells which side owns the descriptor (2.8.1).
    public static let availableBit: UInt16 = 1 << 7
    /// VIRTQ_DESC_F_USED: the device writes it equal to its wrap counter when it uses the descriptor.
    public static let usedBit: UInt16 = 1 << 15
    /// AVAIL and USED.
    public static var ownerBits: UInt16 { availableBit | usedBit }

    /// Size of an event suppression structure in bytes (2.8.14).
    public static let eventSize: UInt64 = 4
    /// Offset of the flags in an event suppression structure, le16 (2.8.14).
    public static let eventFlags = 2
    /// The bits of the flags; the others are reserved.
    public static let eventFlagsMask: UInt16 = 3
    /// RING_EVENT_FLAGS_ENABLE: all notifications.
    public static let eventEnable: UInt16 = 0
    /// RING_EVENT_FLAGS_DISABLE: no notifications.
    public static let eventDisable: UInt16 = 1
    /// RING_EVENT_FLAGS_DESC: a notification when the descriptor that the first field names is
    /// reached (with VIRTIO_F_EVENT_IDX).
    public static let eventDescriptor: UInt16 = 2
    /// The structure's first field, le16, is a descriptor's offset in the ring; this bit of it is the wrap counter.
    public static let eventWrapBit: UInt16 = 1 << 15
}
