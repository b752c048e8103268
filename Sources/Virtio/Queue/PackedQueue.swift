// The device side of a packed ring (VIRTIO 1.4, 2.8). One ring of descriptors, written by both sides in turn; who owns one is told by
// two flag bits against a counter that flips at each lap.
//
//   descriptor, 16 bytes:  address le64 | length le32 | id le16 | flags le16      flags: AVAIL bit 7, USED bit 15
//   available:  AVAIL == lap, USED != lap          used:  AVAIL == USED == lap
//   event suppression, 4 bytes:  off_wrap le16 | flags le16
//
// Invariant behind every `unsafe` here: the three areas were resolved and found aligned when the queue went live, guest
// memory stays mapped for as long as the model exists, and every slot is below `size`.

import Synchronization
import VirtioABI

/// A packed ring that has been checked and may be used.
@safe struct PackedQueue {
    /// Entries, 1 to 32768.
    let size: UInt16
    var available = RingPosition()
    var used = RingPosition()

    private let ring: UnsafeMutableRawPointer
    /// Read-only for the device.
    private let driverEvent: UnsafeMutableRawPointer

    /// Checks what the driver configured (VIRTIO 1.4, 2.8: size, alignment; every byte of the three areas in guest memory). The
    /// device's event suppression structure is checked and left alone: notifications are never suppressed.
    init(_ configuration: QueueConfiguration, in memory: GuestMemory) throws(QueueFault) {
        guard let size = configuration.packedSize else { throw .badSize }
        guard configuration.descriptors % PackedRing.descriptorAlignment == 0,
            configuration.driver % PackedRing.eventAlignment == 0, configuration.device % PackedRing.eventAlignment == 0
        else { throw .misalignedRing }
        guard let ring = memory.resolve(configuration.descriptors, PackedRing.descriptorSize * UInt64(size)),
            let driverEvent = memory.resolve(configuration.driver, PackedRing.eventSize),
            memory.resolve(configuration.device, PackedRing.eventSize) != nil
        else { throw .ringOutsideMemory }
        self.size = size
        unsafe self.ring = ring.base
        unsafe self.driverEvent = driverEvent.base
    }

    /// Whether the descriptor at `position` is the device's. Acquire: pairs with the driver's barrier before it sets the flags of
    /// a chain's first descriptor (2.8.21.2).
    private func isAvailable(_ position: RingPosition) -> Bool {
        let flags = unsafe word(descriptor(position.slot) + PackedRing.flags).pointee.load(ordering: .acquiring)
        let (available, used) = (flags & PackedRing.availableBit != 0, flags & PackedRing.usedBit != 0)
        return available == position.wrap && used != position.wrap
    }

    /// `available.count` behind the last descriptor that is available now, a lap away at most.
    var availableCount: UInt16 {
        var position = available
        for _ in 0..<size {
            guard isAvailable(position) else { break }
            position.advance(by: 1, size: size)
        }
        return position.count
    }

    /// Pops the next chain, whose name must be free in `parked`; nil if there is none.
    mutating func next(
        in memory: GuestMemory, _ parked: borrowing ParkedChains, _ segments: inout SegmentStorage
    ) throws(QueueFault) -> DescriptorChain? {
        guard isAvailable(available) else { return nil }
        var chain = ChainBuilder()
        var position = available
        for count in 1...size {
            // Two loads, never repeated.
            let halves = unsafe descriptor(position.slot).assumingMemoryBound(to: Atomic<UInt64>.self)
            let (address, high) = unsafe (halves[0].load(ordering: .relaxed), halves[1].load(ordering: .relaxed))
            let flags = Descriptor.Flags(rawValue: UInt16(truncatingIfNeeded: high >> 48))
            try chain.add(address, UInt32(truncatingIfNeeded: high), flags, in: memory, &segments)
            position.advance(by: 1, size: size)
            if flags.contains(.next) { continue }
            // The buffer's id stands in its last descriptor (2.8.6).
            let id = UInt16(truncatingIfNeeded: high >> 32)
            guard id < size else { throw .headOutOfRange }
            guard parked.isFree(id) else { throw .headInFlight }
            available = position
            return chain.finish(head: id, descriptors: count, segments)
        }
        throw .chainTooLong
    }

    /// Writes one used descriptor for the whole chain, and skips the rest of it (2.8.6).
    mutating func put(_ id: UInt16, descriptors: UInt16, written: UInt32) {
        let entry = unsafe descriptor(used.slot)
        unsafe (entry + PackedRing.length).assumingMemoryBound(to: Atomic<UInt32>.self).pointee
            .store(written, ordering: .relaxed)
        unsafe word(entry + PackedRing.id).pointee.store(id, ordering: .relaxed)
        var flags = used.wrap ? PackedRing.availableBit | PackedRing.usedBit : 0
        if written > 0 { flags |= Descriptor.Flags.write.rawValue }
        // Release: data, status, length and id are visible before the flags that publish them. Pairs with the driver's read
        // barrier after it saw them (2.8.21.3).
        unsafe word(entry + PackedRing.flags).pointee.store(flags, ordering: .releasing)
        used.advance(by: descriptors, size: size)
    }

    /// Whether the driver wants to hear of used buffers (2.8.10). Without VIRTIO_F_EVENT_IDX there is only all or nothing.
    func wantsInterrupt() -> Bool {
        // Full fence: the used descriptor is out before the flags are read. Pairs with the driver's barrier between
        // enabling notifications and looking at the ring once more.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        let flags = unsafe word(driverEvent + PackedRing.eventFlags).pointee.load(ordering: .relaxed)
        return flags & PackedRing.eventFlagsMask != PackedRing.eventDisable
    }

    private func descriptor(_ slot: UInt16) -> UnsafeMutableRawPointer {
        unsafe ring + Int(slot) * Int(PackedRing.descriptorSize)
    }

    private func word(_ address: UnsafeMutableRawPointer) -> UnsafePointer<Atomic<UInt16>> {
        unsafe UnsafePointer(address.assumingMemoryBound(to: Atomic<UInt16>.self))
    }
}
