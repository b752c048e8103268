// The device side of a split ring (VIRTIO 1.4, 2.7). It handles rings and chains; it does not know registers, device
// types, interrupts or the lifecycle.
//
//        driver                                            device
//   descriptor table ---- read once, 2 x 64 bits --------> segments, validated from the copy
//   available ring   ---- index: acquire ----------------> available.count
//   used ring        <--- element, then index: release --- used.count
//   used_event       ---- with VIRTIO_F_EVENT_IDX -------> interrupt or not
//   avail_event      <--- with VIRTIO_F_EVENT_IDX -------- available.count
//
// Invariant behind every `unsafe` here: the three areas were resolved and found aligned when the queue went live, guest
// memory stays mapped for as long as the model exists, and every offset is masked or checked below `size`.

import Synchronization
import VirtioABI

/// A split ring whose configuration was checked.
@safe struct SplitQueue: @unchecked Sendable {
    /// Entries, a power of two.
    let size: UInt16

    private let descriptors: DescriptorTable
    private let driverArea: UnsafeMutableRawPointer
    private let deviceArea: UnsafeMutableRawPointer
    private let recorder: TraceRecorder

    /// Checks what the driver configured (VIRTIO 1.4, 2.7: size, alignment; every byte of the three areas in guest
    /// memory).
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
        self.descriptors = DescriptorTable(descriptors, memory.recorder)
        unsafe driverArea = driver.base
        unsafe deviceArea = device.base
        recorder = memory.recorder
    }

    // MARK: Available ring

    /// The driver's available index. Acquire: pairs with the driver's barrier between filling the ring and moving the
    /// index (2.7.13.3).
    var availableIndex: UInt16 {
        let place = unsafe word(driverArea, SplitRing.index)
        return unsafe recorder.load(place.pointee.load(ordering: .acquiring), at: place)
    }

    /// `flags` of the available ring.
    var availableFlags: UInt16 { unsafe load(driverArea, SplitRing.flags) }

    /// The head of the next chain; nil if there is none.
    @inline(always)
    func head(at position: RingPosition) throws(QueueFault) -> UInt16? {
        let pending = availableIndex &- position.count
        if pending > size { throw .availableIndexJump }
        if pending == 0 { return nil }
        let slot = UInt64(position.count & (size &- 1))
        let entry = SplitRing.ring + SplitRing.availableEntrySize * slot
        let head = unsafe load(driverArea, entry)
        guard head < size else { throw .headOutOfRange }
        return head
    }

    /// Pops the chain from `head`, reading each of its descriptors once. A table of indirect descriptors ends it
    /// (2.7.5.3).
    @inline(always)
    func walk(
        from head: UInt16, _ rules: ChainRulesPointer, _ segments: inout SegmentStorage
    ) throws(QueueFault) -> DescriptorChain {
        var chain = ChainBuilder(rules, segments)
        var index = head
        // The caller has checked `head`, so only `next` can be out of range.
        while let descriptor = descriptors.fetch(index) {
            chain.note(descriptor.address, descriptor.high)
            if descriptor.flags.contains(.indirect) {
                let table = try rules.table(descriptor.address, descriptor.length, descriptor.flags)
                var whole = chain
                try whole.follow(table, ringSize: size, &segments)
                return try finish(whole, from: head, slots: chain.length + 1, &segments)
            }
            try chain.add(descriptor.address, descriptor.length, descriptor.flags, &segments)
            guard descriptor.flags.contains(.next) else {
                return try finish(chain, from: head, slots: chain.length, &segments)
            }
            if chain.length == size { throw .endlessChain }
            if rules.value.inOrder {
                chain.findings.check(.splitInOrder, descriptor.next == (head &+ chain.length) & (size &- 1))
            }
            index = descriptor.next
        }
        throw .nextOutOfRange
    }

    /// Ends a chain, and checks the flags that the available ring has then.
    @inline(always)
    private func finish(
        _ chain: ChainBuilder, from head: UInt16, slots: UInt16, _ segments: inout SegmentStorage
    ) throws(QueueFault) -> DescriptorChain {
        if chain.findings.isOn {
            let flags = availableFlags
            if chain.rules.value.eventIndex {
                chain.findings.check(.availableFlagsZero, flags == 0)
            } else {
                chain.findings.check(.availableFlags, flags <= SplitRing.noInterrupt)
            }
        }
        return try chain.finish(id: head, slots: slots, &segments)
    }

    /// Whether the chain from `head` on still matches `fingerprint`.
    @inline(always)
    func isUnchanged(_ head: UInt16, _ fingerprint: ChainFingerprint, longest: UInt16) -> Bool {
        var digest = Digest()
        var (index, left) = (head, size)
        while let descriptor = descriptors.fetch(index) {
            digest.add(descriptor.address, descriptor.high)
            if descriptor.flags.contains(.indirect) {
                fingerprint.table.map { DescriptorTable($0, recorder).digest(longest: longest, into: &digest) }
                break
            }
            (index, left) = (descriptor.next, left &- 1)
            guard descriptor.flags.contains(.next), left > 0 else { break }
        }
        return digest.value == fingerprint.digest
    }

    /// Writes `avail_event`: the driver notifies when it fills the entry at `position` (2.7.10).
    func setAvailableEvent(_ position: RingPosition) {
        unsafe word(deviceArea, SplitRing.availableEvent(size: size)).pointee
            .store(position.count, ordering: .relaxed)
    }

    /// Writes `flags` of the used ring, the device's suppression without VIRTIO_F_EVENT_IDX (2.7.10).
    func suppressNotifications(_ isSuppressed: Bool) {
        unsafe word(deviceArea, SplitRing.flags).pointee
            .store(isSuppressed ? SplitRing.noNotify : 0, ordering: .relaxed)
    }

    // MARK: Used ring

    /// Writes the used entry of a chain, with `written` bytes from the start of its writable part (2.7.8).
    @inline(always)
    func put(_ head: UInt16, written: UInt32, at position: inout RingPosition) {
        store(head, written, at: &position)
        publish(position)
    }

    /// Writes the used entries of several chains, of which the driver sees all or none.
    func put(_ chains: [UsedChain], at position: inout RingPosition) {
        for chain in chains { store(chain.id, chain.written.length, at: &position) }
        publish(position)
    }

    @inline(always)
    private func store(_ head: UInt16, _ written: UInt32, at position: inout RingPosition) {
        let slot = UInt64(position.count & (size &- 1))
        let entry = unsafe deviceArea + Int(SplitRing.ring + SplitRing.usedEntrySize * slot)
        let fields = unsafe entry.assumingMemoryBound(to: Atomic<UInt32>.self)
        unsafe fields[0].store(UInt32(head), ordering: .relaxed)
        unsafe fields[1].store(written, ordering: .relaxed)
        position.count &+= 1
    }

    @inline(always)
    private func publish(_ position: RingPosition) {
        // Release: the elements, the data and the status byte are visible before the index (2.7.8.2). Pairs with the
        // driver's read barrier after it reads the index.
        unsafe word(deviceArea, SplitRing.index).pointee.store(position.count, ordering: .releasing)
    }

    /// Whether the driver wants interrupts, without VIRTIO_F_EVENT_IDX: all or none.
    var wantsEveryInterrupt: Bool {
        availableFlags & SplitRing.noInterrupt == 0
    }

    /// Whether the driver wants an interrupt, with VIRTIO_F_EVENT_IDX: the entry that `used_event` names is among those
    /// written since the last decision.
    func usedEventPassed(_ positions: RingPositions) -> Bool {
        usedEvent &- positions.notified.count < positions.used.count &- positions.notified.count
    }

    /// The driver's `used_event`.
    var usedEvent: UInt16 { unsafe load(driverArea, SplitRing.usedEvent(size: size)) }

    private func load(_ area: UnsafeMutableRawPointer, _ offset: UInt64) -> UInt16 {
        let place = unsafe word(area, offset)
        return unsafe recorder.load(place.pointee.load(ordering: .relaxed), at: place)
    }

    private func word(_ area: UnsafeMutableRawPointer, _ offset: UInt64) -> UnsafePointer<Atomic<UInt16>> {
        unsafe UnsafePointer((area + Int(offset)).assumingMemoryBound(to: Atomic<UInt16>.self))
    }
}
