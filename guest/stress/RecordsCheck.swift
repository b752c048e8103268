// Writes numbered records, for a host that kills the machine at any moment and checks the disk. Four are written at
// once, then the disk is flushed, and then the console reports each on a line:
//
//   flushed N     record N is durable
//   failed N      its write or flush failed; the command line allows a number of errors
//   unread S      the read of sector S failed, which is half the disk away; one such read goes with each batch
//
// Record N is sector N modulo the initial capacity. BlockDriver.fill derives its words from the run's seed and N.

private let batch: UInt64 = 4

func records(_ board: inout Board) throws(Failure) {
    let records = board.load.records ?? 0
    var disk = try BlockDriver(board.needDisk(), board.form.with(Suspend.features), &board.arena)
    if !disk.features.contains(BlockFeature.flush) { throw .skipped("device offers no flush") }
    if try disk.needDepth(1) <= Int(batch) { throw .skipped("the queue has too few entries") }
    let suspend = disk.features.isDisjoint(with: Suspend.features) ? nil : try Suspend(disk.device, disk.features)
    guard let console = board.console else { throw .skipped("no console") }
    var output = try ConsoleDriver(console, board.form, &board.arena)
    let capacity = try disk.capacity()
    var errors: UInt64 = 0
    var number: UInt64 = 0
    while number < records {
        let count = min(batch, records &- number)
        for n in 0..<count {
            let tag = Int(n)
            disk.fill(tag, seed: board.load.seed << 20 &+ number &+ n, bytes: 512)
            try disk.offer(tag, BlockRequest.Kind.write, sector: (number &+ n) % capacity, bytes: 512)
        }
        let distant = (number &+ capacity / 2) % capacity
        try disk.offer(Int(batch), BlockRequest.Kind.read, sector: distant, bytes: 512)
        disk.queue.kick()
        // Every 64th record: suspends with the batch in flight.
        if let suspend, number % 64 == 0 {
            try suspend.suspend()
            try suspend.resume()
        }
        for _ in 0...count { _ = try disk.queue.waitUsed("a written record") }
        let isUnread = load8(disk.statusByte(Int(batch))) == BlockRequest.Status.ioError.rawValue
        try disk.offer(Int(batch), BlockRequest.Kind.flush)
        disk.queue.kick()
        _ = try disk.queue.waitUsed("a flush")
        try report(&output, disk, number, count, unread: isUnread ? distant : nil, &errors)
        number &+= count
        let most = board.load.errors
        if errors > most { throw .unexpected("failed records", expected: most, actual: errors) }
    }
    board.measurements.add("records", number)
    board.measurements.add("errors", errors)
}

/// Prints the lines of one batch.
private func report(
    _ output: inout ConsoleDriver, _ disk: BlockDriver, _ first: UInt64, _ count: UInt64, unread: UInt64?,
    _ errors: inout UInt64
) throws(Failure) {
    var end = output.buffer
    let isFlushed = load8(disk.statusByte(Int(batch))) == BlockRequest.Status.ok.rawValue
    for n in 0..<count {
        let status = load8(disk.statusByte(Int(n)))
        if status > BlockRequest.Status.unsupported.rawValue {
            throw .unexpected("status byte of a record", expected: 0, actual: UInt64(status))
        }
        let isGood = isFlushed && status == BlockRequest.Status.ok.rawValue
        if !isGood { errors &+= 1 }
        put(Text(isGood ? "flushed " : "failed "), first &+ n, &end)
    }
    if let unread {
        errors &+= 1
        put(Text("unread "), unread, &end)
    }
    _ = try output.send(end &- output.buffer)
}

/// Appends a line with a word and a number.
private func put(_ word: Text, _ number: UInt64, _ end: inout UInt64) {
    for index in 0..<word.count {
        store8(end, word[index])
        end &+= 1
    }
    Text.decimal(number) { byte in
        store8(end, byte)
        end &+= 1
    }
    store8(end, UInt8(ascii: "\n"))
    end &+= 1
}
