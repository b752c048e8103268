// The memory layout of a packed virtqueue, on the driver's side (VIRTIO 1.4, 2.8). Positions count descriptors over two
// laps of the ring; in the first lap the wrap counter is 1.
//
// Barriers: as in SplitFormat.swift.

/// A packed queue's three areas.
struct PackedFormat {
    let size: UInt16
    let eventIndex: Bool
    let descriptors: UInt64
    let driverEvent: UInt64
    let deviceEvent: UInt64

    init(size: UInt16, eventIndex: Bool, _ arena: inout Arena) {
        self.size = size
        self.eventIndex = eventIndex
        descriptors = arena.take(
            PackedRing.descriptorSize &* UInt64(size), alignment: PackedRing.descriptorAlignment)
        driverEvent = arena.take(PackedRing.eventSize)
        deviceEvent = arena.take(PackedRing.eventSize)
    }

    // MARK: Positions

    func position(_ word: UInt16) -> RingPosition {
        let size = UInt32(size)
        let lap = word & PackedRing.eventWrapBit != 0 ? 0 : size
        return RingPosition(size: size, period: 2 &* size, number: lap &+ UInt32(word & ~PackedRing.eventWrapBit))
    }

    func word(_ position: RingPosition) -> UInt16 {
        UInt16(truncatingIfNeeded: position.slot) | (wrap(position) ? PackedRing.eventWrapBit : 0)
    }

    private func wrap(_ position: RingPosition) -> Bool { position.number < position.size }

    // MARK: Available buffers

    /// Writes a list to the next descriptors. The flags of the first are written last: they make the list available,
    /// and the device reads them before the rest (2.8.21.1).
    func publish(_ elements: StagedElements, at position: RingPosition, _ free: inout NumberQueue) -> UInt16 {
        let id = free.removeFirst()
        publish(elements, id: id, at: position)
        return id
    }

    func publish(_ elements: StagedElements, id: UInt16, at position: RingPosition) {
        for n in (0..<elements.count).reversed() {
            write(elements[n], id, position.advanced(by: UInt32(n)), last: n &+ 1 == elements.count)
        }
    }

    func publishInvalid(at position: RingPosition) {
        write(Descriptor(address: descriptors, length: 16), .max, position, last: true)
    }

    private func write(_ element: Descriptor, _ id: UInt16, _ position: RingPosition, last: Bool) {
        let address = address(position)
        let flags = last ? element.flags.subtracting(.next) : element.flags.union(.next)
        let state = wrap(position) ? PackedRing.availableBit : PackedRing.usedBit
        let high = PackedFormat.high(element, id: id, flags.union(Descriptor.Flags(rawValue: state)))
        store64(address, element.address)
        store32(address &+ UInt64(PackedRing.length), UInt32(truncatingIfNeeded: high))
        store16(address &+ UInt64(PackedRing.id), UInt16(truncatingIfNeeded: high >> 32))
        store16(address &+ UInt64(PackedRing.flags), UInt16(truncatingIfNeeded: high >> 48))
    }

    /// Bytes 8 to 15 of a descriptor, as one little-endian word.
    static func high(_ element: Descriptor, id: UInt16, _ flags: Descriptor.Flags) -> UInt64 {
        UInt64(element.length) | UInt64(id) << 32 | UInt64(flags.rawValue) << 48
    }

    private func address(_ position: RingPosition) -> UInt64 {
        descriptors &+ PackedRing.descriptorSize &* position.slot
    }

    // MARK: Used buffers

    /// The entry at `position`, if used. Reads the flags before the rest; the device writes them after it (2.8.21.3).
    /// The length is taken without the WRITE flag, too: some devices do not set it, and `packed-used-flags` checks it.
    func usedEntry(at position: RingPosition) -> UsedEntry? {
        let address = address(position)
        let flags = load16(address &+ UInt64(PackedRing.flags))
        let state = flags & (PackedRing.availableBit | PackedRing.usedBit)
        guard state == (wrap(position) ? PackedRing.availableBit | PackedRing.usedBit : 0) else { return nil }
        return UsedEntry(
            id: UInt32(load16(address &+ UInt64(PackedRing.id))),
            length: load32(address &+ UInt64(PackedRing.length)),
            isWritten: flags & Descriptor.Flags.write.rawValue != 0)
    }

    // MARK: Notifications

    /// One store, so that the device reads a consistent structure.
    func setUsedNotifications(_ mode: NotificationMode) {
        let event: (flags: UInt16, offset: UInt16) =
            switch mode {
            case .always: (PackedRing.eventEnable, 0)
            case .never: (PackedRing.eventDisable, 0)
            case .at(let position): (PackedRing.eventDescriptor, word(position))
            }
        store32(driverEvent, UInt32(event.flags) << 16 | UInt32(event.offset))
    }

    /// One load. With reserved flags the driver notifies.
    var availableNotifications: NotificationMode {
        let event = load32(deviceEvent)
        return switch UInt16(truncatingIfNeeded: event >> 16) & PackedRing.eventFlagsMask {
        case PackedRing.eventDisable: .never
        case PackedRing.eventDescriptor where eventIndex: .at(position(UInt16(truncatingIfNeeded: event)))
        default: .always
        }
    }
}
