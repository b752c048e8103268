// The common interface of the two virtqueue formats: three memory areas, positions in them, and the operations below.
// The formats differ in their memory layout only; all other code is in VirtQueue.swift.

/// A used entry.
struct UsedEntry {
    let id: UInt32
    let length: UInt32
    /// Whether the device wrote into the buffer: by the length in a split ring, by the WRITE flag in a packed ring.
    let isWritten: Bool
}

/// When one side of the queue is to notify the other (2.7.7, 2.7.10, 2.8.10).
enum NotificationMode {
    case always
    case never
    /// When the entry at this position is made available or used. Only with VIRTIO_F_EVENT_IDX.
    case at(RingPosition)
}

/// The elements of a buffer that is not yet available: descriptors in the arena, 16 bytes each.
struct StagedElements {
    let memory: UInt64
    var count: UInt16 = 0

    subscript(n: UInt16) -> Descriptor {
        let address = memory &+ SplitRing.descriptorSize &* UInt64(n)
        return Descriptor(low: load64(address), high: load64(address &+ 8))
    }

    mutating func append(_ descriptor: Descriptor) {
        let address = memory &+ SplitRing.descriptorSize &* UInt64(count)
        store64(address, descriptor.address)
        store64(address &+ 8, descriptor.high)
        count &+= 1
    }
}

/// The memory of a queue in either format. A value type: all changes are to the guest's memory.
enum RingFormat {
    case split(SplitFormat)
    case packed(PackedFormat)

    /// The areas' addresses for the queue registers (4.2.2).
    var areas: (descriptors: UInt64, driver: UInt64, device: UInt64) {
        switch self {
        case .split(let ring): (ring.descriptors, ring.available, ring.used)
        case .packed(let ring): (ring.descriptors, ring.driverEvent, ring.deviceEvent)
        }
    }

    /// The first position.
    var start: RingPosition {
        switch self {
        case .split(let ring): ring.position(0)
        case .packed(let ring): ring.position(PackedRing.eventWrapBit)
        }
    }

    /// Positions that a buffer of `entries` descriptors occupies: a split ring counts buffers, a packed ring
    /// descriptors.
    func stride(_ entries: UInt16) -> UInt32 {
        switch self {
        case .split: 1
        case .packed: UInt32(entries)
        }
    }

    /// Makes a buffer of `elements` available and returns its id.
    func publish(_ elements: StagedElements, at position: RingPosition, _ free: inout NumberQueue) -> UInt16 {
        switch self {
        case .split(let ring): ring.publish(elements, at: position, &free)
        case .packed(let ring): ring.publish(elements, at: position, &free)
        }
    }

    /// Makes an invalid buffer available: its id is out of range. A driver must not do this.
    func publishInvalid(at position: RingPosition) {
        switch self {
        case .split(let ring): ring.publish(head: .max, at: position)
        case .packed(let ring): ring.publishInvalid(at: position)
        }
    }

    /// Returns the ids of a used buffer to `free`.
    func recycle(_ id: UInt16, _ free: inout NumberQueue) {
        switch self {
        case .split(let ring): ring.recycle(id, &free)
        case .packed: free.append(id)
        }
    }

    /// Writes element `index` of an indirect table; `next` is the index of the following element, which only a split
    /// table stores.
    func writeIndirect(_ element: Descriptor, _ table: UInt64, _ index: UInt16, next: UInt16?) {
        let address = table &+ SplitRing.descriptorSize &* UInt64(index)
        store64(address, element.address)
        switch self {
        case .split: store64(address &+ 8, element.linked(to: next).high)
        case .packed: store64(address &+ 8, PackedFormat.high(element, id: 0, element.flags.intersection(.write)))
        }
    }

    /// The entry at `position`, if the device has used it.
    func usedEntry(at position: RingPosition) -> UsedEntry? {
        switch self {
        case .split(let ring): ring.usedEntry(at: position)
        case .packed(let ring): ring.usedEntry(at: position)
        }
    }

    /// Sets when the device is to send used buffer notifications; `used` is the position of the next used entry.
    func setUsedNotifications(_ mode: NotificationMode, used: RingPosition) {
        switch self {
        case .split(let ring): ring.setUsedNotifications(mode, used: used)
        case .packed(let ring): ring.setUsedNotifications(mode)
        }
    }

    /// When the device wants available buffer notifications.
    var availableNotifications: NotificationMode {
        switch self {
        case .split(let ring): ring.availableNotifications
        case .packed(let ring): ring.availableNotifications
        }
    }

    /// A position in the 16-bit encoding of event fields and notification data (2.7.6, 2.8.10, 2.9).
    func word(_ position: RingPosition) -> UInt16 {
        switch self {
        case .split(let ring): ring.word(position)
        case .packed(let ring): ring.word(position)
        }
    }
}

extension Descriptor {
    /// The descriptor with the NEXT flag and the next descriptor's index, or without both.
    func linked(to next: UInt16?) -> Descriptor {
        let flags = next == nil ? flags.subtracting(.next) : flags.union(.next)
        return Descriptor(address: address, length: length, flags: flags, next: next ?? 0)
    }
}
