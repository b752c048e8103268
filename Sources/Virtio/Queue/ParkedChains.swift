// The chains a device took and has not given back. Each has a name below the queue's size: in a split queue its head's index, which
// no other chain can have meanwhile; in a packed one a name of our own, for a buffer id there is any number the driver likes
// (2.8.6). There are as many names as the queue has entries, so nothing here grows.

/// The chains of one queue that are in the backend's hands, or finished and not used yet.
@safe struct ParkedChains: ~Copyable, @unchecked Sendable {
    /// How a finished chain was answered.
    enum Answer: Sendable {
        /// By the backend; the answer is still to be written into the chain.
        case outcome(Outcome)
        /// At once.
        case written(UsedLength)
    }

    private enum State { case free, inFlight, finished(Answer) }

    private struct Parked {
        var state = State.free
        /// What the driver knows it by: the head's index or the buffer id.
        var id: UInt16 = 0
        /// Entries of the ring that the chain takes.
        var slots: UInt16 = 0
        /// Where the device will answer; nil for a device type that does not.
        var reply: Reply?
        var fingerprint: ChainFingerprint?
    }

    /// A chain on its way to the used ring.
    struct Chain {
        let id: UInt16
        let slots: UInt16
        let reply: Reply?
        /// What makes it known again, where somebody looks.
        var fingerprint: ChainFingerprint?
    }

    /// Chains with the backend.
    private(set) var inFlight = 0
    /// Chains finished and not used: the device is suspended, or one that came before is not finished.
    private(set) var finished = 0
    /// Entries of the ring that all of them take.
    private(set) var slots = 0

    private let size: UInt16
    /// `size` entries, by name.
    private let parked: UnsafeMutablePointer<Parked>
    /// Chains are used in the order in which they were available (VIRTIO_F_IN_ORDER).
    let inOrder: Bool
    /// Then the names in that order.
    private var order: NameQueue
    /// Names are heads; otherwise those that are free are here.
    private let namedByHead: Bool
    private var freeNames: NameQueue

    init(size: UInt16, inOrder: Bool, namedByHead: Bool) {
        self.size = size
        self.namedByHead = namedByHead
        freeNames = NameQueue(size: namedByHead ? 0 : size)
        if !namedByHead { for name in 0..<size { freeNames.append(name) } }
        unsafe parked = .allocate(capacity: Int(size))
        unsafe parked.initialize(repeating: Parked(), count: Int(size))
        self.inOrder = inOrder
        order = NameQueue(size: inOrder ? size : 0)
    }

    deinit { unsafe parked.deallocate() }

    /// Whether no chain of this name, below `size`, is with the device.
    func isFree(_ name: UInt16) -> Bool {
        if case .free = unsafe parked[Int(name)].state { true } else { false }
    }

    /// Whether a chain that is answered at once has to wait for others.
    var mustQueue: Bool { inOrder && inFlight + finished > 0 }

    /// Sets a chain aside until the backend has answered, and gives its name. The ring has made sure that there is a free one.
    mutating func park(_ chain: consuming DescriptorChain, reply: Reply?) -> UInt16 {
        inFlight += 1
        return add(chain, .inFlight, reply: reply)
    }

    /// Sets a chain aside that is answered already.
    mutating func park(_ chain: consuming DescriptorChain, written: UsedLength) {
        finished += 1
        _ = add(chain, .finished(.written(written)), reply: nil)
    }

    private mutating func add(_ chain: consuming DescriptorChain, _ state: State, reply: Reply?) -> UInt16 {
        let (id, count, fingerprint) = chain.close()
        return add(Parked(state: state, id: id, slots: count, reply: reply, fingerprint: fingerprint))
    }

    private mutating func add(_ chain: Parked) -> UInt16 {
        let name = namedByHead ? chain.id : freeNames.removeFirst()
        unsafe parked[Int(name)] = chain
        slots += Int(chain.slots)
        if inOrder { order.append(name) }
        return name
    }

    /// Keeps the outcome of the chain `name` for later; nothing in guest memory changes. False if it is not in the backend.
    mutating func finish(_ name: UInt16, _ outcome: Outcome) -> Bool {
        guard name < size, case .inFlight = unsafe parked[Int(name)].state else { return false }
        unsafe parked[Int(name)].state = .finished(.outcome(outcome))
        inFlight -= 1
        finished += 1
        return true
    }

    /// Takes a finished chain back that may be used now, the first at or after `cursor`, and moves `cursor` behind it; nil when
    /// there is none. In a queue that is used in order that is the oldest or none.
    mutating func next(from cursor: inout UInt16) -> (chain: Chain, answer: Answer)? {
        if inOrder {
            guard let name = order.first, case .finished(let answer) = unsafe parked[Int(name)].state else {
                return nil
            }
            _ = order.removeFirst()
            return (free(name), answer)
        }
        while finished > 0, cursor < size {
            let name = cursor
            cursor += 1
            if case .finished(let answer) = unsafe parked[Int(name)].state { return (free(name), answer) }
        }
        return nil
    }

    private mutating func free(_ name: UInt16) -> Chain {
        finished -= 1
        let chain = chain(name)
        slots -= Int(chain.slots)
        unsafe parked[Int(name)].state = .free
        if !namedByHead { freeNames.append(name) }
        return chain
    }

    private func chain(_ name: UInt16) -> Chain {
        let chain = unsafe parked[Int(name)]
        return Chain(id: chain.id, slots: chain.slots, reply: chain.reply, fingerprint: chain.fingerprint)
    }

    // MARK: Snapshots

    /// Calls `body` with each finished chain, in an order that `restore` may be called in.
    func forEachFinished(_ body: (Chain, Answer) -> Void) {
        for index in 0..<(inOrder ? order.count : size) {
            let name = inOrder ? order[index] : index
            if case .finished(let answer) = unsafe parked[Int(name)].state { body(chain(name), answer) }
        }
    }

    /// Puts back a chain that `forEachFinished` gave of this queue in another place.
    mutating func restore(_ chain: Chain, _ answer: Answer) {
        guard namedByHead ? chain.id < size && isFree(chain.id) : freeNames.count > 0 else { return }
        finished += 1
        _ = add(Parked(state: .finished(answer), id: chain.id, slots: chain.slots, reply: chain.reply))
    }
}

/// Names, first in, first out, at most as many as the queue has entries.
@safe private struct NameQueue: ~Copyable, @unchecked Sendable {
    private let size: UInt16
    private let names: UnsafeMutablePointer<UInt16>
    private var start: UInt16 = 0
    private(set) var count: UInt16 = 0

    init(size: UInt16) {
        self.size = size
        unsafe names = .allocate(capacity: Int(size))
        unsafe names.initialize(repeating: 0, count: Int(size))
    }

    deinit { unsafe names.deallocate() }

    var first: UInt16? { count > 0 ? self[0] : nil }

    subscript(_ index: UInt16) -> UInt16 {
        precondition(index < count)
        return unsafe names[(Int(start) + Int(index)) % Int(size)]
    }

    /// A name is in the queue once, so there is room.
    mutating func append(_ name: UInt16) {
        precondition(count < size)
        unsafe names[(Int(start) + Int(count)) % Int(size)] = name
        count += 1
    }

    mutating func removeFirst() -> UInt16 {
        let name = self[0]
        start = UInt16((Int(start) + 1) % Int(size))
        count -= 1
        return name
    }
}
