// The driver's half of a split virtqueue (VIRTIO 1.4, 2.7), laid out byte by byte in fake memory. It checks nothing: a
// hostile driver is made of the same parts.

import VirtioABI

/// A buffer as one descriptor names it.
struct Part {
    var address: UInt64
    var length: UInt32
    var writable: Bool
}

/// A chain that was made available.
struct Chain {
    let head: UInt16
    let parts: [Part]

    var writable: [Part] { parts.filter(\.writable) }
}

/// An element of the used ring.
struct UsedElement: Equatable {
    let id: UInt32
    let length: UInt32
}

/// A split virtqueue as its driver keeps it.
final class FakeQueue {
    let index: Int
    let size: UInt16
    let descriptors: UInt64
    let available: UInt64
    let used: UInt64
    let memory: FakeMemory

    /// The next available index, and the used index up to which elements were read.
    private(set) var nextAvailable: UInt16 = 0
    private(set) var nextUsed: UInt16 = 0
    private var free: [UInt16]
    private var owned: [UInt16: [UInt16]] = [:]

    /// A queue over areas that are zeroed here.
    init(index: Int, size: UInt16, descriptors: UInt64, available: UInt64, used: UInt64, memory: FakeMemory) {
        self.index = index
        self.size = size
        self.descriptors = descriptors
        self.available = available
        self.used = used
        self.memory = memory
        free = (0..<size).reversed()
        memory.fill(0, at: descriptors, count: Int(SplitRing.descriptorBytes(size: size)))
        memory.fill(0, at: available, count: Int(SplitRing.availableBytes(size: size)))
        memory.fill(0, at: used, count: Int(SplitRing.usedBytes(size: size)))
    }

    /// The same queue in another memory with the same contents.
    init(_ other: FakeQueue, movedTo memory: FakeMemory) {
        index = other.index
        size = other.size
        (descriptors, available, used) = (other.descriptors, other.available, other.used)
        self.memory = memory
        (nextAvailable, nextUsed) = (other.nextAvailable, other.nextUsed)
        (free, owned) = (other.free, other.owned)
    }

    // MARK: A driver that keeps the rules

    /// Lays `parts` out as a chain, in this order, and makes it available.
    func add(_ parts: [Part]) -> Chain {
        precondition(!parts.isEmpty && parts.count <= free.count, "the test has no descriptors left")
        let indices = parts.map { _ in free.removeLast() }
        for (position, part) in parts.enumerated() {
            var descriptor = Descriptor(address: part.address, length: part.length, flags: part.writable ? .write : [])
            if position + 1 < parts.count {
                descriptor.flags.insert(.next)
                descriptor.next = indices[position + 1]
            }
            setDescriptor(indices[position], descriptor)
        }
        owned[indices[0]] = indices
        publish(indices[0])
        return Chain(head: indices[0], parts: parts)
    }

    /// The used elements since the last call; their descriptors are free again.
    func takeUsed() -> [UsedElement] {
        var elements: [UsedElement] = []
        while nextUsed != usedIndex {
            let element = usedElement(at: nextUsed)
            free.append(contentsOf: owned.removeValue(forKey: UInt16(truncatingIfNeeded: element.id)) ?? [])
            elements.append(element)
            nextUsed &+= 1
        }
        return elements
    }

    // MARK: Ring words

    func setDescriptor(_ index: UInt16, _ descriptor: Descriptor) {
        let address = descriptors + 16 * UInt64(index)
        memory.store(descriptor.address, at: address)
        memory.store(descriptor.high, at: address + 8)
    }

    /// Puts `head` into the available ring and moves the index.
    func publish(_ head: UInt16) {
        let slot = UInt64(nextAvailable % size)
        memory.store(head, at: available + SplitRing.ring + SplitRing.availableEntrySize * slot)
        nextAvailable &+= 1
        setAvailableIndex(nextAvailable)
    }

    func setAvailableIndex(_ index: UInt16) { memory.store(index, at: available + SplitRing.index) }
    func setAvailableFlags(_ flags: UInt16) { memory.store(flags, at: available + SplitRing.flags) }

    var usedIndex: UInt16 { memory.load(at: used + SplitRing.index) }
    var usedFlags: UInt16 { memory.load(at: used + SplitRing.flags) }
    /// The word behind the used ring, which only VIRTIO_F_EVENT_IDX lets a device write.
    var availEvent: UInt16 { memory.load(at: used + SplitRing.usedBytes(size: size) - 2) }

    func usedElement(at index: UInt16) -> UsedElement {
        let address = used + SplitRing.ring + SplitRing.usedEntrySize * UInt64(index % size)
        return UsedElement(id: memory.load(at: address), length: memory.load(at: address + 4))
    }
}
