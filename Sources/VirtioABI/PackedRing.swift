// The packed virtqueue's layout in guest memory (VIRTIO 1.4, 2.8), all little-endian.

/// Sizes, offsets and flags of a packed queue's descriptor ring and of its two event suppression structures.
public enum PackedRing {
    public static let descriptorSize: UInt64 = 16
    /// Required alignment of the ring and of an event suppression structure, in bytes (2.8).
    public static let descriptorAlignment: UInt64 = 16
    public static let eventAlignment: UInt64 = 4

    /// Offsets in a descriptor: address le64 at 0, length le32, id le16, flags le16.
    public static let length = 8
    public static let id = 12
    public static let flags = 14

    /// AVAIL and USED flags. Compared with the wrap counter, they tell which side owns a descriptor (2.8.1).
    public static let availableBit: UInt16 = 1 << 7
    public static let usedBit: UInt16 = 1 << 15
    /// AVAIL and USED.
    public static var ownerBits: UInt16 { availableBit | usedBit }

    /// Size of an event suppression structure in bytes, and the offset of its flags, bits 0 and 1 of a le16.
    public static let eventSize: UInt64 = 4
    public static let eventFlags = 2
    public static let eventFlagsMask: UInt16 = 3
    /// Values of the flags: notifications enabled, disabled, or enabled for the descriptor that the first field names
    /// (with VIRTIO_F_EVENT_IDX).
    public static let eventEnable: UInt16 = 0
    public static let eventDisable: UInt16 = 1
    public static let eventDescriptor: UInt16 = 2
    /// The structure's first field, le16, is a descriptor's offset in the ring; this bit of it is the wrap counter.
    public static let eventWrapBit: UInt16 = 1 << 15
}
