// The driver's side of a split virtqueue (VIRTIO 1.4, 2.7). Descriptors are taken round and round, so the caller keeps
// fewer than `size` of them in flight. Neither indirect descriptors nor EVENT_IDX.

/// An entry of the used ring.
struct Used {
    let id: UInt32
    let length: UInt32
}

/// A live split queue of one device.
struct VirtQueue {
    static let largest: UInt32 = 32

    let device: MMIODevice
    let index: UInt32
    let size: UInt16
    let descriptors: UInt64
    let available: UInt64
    let used: UInt64
    private var nextDescriptor: UInt16 = 0
    private var head: UInt16?
    private var availableIndex: UInt16 = 0
    private var usedIndex: UInt16 = 0

    /// Step 7 of the initialisation: one queue (4.2.3.2).
    init(_ device: MMIODevice, _ index: Int, _ arena: inout Arena) throws(Failure) {
        self.device = device
        self.index = UInt32(truncatingIfNeeded: index)
        device.write(.queueSel, self.index)
        try expect(device.read(.queueReady), 0, "QueueReady before the queue is set up")
        let most = device.read(.queueSizeMax)
        try expect(most != 0, "QueueSizeMax not 0")
        size = UInt16(truncatingIfNeeded: min(most, VirtQueue.largest))
        descriptors = arena.take(SplitRing.descriptorBytes(size: size), alignment: SplitRing.descriptorAlignment)
        available = arena.take(SplitRing.availableBytes(size: size))
        used = arena.take(SplitRing.usedBytes(size: size))
        device.write(.queueSize, UInt32(size))
        writeAddress(descriptors, .queueDescLow, .queueDescHigh)
        writeAddress(available, .queueDriverLow, .queueDriverHigh)
        writeAddress(used, .queueDeviceLow, .queueDeviceHigh)
        device.write(.queueReady, 1)
        try expect(device.read(.queueReady), 1, "QueueReady")
    }

    private func writeAddress(_ address: UInt64, _ low: Register, _ high: Register) {
        device.write(low, UInt32(truncatingIfNeeded: address))
        device.write(high, UInt32(truncatingIfNeeded: address >> 32))
    }

    /// Adds a buffer to the chain being built.
    @inline(never)
    mutating func append(_ address: UInt64, _ length: UInt64, _ flags: Descriptor.Flags = []) {
        let number = nextDescriptor
        if head == nil { head = number } else { link(to: number) }
        let descriptor = Descriptor(address: address, length: UInt32(truncatingIfNeeded: length), flags: flags)
        store64(place(number), descriptor.address)
        store64(place(number) &+ 8, descriptor.high)
        nextDescriptor = (number &+ 1) % size
    }

    /// Sets the NEXT flag of the chain's last descriptor: it stands before `number` in the table.
    private func link(to number: UInt16) {
        let last = place((number &+ size &- 1) % size)
        store16(last &+ 12, load16(last &+ 12) | Descriptor.Flags.next.rawValue)
        store16(last &+ 14, number)
    }

    private func place(_ number: UInt16) -> UInt64 { descriptors &+ SplitRing.descriptorSize &* UInt64(number) }

    /// Makes the chain available (2.7.13). Stores are not reordered on x86, and these are volatile.
    @discardableResult
    @inline(never)
    mutating func offer() -> UInt16 {
        let head = head ?? 0
        offer(head: head)
        self.head = nil
        return head
    }

    /// Makes `head` available, whatever it is.
    mutating func offer(head: UInt16) {
        let slot = UInt64(availableIndex % size)
        store16(available &+ SplitRing.ring &+ SplitRing.availableEntrySize &* slot, head)
        availableIndex &+= 1
        store16(available &+ SplitRing.index, availableIndex)
    }

    /// Notifies the device if it wants to be (2.7.13.3): the index is published before the flags are read.
    @inline(never)
    func kick() {
        fence()
        if load16(used &+ SplitRing.flags) & SplitRing.noNotify == 0 { notify() }
    }

    func notify() { device.write(.queueNotify, index) }

    /// Asks for used-buffer notifications, or for none.
    func setNoInterrupt(_ off: Bool) { store16(available &+ SplitRing.flags, off ? SplitRing.noInterrupt : 0) }

    /// What the device has used so far, modulo 2^16.
    var deviceIndex: UInt16 { load16(used &+ SplitRing.index) }

    /// Used entries not taken yet.
    var pending: UInt16 { deviceIndex &- usedIndex }

    /// The next used entry, if there is one.
    mutating func takeUsed() -> Used? {
        guard pending != 0 else { return nil }
        let entry = used &+ SplitRing.ring &+ SplitRing.usedEntrySize &* UInt64(usedIndex % size)
        usedIndex &+= 1
        return Used(id: load32(entry), length: load32(entry &+ 4))
    }

    /// Waits for the next used entry.
    @inline(never)
    mutating func waitUsed(_ what: StaticString) throws(Failure) -> Used {
        let deadline = Deadline()
        while !deadline.passed {
            if let used = takeUsed() { return used }
        }
        throw .timeout(what)
    }
}
