// The block sizes that a block device tells its driver (VIRTIO 1.4, 5.2.4): blk_size and the topology.

/// The block sizes of a disk, in bytes.
public struct BlockSizes: Equatable, Sendable {
    /// The smallest unit that the disk can transfer: blk_size. A request stays in sectors of 512 bytes.
    public let logical: UInt32
    /// The unit that the disk can write without reading: physical_block_exp, min_io_size and the alignment of discards.
    public let physical: UInt32

    /// Sectors of 512 bytes, on blocks of 4096.
    public static let standard = BlockSizes()

    private init() { (logical, physical) = (512, 4096) }

    /// Nil unless both are powers of two, `logical` is 512 to 4096, and `physical` is not less and at most 1 MiB.
    public init?(logical: UInt32, physical: UInt32) {
        guard logical.nonzeroBitCount == 1, physical.nonzeroBitCount == 1, 512...4096 ~= logical,
            logical...1 << 20 ~= physical
        else {
            return nil
        }
        self.logical = logical
        self.physical = physical
    }

    /// Logical blocks of a physical one, as a power of two.
    var exponent: UInt8 { UInt8((physical / logical).trailingZeroBitCount) }
    /// Sectors of 512 bytes of a physical block.
    var sectors: UInt32 { physical / UInt32(512) }
}
