// The split virtqueue's layout in guest memory (VIRTIO 1.4, 2.7), all little-endian.
//
//   descriptor table, 16 bytes each        available (driver) ring         used (device) ring
//   +0  address  le64                      +0  flags  le16                 +0  flags  le16
//   +8  length   le32                      +2  index  le16                 +2  index  le16
//   +12 flags    le16                      +4  ring   le16[size]           +4  ring   {id le32, length le32}[size]
//   +14 next     le16                      then used_event le16            then avail_event le16

/// One descriptor of a split queue, as fetched.
public struct Descriptor: Equatable, Sendable {
    /// Guest-physical address of the buffer.
    public var address: UInt64
    /// Length of the buffer in bytes.
    public var length: UInt32
    /// VIRTQ_DESC_F_NEXT, WRITE and INDIRECT.
    public var flags: Flags
    /// Index of the chain's next descriptor, meaningful with `Flags.next`.
    public var next: UInt16

    /// Flags of a descriptor (2.7.5).
    public struct Flags: OptionSet, Sendable {
        /// The field's value, le16 in memory.
        public let rawValue: UInt16
        /// Creates the set of the bits in `rawValue`.
        public init(rawValue: UInt16) { self.rawValue = rawValue }

        /// VIRTQ_DESC_F_NEXT: the chain goes on at `next`.
        public static var next: Flags { Flags(rawValue: 1) }
        /// The buffer is device write-only; otherwise it is device read-only.
        public static var write: Flags { Flags(rawValue: 2) }
        /// VIRTQ_DESC_F_INDIRECT: the buffer is a table of descriptors.
        public static var indirect: Flags { Flags(rawValue: 4) }
    }

    /// Creates a descriptor from its fields.
    public init(address: UInt64, length: UInt32, flags: Flags = [], next: UInt16 = 0) {
        self.address = address
        self.length = length
        self.flags = flags
        self.next = next
    }

    /// Decodes a descriptor from its two little-endian halves.
    public init(low: UInt64, high: UInt64) {
        address = low
        length = UInt32(truncatingIfNeeded: high)
        flags = Flags(rawValue: UInt16(truncatingIfNeeded: high >> 32))
        next = UInt16(truncatingIfNeeded: high >> 48)
    }

    /// Bytes 8 to 15, as one little-endian word.
    public var high: UInt64 { UInt64(length) | UInt64(flags.rawValue) << 32 | UInt64(next) << 48 }
}

/// Sizes, offsets and flags of the split queue's three areas.
public enum SplitRing {
    /// Size of a descriptor in bytes (2.7.5).
    public static let descriptorSize: UInt64 = 16
    /// Required alignment of the descriptor table in bytes (2.7).
    public static let descriptorAlignment: UInt64 = 16
    /// Required alignment of the available ring in bytes (2.7).
    public static let availableAlignment: UInt64 = 2
    /// Required alignment of the used ring in bytes (2.7).
    public static let usedAlignment: UInt64 = 4
    /// Maximum queue size (2.7).
    public static let maximumSize: UInt32 = 32768

    /// Offset of `flags` in the available and in the used ring.
    public static let flags: UInt64 = 0
    /// Offset of `idx` in the available and in the used ring.
    public static let index: UInt64 = 2
    /// Offset of the first ring entry, in both rings.
    public static let ring: UInt64 = 4
    /// Size of an entry of the available ring in bytes: a descriptor's index, le16 (2.7.6).
    public static let availableEntrySize: UInt64 = 2
    /// Size of an entry of the used ring in bytes: id le32, length le32 (2.7.8).
    public static let usedEntrySize: UInt64 = 8

    /// `flags` of the available ring: the driver wants no used buffer notification (VIRTQ_AVAIL_F_NO_INTERRUPT).
    public static let noInterrupt: UInt16 = 1
    /// `flags` of the used ring: the device wants no available buffer notification (VIRTQ_USED_F_NO_NOTIFY).
    public static let noNotify: UInt16 = 1

    /// Offset of `used_event` in the available ring, le16: with VIRTIO_F_EVENT_IDX, the used index at which the driver
    /// wants a notification.
    public static func usedEvent(size: UInt16) -> UInt64 { ring + availableEntrySize * UInt64(size) }
    /// Offset of `avail_event` in the used ring, le16: with VIRTIO_F_EVENT_IDX, the available index at which the device
    /// wants a notification.
    public static func availableEvent(size: UInt16) -> UInt64 { ring + usedEntrySize * UInt64(size) }

    /// Size of the descriptor table in bytes.
    public static func descriptorBytes(size: UInt16) -> UInt64 { descriptorSize * UInt64(size) }
    /// Size of the available ring in bytes, including `used_event`.
    public static func availableBytes(size: UInt16) -> UInt64 { usedEvent(size: size) + 2 }
    /// Size of the used ring in bytes, including `avail_event`.
    public static func usedBytes(size: UInt16) -> UInt64 { availableEvent(size: size) + 2 }
}
