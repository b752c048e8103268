// The chains a device popped and has not used yet. Each has a name below the queue's size: in a split queue its head's
// index, which no other parked chain can have; in a packed queue a name that the device assigns, because the driver may
// give any buffer id to any number of buffers (2.8.6). There are as many names as queue entries, so nothing here grows.

/// The parked chains of one queue: in flight, or finished and not used yet.
@safe struct ParkedChains: ~Copyable, @unchecked Sendable {
    /// How a finished chain is answered.
    enum Answer: Sendable {
        /// By the backend; the device still has to write the answer into the chain.
        case outcome(Outcome)
        /// By the device, when the chain was popped.
        case written(UsedLength)
    }

    private enum State { case free, inFlight, finished(Answer) }

    private struct Parked {
        var state = State.free
        /// The id for the used ring: the head's index or the buffer id.
        var id: UInt16 = 0
        /// Ring entries that the chain takes.
        var slots: UInt16 = 0
        /// Where the device's answer goes; nil for a device type without one.
        var reply: Reply?
    }

    /// A finished chain, to be written to the used ring.
    struct Chain {
        let id: UInt16
        let slots: UInt16
        let reply: Reply?
    }

    /// Chains in flight.
    private(set) var inFlight = 0
    /// Chains finished and not used: the device is suspended, or an older chain is not finished.
    private(set) var finished = 0
    /// Ring entries that all parked chains take.
    private(set) var slots = 0

    private let size: UInt16
    /// `size` entries, indexed by name.
    private let parked: UnsafeMutablePointer<Parked>
    /// By name too: they detect changes of a chain by the driver. Nil without conformance checks, and for a chain that was
    /// restored.
    private let fingerprints: UnsafeMutablePointer<ChainFingerprint?>
    /// Chains are used in the order in which they were made available (VIRTIO_F_IN_ORDER).
    let inOrder: Bool
    /// The names in that order; empty without VIRTIO_F_IN_ORDER.
    private var order: NameQueue
    /// Names are head indices; otherwise `freeNames` has those to assign.
    private let namedByHead: Bool
    private var freeNames: NameQueue

    init(size: UInt16, inOrder: Bool, namedByHead: Bool) {
        self.size = size
        self.namedByHead = namedByHead
        freeNames = NameQueue(size: namedByHead ? 0 : size)
        if !namedByHead { for name in 0..<size { freeNames.append(name) } }
        unsafe parked = .allocate(capacity: Int(size))
        unsafe parked.initialize(repeating: Parked(), count: Int(size))
        unsafe fingerprints = .allocate(capacity: Int(size))
        unsafe fingerprints.initialize(repeating: nil, count: Int(size))
        self.inOrder = inOrder
        order = NameQueue(size: inOrder ? size : 0)
    }

    deinit {
        unsafe parked.deallocate()
        unsafe fingerprints.deallocate()
    }

    /// Whether no parked chain has this name, below `size`.
    func isFree(_ name: UInt16) -> Bool {
        if case .free = unsafe parked[Int(name)].state { true } else { false }
    }

    /// Whether a chain that the device answers at once must wait for older ones.
    var mustQueue: Bool { inOrder && inFlight + finished > 0 }

    /// Parks a chain until the backend finishes it, and returns its name. The ring guarantees that a name is free.
    @inline(always)
    mutating func park(_ chain: consuming DescriptorChain, reply: Reply?) -> UInt16 {
        inFlight &+= 1
        return add(chain, .inFlight, reply: reply)
    }

    /// Parks a chain that the device has already answered.
    mutating func park(_ chain: consuming DescriptorChain, written: UsedLength) {
        finished += 1
        _ = add(chain, .finished(.written(written)), reply: nil)
    }

    @inline(always)
    private mutating func add(_ chain: consuming DescriptorChain, _ state: State, reply: Reply?) -> UInt16 {
        let (id, count, fingerprint) = chain.close()
        let name = add(Parked(state: state, id: id, slots: count, reply: reply))
        if let fingerprint { unsafe fingerprints[Int(name)] = fingerprint }
        return name
    }

