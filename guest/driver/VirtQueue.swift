// The driver's side of a virtqueue, in every form that was negotiated: split or packed, each with or without indirect
// tables, event indices, the order of use, notification data. What is the same in both formats is here, their bytes are
// in SplitFormat.swift and PackedFormat.swift.

/// A buffer the device has used.
struct Used {
    /// What the caller called it.
    let tag: Int
    /// Bytes written, as the device says.
    let length: UInt32
    /// Whether anything was, as it says.
    let isWritten: Bool
}

/// A live queue of one device.
struct VirtQueue {
    /// Entries where the command line names no size.
    static let defaultSize: UInt32 = 32
    /// Most elements of a buffer.
    static let maximumElements: UInt16 = 8
    /// Places of a queue whose driver wants no other number. With indirect tables each has one.
    static let tagCount = 8

    /// When the driver wants to be interrupted.
    enum Interrupts {
        /// By what is used next, whenever a buffer is made available.
        case each
        case never
        /// As `interruptAfter` said.
        case event
    }

    let device: MMIODevice
    let index: UInt32
    let size: UInt16
    let features: Features
    private let format: RingFormat
    private var staged: StagedElements
    private let tables: UInt64
    private let tagCount: Int
    private var inFlight: InFlight
    /// Descriptors free.
    private var free: UInt16
    private var available: RingPosition
    private var used: RingPosition
    /// Positions that `available` has gone since the device was last thought of.
    private var unnotified: UInt32 = 0
    /// The entry for the last buffer of a batch that is being taken (2.7.9, 2.8.8).
    private var batch: UsedEntry?
    private var taken: UInt16 = 0
    private var interrupts = Interrupts.each

    /// Step 7 of the initialisation: one queue (4.2.3.2), in the form of the features negotiated.
    init(
        _ device: MMIODevice, _ index: Int, _ features: Features, size wanted: UInt32?,
        tagCount: Int = VirtQueue.tagCount,
        _ arena: inout Arena
    ) throws(Failure) {
        self.device = device
        self.tagCount = tagCount
        self.features = features
        self.index = UInt32(truncatingIfNeeded: index)
        device.write(.queueSel, self.index)
        try expect(device.read(.queueReady), 0, "QueueReady before the queue is set up")
        let most = device.read(.queueSizeMax)
        try expect(most != 0, "QueueSizeMax not 0")
        let isPacked = features.contains(.ringPacked)
        let size = VirtQueue.size(min(most, wanted ?? VirtQueue.defaultSize), isPacked: isPacked)
        self.size = size
        let eventIndex = features.contains(.eventIndex)
        format =
            isPacked
            ? .packed(PackedFormat(size: size, eventIndex: eventIndex, &arena))
            : .split(SplitFormat(size: size, eventIndex: eventIndex, &arena))
        (available, used) = (format.start, format.start)
        inFlight = InFlight(size: size, inOrder: features.contains(.inOrder), &arena)
        free = size
        let table = SplitRing.descriptorSize &* UInt64(VirtQueue.maximumElements)
        staged = StagedElements(memory: arena.take(table))
        tables = features.contains(.indirectDescriptors) ? arena.take(table &* UInt64(tagCount)) : 0
        try goLive()
    }

    /// The size itself for a packed queue; the next lower power of two for a split one (2.7).
    private static func size(_ most: UInt32, isPacked: Bool) -> UInt16 {
        var size: UInt32 = 1
        while 2 &* size <= most { size &*= 2 }
        return UInt16(truncatingIfNeeded: isPacked ? max(most, 1) : size)
    }

    private func goLive() throws(Failure) {
        device.write(.queueSize, UInt32(size))
        let areas = format.areas
        writeAddress(areas.descriptors, .queueDescLow, .queueDescHigh)
        writeAddress(areas.driver, .queueDriverLow, .queueDriverHigh)
        writeAddress(areas.device, .queueDeviceLow, .queueDeviceHigh)
        device.write(.queueReady, 1)
        try expect(device.read(.queueReady), 1, "QueueReady")
    }

    private func writeAddress(_ address: UInt64, _ low: Register, _ high: Register) {
        device.write(low, UInt32(truncatingIfNeeded: address))
        device.write(high, UInt32(truncatingIfNeeded: address >> 32))
    }

    // MARK: Room

    private var isIndirect: Bool { features.contains(.indirectDescriptors) }

