// What a driver can do to a ring that leaves no request to answer. Every case ends in DEVICE_NEEDS_RESET.

/// A way in which a driver broke a virtqueue (VIRTIO 1.4, 2.6 to 2.8).
public enum QueueFault: UInt8, Error, CaseIterable, Sendable {
    /// QueueSize is 0, above QueueSizeMax or, for a split queue, no power of two.
    case badSize
    /// A ring area is not aligned as 2.7 demands.
    case misalignedRing
    /// A ring area lies outside guest memory, in part or whole.
    case ringOutsideMemory
    /// The available index is more than the queue size ahead of what was consumed.
    case availableIndexJump
    /// The available ring names a descriptor outside the table.
    case headOutOfRange
    /// The ring makes a chain or a descriptor available that the device has not given back yet.
    case headInFlight
    /// A descriptor's `next` is outside the table.
    case nextOutOfRange
    /// A chain of a packed ring goes on in a descriptor that is not available (2.8.13).
    case descriptorNotAvailable
    /// A chain of the ring's own descriptors has more of them than the ring: it is a loop.
    case endlessChain
    /// A chain has more descriptors than the queue's longest may have.
    case chainTooLong
    /// A chain names more than 2^32 bytes (2.7.5.2).
    case chainTooLarge
    /// A device-readable descriptor after a device-writable one.
    case readableAfterWritable
    /// A buffer lies outside guest memory, in part or whole.
    case bufferOutsideMemory
    /// VIRTQ_DESC_F_INDIRECT without VIRTIO_F_INDIRECT_DESC.
    case indirectNotNegotiated
    /// VIRTQ_DESC_F_INDIRECT in a table of indirect descriptors.
    case nestedTable
    /// VIRTQ_DESC_F_INDIRECT together with VIRTQ_DESC_F_NEXT, or behind others in a packed ring.
    case indirectMisplaced
    /// An indirect table of no descriptors, or not of whole ones.
    case badIndirectTable
    /// The chain has no room for the answer that the device type demands.
    case noRoomForStatus
}
