// Checks of the optional ring features (VIRTIO 1.4, 2.6.1, 2.7 to 2.9). A check accepts the feature that it needs,
// unless the command line names the features.

let ringChecks: [_ of Check] = [
    Check("ring-laps", ringLaps),
    Check("packed-laps", packedLaps),
    Check("packed-used-flags", packedUsedFlags),
    Check("indirect-tables", indirectTables),
    Check("indirect-after-direct", indirectAfterDirect),
    Check("event-interrupt", eventInterrupt),
    Check("event-kick", eventKick),
    Check("kick-spurious", kickSpurious),
    Check("in-order", inOrder),
    Check("notification-data", notificationData),
    Check("queue-reset", queueReset),
]

extension BlockDriver {
    /// Fills the queue with requests repeatedly, until the ring has wrapped at least once.
    @inline(never)
    fileprivate mutating func runLaps() throws(Failure) {
        let width = try needDepth(1)
        var entries = 0
        while entries <= max(Int(queue.size), 64) {
            for tag in 0..<width {
                try offer(tag, BlockRequest.Kind.read, sector: UInt64(tag), bytes: 512)
                entries += Int(queue.descriptors(defaultElements))
            }
            queue.kick()
            for _ in 0..<width { try finish() }
        }
        try expectUnchanged(device, "used index after the last") { UInt64(queue.deviceIndex) }
        try expect(queue.pending, 0, "used entries after the last")
    }
}

private func ringLaps(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk()
    try disk.runLaps()
}

/// 2.8.1: the wrap counters of a packed queue.
private func packedLaps(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk(needing: .ringPacked)
    try disk.runLaps()
}

/// 2.8.4: the WRITE flag of a used descriptor is set if and only if the device wrote to the buffer.
private func packedUsedFlags(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk(needing: .ringPacked)
    try disk.offer(0, BlockRequest.Kind.read, bytes: 512)
    disk.queue.kick()
    try expect(disk.finish().isWritten, "WRITE flag of a used descriptor, buffer written")
    var console = try board.startConsole(needing: .ringPacked)
    let text = Text("# packed-used-flags\n")
    for index in 0..<text.count { store8(console.buffer &+ index, text[index]) }
    try expect(!console.send(text.count).isWritten, "no WRITE flag of a used descriptor, buffer not written")
}

/// 2.7.5.3 and 2.8.7: the device follows an indirect table, and ignores the WRITE flag of the descriptor that refers to
/// it.
private func indirectTables(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk(needing: .indirectDescriptors)
    try disk.writeSector3()
    let table = board.arena.take(3 &* SplitRing.descriptorSize)
    try disk.runTable(table, order: [0, 1, 2], flags: [.indirect, .write])
    // In a split queue `next` may name any element, unless buffers are used in order.
    if disk.features.isDisjoint(with: [.ringPacked, .inOrder]) {
        try disk.runTable(table, order: [0, 2, 1], flags: .indirect)
    }
    try disk.expectWorks()
}

/// 2.7.5.3.2: in a split queue direct descriptors may precede the one that refers to a table.
private func indirectAfterDirect(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk(needing: .indirectDescriptors)
    if disk.features.contains(.ringPacked) { throw .skipped("a packed queue has no such buffers") }
    if disk.queue.size < 2 { throw .skipped("the queue has too few entries for the request") }
    try disk.writeSector3()
    let table = board.arena.take(2 &* SplitRing.descriptorSize)
    disk.prepare(1, BlockRequest.Kind.read, sector: 3, bytes: 512)
    disk.queue.append(disk.header(1), BlockDriver.headerSize)
    let data = Descriptor(address: disk.data(1), length: 512, flags: .write)
    disk.queue.writeIndirect(data, table, 0, next: 1)
    let status = Descriptor(address: disk.statusByte(1), length: 1, flags: .write)
    disk.queue.writeIndirect(status, table, 1, next: nil)
    disk.queue.append(table, 2 &* SplitRing.descriptorSize, .indirect)
    try disk.finishSector3()
}

extension BlockDriver {
    /// Reads sector 3 with tag 1; the elements are in `table` at the indices `order`.
    @inline(never)
    fileprivate mutating func runTable(
        _ table: UInt64, order: [3 of UInt16], flags: Descriptor.Flags
    ) throws(Failure) {
        prepare(1, BlockRequest.Kind.read, sector: 3, bytes: 512)
        let elements: [3 of Descriptor] = [
            Descriptor(address: header(1), length: UInt32(BlockDriver.headerSize)),
            Descriptor(address: data(1), length: 512, flags: .write),
            Descriptor(address: statusByte(1), length: 1, flags: .write),
        ]
        for n in elements.indices {
            queue.writeIndirect(elements[n], table, order[n], next: n < 2 ? order[n + 1] : nil)
        }
        queue.append(table, 3 &* SplitRing.descriptorSize, flags)
        try finishSector3()
    }

    fileprivate mutating func writeSector3() throws(Failure) {
        fill(0, seed: 3, bytes: 512)
        try run(BlockRequest.Kind.write, sector: 3, bytes: 512)
    }

