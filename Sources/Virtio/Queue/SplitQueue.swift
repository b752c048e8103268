// The device side of a split ring (VIRTIO 1.4, 2.7). It knows rings and chains, and nothing of registers, device
// types, interrupts or the lifecycle.
//
//        driver                                            device
//   descriptor table ---- read once, 2 x 64 bits --------> segments, validated from the copy
//   available ring   ---- index: acquire ----------------> available.count
//   used ring        <--- element, then index: release --- used.count
//
// Invariant behind every `unsafe` here: the three areas were resolved and found aligned when the queue went live, guest
// memory stays mapped for as long as the model exists, and every offset is masked or checked below `size`.

import Synchronization
import VirtioABI

/// A split ring that has been checked and may be used.
@safe struct SplitQueue {
    /// Entries, a power of two.
    let size: UInt16
    /// Of the next available entry to pop, and of the next used entry to write.
    var available = RingPosition()
    var used = RingPosition()

    private let descriptorArea: UnsafeMutableRawPointer
    private let driverArea: UnsafeMutableRawPointer
    private let deviceArea: UnsafeMutableRawPointer

    /// Checks what the driver configured and makes it a queue (VIRTIO 1.4, 2.7: sizes, alignment; every byte of the
    /// three areas in guest memory).
    init(_ configuration: QueueConfiguration, in memory: GuestMemory) throws(QueueFault) {
        guard let size = configuration.splitSize else { throw .badSize }
        guard configuration.descriptors % SplitRing.descriptorAlignment == 0,
            configuration.driver % SplitRing.availableAlignment == 0,
            configuration.device % SplitRing.usedAlignment == 0
        else { throw .misalignedRing }
        guard let descriptors = memory.resolve(configuration.descriptors, SplitRing.descriptorBytes(size: size)),
            let driver = memory.resolve(configuration.driver, SplitRing.availableBytes(size: size)),
            let device = memory.resolve(configuration.device, SplitRing.usedBytes(size: size))
        else { throw .ringOutsideMemory }
        self.size = size
        unsafe descriptorArea = descriptors.base
        unsafe driverArea = driver.base
        unsafe deviceArea = device.base
    }

    // MARK: Available ring

    /// The driver's available index. Acquire: pairs with the driver's barrier between filling the ring and moving the
    /// index (2.7.13.3).
    var availableIndex: UInt16 {
        unsafe word(driverArea, SplitRing.index).pointee.load(ordering: .acquiring)
    }

    /// Pops the next chain, whose head must be free in `parked`; nil if there is none.
    mutating func next(
        in memory: GuestMemory, _ parked: borrowing ParkedChains, _ segments: inout SegmentStorage
    ) throws(QueueFault) -> DescriptorChain? {
        let pending = availableIndex &- available.count
        if pending > size { throw .availableIndexJump }
        if pending == 0 { return nil }
        let slot = UInt64(available.count & (size &- 1))
        let entry = SplitRing.ring + SplitRing.availableEntrySize * slot
        let head = unsafe word(driverArea, entry).pointee.load(ordering: .relaxed)
        guard head < size else { throw .headOutOfRange }
        guard parked.isFree(head) else { throw .headInFlight }
        let chain = try walk(from: head, in: memory, &segments)
        available.count &+= 1
        return chain
    }

    /// Follows a chain, reading each of its descriptors once.
    private func walk(
        from head: UInt16, in memory: GuestMemory, _ segments: inout SegmentStorage
    ) throws(QueueFault) -> DescriptorChain {
        var chain = ChainBuilder()
        var index = head
        for count in 1...size {
            let descriptor = fetch(index)
            try chain.add(descriptor.address, descriptor.length, descriptor.flags, in: memory, &segments)
            guard descriptor.flags.contains(.next) else {
                return chain.finish(head: head, descriptors: count, segments)
            }
            guard descriptor.next < size else { throw .nextOutOfRange }
            index = descriptor.next
        }
        throw .chainTooLong
    }

    /// Descriptor `index`, below `size`: two loads, never repeated.
    private func fetch(_ index: UInt16) -> Descriptor {
        let halves = unsafe (descriptorArea + 16 * Int(index)).assumingMemoryBound(to: Atomic<UInt64>.self)
        return unsafe Descriptor(
            low: halves[0].load(ordering: .relaxed), high: halves[1].load(ordering: .relaxed))
    }

    // MARK: Used ring

    /// Gives a chain back with `written` bytes in its writable part, counted from their start (2.7.8).
    mutating func put(_ head: UInt16, written: UInt32) {
        let slot = UInt64(used.count & (size &- 1))
        let entry = unsafe deviceArea + Int(SplitRing.ring + SplitRing.usedEntrySize * slot)
        let fields = unsafe entry.assumingMemoryBound(to: Atomic<UInt32>.self)
        unsafe fields[0].store(UInt32(head), ordering: .relaxed)
        unsafe fields[1].store(written, ordering: .relaxed)
        used.count &+= 1
        // Release: the element, the data and the status byte are visible before the index (2.7.8.2). Pairs with the
        // driver's read barrier after it saw the index move.
        unsafe word(deviceArea, SplitRing.index).pointee.store(used.count, ordering: .releasing)
    }

    /// Whether the driver wants to hear of used buffers (2.7.7). To be asked after the used index was written.
    func wantsInterrupt() -> Bool {
        // Full fence: the used index is out before the flag is read. Pairs with the driver's barrier between clearing
        // the flag and looking at the used index once more (2.7.7.1).
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        let flags = unsafe word(driverArea, SplitRing.flags).pointee.load(ordering: .relaxed)
        return flags & SplitRing.noInterrupt == 0
    }

    private func word(_ area: UnsafeMutableRawPointer, _ offset: UInt64) -> UnsafePointer<Atomic<UInt16>> {
        unsafe UnsafePointer((area + Int(offset)).assumingMemoryBound(to: Atomic<UInt16>.self))
    }
}
