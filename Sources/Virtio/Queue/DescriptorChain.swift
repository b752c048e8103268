// A buffer the driver made available, between the moment it leaves the available ring and the moment it is parked or used.

/// One popped descriptor chain. It is a linear resource: a queue's `put` or `park` ends it, and dropping it is a bug.
@frozen public struct DescriptorChain: ~Copyable {
    /// Index of the chain's first descriptor, which names it in the used ring.
    let head: UInt16
    /// The part the device may only read.
    public var readable: Segments
    /// The part the device may only write.
    public var writable: Segments

    init(head: UInt16, readable: Segments, writable: Segments) {
        self.head = head
        self.readable = readable
        self.writable = writable
    }

    /// Ends the chain and gives its name.
    consuming func close() -> UInt16 {
        let head = head
        discard self
        return head
    }

    deinit { chainWasDropped() }
}

@inline(never) private func chainWasDropped() {
    preconditionFailure("a descriptor chain was neither used nor parked")
}
