// Constants of the block device (VIRTIO 1.4, 5.2).

/// Feature bits of the block device (5.2.3).
public enum BlockFeature {
    public static var sizeMax: Features { Features(bit: 1) }
    public static var segmentMax: Features { Features(bit: 2) }
    public static var geometry: Features { Features(bit: 4) }
    public static var readOnly: Features { Features(bit: 5) }
    public static var blockSize: Features { Features(bit: 6) }
    public static var flush: Features { Features(bit: 9) }
    public static var topology: Features { Features(bit: 10) }
    public static var configWCE: Features { Features(bit: 11) }
    public static var multiqueue: Features { Features(bit: 12) }
    public static var discard: Features { Features(bit: 13) }
    public static var writeZeroes: Features { Features(bit: 14) }
    public static var lifetime: Features { Features(bit: 15) }
    public static var secureErase: Features { Features(bit: 16) }
    public static var zoned: Features { Features(bit: 17) }
}

/// A block request in guest memory: 16 readable bytes, data, one writable status byte (5.2.6).
public enum BlockRequest {
    /// Values of the request's type field, le32 at offset 0.
    public enum Kind {
        public static let read: UInt32 = 0
        public static let write: UInt32 = 1
        public static let flush: UInt32 = 4
        public static let getID: UInt32 = 8
        public static let getLifetime: UInt32 = 10
        public static let discard: UInt32 = 11
        public static let writeZeroes: UInt32 = 13
        public static let secureErase: UInt32 = 14
    }

    /// Values of the status byte.
    public enum Status: UInt8, Sendable {
        case ok = 0
        case ioError = 1
        case unsupported = 2
    }

    /// Size of the header in bytes: type le32, reserved le32, sector le64.
    public static let headerSize = 16
    public static let typeOffset = 0
    public static let reservedOffset = 4
    public static let sectorOffset = 8
    /// Size of the GET_ID data in bytes. NUL-padded; no terminator if the ID fills it.
    public static let idSize = 20
    /// Size of a sector in bytes, independent of `blk_size`.
    public static let sectorSize = 512

    /// A sector range, the data of discard, write zeroes and secure erase: sector le64, number of sectors le32, flags
    /// le32.
    public enum Range {
        public static let size = 16
        public static let sectorOffset = 0
        public static let countOffset = 8
        public static let flagsOffset = 12
        /// Flag of write zeroes: the device may deallocate the range.
        public static let unmap: UInt32 = 1
    }
}

/// Offsets in the block device's configuration space (5.2.4).
public enum BlockConfiguration {
    /// Capacity in sectors of 512 bytes, le64.
    public static let capacity = 0
    public static let sizeMax = 8
    /// Maximum number of data segments in a request, le32.
    public static let segmentMax = 12
    /// Cylinders le16, heads u8, sectors u8.
    public static let geometry = 16
    public static let blockSize = 20
    /// log2 of the number of logical blocks per physical block, u8.
    public static let physicalBlockExponent = 24
    /// Index of the first aligned logical block, u8.
    public static let alignmentOffset = 25
    /// In logical blocks, le16.
    public static let minimumIOSize = 26
    /// In logical blocks, le32.
    public static let optimalIOSize = 28
    /// 1 for a writeback cache, 0 for writethrough, u8; writable with VIRTIO_BLK_F_CONFIG_WCE.
    public static let writeback = 32
    /// Number of request queues, le16.
    public static let queues = 34
    /// Limits of a discard, le32 each: in sectors, in segments, and the alignment in sectors.
    public static let maximumDiscardSectors = 36
    public static let maximumDiscardSegments = 40
    public static let discardSectorAlignment = 44
    public static let maximumWriteZeroesSectors = 48
    public static let maximumWriteZeroesSegments = 52
    /// 1 if write zeroes can deallocate, u8.
    public static let writeZeroesMayUnmap = 56
    public static let maximumSecureEraseSectors = 60
    public static let maximumSecureEraseSegments = 64
    public static let secureEraseSectorAlignment = 68
    public static let zoned = 72
    /// Size of the structure in bytes. Fields of features that are not offered read 0.
    public static let size = 96
}