    @inline(always)
    private mutating func add(_ chain: Parked) -> UInt16 {
        let name = namedByHead ? chain.id : freeNames.removeFirst()
        unsafe parked[Int(name)] = chain
        slots &+= Int(chain.slots)
        if inOrder { order.append(name) }
        return name
    }

    /// Whether the chain `name` is in flight.
    @inline(always)
    func isInFlight(_ name: UInt16) -> Bool {
        guard name < size, case .inFlight = unsafe parked[Int(name)].state else { return false }
        return true
    }

    /// Removes and returns the chain `name`, which is in flight, to be used at once: without VIRTIO_F_IN_ORDER.
    @inline(always)
    mutating func remove(_ name: UInt16) -> Chain {
        inFlight &-= 1
        return free(name)
    }

    /// Stores the outcome of the chain `name`, which is in flight; guest memory does not change.
    mutating func finish(_ name: UInt16, _ outcome: Outcome) {
        unsafe parked[Int(name)].state = .finished(.outcome(outcome))
        inFlight -= 1
        finished += 1
    }

    /// The id of the parked chain `name`, below `size`.
    func id(_ name: UInt16) -> UInt16 { unsafe parked[Int(name)].id }

    /// The fingerprint of the parked chain `name`, below `size`.
    func fingerprint(_ name: UInt16) -> ChainFingerprint? { unsafe fingerprints[Int(name)] }

    /// The name and the answer of the first finished chain at or after `cursor`, and moves `cursor` behind it; nil if there
    /// is none. With VIRTIO_F_IN_ORDER it is the oldest chain if that is finished, otherwise nil.
    func next(from cursor: inout UInt16) -> (name: UInt16, answer: Answer)? {
        if inOrder {
            guard let name = order.first, case .finished(let answer) = unsafe parked[Int(name)].state else {
                return nil
            }
            return (name, answer)
        }
        while finished > 0, cursor < size {
            let name = cursor
            cursor += 1
            if case .finished(let answer) = unsafe parked[Int(name)].state { return (name, answer) }
        }
        return nil
    }

    /// Removes and returns the finished chain `name`, which `next` returned, to be used at once.
    mutating func removeFinished(_ name: UInt16) -> Chain {
        if inOrder { _ = order.removeFirst() }
        finished -= 1
        return free(name)
    }

    @inline(always)
    private mutating func free(_ name: UInt16) -> Chain {
        let chain = chain(name)
        slots &-= Int(chain.slots)
        unsafe parked[Int(name)].state = .free
        if !namedByHead { freeNames.append(name) }
        return chain
    }

    private func chain(_ name: UInt16) -> Chain {
        let chain = unsafe parked[Int(name)]
        return Chain(id: chain.id, slots: chain.slots, reply: chain.reply)
    }

    // MARK: Snapshots

    /// Calls `body` with each finished chain, in an order in which `restore` may be called.
    func forEachFinished(_ body: (Chain, Answer) -> Void) {
        for index in 0..<(inOrder ? order.count : size) {
            let name = inOrder ? order[index] : index
            if case .finished(let answer) = unsafe parked[Int(name)].state { body(chain(name), answer) }
        }
    }

    /// Parks a chain that `forEachFinished` returned for this queue in another transport.
    mutating func restore(_ chain: Chain, _ answer: Answer) {
        guard namedByHead ? chain.id < size && isFree(chain.id) : freeNames.count > 0 else { return }
        finished += 1
        _ = add(Parked(state: .finished(answer), id: chain.id, slots: chain.slots, reply: chain.reply))
    }
}

/// A FIFO of names, at most as many as the queue has entries.
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
        return unsafe names[place(index)]
    }

    /// There is always room: a name is in the queue at most once.
    @inline(always)
    mutating func append(_ name: UInt16) {
        precondition(count < size)
        unsafe names[place(count)] = name
        count &+= 1
    }

    @inline(always)
    mutating func removeFirst() -> UInt16 {
        let name = self[0]
        start = start &+ 1 == size ? 0 : start &+ 1
        count &-= 1
        return name
    }

    /// Where name `index`, at most `count`, of the FIFO is stored. Neither `start` nor `count` is above 32768.
    @inline(always)
    private func place(_ index: UInt16) -> Int {
        let place = Int(start) &+ Int(index)
        return place < Int(size) ? place : place &- Int(size)
    }
}
