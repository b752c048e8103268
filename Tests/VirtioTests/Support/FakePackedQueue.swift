// The driver's side of a packed virtqueue (VIRTIO 1.4, 2.8), laid out byte by byte in fake memory. Like `FakeQueue` it
// publishes descriptors without checking them.

import Testing
import VirtioABI

/// A packed virtqueue with the driver's state.
final class FakePackedQueue: FakeRing {
    /// `flags` of a descriptor.
    static let next: UInt16 = 1 << 0
    static let write: UInt16 = 1 << 1
    static let indirect: UInt16 = 1 << 2
    static let available: UInt16 = 1 << 7
    static let used: UInt16 = 1 << 15

    /// A descriptor's index in the ring, and the wrap counter of the current lap.
    struct Position: Equatable {
        var slot: UInt16 = 0
        var wrap = true

        mutating func advance(by count: Int, size: UInt16) {
            let sum = Int(slot) + count
            if sum >= Int(size) { wrap.toggle() }
            slot = UInt16(sum % Int(size))
        }

        /// The encoding in an event suppression structure.
        var word: UInt16 { slot | (wrap ? 1 << 15 : 0) }
    }

    let index: Int
    let size: UInt16
    let descriptors: UInt64
    let driverEvent: UInt64
    let deviceEvent: UInt64
    let memory: FakeMemory
    let features: Features
    /// `Form.tidy`.
    private let tidy: Bool
    var order: [UInt16] = []
    var followsUsed = true

    /// Positions of the next descriptor to make available and of the next used descriptor.
    private(set) var nextAvailable = Position()
    private(set) var nextUsed = Position()
    /// `nextAvailable` at the last call of `prepareKick`.
    private var notified = Position()
    /// Number of free descriptors.
    private(set) var room: Int
    /// Free buffer ids.
    private var free: [UInt16]
    /// Number of descriptors of each buffer in flight, by id.
    private var owned: [UInt16: Int] = [:]

    var areas: [UInt64] { [descriptors, driverEvent, deviceEvent] }

    /// Creates a queue and zeroes its areas.
    init(
        index: Int, size: UInt16, descriptors: UInt64, driverEvent: UInt64, deviceEvent: UInt64,
        features: Features = [], tidy: Bool = false, memory: FakeMemory
    ) {
        self.index = index
        self.size = size
        self.descriptors = descriptors
        self.driverEvent = driverEvent
        self.deviceEvent = deviceEvent
        self.features = features
        self.tidy = tidy
        self.memory = memory
        room = Int(size)
        free = (0..<size).reversed()
        memory.fill(0, at: descriptors, count: 16 * Int(size))
        memory.fill(0, at: driverEvent, count: 4)
        memory.fill(0, at: deviceEvent, count: 4)
    }

    private init(_ other: FakePackedQueue, movedTo memory: FakeMemory) {
        index = other.index
        size = other.size
        (descriptors, driverEvent, deviceEvent) = (other.descriptors, other.driverEvent, other.deviceEvent)
        (features, tidy) = (other.features, other.tidy)
        self.memory = memory
        (order, followsUsed) = (other.order, other.followsUsed)
        (nextAvailable, nextUsed, notified) = (other.nextAvailable, other.nextUsed, other.notified)
        (room, free, owned) = (other.room, other.free, other.owned)
    }

    func moved(to memory: FakeMemory) -> any FakeRing { FakePackedQueue(self, movedTo: memory) }

    // MARK: A conforming driver

    /// Returns the buffer id.
    func place(_ parts: [Part]) -> UInt16 {
        let id = free.removeLast()
        publish(parts, id: id)
        owned[id] = parts.count
        room -= parts.count
        return id
    }

