// The chains a device took and has not given back, by the name the driver gave each: the head's index in a split queue, the buffer
// id in a packed one. There are as many names as the queue has entries, so nothing here grows.

/// The chains of one queue that are in the backend's hands, or finished and not used yet.
@safe struct ParkedChains: ~Copyable, @unchecked Sendable {
    /// How a finished chain was answered.
    enum Answer: Sendable {
        /// By the backend; the answer is still to be written into the chain.
        case outcome(Outcome)
        /// At once.
        case written(Written)
    }

    private enum State { case free, inFlight, finished(Answer) }

    private struct Parked {
        var state = State.free
        /// Entries of the ring that the chain takes.
        var slots: UInt16 = 0
        /// Where the device will answer; nil for a device type that does not.
        var reply: Reply?
    }

    /// A chain on its way to the used ring.
    struct Chain {
        let head: UInt16
        let slots: UInt16
        let reply: Reply?
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

    init(size: UInt16, inOrder: Bool) {
        self.size = size
        unsafe parked = .allocate(capacity: Int(size))
        unsafe parked.initialize(repeating: Parked(), count: Int(size))
        self.inOrder = inOrder
        order = NameQueue(size: inOrder ? size : 0)
    }

    deinit { unsafe parked.deallocate() }

    /// Whether no chain of this name, below `size`, is with the device.
    func isFree(_ head: UInt16) -> Bool {
        if case .free = unsafe parked[Int(head)].state { true } else { false }
    }

    /// Whether a chain that is answered at once has to wait for others.
    var mustQueue: Bool { inOrder && inFlight + finished > 0 }

    /// Sets a chain aside until the backend has answered. Its name is then the request's.
    mutating func park(_ chain: consuming DescriptorChain, reply: Reply?) -> UInt16 {
        inFlight += 1
        return add(chain, .inFlight, reply: reply)
    }

    /// Sets a chain aside that is answered already.
    mutating func park(_ chain: consuming DescriptorChain, written: Written) {
        finished += 1
        _ = add(chain, .finished(.written(written)), reply: nil)
    }

    private mutating func add(_ chain: consuming DescriptorChain, _ state: State, reply: Reply?) -> UInt16 {
        let (head, count) = chain.close()
        unsafe parked[Int(head)] = Parked(state: state, slots: count, reply: reply)
        slots += Int(count)
        if inOrder { order.append(head) }
        return head
    }

    /// Keeps the outcome of the chain `head` for later; nothing in guest memory changes. False if it is not in the backend.
    mutating func finish(_ head: UInt16, _ outcome: Outcome) -> Bool {
        guard head < size, case .inFlight = unsafe parked[Int(head)].state else { return false }
        unsafe parked[Int(head)].state = .finished(.outcome(outcome))
        inFlight -= 1
        finished += 1
        return true
    }

    /// Takes a finished chain back that may be used now, the first at or after `cursor`, and moves `cursor` behind it; nil when
    /// there is none. In a queue that is used in order that is the oldest or none.
    mutating func next(from cursor: inout UInt16) -> (chain: Chain, answer: Answer)? {
        if inOrder {
            guard let head = order.first, case .finished(let answer) = unsafe parked[Int(head)].state else {
                return nil
            }
            order.removeFirst()
            return (free(head), answer)
        }
        while finished > 0, cursor < size {
            let head = cursor
            cursor += 1
            if case .finished(let answer) = unsafe parked[Int(head)].state { return (free(head), answer) }
        }
        return nil
    }

    private mutating func free(_ head: UInt16) -> Chain {
        finished -= 1
        let chain = chain(head)
        slots -= Int(chain.slots)
        unsafe parked[Int(head)].state = .free
        return chain
    }

    private func chain(_ head: UInt16) -> Chain {
        unsafe Chain(head: head, slots: parked[Int(head)].slots, reply: parked[Int(head)].reply)
    }

    // MARK: Snapshots

    /// Calls `body` with each finished chain, in an order that `restore` may be called in.
    func forEachFinished(_ body: (Chain, Answer) -> Void) {
        for index in 0..<(inOrder ? order.count : size) {
            let head = inOrder ? order[index] : index
            if case .finished(let answer) = unsafe parked[Int(head)].state { body(chain(head), answer) }
        }
    }

    /// Puts back a chain that `forEachFinished` gave of this queue in another place.
    mutating func restore(_ chain: Chain, _ answer: Answer) {
        guard chain.head < size, isFree(chain.head) else { return }
        unsafe parked[Int(chain.head)] = Parked(state: .finished(answer), slots: chain.slots, reply: chain.reply)
        finished += 1
        slots += Int(chain.slots)
        if inOrder { order.append(chain.head) }
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

    mutating func removeFirst() {
        precondition(count > 0)
        start = UInt16((Int(start) + 1) % Int(size))
        count -= 1
    }
}