    /// Most elements of a buffer. In a table there may be more than the queue has entries: a packed queue's driver may
    /// do what the device allows (2.8.19). In a split queue that is the queue's size by 2.7.5.3.1; devices allow more
    /// all the same, or a queue of one entry would be of no use to a disk.
    var longestBuffer: UInt16 { isIndirect ? VirtQueue.maximumElements : min(size, VirtQueue.maximumElements) }

    /// Whether a buffer of `elements` fits in what is free now.
    func hasRoom(for elements: UInt16) -> Bool { elements <= longestBuffer && descriptors(elements) <= free }

    /// Descriptors of the queue that a buffer of `elements` takes.
    func descriptors(_ elements: UInt16) -> UInt16 { isIndirect && elements > 1 ? 1 : elements }

    /// Buffers of `elements` that fit in the empty queue.
    func depth(_ elements: UInt16) -> Int { elements > longestBuffer ? 0 : Int(size / descriptors(elements)) }

    /// Leaves a check out whose buffers are too long for the queue.
    func need(_ elements: UInt16) throws(Failure) {
        if elements > longestBuffer { throw .skipped("the queue has too few entries for the request") }
    }

    // MARK: Available buffers

    /// Adds an element to the buffer being built.
    @inline(never)
    mutating func append(_ address: UInt64, _ length: UInt64, _ flags: Descriptor.Flags = []) {
        staged.append(Descriptor(address: address, length: UInt32(truncatingIfNeeded: length), flags: flags))
    }

    /// Makes the buffer available under the caller's name for it: through an indirect table where they are negotiated,
    /// the buffer has two elements or more, and none of them is a table of the caller's.
    @inline(never)
    mutating func offer(_ tag: Int) throws(Failure) {
        defer { staged.count = 0 }
        let (elements, writable, hasTable) = survey()
        if isIndirect, elements > 1, !hasTable { stageTable(tag) }
        try need(staged.count)
        try expect(staged.count <= free, "free descriptors for the buffer")
        if case .each = interrupts, features.contains(.eventIndex) {
            format.setUsedNotifications(.at(used), used: used)
        }
        let id = format.publish(staged, at: available, &inFlight.free)
        inFlight.add(id, entries: staged.count, tag: tag, writable: writable)
        free &-= staged.count
        advance(by: format.stride(staged.count))
    }

    private func survey() -> (elements: UInt16, writable: UInt32, hasTable: Bool) {
        var result: (elements: UInt16, writable: UInt32, hasTable: Bool) = (staged.count, 0, false)
        for n in 0..<staged.count {
            let element = staged[n]
            if element.flags.contains(.indirect) {
                result.hasTable = true
            } else if element.flags.contains(.write) {
                result.writable &+= element.length
            }
        }
        return result
    }

    /// Moves the staged elements to the table of `place`, and stages the one descriptor that refers to it.
    private mutating func stageTable(_ tag: Int) {
        precondition(tag < tagCount)
        let bytes = SplitRing.descriptorSize &* UInt64(VirtQueue.maximumElements)
        let table = tables &+ bytes &* UInt64(truncatingIfNeeded: tag)
        let count = staged.count
        for n in 0..<count { writeIndirect(staged[n], table, n, next: n &+ 1 < count ? n &+ 1 : nil) }
        staged.count = 0
        append(table, SplitRing.descriptorSize &* UInt64(count), .indirect)
    }

    /// Writes element `index` of an indirect table.
    func writeIndirect(_ element: Descriptor, _ table: UInt64, _ index: UInt16, next: UInt16?) {
        format.writeIndirect(element, table, index, next: next)
    }

    /// Makes a buffer available that no device can take. No driver may.
    mutating func offerInvalid() {
        format.publishInvalid(at: available)
        advance(by: 1)
    }

    private mutating func advance(by positions: UInt32) {
        available = available.advanced(by: positions)
        unnotified &+= positions
    }

    // MARK: Available buffer notifications

    /// Notifies the device if it wants to hear of what was made available since the last time.
    @inline(never)
    mutating func kick() {
        // What was made available is out before the device's wish is read (2.7.13.4.1, 2.8.21.2). Pairs with the
        // device's barrier between its wish and its last look at the ring: one of the two sees the other.
        fence()
        let isWanted =
            switch format.availableNotifications {
            case .always: true
            case .never: false
            case .at(let position):
                unnotified >= available.period
                    || available.behind(by: unnotified).distance(to: position) < unnotified
            }
        unnotified = 0
        if isWanted { notify() }
    }

