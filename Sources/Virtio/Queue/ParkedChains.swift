// The chains a device took and has not given back, by the name the driver gave each: the head's index in a split queue, the buffer
// id in a packed one. There are as many names as the queue has entries, so nothing here grows.

/// The chains of one queue that are in the backend's hands, or wait for the end of a suspension.
@safe struct ParkedChains: ~Copyable {
    private enum State { case free, inFlight, held(Outcome) }

    private struct Parked {
        var state = State.free
        /// Descriptors of the chain.
        var descriptors: UInt16 = 0
        /// Where the device will answer; nil for a device type that does not.
        var reply: Reply?
    }

    /// A chain on its way to the used ring.
    struct Chain {
        let head: UInt16
        let descriptors: UInt16
        let reply: Reply?
    }

    /// Chains popped and neither used nor held.
    private(set) var inFlight = 0
    /// Chains finished by the backend while the device was suspended.
    private(set) var held = 0

    private let size: UInt16
    /// `size` entries, by name.
    private let parked: UnsafeMutablePointer<Parked>

    init(size: UInt16) {
        self.size = size
        unsafe parked = .allocate(capacity: Int(size))
        unsafe parked.initialize(repeating: Parked(), count: Int(size))
    }

    deinit { unsafe parked.deallocate() }

    /// Whether no chain of this name, below `size`, is with the device.
    func isFree(_ head: UInt16) -> Bool {
        if case .free = unsafe parked[Int(head)].state { true } else { false }
    }

    /// Sets a chain aside until the backend has answered. Its name is then the request's.
    mutating func park(_ chain: consuming DescriptorChain, reply: Reply?) -> UInt16 {
        let (head, descriptors) = chain.close()
        unsafe parked[Int(head)] = Parked(state: .inFlight, descriptors: descriptors, reply: reply)
        inFlight += 1
        return head
    }

    /// Keeps the outcome of the chain `head` for later; nothing in guest memory changes.
    mutating func hold(_ head: UInt16, _ outcome: Outcome) {
        guard head < size, case .inFlight = unsafe parked[Int(head)].state else { return }
        unsafe parked[Int(head)].state = .held(outcome)
        inFlight -= 1
        held += 1
    }

    /// Takes the chain `head` back, to be put; nil if it is not in the backend.
    mutating func unpark(_ head: UInt16) -> Chain? {
        guard head < size, case .inFlight = unsafe parked[Int(head)].state else { return nil }
        inFlight -= 1
        return free(head)
    }

    /// Takes the first held chain at or after `cursor` back, to be put with its outcome, and moves `cursor` behind it; nil
    /// when none is left.
    mutating func unhold(from cursor: inout UInt16) -> (chain: Chain, outcome: Outcome)? {
        while held > 0, cursor < size {
            let head = cursor
            cursor += 1
            guard case .held(let outcome) = unsafe parked[Int(head)].state else { continue }
            held -= 1
            return (free(head), outcome)
        }
        return nil
    }

    private mutating func free(_ head: UInt16) -> Chain {
        unsafe parked[Int(head)].state = .free
        return unsafe Chain(head: head, descriptors: parked[Int(head)].descriptors, reply: parked[Int(head)].reply)
    }

    // MARK: Snapshots

    /// Calls `body` with each held chain.
    func forEachHeld(_ body: (Chain, Outcome) -> Void) {
        for head in 0..<size {
            guard case .held(let outcome) = unsafe parked[Int(head)].state else { continue }
            unsafe body(
                Chain(head: head, descriptors: parked[Int(head)].descriptors, reply: parked[Int(head)].reply), outcome)
        }
    }

    /// Puts back a chain that `forEachHeld` gave of this queue in another place.
    mutating func restoreHeld(_ chain: Chain, _ outcome: Outcome) {
        guard chain.head < size, isFree(chain.head) else { return }
        unsafe parked[Int(chain.head)] = Parked(
            state: .held(outcome), descriptors: chain.descriptors, reply: chain.reply)
        held += 1
    }
}
