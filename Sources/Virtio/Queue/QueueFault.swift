// Driver errors in a ring that leave no request to answer. Every case ends in DEVICE_NEEDS_RESET.

/// How a driver broke a virtqueue (VIRTIO 1.4, 2.6 to 2.8).
public enum QueueFault: UInt8, Error, CaseIterable, Sendable {
    /// QueueSize is 0, above QueueSizeMax or, for a split queue, not a power of two.
    case badSize
    /// A ring area is not aligned as 2.7 or 2.8 requires.
    case misalignedRing
    /// A ring area lies outside guest memory, partly or wholly.
    case ringOutsideMemory
    /// The available index is more than the queue size ahead of what the device popped.
    case availableIndexJump
    /// The available ring names a descriptor outside the table.
    case headOutOfRange
    /// The driver made a chain or descriptor available that the device has not returned yet.
    case headInFlight
    /// A descriptor's `next` is outside the table.
    case nextOutOfRange
    /// A chain of a packed ring continues with a descriptor that is not available (2.8.13).
    case descriptorNotAvailable
    /// A chain of direct descriptors is longer than the ring: it has a loop.
    case endlessChain
    /// A chain has more descriptors than the queue allows.
    case chainTooLong
    /// The buffers of a chain have more than 2^32 bytes (2.7.5.2).
    case chainTooLarge
    /// A device-readable descriptor follows a device-writable one.
    case readableAfterWritable
    /// A buffer lies outside guest memory, partly or wholly.
    case bufferOutsideMemory
    /// VIRTQ_DESC_F_INDIRECT without VIRTIO_F_INDIRECT_DESC.
    case indirectNotNegotiated
    /// VIRTQ_DESC_F_INDIRECT in a table of indirect descriptors.
    case nestedTable
    /// VIRTQ_DESC_F_INDIRECT together with VIRTQ_DESC_F_NEXT, or after other descriptors in a packed ring.
    case indirectMisplaced
    /// An indirect table is empty, or its length is not a multiple of the descriptor size.
    case badIndirectTable
    /// The chain has no room for the answer that the device type requires.
    case noRoomForStatus
}
