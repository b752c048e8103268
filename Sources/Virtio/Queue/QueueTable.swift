// The queues of a device, at a fixed address for the transport's lifetime: moving a transport moves a pointer, not
// kilobytes of queues.

/// A device's queues, by index.
@safe struct QueueTable: ~Copyable, @unchecked Sendable {
    private let base: UnsafeMutablePointer<QueueSlot>
    private let count: Int

    /// Makes `count` queues, each with the QueueSizeMax that `sizeMax` returns.
    init(count: Int, sizeMax: (Int) -> UInt16) {
        self.count = count
        unsafe base = .allocate(capacity: count)
        for index in 0..<count { unsafe (base + index).initialize(to: QueueSlot(sizeMax: sizeMax(index))) }
    }

    deinit {
        unsafe base.deinitialize(count: count)
        unsafe base.deallocate()
    }

    /// Queue `index`, below `count`.
    subscript(index: Int) -> QueueSlot {
        unsafeAddress {
            precondition(index >= 0 && index < count)
            return unsafe UnsafePointer(base + index)
        }
        unsafeMutableAddress {
            precondition(index >= 0 && index < count)
            return unsafe base + index
        }
    }
}
