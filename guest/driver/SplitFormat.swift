// The memory layout of a split virtqueue, on the driver's side (VIRTIO 1.4, 2.7). Positions count buffers.
//
// Barriers: x86 orders loads with loads and stores with stores, and every access here is volatile, so only a store
// before a load needs a fence. VirtQueue.swift has the two fences.

/// A split queue's three areas.
struct SplitFormat {
    let size: UInt16
    let eventIndex: Bool
    let descriptors: UInt64
    let available: UInt64
    let used: UInt64

    init(size: UInt16, eventIndex: Bool, _ arena: inout Arena) {
        self.size = size
        self.eventIndex = eventIndex
        descriptors = arena.take(SplitRing.descriptorBytes(size: size), alignment: SplitRing.descriptorAlignment)
        available = arena.take(SplitRing.availableBytes(size: size))
        used = arena.take(SplitRing.usedBytes(size: size))
    }

    // MARK: Positions

    func position(_ word: UInt16) -> RingPosition {
        RingPosition(size: UInt32(size), period: 1 << 16, number: UInt32(word))
    }

    func word(_ position: RingPosition) -> UInt16 { UInt16(truncatingIfNeeded: position.number) }

    // MARK: Available buffers

    /// Builds a chain of free descriptors; its head is the buffer's id (2.7.13).
    func publish(_ elements: StagedElements, at position: RingPosition, _ free: inout NumberQueue) -> UInt16 {
        let head = free.removeFirst()
        var number = head
        for n in 0..<elements.count {
            let next: UInt16? = n &+ 1 < elements.count ? free.removeFirst() : nil
            set(elements[n].linked(to: next), at: number)
            number = next ?? 0
        }
        publish(head: head, at: position)
        return head
    }

    /// Writes the entry before the index that makes it available; the device reads the index first (2.7.13.3).
    func publish(head: UInt16, at position: RingPosition) {
        store16(available &+ SplitRing.ring &+ SplitRing.availableEntrySize &* position.slot, head)
        store16(available &+ SplitRing.index, word(position.advanced(by: 1)))
    }

    /// Frees the descriptors of a chain in chain order. A device does not change them (2.7.5.1).
    func recycle(_ head: UInt16, _ free: inout NumberQueue) {
        var number = head
        while true {
            let high = load64(address(number) &+ 8)
            free.append(number)
            let descriptor = Descriptor(low: 0, high: high)
            guard descriptor.flags.contains(.next) else { return }
            number = descriptor.next
        }
    }

    /// Writes descriptor `number` of the table.
    func set(_ descriptor: Descriptor, at number: UInt16) {
        store64(address(number), descriptor.address)
        store64(address(number) &+ 8, descriptor.high)
    }

    private func address(_ number: UInt16) -> UInt64 { descriptors &+ SplitRing.descriptorSize &* UInt64(number) }

    // MARK: Used buffers

    /// The entry at `position`, if used. Reads the index before the entry; the device writes it after (2.7.8).
    func usedEntry(at position: RingPosition) -> UsedEntry? {
        guard load16(used &+ SplitRing.index) != word(position) else { return nil }
        let entry = used &+ SplitRing.ring &+ SplitRing.usedEntrySize &* position.slot
        let length = load32(entry &+ 4)
        return UsedEntry(id: load32(entry), length: length, isWritten: length > 0)
    }

    // MARK: Notifications

    /// With VIRTIO_F_EVENT_IDX the flags stay 0, and `never` is the entry furthest ahead (2.7.7).
    func setUsedNotifications(_ mode: NotificationMode, used: RingPosition) {
        guard eventIndex else {
            if case .never = mode {
                store16(available &+ SplitRing.flags, SplitRing.noInterrupt)
            } else {
                store16(available &+ SplitRing.flags, 0)
            }
            return
        }
        let event =
            switch mode {
            case .always: used
            case .never: used.behind(by: 1)
            case .at(let position): position
            }
        store16(available &+ SplitRing.usedEvent(size: size), word(event))
    }

    /// With VIRTIO_F_EVENT_IDX the driver ignores the flags, without it the event (2.7.10).
    var availableNotifications: NotificationMode {
        if eventIndex { return .at(position(load16(used &+ SplitRing.availableEvent(size: size)))) }
        return load16(used &+ SplitRing.flags) & SplitRing.noNotify == 0 ? .always : .never
    }
}
