// The block device's numbers (VIRTIO 1.4, 5.2).

/// Feature bits of the block device (5.2.3).
public enum BlockFeature {
    public static let segmentMax = Features(bit: 2)
    public static let readOnly = Features(bit: 5)
    public static let blockSize = Features(bit: 6)
    public static let flush = Features(bit: 9)
}

/// A block request in guest memory: 16 readable bytes, data, one writable status byte (5.2.6).
public enum BlockRequest {
    /// The requests' type field, le32 at 0.
    public enum Kind {
        public static let read: UInt32 = 0
        public static let write: UInt32 = 1
        public static let flush: UInt32 = 4
        public static let getID: UInt32 = 8
    }

    /// The status byte.
    public enum Status: UInt8, Sendable {
        case ok = 0
        case ioError = 1
        case unsupported = 2
    }

    /// Bytes of the header: type le32, reserved le32, sector le64.
    public static let headerSize = 16
    public static let typeOffset = 0
    public static let sectorOffset = 8
    /// Bytes of a GET_ID answer, NUL-padded, not terminated when full.
    public static let idSize = 20
    /// Bytes of a sector, whatever `blk_size` says.
    public static let sectorSize = 512
}

/// Offsets in the block device's configuration space (5.2.4).
public enum BlockConfiguration {
    /// Sectors of 512 bytes, le64.
    public static let capacity = 0
    public static let sizeMax = 8
    /// Most data segments in a request, le32.
    public static let segmentMax = 12
    public static let blockSize = 20
    /// Bytes this model answers for; what it does not offer reads 0.
    public static let size = 96
}
