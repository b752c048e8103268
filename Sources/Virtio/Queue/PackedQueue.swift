// The device side of a packed ring (VIRTIO 1.4, 2.8): one ring of descriptors that both sides write in turn. Two flag
// bits, compared with a wrap counter that flips at each lap, tell which side owns a descriptor.
//
//   descriptor, 16 bytes:  address le64 | length le32 | id le16 | flags le16      flags: AVAIL bit 7, USED bit 15
//   available:  AVAIL == wrap, USED != wrap        used:  AVAIL == USED == wrap
//   event suppression, 4 bytes:  off_wrap le16 | flags le16
//
// Invariant behind every `unsafe` here: the three areas were resolved and found aligned when the queue went live, guest
// memory stays mapped for as long as the model exists, and every slot is below `size`.

import Synchronization
import VirtioABI

/// A packed ring whose configuration was checked.
@safe struct PackedQueue: @unchecked Sendable {
    /// Entries, 1 to 32768.
    let size: UInt16

    private let ring: UnsafeMutableRawPointer
    private let descriptors: DescriptorTable
    /// The two event suppression structures: the device reads the driver's and writes its own.
    private let driverEvent: UnsafeMutableRawPointer
    private let deviceEvent: UnsafeMutableRawPointer
    private let recorder: TraceRecorder

    /// Checks what the driver configured (VIRTIO 1.4, 2.8: size, alignment; every byte of the three areas in guest
    /// memory).
    init(_ configuration: QueueConfiguration, in memory: GuestMemory) throws(QueueFault) {
        guard let size = configuration.packedSize else { throw .badSize }
        guard configuration.descriptors % PackedRing.descriptorAlignment == 0,
            configuration.driver % PackedRing.eventAlignment == 0, configuration.device % PackedRing.eventAlignment == 0
        else { throw .misalignedRing }
        guard let ring = memory.resolve(configuration.descriptors, PackedRing.descriptorSize * UInt64(size)),
            let driverEvent = memory.resolve(configuration.driver, PackedRing.eventSize),
            let deviceEvent = memory.resolve(configuration.device, PackedRing.eventSize)
        else { throw .ringOutsideMemory }
        self.size = size
        unsafe self.ring = ring.base
        descriptors = DescriptorTable(ring, memory.recorder)
        unsafe self.driverEvent = driverEvent.base
        unsafe self.deviceEvent = deviceEvent.base
        recorder = memory.recorder
    }

    // MARK: Available descriptors

    /// Whether the descriptor at `position` is available. Acquire: pairs with the driver's barrier before it sets the
    /// flags of a chain's first descriptor (2.8.21.2).
    func isAvailable(_ position: RingPosition) -> Bool {
        let flags = unsafe word(descriptor(position.slot) + PackedRing.flags)
        let owner = unsafe recorder.load(flags.pointee.load(ordering: .acquiring), at: flags) & PackedRing.ownerBits
        return owner == availableBits(position.wrap)
    }

    /// The two bits of an available descriptor's flags in the lap of the wrap counter `wrap`.
    private func availableBits(_ wrap: Bool) -> UInt16 { wrap ? PackedRing.availableBit : PackedRing.usedBit }

    /// Number of consecutive available descriptors from `start` on, one lap at most.
    func availableCount(from start: RingPosition) -> UInt16 {
        var position = start
        for count in 0..<size {
            guard isAvailable(position) else { return count }
            position.advance(by: 1, size: size)
        }
        return size
    }

    /// Pops the next chain; nil if there is none. It must fit into the ring with the `parked` descriptors of the chains
    /// that were popped and not used.
    @inline(always)
    func next(
        at start: inout RingPosition, _ rules: ChainRulesPointer, _ parked: Int, _ segments: inout SegmentStorage
    ) throws(QueueFault) -> DescriptorChain? {
        guard isAvailable(start) else { return nil }
        var chain = ChainBuilder(rules, segments)
        var (slot, owner) = (start.slot, availableBits(start.wrap))
        // A descriptor that the device has not returned cannot be available again.
        let room = UInt16(truncatingIfNeeded: Int(size) &- parked)
        while true {
            if chain.length == room { throw parked == 0 ? .endlessChain : .headInFlight }
            // Otherwise it is a used descriptor, or one that was never made available.
            guard let descriptor = fetch(slot), descriptor.flags.rawValue & PackedRing.ownerBits == owner else {
                throw .descriptorNotAvailable
            }
            slot &+= 1
            if slot == size { (slot, owner) = (0, owner ^ PackedRing.ownerBits) }
            if descriptor.flags.contains(.indirect) {
                // A chain of direct descriptors does not end in a table (2.8.19).
                guard chain.length == 0 else { throw .indirectMisplaced }
                let table = try rules.table(descriptor.address, descriptor.length, descriptor.flags)
                var whole = chain
                try whole.add(table, &segments)
                let popped = try whole.finish(id: descriptor.id, slots: 1, &segments)
                start.advance(by: 1, size: size)
                return popped
            }
            try chain.add(descriptor.address, descriptor.length, descriptor.flags, &segments)
            guard descriptor.flags.contains(.next) else {
                // The buffer id is in the last descriptor; the driver may choose any value (2.8.6).
                let popped = try chain.finish(id: descriptor.id, slots: chain.length, &segments)
                start.advance(by: chain.length, size: size)
                return popped
            }
        }
    }

