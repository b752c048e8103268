// The driver's side of a split virtqueue (VIRTIO 1.4, 2.7), laid out byte by byte in fake memory. It publishes
// descriptors without checking them.

import VirtioABI

/// A split virtqueue with the driver's state.
final class FakeQueue: FakeRing {
    let index: Int
    let size: UInt16
    let descriptors: UInt64
    let available: UInt64
    let used: UInt64
    let memory: FakeMemory
    let features: Features
    /// `Form.tidy`.
    private let tidy: Bool
    var order: [UInt16] = []
    var followsUsed = true

    /// The next available index, and the next used index to read.
    private(set) var nextAvailable: UInt16 = 0
    private(set) var nextUsed: UInt16 = 0
    /// `nextAvailable` at the last call of `prepareKick`.
    private var notified: UInt16 = 0
    private var free: [UInt16]
    private var owned: [UInt16: [UInt16]] = [:]

    var areas: [UInt64] { [descriptors, available, used] }
    var room: Int { free.count }
    /// Whether descriptors are used in ring order (2.7.5.2).
    private var isRing: Bool { tidy && features.contains(.inOrder) }

    /// Creates a queue and zeroes its areas.
    init(
        index: Int, size: UInt16, descriptors: UInt64, available: UInt64, used: UInt64, features: Features = [],
        tidy: Bool = false, memory: FakeMemory
    ) {
        self.index = index
        self.size = size
        self.descriptors = descriptors
        self.available = available
        self.used = used
        self.features = features
        self.tidy = tidy
        self.memory = memory
        free = (0..<size).reversed()
        memory.fill(0, at: descriptors, count: Int(SplitRing.descriptorBytes(size: size)))
        memory.fill(0, at: available, count: Int(SplitRing.availableBytes(size: size)))
        memory.fill(0, at: used, count: Int(SplitRing.usedBytes(size: size)))
    }

    private init(_ other: FakeQueue, movedTo memory: FakeMemory) {
        index = other.index
        size = other.size
        (descriptors, available, used) = (other.descriptors, other.available, other.used)
        (features, tidy) = (other.features, other.tidy)
        self.memory = memory
        (order, followsUsed) = (other.order, other.followsUsed)
        (nextAvailable, nextUsed, notified) = (other.nextAvailable, other.nextUsed, other.notified)
        (free, owned) = (other.free, other.owned)
    }

    func moved(to memory: FakeMemory) -> any FakeRing { FakeQueue(self, movedTo: memory) }

    // MARK: A conforming driver

    func place(_ parts: [Part]) -> UInt16 {
        let indices = parts.map { _ in free.removeLast() }
        for (position, part) in parts.enumerated() {
            let next = position + 1 < parts.count ? indices[position + 1] : nil
            setDescriptor(indices[position], Self.descriptor(part, next: next))
        }
        owned[indices[0]] = indices
        publish(indices[0])
        return indices[0]
    }

    private static func descriptor(_ part: Part, next: UInt16?) -> Descriptor {
        var flags: Descriptor.Flags = part.writable ? .write : []
        if part.indirect { flags.insert(.indirect) }
        if next != nil { flags.insert(.next) }
        return Descriptor(address: part.address, length: part.length, flags: flags, next: next ?? 0)
    }

    /// The chain starts at the table's first descriptor and continues backwards from the last; forwards for a tidy
    /// driver with VIRTIO_F_IN_ORDER.
    func table(_ parts: [Part]) -> [UInt8] {
        let places = parts.indices.map { $0 == 0 || isRing ? $0 : parts.count - $0 }
        var table = [UInt8](repeating: 0, count: 16 * parts.count)
        for (position, part) in parts.enumerated() {
            let next = position + 1 < parts.count ? UInt16(places[position + 1]) : nil
            let descriptor = Self.descriptor(part, next: next)
            let start = 16 * places[position]
            table.replaceSubrange(start..<start + 16, with: descriptor.address.bytes + descriptor.high.bytes)
        }
        return table
    }

    func collect() -> [UsedElement] {
        var elements: [UsedElement] = []
        while nextUsed != usedIndex {
            let element = usedElement(at: nextUsed)
            let chain = owned.removeValue(forKey: UInt16(truncatingIfNeeded: element.id)) ?? []
            if isRing { free.insert(contentsOf: chain.reversed(), at: 0) } else { free += chain }
            elements.append(element)
            nextUsed &+= 1
        }
        return elements
    }

    func askForInterrupt() { setUsedEvent(nextUsed) }

    func prepareKick() -> Bool {
        defer { notified = nextAvailable }
        guard features.contains(.eventIndex) else { return usedFlags & SplitRing.noNotify == 0 }
        var index = notified
        while index != nextAvailable {
            if index == availEvent { return true }
            index &+= 1
        }
        return false
    }

    // MARK: Ring words

    func setDescriptor(_ index: UInt16, _ descriptor: Descriptor) {
        let address = descriptors + 16 * UInt64(index)
        memory.store(descriptor.address, at: address)
        memory.store(descriptor.high, at: address + 8)
    }

    /// Writes `head` to the available ring and increments the index.
    func publish(_ head: UInt16) {
        let slot = UInt64(nextAvailable % size)
        memory.store(head, at: available + SplitRing.ring + SplitRing.availableEntrySize * slot)
        nextAvailable &+= 1
        setAvailableIndex(nextAvailable)
    }

    func setAvailableIndex(_ index: UInt16) { memory.store(index, at: available + SplitRing.index) }
    func setAvailableFlags(_ flags: UInt16) { memory.store(flags, at: available + SplitRing.flags) }
    /// The word after the available ring, valid with VIRTIO_F_EVENT_IDX.
    func setUsedEvent(_ index: UInt16) { memory.store(index, at: available + SplitRing.availableBytes(size: size) - 2) }

    var usedIndex: UInt16 { memory.load(at: used + SplitRing.index) }
    var usedFlags: UInt16 { memory.load(at: used + SplitRing.flags) }
    /// The word after the used ring, which a device writes only with VIRTIO_F_EVENT_IDX.
    var availEvent: UInt16 { memory.load(at: used + SplitRing.usedBytes(size: size) - 2) }

    func usedElement(at index: UInt16) -> UsedElement {
        let address = used + SplitRing.ring + SplitRing.usedEntrySize * UInt64(index % size)
        return UsedElement(id: memory.load(at: address), length: memory.load(at: address + 4))
    }
}

extension FixedWidthInteger {
    /// The value's bytes in little-endian order.
    var bytes: [UInt8] { (0..<(Self.bitWidth / 8)).map { UInt8(truncatingIfNeeded: self >> (8 * $0)) } }
}
