// The driver's record of one queue's buffers: the free ids, and the buffers in flight by id. It is stored in the arena,
// because nothing in the guest allocates from a heap.

/// A first-in, first-out queue of 16-bit numbers, with as many entries as the virtqueue.
struct NumberQueue {
    private let memory: UInt64
    private var first: RingPosition
    private var end: RingPosition

    /// Creates an empty queue, or one filled with the numbers below `size`.
    init(size: UInt16, isFull: Bool, _ arena: inout Arena) {
        memory = arena.take(2 &* UInt64(size))
        first = RingPosition(size: UInt32(size), period: 2 &* UInt32(size))
        end = isFull ? first.advanced(by: UInt32(size)) : first
        guard isFull else { return }
        for number in 0..<size { store16(memory &+ 2 &* UInt64(number), number) }
    }

    var count: UInt16 { UInt16(truncatingIfNeeded: first.distance(to: end)) }

    /// The number `n` positions after the first.
    subscript(n: UInt16) -> UInt16 { load16(address(first.advanced(by: UInt32(n)))) }

    mutating func append(_ number: UInt16) {
        precondition(UInt32(count) < first.size)
        store16(address(end), number)
        end = end.advanced(by: 1)
    }

    mutating func removeFirst() -> UInt16 {
        precondition(count > 0)
        defer { first = first.advanced(by: 1) }
        return self[0]
    }

    private func address(_ position: RingPosition) -> UInt64 { memory &+ 2 &* position.slot }
}

/// Free ids, and the buffers in flight.
struct InFlight {
    /// By id: entries le16, 0 if not in flight; tag le16; writable bytes le32.
    private let records: UInt64
    private let size: UInt16
    /// Free ids, first in, first out. With buffers used in order, ids are therefore taken in ring order, as
    /// VIRTIO_F_IN_ORDER requires of a split queue's descriptors (2.7.5).
    var free: NumberQueue
    /// Ids in the order in which their buffers were made available; kept with VIRTIO_F_IN_ORDER only.
    private var order: NumberQueue
    private let inOrder: Bool

    init(size: UInt16, inOrder: Bool, _ arena: inout Arena) {
        self.size = size
        self.inOrder = inOrder
        free = NumberQueue(size: size, isFull: true, &arena)
        order = NumberQueue(size: size, isFull: false, &arena)
        records = arena.take(8 &* UInt64(size))
    }

    /// Adds a buffer of `entries` entries of the descriptor table or ring.
    mutating func add(_ id: UInt16, entries: UInt16, tag: Int, writable: UInt32) {
        store16(record(id), entries)
        store16(record(id) &+ 2, UInt16(truncatingIfNeeded: tag))
        store32(record(id) &+ 4, writable)
        if inOrder { order.append(id) }
    }

    func contains(_ id: UInt32) -> Bool { id < UInt32(size) && entries(UInt16(id)) != 0 }

    /// Entries that the buffer occupies; 0 if it is not in flight.
    func entries(_ id: UInt16) -> UInt16 { load16(record(id)) }
    /// The caller's tag of the buffer.
    func tag(_ id: UInt16) -> Int { Int(load16(record(id) &+ 2)) }
    /// Bytes the device may write.
    func writable(_ id: UInt16) -> UInt32 { load32(record(id) &+ 4) }

    /// The id `n` positions after the oldest; nil if there is none, or without VIRTIO_F_IN_ORDER.
    func oldest(_ n: UInt16 = 0) -> UInt16? { n < order.count ? order[n] : nil }

    /// Removes a buffer; with VIRTIO_F_IN_ORDER, the oldest. The caller returns its ids to `free`.
    mutating func remove(_ id: UInt16) {
        store16(record(id), 0)
        if inOrder { _ = order.removeFirst() }
    }

    private func record(_ id: UInt16) -> UInt64 { records &+ 8 &* UInt64(id) }
}
