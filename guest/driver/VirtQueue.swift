// The driver's side of a virtqueue in every negotiated form: split or packed, each with or without indirect tables,
// event indices, in-order use and notification data. Memory layouts: SplitFormat.swift and PackedFormat.swift.

/// A used buffer.
struct Used {
    /// The caller's tag.
    let tag: Int
    /// The used length: bytes that the device wrote.
    let length: UInt32
    /// Whether the device reports a write to the buffer.
    let isWritten: Bool
}

/// A ready queue of one device.
struct VirtQueue {
    /// Entries if the command line gives no size.
    static let defaultSize: UInt32 = 32
    /// Maximum number of elements of a buffer.
    static let maximumElements: UInt16 = 8
    /// Default number of tags, which are 0 ..< tagCount. With VIRTIO_F_INDIRECT_DESC each tag has a table.
    static let tagCount = 8

    /// When the driver wants used buffer notifications.
    enum Interrupts {
        /// For the next used buffer; the event index is updated whenever a buffer is made available.
        case each
        case never
        /// At the event set by `interruptAfter`.
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
    /// Number of free descriptors.
    private var free: UInt16
    private var available: RingPosition
    private var used: RingPosition
    /// Positions made available since the last decision whether to notify the device.
    private var unnotified: UInt32 = 0
    /// The used entry of a batch whose buffers are being taken (2.7.9, 2.8.8).
    private var batch: UsedEntry?
    private var taken: UInt16 = 0
    private var interrupts = Interrupts.each

    /// Step 7 of device initialisation: sets up one queue (4.2.3.2) in the form of the negotiated `features`.
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

    /// The largest legal size up to `most`: any size for a packed queue, a power of two for a split queue (2.7).
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

    /// Maximum number of elements of a buffer. A table may be longer than the queue: for a packed queue the device sets
    /// the limit (2.8.19). For a split queue 2.7.5.3.1 limits it to the queue size; devices accept more, since a disk
    /// could not use a queue of one entry otherwise.
    var longestBuffer: UInt16 { isIndirect ? VirtQueue.maximumElements : min(size, VirtQueue.maximumElements) }

    /// Whether there are free descriptors for a buffer of `elements`.
    func hasRoom(for elements: UInt16) -> Bool { elements <= longestBuffer && descriptors(elements) <= free }

    /// Descriptors of the queue that a buffer of `elements` occupies.
    func descriptors(_ elements: UInt16) -> UInt16 { isIndirect && elements > 1 ? 1 : elements }

    /// Buffers of `elements` that fit in the empty queue.
    func depth(_ elements: UInt16) -> Int { elements > longestBuffer ? 0 : Int(size / descriptors(elements)) }

    /// Skips the check if its buffers of `elements` are too long for the queue.
    func need(_ elements: UInt16) throws(Failure) {
        if elements > longestBuffer { throw .skipped("the queue has too few entries for the request") }
    }

    // MARK: Available buffers

    /// Appends an element to the buffer under construction.
    @inline(never)
    mutating func append(_ address: UInt64, _ length: UInt64, _ flags: Descriptor.Flags = []) {
        staged.append(Descriptor(address: address, length: UInt32(truncatingIfNeeded: length), flags: flags))
    }

    /// Makes the appended elements available as one buffer with the caller's tag. Uses an indirect table if that is
    /// negotiated, there are two elements or more, and none refers to a table of the caller.
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

    /// Moves the staged elements to the table of `tag`, and stages one descriptor that refers to it.
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

    /// Makes an invalid buffer available. A driver must not do this.
    mutating func offerInvalid() {
        format.publishInvalid(at: available)
        advance(by: 1)
    }

    private mutating func advance(by positions: UInt32) {
        available = available.advanced(by: positions)
        unnotified &+= positions
    }

    // MARK: Available buffer notifications

    /// Notifies the device of the buffers made available since the last call, if it wants that notification.
    @inline(never)
    mutating func kick() {
        // Makes the buffers visible before reading the device's event suppression (2.7.13.4.1, 2.8.21.2). Pairs with
        // the device's barrier between writing its event suppression and its last read of the ring.
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

    /// Notifies the device unconditionally: spurious notifications are legal (2.7.10.2, 2.8.18).
    mutating func notify() {
        unnotified = 0
        // With VIRTIO_F_NOTIFICATION_DATA the value includes the next available position (4.2.3.3, 2.9).
        let data = features.contains(.notificationData) ? UInt32(format.word(available)) << 16 : 0
        device.write(.queueNotify, index | data)
    }

    // MARK: Used buffer notifications

    /// Enables or disables used buffer notifications.
    mutating func setInterrupts(_ wanted: Bool) {
        interrupts = wanted ? .each : .never
        setUsedNotifications(wanted ? (features.contains(.eventIndex) ? .at(used) : .always) : .never)
    }

    /// Requests one notification, for the buffer after the next `buffers` buffers of `elements` elements each. Only
    /// with VIRTIO_F_EVENT_IDX, and in a packed queue at most one lap ahead.
    mutating func interruptAfter(_ buffers: UInt32, elements: UInt16) {
        interrupts = .event
        setUsedNotifications(.at(used.advanced(by: buffers &* format.stride(descriptors(elements)))))
    }

    private func setUsedNotifications(_ mode: NotificationMode) {
        format.setUsedNotifications(mode, used: used)
        // Makes the event suppression visible before the caller reads the ring. Pairs with the device's barrier between
        // writing a used entry and reading the event suppression (2.7.14, 2.8.22).
        fence()
    }

    // MARK: Used buffers

    /// Number of buffers that the device has used, modulo 2^16.
    var deviceIndex: UInt16 { taken &+ pending }

    /// Used buffers not taken yet. Stops after an entry with an invalid id, which counts as one.
    var pending: UInt16 {
        var (position, count) = (used, UInt16(0))
        var next = batch ?? format.usedEntry(at: position)
        while let entry = next, count < size {
            guard inFlight.contains(entry.id) else { return count &+ 1 }
            // With VIRTIO_F_IN_ORDER one entry may stand for all buffers up to its own.
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

    /// Whether `takeUsed` has a buffer to return.
    var hasUsed: Bool { batch != nil || format.usedEntry(at: used) != nil }

    /// Takes the next used buffer, if any. With VIRTIO_F_IN_ORDER it is the oldest in flight. If the used entry is that
    /// of a later buffer, all buffers before it count as used with their full writable length (2.7.9, 2.8.8).
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

    // MARK: Queue reset

    /// Resets the queue (2.6.1, 4.2.2: QueueReset). Buffers in flight are never used.
    func reset(whileWaiting: () -> Void = {}) throws(Failure) {
        device.write(.queueSel, index)
        device.write(.queueReset, 1)
        whileWaiting()
        try wait("QueueReset 0") { device.read(.queueReset) == 0 }
        try expect(device.read(.queueReady), 0, "QueueReady after a queue reset")
    }
}