    /// Makes the appended elements available as a read of sector 3 with tag 1, and checks the result.
    fileprivate mutating func finishSector3() throws(Failure) {
        for word: UInt64 in 0..<64 { store64(data(1) &+ 8 &* word, 0) }
        try offer(1)
        queue.kick()
        try expect(finish().length, 513, "used length of a read")
        try verify(1, seed: 3, bytes: 512)
    }
}

/// 2.7.7 and 2.8.10: the device interrupts for the used entry at the driver's event, and for no other.
private func eventInterrupt(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk(needing: .eventIndex)
    let device = disk.device
    let before = Interrupts.count(device)
    try disk.expectWorks()
    try wait("the first interrupt") { Interrupts.count(device) != before }

    disk.queue.interruptAfter(1, elements: disk.defaultElements)
    try disk.expectWorks()
    try expectUnchanged(device, "interrupts before the event") { Interrupts.count(device) }
    try expect(Interrupts.count(device), before &+ 1, "interrupts before the event")
    try disk.expectWorks()
    try wait("the interrupt of the event") { Interrupts.count(device) == before &+ 2 }
    try disk.expectWorks()
    try expectUnchanged(device, "interrupts after the event") { Interrupts.count(device) }
    try expect(Interrupts.count(device), before &+ 2, "interrupts after the event")

    disk.queue.setInterrupts(true)
    try disk.expectWorks()
    try wait("an interrupt asked for anew") { Interrupts.count(device) == before &+ 3 }
}

/// 2.7.10 and 2.8.18: the driver may omit a notification that the device does not want, with one request at a time and
/// with several in a row.
private func eventKick(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk(needing: .eventIndex)
    let width = try disk.needDepth(1)
    for round in 0..<16 {
        let requests = 1 + round / 2 % width
        for tag in 0..<requests {
            try disk.offer(tag, BlockRequest.Kind.read, bytes: 512)
            disk.queue.kick()
        }
        for _ in 0..<requests { try disk.finish() }
    }
}

/// 2.7.10.2, 2.8.18: a notification without a new buffer has no effect.
private func kickSpurious(_ board: inout Board) throws(Failure) {
    disableInterrupts()
    var disk = try board.startDisk()
    disk.queue.notify()
    try disk.expectIdle()
    try disk.leaveInterruptPending()
    disk.device.write(.interruptACK, 1)
    disk.queue.notify()
    disk.queue.notify()
    try disk.expectIdle()
    try disk.expectWorks()
}

extension BlockDriver {
    /// Fails if the device uses a buffer or interrupts.
    fileprivate func expectIdle() throws(Failure) {
        try expectUnchanged(device, "used index, InterruptStatus") { visible() }
        try expect(queue.pending, 0, "used entries")
        try expect(device.read(.interruptStatus), 0, "InterruptStatus")
        try expect(device.status, 0x0f, "Status")
    }
}

/// 2.6, 6.1: a request that the device completes at once is used after the requests before it. VirtQueue splits the
/// device's batches.
private func inOrder(_ board: inout Board) throws(Failure) {
    try board.needTestDevice()
    var disk = try board.startDisk(needing: .inOrder)
    _ = try disk.needDepth(2)
    for _ in 0..<4 {
        board.command(.hold, disk.device)
        try disk.offer(0, BlockRequest.Kind.read, bytes: 512)
        try disk.offer(1, 0x1234, bytes: 512)
        disk.queue.kick()
        try expectUnchanged(disk.device, "used index while the first is held") { UInt64(disk.queue.deviceIndex) }
        try expect(disk.queue.pending, 0, "used entries while the first is held")
        try expect(load8(disk.statusByte(0)), 0xff, "status byte of the request that is held")
        board.command(.release, disk.device)
        try expect(disk.finish().tag, 0, "tag of the first used request")
        try expect(disk.finish(.unsupported).tag, 1, "tag of the second used request")
    }
}

/// 2.9: notification data that change with every request, and that repeat when there is no new buffer.
private func notificationData(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk(needing: .notificationData)
    try disk.runLaps()
    disk.queue.notify()
    disk.queue.notify()
    try disk.expectWorks()
}

/// 2.6.1: the device uses no buffer of a queue after its reset, not even one in flight; the queue can be set up again
/// with another size.
private func queueReset(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk(needing: .ringReset)
    let device = disk.device
    try disk.expectWorks()
    if board.hasTestDevice {
        board.command(.hold, device)
        try disk.offer(0, BlockRequest.Kind.read, bytes: 512)
        disk.queue.kick()
    }
    let old = disk.queue
    try old.reset { if board.hasTestDevice { board.command(.release, device) } }
    try expectUnchanged(device, "used index of a queue that was reset") { UInt64(old.deviceIndex) }
    try expect(old.pending, 0, "used entries of a queue that was reset")
    let size = UInt32(old.size < 8 ? old.size : old.size / 2)
    disk.queue = try VirtQueue(device, 0, disk.features, size: size, &board.arena)
    try disk.runLaps()
}
