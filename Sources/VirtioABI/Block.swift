// Constants of the block device (VIRTIO 1.4, 5.2).

/// Feature bits of the block device (5.2.3).
public enum BlockFeature {
    /// VIRTIO_BLK_F_SIZE_MAX, bit 1: `size_max` limits the length of a segment.
    public static var sizeMax: Features { Features(bit: 1) }
    /// VIRTIO_BLK_F_SEG_MAX, bit 2: `seg_max` limits the segments of a request.
    public static var segmentMax: Features { Features(bit: 2) }
    /// VIRTIO_BLK_F_GEOMETRY, bit 4: `geometry` has the legacy geometry.
    public static var geometry: Features { Features(bit: 4) }
    /// VIRTIO_BLK_F_RO, bit 5: the disk is read-only.
    public static var readOnly: Features { Features(bit: 5) }
    /// VIRTIO_BLK_F_BLK_SIZE, bit 6: `blk_size` has the logical block size.
    public static var blockSize: Features { Features(bit: 6) }
    /// VIRTIO_BLK_F_FLUSH, bit 9: the flush command exists.
    public static var flush: Features { Features(bit: 9) }
    /// VIRTIO_BLK_F_TOPOLOGY, bit 10: the fields of the optimal alignment exist.
    public static var topology: Features { Features(bit: 10) }
    /// VIRTIO_BLK_F_CONFIG_WCE, bit 11: the driver may switch the cache's mode by `writeback`.
    public static var configWCE: Features { Features(bit: 11) }
    /// VIRTIO_BLK_F_MQ, bit 12: `num_queues` has the number of request queues.
    public static var multiqueue: Features { Features(bit: 12) }
    /// VIRTIO_BLK_F_DISCARD, bit 13: the discard command exists.
    public static var discard: Features { Features(bit: 13) }
    /// VIRTIO_BLK_F_WRITE_ZEROES, bit 14: the write zeroes command exists.
    public static var writeZeroes: Features { Features(bit: 14) }
    /// VIRTIO_BLK_F_LIFETIME, bit 15: the device reports the wear of its storage.
    public static var lifetime: Features { Features(bit: 15) }
    /// VIRTIO_BLK_F_SECURE_ERASE, bit 16: the secure erase command exists.
    public static var secureErase: Features { Features(bit: 16) }
    /// VIRTIO_BLK_F_ZONED, bit 17: the device is a zoned block device.
    public static var zoned: Features { Features(bit: 17) }
}

/// A block request in guest memory: 16 readable bytes, data, one writable status byte (5.2.6).
public enum BlockRequest {
    /// Values of the request's type field, le32 at offset 0.
    public enum Kind {
        /// VIRTIO_BLK_T_IN: read from the disk into the data buffers.
        public static let read: UInt32 = 0
        /// VIRTIO_BLK_T_OUT: write the data buffers to the disk.
        public static let write: UInt32 = 1
        /// VIRTIO_BLK_T_FLUSH: make earlier writes durable.
        public static let flush: UInt32 = 4
        /// VIRTIO_BLK_T_GET_ID: read the device's ID, `idSize` bytes.
        public static let getID: UInt32 = 8
        /// VIRTIO_BLK_T_GET_LIFETIME: read the wear of the storage.
        public static let getLifetime: UInt32 = 10
        /// VIRTIO_BLK_T_DISCARD: the contents of the ranges are no longer needed.
        public static let discard: UInt32 = 11
        /// VIRTIO_BLK_T_WRITE_ZEROES: zero the ranges.
        public static let writeZeroes: UInt32 = 13
        /// VIRTIO_BLK_T_SECURE_ERASE: erase the ranges so that the contents cannot be recovered.
        public static let secureErase: UInt32 = 14
    }

    /// Values of the status byte.
    public enum Status: UInt8, Sendable {
        /// VIRTIO_BLK_S_OK: success.
        case ok = 0
        /// VIRTIO_BLK_S_IOERR: an error of the device or of the driver.
        case ioError = 1
        /// VIRTIO_BLK_S_UNSUPP: the device does not support the request.
        case unsupported = 2
    }

    /// Size of the header in bytes: type le32, reserved le32, sector le64.
    public static let headerSize = 16
    /// Offset of the type in the header, le32.
    public static let typeOffset = 0
    /// Offset of the reserved field in the header, le32.
    public static let reservedOffset = 4
    /// Offset of the sector in the header, le64: in units of 512 bytes.
    public static let sectorOffset = 8
    /// Size of the GET_ID data in bytes. NUL-padded; no terminator if the ID fills it.
    public static let idSize = 20
    /// Size of a sector in bytes, independent of `blk_size`.
    public static let sectorSize = 512

    /// A sector range, the data of discard, write zeroes and secure erase: sector le64, number of sectors le32, flags
    /// le32.
    public enum Range {
        /// Size of a range in bytes.
        public static let size = 16
        /// Offset of the first sector, le64.
        public static let sectorOffset = 0
        /// Offset of the number of sectors, le32.
        public static let countOffset = 8
        /// Offset of the flags, le32.
        public static let flagsOffset = 12
        /// Flag of write zeroes: the device may deallocate the range.
        public static let unmap: UInt32 = 1
    }
}

/// Offsets in the block device's configuration space (5.2.4).
public enum BlockConfiguration {
    /// Capacity in sectors of 512 bytes, le64.
    public static let capacity = 0
    /// Maximum length of a segment in bytes, le32.
    public static let sizeMax = 8
    /// Maximum number of data segments in a request, le32.
    public static let segmentMax = 12
    /// Cylinders le16, heads u8, sectors u8.
    public static let geometry = 16
    /// Logical block size in bytes, le32.
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
    /// Maximum sectors of a range in a discard, le32.
    public static let maximumDiscardSectors = 36
    /// Maximum number of ranges in a discard, le32.
    public static let maximumDiscardSegments = 40
    /// Alignment of a discard in sectors, le32.
    public static let discardSectorAlignment = 44
    /// Maximum sectors of a range in a write zeroes, le32.
    public static let maximumWriteZeroesSectors = 48
    /// Maximum number of ranges in a write zeroes, le32.
    public static let maximumWriteZeroesSegments = 52
    /// 1 if write zeroes can deallocate, u8.
    public static let writeZeroesMayUnmap = 56
    /// Maximum sectors of a range in a secure erase, le32.
    public static let maximumSecureEraseSectors = 60
    /// Maximum number of ranges in a secure erase, le32.
    public static let maximumSecureEraseSegments = 64
    /// Alignment of a secure erase in sectors, le32.
    public static let secureEraseSectorAlignment = 68
    /// Characteristics of a zoned device, 24 bytes.
    public static let zoned = 72
    /// Size of the structure in bytes. Fields of features that are not offered read 0.
    public static let size = 96
}