    /// Notifies the device, whatever it wants: spurious notifications are legal (2.7.10.2, 2.8.18).
    mutating func notify() {
        unnotified = 0
        // 4.2.3.3 and 2.9: with VIRTIO_F_NOTIFICATION_DATA the value says how far the driver is, too.
        let data = features.contains(.notificationData) ? UInt32(format.word(available)) << 16 : 0
        device.write(.queueNotify, index | data)
    }

    // MARK: Used buffer notifications

    /// Asks for used-buffer notifications, or for none.
    mutating func setInterrupts(_ wanted: Bool) {
        interrupts = wanted ? .each : .never
        setUsedNotifications(wanted ? (features.contains(.eventIndex) ? .at(used) : .always) : .never)
    }

    /// Asks for one notification, by the use of the buffer after `buffers` others of `elements` elements each. Only
    /// with VIRTIO_F_EVENT_IDX, and in a packed queue for no more than a lap.
    mutating func interruptAfter(_ buffers: UInt32, elements: UInt16) {
        interrupts = .event
        setUsedNotifications(.at(used.advanced(by: buffers &* format.stride(descriptors(elements)))))
    }

    private func setUsedNotifications(_ mode: NotificationMode) {
        format.setUsedNotifications(mode, used: used)
        // The wish is out before the caller looks at the ring. Pairs with the device's barrier between a used entry and
        // the wish: one of the two sees the other (2.7.14, 2.8.22).
        fence()
    }

    // MARK: Used buffers

    /// What the device has used so far, modulo 2^16.
    var deviceIndex: UInt16 { taken &+ pending }

    /// Used buffers not taken yet. An entry for no buffer in flight counts.
    var pending: UInt16 {
        var (position, count) = (used, UInt16(0))
        var next = batch ?? format.usedEntry(at: position)
        while let entry = next, count < size {
            guard inFlight.contains(entry.id) else { return count &+ 1 }
            // With VIRTIO_F_IN_ORDER the entry stands for all buffers up to its own.
            while let oldest = inFlight.oldest(count), UInt32(oldest) != entry.id {
                position = position.advanced(by: format.stride(inFlight.entries(oldest)))
                count &+= 1
            }
            position = position.advanced(by: format.stride(inFlight.entries(UInt16(entry.id))))
            count &+= 1
            next = format.usedEntry(at: position)
        }
        return count
    }

    /// Whether there is a used buffer to take.
    var hasUsed: Bool { batch != nil || format.usedEntry(at: used) != nil }

    /// The next used buffer, if there is one. With VIRTIO_F_IN_ORDER it is the oldest in flight; where the device says
    /// that a later one is used, it is taken as used completely, like all between the two (2.7.9, 2.8.8).
    mutating func takeUsed() throws(Failure) -> Used? {
        guard let entry = batch ?? format.usedEntry(at: used) else { return nil }
        if !inFlight.contains(entry.id) {
            throw .unexpected("id of a used entry, of a buffer in flight", expected: 0, actual: UInt64(entry.id))
        }
        let last = UInt16(entry.id)
        let id = inFlight.oldest() ?? last
        batch = id == last ? nil : entry
        if id == last { return retire(id, length: entry.length, isWritten: entry.isWritten) }
        return retire(id, length: inFlight.writable(id), isWritten: inFlight.writable(id) > 0)
    }

    private mutating func retire(_ id: UInt16, length: UInt32, isWritten: Bool) -> Used {
        let result = Used(tag: inFlight.tag(id), length: length, isWritten: isWritten)
        let entries = inFlight.entries(id)
        used = used.advanced(by: format.stride(entries))
        free &+= entries
        taken &+= 1
        format.recycle(id, &inFlight.free)
        inFlight.remove(id)
        return result
    }

    /// Waits for the next used buffer.
    @inline(never)
    mutating func waitUsed(_ what: StaticString) throws(Failure) -> Used {
        let deadline = Deadline()
        while !deadline.passed {
            if let used = try takeUsed() { return used }
        }
        throw .timeout(what)
    }

    // MARK: The end of the queue

    /// Takes the queue away from the device (2.6.1, 4.2.2: QueueReset). What was in flight stays the driver's.
    func reset(whileWaiting: () -> Void = {}) throws(Failure) {
        device.write(.queueSel, index)
        device.write(.queueReset, 1)
        whileWaiting()
        try wait("QueueReset 0") { device.read(.queueReset) == 0 }
        try expect(device.read(.queueReady), 0, "QueueReady after a queue reset")
    }
}
