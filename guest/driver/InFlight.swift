// The driver's book on the buffers of one queue: which ids are free, and what was made available under the others. It
// is memory of the arena, because nothing here allocates.

/// Numbers of 16 bits, first in, first out, as many as a queue has entries.
struct NumberQueue {
    private let memory: UInt64
    private var first: RingPosition
    private var end: RingPosition

    /// An empty queue, or one of the numbers below `size`.
    init(size: UInt16, isFull: Bool, _ arena: inout Arena) {
        memory = arena.take(2 &* UInt64(size))
        first = RingPosition(size: UInt32(size), period: 2 &* UInt32(size))
        end = isFull ? first.advanced(by: UInt32(size)) : first
        guard isFull else { return }
        for number in 0..<size { store16(memory &+ 2 &* UInt64(number), number) }
    }

    var count: UInt16 { UInt16(truncatingIfNeeded: first.distance(to: end)) }

    /// The number `n` behind the first.
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
    /// By id: entries le16, 0 if it is not in flight; place le16; writable bytes le32.
    private let records: UInt64
    private let size: UInt16
    /// What was given back longest ago is taken first. So where buffers come back in order, ids are taken in the order
    /// of the ring, as VIRTIO_F_IN_ORDER wants it of a split queue's descriptors (2.7.5).
    var free: NumberQueue
    /// Ids in the order in which their buffers were made available; kept where they come back in it.
    private var order: NumberQueue
    private let inOrder: Bool

    init(size: UInt16, inOrder: Bool, _ arena: inout Arena) {
        self.size = size
        self.inOrder = inOrder
        free = NumberQueue(size: size, isFull: true, &arena)
        order = NumberQueue(size: size, isFull: false, &arena)
        records = arena.take(8 &* UInt64(size))
    }

    /// Enters a buffer of `entries` entries of the descriptor table or ring.
    mutating func add(_ id: UInt16, entries: UInt16, tag: Int, writable: UInt32) {
        store16(record(id), entries)
        store16(record(id) &+ 2, UInt16(truncatingIfNeeded: tag))
        store32(record(id) &+ 4, writable)
        if inOrder { order.append(id) }
    }

    func contains(_ id: UInt32) -> Bool { id < UInt32(size) && entries(UInt16(id)) != 0 }

    /// Entries the buffer takes, 0 if there is no such buffer.
    func entries(_ id: UInt16) -> UInt16 { load16(record(id)) }
    /// What the caller calls the buffer.
    func tag(_ id: UInt16) -> Int { Int(load16(record(id) &+ 2)) }
    /// Bytes the device may write.
    func writable(_ id: UInt16) -> UInt32 { load32(record(id) &+ 4) }

    /// The buffer `n` behind the oldest; nil where there is none, or order means nothing.
    func oldest(_ n: UInt16 = 0) -> UInt16? { n < order.count ? order[n] : nil }

    /// Strikes a buffer out; in order, the oldest. Whoever took its ids gives them back.
    mutating func remove(_ id: UInt16) {
        store16(record(id), 0)
        if inOrder { _ = order.removeFirst() }
    }

    private func record(_ id: UInt16) -> UInt64 { records &+ 8 &* UInt64(id) }
}