    /// In a table only VIRTQ_DESC_F_WRITE is valid (2.8.7): a driver that is not tidy fills the ids and all other flags
    /// with arbitrary values.
    func table(_ parts: [Part]) -> [UInt8] {
        parts.indices.flatMap { index in
            let noise: UInt16 = index % 2 == 0 ? 0xfffd : Self.next | Self.indirect | Self.used
            let flags = (tidy ? 0 : noise) | (parts[index].writable ? Self.write : 0)
            return parts[index].address.bytes + parts[index].length.bytes + UInt16(0xffff).bytes + flags.bytes
        }
    }

    /// Without the WRITE flag the length is ignored (2.8.5) and reported as 0.
    func collect() -> [UsedElement] {
        var elements: [UsedElement] = []
        while isUsed(nextUsed) {
            let id: UInt16 = memory.load(at: address(nextUsed.slot) + 12)
            guard let count = owned.removeValue(forKey: id) else {
                Issue.record("used id \(id), which is not with the device")
                break
            }
            let wrote = flags(nextUsed.slot) & Self.write != 0
            let length: UInt32 = memory.load(at: address(nextUsed.slot) + 8)
            elements.append(UsedElement(id: UInt32(id), length: wrote ? length : 0))
            free.append(id)
            room += count
            nextUsed.advance(by: count, size: size)
        }
        return elements
    }

    func askForInterrupt() { setDriverEvent(2, nextUsed.word) }

    func prepareKick() -> Bool {
        defer { notified = nextAvailable }
        let (wanted, mode) = deviceEventWords
        switch mode & 3 {
        case 1: return false
        case 2 where features.contains(.eventIndex):
            var position = notified
            while position != nextAvailable {
                if position.word == wanted { return true }
                position.advance(by: 1, size: size)
            }
            return false
        default: return true
        }
    }

    /// Writes the driver event suppression: flags 0 enable, 1 disable, 2 for the descriptor at `place`.
    func setDriverEvent(_ flags: UInt16, _ place: UInt16) {
        memory.store(place, at: driverEvent)
        memory.store(flags, at: driverEvent + 2)
    }

    /// Writes the flags only.
    func setEventFlags(_ flags: UInt16) { memory.store(flags, at: driverEvent + 2) }

    /// The device event suppression: descriptor position, and flags.
    var deviceEventWords: (place: UInt16, flags: UInt16) {
        (memory.load(at: deviceEvent), memory.load(at: deviceEvent + 2))
    }

    // MARK: Ring words

    /// Makes `parts` available with any `id`, and `extra` flags in each descriptor. The head's flags are written last.
    /// The id is in the last descriptor only.
    func publish(_ parts: [Part], id: UInt16, extra: UInt16 = 0) {
        let head = nextAvailable
        for (offset, part) in parts.enumerated() {
            let slot = nextAvailable.slot
            let isLast = offset + 1 == parts.count
            memory.store(part.address, at: address(slot))
            memory.store(part.length, at: address(slot) + 8)
            memory.store(isLast ? id : 0xffff, at: address(slot) + 12)
            if offset > 0 { setFlags(nextAvailable, part, isLast: isLast, extra) }
            nextAvailable.advance(by: 1, size: size)
        }
        setFlags(head, parts[0], isLast: parts.count == 1, extra)
    }

    private func setFlags(_ position: Position, _ part: Part, isLast: Bool, _ extra: UInt16) {
        var flags = extra | (position.wrap ? Self.available : Self.used)
        if part.writable { flags |= Self.write }
        if part.indirect { flags |= Self.indirect }
        if !isLast { flags |= Self.next }
        memory.store(flags, at: address(position.slot) + 14)
    }

    /// Whether the device has marked the descriptor used in this lap.
    private func isUsed(_ position: Position) -> Bool {
        let both = Self.available | Self.used
        return flags(position.slot) & both == (position.wrap ? both : 0)
    }

    func flags(_ slot: UInt16) -> UInt16 { memory.load(at: address(slot) + 14) }
    func address(_ slot: UInt16) -> UInt64 { descriptors + 16 * UInt64(slot) }
}
