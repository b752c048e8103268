// Checks of the block device (VIRTIO 1.4, 5.2).

let blockChecks: [_ of Check] = [
    Check("blk-capacity", blockCapacity),
    Check("blk-write-read", blockWriteRead),
    Check("blk-flush", blockFlush),
    Check("blk-get-id", blockGetID),
    Check("blk-out-of-range", blockOutOfRange),
    Check("blk-unknown-type", blockUnknownType),
    Check("blk-read-only", blockReadOnly),
    Check("blk-framing", blockFraming),
    Check("blk-in-flight", blockInFlight),
    Check("blk-capacity-change", blockCapacityChange),
]

/// 5.2.4: the last sector of the capacity can be read.
private func blockCapacity(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk()
    let capacity = try disk.capacity()
    try expect(capacity != 0, "capacity not 0")
    try expect(disk.capacity(), capacity, "capacity read again")
    try disk.run(BlockRequest.Kind.read, sector: capacity &- 1, bytes: 512)
}

/// 5.2.6: a read returns the data written, and the used length counts the bytes that the device wrote.
private func blockWriteRead(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk()
    disk.fill(0, seed: 1, bytes: 1024)
    try expect(disk.run(BlockRequest.Kind.write, sector: 5, bytes: 1024), 1, "used length of a write")
    try expect(disk.run(BlockRequest.Kind.read, sector: 5, bytes: 1024, tag: 1), 1025, "used length of a read")
    try disk.verify(1, seed: 1, bytes: 1024)
}

private func blockFlush(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk()
    guard disk.features.contains(BlockFeature.flush) else { throw .skipped("device offers no flush") }
    try expect(disk.run(BlockRequest.Kind.flush), 1, "used length of a flush")
}

private func blockGetID(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk()
    let bytes = UInt64(BlockRequest.idSize)
    try expect(disk.run(BlockRequest.Kind.getID, bytes: bytes), bytes + 1, "used length of GET_ID")
}

/// 5.2.6.2: a request that ends beyond the capacity fails, and the device keeps working.
private func blockOutOfRange(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk()
    let capacity = try disk.capacity()
    try disk.run(BlockRequest.Kind.read, sector: capacity, bytes: 512, .ioError)
    try disk.run(BlockRequest.Kind.read, sector: capacity &- 1, bytes: 1024, .ioError)
    try disk.run(BlockRequest.Kind.write, sector: ~0, bytes: 512, .ioError)
    try disk.run(BlockRequest.Kind.read, bytes: 512)
}

private func blockUnknownType(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk()
    try disk.run(0x1234, bytes: 512, .unsupported)
    try disk.run(BlockRequest.Kind.read, bytes: 512)
}

/// 5.2.6.2: a write to a read-only device fails and changes nothing.
private func blockReadOnly(_ board: inout Board) throws(Failure) {
    guard let device = board.readOnlyDisk else { throw .skipped("no read-only disk") }
    board.subject = device
    var disk = try BlockDriver(device, board.form, &board.arena)
    try disk.run(BlockRequest.Kind.read, bytes: 512)
    let word = load64(disk.data(0))
    disk.fill(1, seed: word &+ 1, bytes: 512)
    try disk.run(BlockRequest.Kind.write, bytes: 512, tag: 1, .ioError)
    try disk.run(BlockRequest.Kind.read, bytes: 512, tag: 2)
    try expect(load64(disk.data(2)), word, "first word after a refused write")
}

/// 2.7.4.1: the device makes no assumption about how a request is split into descriptors.
private func blockFraming(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk()
    try disk.queue.need(5)
    let (half, bytes) = (BlockDriver.headerSize / 2, BlockDriver.dataSize)

    // A write: the header in two descriptors.
    disk.fill(0, seed: 7, bytes: bytes)
    disk.prepare(0, BlockRequest.Kind.write, sector: 8, bytes: bytes)
    disk.queue.append(disk.header(0), half)
    disk.queue.append(disk.header(0) &+ half, half)
    disk.queue.append(disk.data(0), bytes)
    disk.queue.append(disk.statusByte(0), 1, .write)
    try finishFramed(&disk, 0)

    // A read: the status byte at the end of the data's descriptor.
    disk.prepare(1, BlockRequest.Kind.read, sector: 8, bytes: bytes)
    disk.queue.append(disk.header(1), BlockDriver.headerSize)
    disk.queue.append(disk.data(1), bytes &+ 1, .write)
    try finishFramed(&disk, 1)
    try disk.verify(1, seed: 7, bytes: bytes)

    // A write: header and data in one descriptor.
    disk.fill(2, seed: 8, bytes: bytes)
    disk.prepare(2, BlockRequest.Kind.write, sector: 8, bytes: bytes)
    disk.queue.append(disk.header(2), BlockDriver.headerSize &+ bytes)
    disk.queue.append(disk.statusByte(2), 1, .write)
    try finishFramed(&disk, 2)

    // A read: header and data each split in two at arbitrary offsets.
    disk.prepare(3, BlockRequest.Kind.read, sector: 8, bytes: bytes)
    disk.queue.append(disk.header(3), 1)
    disk.queue.append(disk.header(3) &+ 1, BlockDriver.headerSize &- 1)
    disk.queue.append(disk.data(3), 3, .write)
    disk.queue.append(disk.data(3) &+ 3, bytes &- 3, .write)
    disk.queue.append(disk.statusByte(3), 1, .write)
    try finishFramed(&disk, 3)
    try disk.verify(3, seed: 8, bytes: bytes)
}

private func finishFramed(_ disk: inout BlockDriver, _ tag: Int) throws(Failure) {
    try disk.offer(tag)
    disk.queue.kick()
    try disk.finish()
}

/// Requests held in the backend are not used; after the release, each is used once.
private func blockInFlight(_ board: inout Board) throws(Failure) {
    try board.needTestDevice()
    var disk = try board.startDisk()
    let requests = try disk.needDepth(1)
    board.command(.hold, disk.device)
    for tag in 0..<requests {
        try disk.offer(tag, BlockRequest.Kind.read, sector: UInt64(tag), bytes: 512)
    }
    disk.queue.kick()
    try expectUnchanged(disk.device, "used index while requests are held") { UInt64(disk.queue.deviceIndex) }
    try expect(disk.queue.pending, 0, "used entries while requests are held")
    board.command(.release, disk.device)
    for _ in 0..<requests { try disk.finish() }
    try expectUnchanged(disk.device, "used index after the last") { UInt64(disk.queue.deviceIndex) }
}

/// 2.5 and 5.2.4: a capacity change changes the generation and sends one notification.
private func blockCapacityChange(_ board: inout Board) throws(Failure) {
    try board.needTestDevice()
    disableInterrupts()
    var disk = try board.startDisk()
    let half = try disk.capacity() / 2
    try expectConfigurationChange(
        disk.device, { board.command(.capacity, disk.device, UInt16(truncatingIfNeeded: half)) })
    try expect(disk.capacity(), half, "capacity after the change")
    try disk.run(BlockRequest.Kind.read, sector: half, bytes: 512, .ioError)
    try disk.run(BlockRequest.Kind.read, sector: half &- 1, bytes: 512)
}