    /// Whether the indirect table, if there is one, still matches `fingerprint`. The ring's own descriptors are not
    /// compared: the device may have overwritten them with used descriptors.
    func isUnchanged(_ fingerprint: ChainFingerprint) -> Bool {
        guard let table = fingerprint.table.map({ DescriptorTable($0, recorder) }) else { return true }
        var digest = Digest()
        for index in 0..<table.count {
            guard let (low, high) = table.words(index) else { break }
            digest.add(low, high)
        }
        return digest.value == fingerprint.digest
    }

    /// The descriptor in `slot`, below `size`: two loads, never repeated.
    @inline(always)
    private func fetch(_ slot: UInt16) -> PackedDescriptor? {
        guard let (low, high) = descriptors.words(Int(slot)) else { return nil }
        return PackedDescriptor(low: low, high: high)
    }

    /// Writes the device's event suppression structure: the driver notifies when it makes the descriptor at `position`
    /// available (2.8.10). One store, so that the driver never reads half of it.
    func setDeviceEvent(_ position: RingPosition) {
        let offset = position.slot | (position.wrap ? PackedRing.eventWrapBit : 0)
        let event = UInt32(PackedRing.eventDescriptor) << 16 | UInt32(offset)
        unsafe deviceEvent.assumingMemoryBound(to: Atomic<UInt32>.self).pointee.store(event, ordering: .relaxed)
    }

    /// Writes the device's event suppression structure: no notifications, or all (2.8.10).
    func suppressNotifications(_ isSuppressed: Bool) {
        let flags = isSuppressed ? PackedRing.eventDisable : PackedRing.eventEnable
        unsafe deviceEvent.assumingMemoryBound(to: Atomic<UInt32>.self).pointee
            .store(UInt32(flags) << 16, ordering: .relaxed)
    }

    // MARK: Used descriptors

    /// Writes one used descriptor for the whole chain, and skips the chain's other descriptors (2.8.6).
    @inline(always)
    func put(_ id: UInt16, slots: UInt16, written: UsedLength, at position: inout RingPosition) {
        let entry = unsafe descriptor(position.slot)
        unsafe (entry + PackedRing.length).assumingMemoryBound(to: Atomic<UInt32>.self).pointee
            .store(written.length, ordering: .relaxed)
        unsafe word(entry + PackedRing.id).pointee.store(id, ordering: .relaxed)
        var flags = position.wrap ? PackedRing.ownerBits : 0
        if written.wroteAnything { flags |= Descriptor.Flags.write.rawValue }
        // Release: data, status, length and id are visible before the flags that publish them. Pairs with the driver's
        // read barrier after it reads the flags (2.8.21.3).
        unsafe word(entry + PackedRing.flags).pointee.store(flags, ordering: .releasing)
        position.advance(by: slots, size: size)
    }

    /// Writes the used descriptors of several chains. The driver reads them in order, so it sees none before the first
    /// one, which is written last.
    func put(_ chains: [UsedChain], at position: inout RingPosition) {
        guard let first = chains.first else { return }
        var start = position
        position.advance(by: first.slots, size: size)
        for chain in chains.dropFirst() { put(chain.id, slots: chain.slots, written: chain.written, at: &position) }
        put(first.id, slots: first.slots, written: first.written, at: &start)
    }

    /// Whether the driver wants an interrupt for the descriptors used since the last decision (2.8.10): always, never
    /// or, with VIRTIO_F_EVENT_IDX, if the descriptor it names is among them.
    @inline(always)
    func wantsInterrupt(_ positions: RingPositions, eventIndex: Bool) -> Bool {
        let event = driverEventWord
        switch UInt16(truncatingIfNeeded: event >> 16) & PackedRing.eventFlagsMask {
        case PackedRing.eventDisable: return false
        case PackedRing.eventDescriptor where eventIndex:
            let offset = UInt16(truncatingIfNeeded: event)
            let wanted = RingPosition(
                slot: offset & ~PackedRing.eventWrapBit, wrap: offset & PackedRing.eventWrapBit != 0)
            // A descriptor outside the ring would never be reached: interrupt always.
            guard wanted.slot < size else { return true }
            let put = positions.used.count &- positions.notified.count
            return put > size || distance(positions.notified, wanted) < Int(put)
        default: return true
        }
    }

    /// The driver's event suppression structure, as one word.
    var driverEventWord: UInt32 {
        let word = unsafe driverEvent.assumingMemoryBound(to: Atomic<UInt32>.self)
        return unsafe recorder.load(word.pointee.load(ordering: .relaxed), at: word)
    }

    /// Number of descriptors from one position to another, modulo the two laps that the wrap counter distinguishes.
    private func distance(_ from: RingPosition, _ to: RingPosition) -> Int {
        func offset(_ position: RingPosition) -> Int { Int(position.slot) + (position.wrap ? 0 : Int(size)) }
        let laps = 2 * Int(size)
        return (offset(to) - offset(from) + laps) % laps
    }

    private func descriptor(_ slot: UInt16) -> UnsafeMutableRawPointer {
        unsafe ring + Int(slot) * Int(PackedRing.descriptorSize)
    }

    private func word(_ address: UnsafeMutableRawPointer) -> UnsafePointer<Atomic<UInt16>> {
        unsafe UnsafePointer(address.assumingMemoryBound(to: Atomic<UInt16>.self))
    }
}

/// A descriptor of a packed ring or of its indirect tables, as fetched.
struct PackedDescriptor {
    let address: UInt64
    let length: UInt32
    let id: UInt16
    let flags: Descriptor.Flags

    init(low: UInt64, high: UInt64) {
        address = low
        length = UInt32(truncatingIfNeeded: high)
        id = UInt16(truncatingIfNeeded: high >> 32)
        flags = Descriptor.Flags(rawValue: UInt16(truncatingIfNeeded: high >> 48))
    }
}
