// Measures the time from a suspend request to its acknowledgement: of an idle disk, of one with up to 64 requests in
// flight, and of one with a stuck backend, whose drain ends at the deadline. A second check suspends all devices, for a
// host that measures the idle machine.

func suspendLatency(_ board: inout Board) throws(Failure) {
    let rounds = board.load.latency ?? 0
    let clock = Clock()
    var idle = Durations()
    var loaded = Durations()
    var disk = try StressDisk(&board)
    let suspend = try Suspend(disk.device, disk.features)
    for _ in 0..<rounds { idle.add(try duration(suspend, clock)) }
    let depth = min(64, disk.depth)
    for round in 0..<rounds / 4 {
        for n in 0..<UInt64(depth) {
            guard let tag = disk.takeTag(0) else { break }
            let sector = (n &* 8 &+ round) % (disk.capacity &- 8)
            try disk.offer(
                tag, StressRequest(kind: .read, count: disk.maximumSectors), sector: sector, cut: 0)
        }
        disk.queues[0].kick()
        loaded.add(try duration(suspend, clock))
        for _ in 0..<depth {
            let used = try disk.queues[0].waitUsed("a used read")
            try expect(load8(disk.statusByte(used.tag)), 0, "status byte of a read")
            disk.release(used.tag)
        }
    }
    board.measurements.add("idle-us", idle.mean)
    board.measurements.add("idle-us-max", idle.longest)
    board.measurements.add("depth", UInt64(depth))
    board.measurements.add("loaded-us", loaded.mean)
    board.measurements.add("loaded-us-max", loaded.longest)
    try stuck(&board, clock)
}

/// Microseconds from the suspend request to the acknowledgement. Resumes the device afterwards.
private func duration(_ suspend: Suspend, _ clock: Clock) throws(Failure) -> UInt64 {
    let start = timestamp()
    try suspend.suspend()
    let duration = clock.microseconds(since: start)
    try suspend.resume()
    return duration
}

/// At the drain deadline a draft device suspends and retains the request; a 1.4 device sets NEEDS_RESET.
private func stuck(_ board: inout Board, _ clock: Clock) throws(Failure) {
    guard board.hasTestDevice else { return }
    var (disk, suspend) = try board.startSuspendableDisk()
    let start = timestamp()
    try disk.suspendWithRequestHeld(suspend, board)
    let end: UInt32 = suspend.dialect == .draft ? suspend.suspended : 0x4f
    // The host's drain deadline, 10 s by default, is longer than the usual wait.
    try suspend.awaitStatus(
        end, from: Suspend.running, "Status until the drain deadline", within: Deadline(times: 8))
    board.measurements.add("stuck-us", clock.microseconds(since: start))
    if suspend.dialect == .ratified { return board.command(.release, disk.device) }
    try suspend.resume()
    board.command(.release, disk.device)
    try disk.finish()
}

/// Suspends all devices, reads each Status repeatedly, and resumes them.
func suspendQuiet(_ board: inout Board) throws(Failure) {
    let reads = board.load.quiet ?? 0
    var devices = Slots()
    for slot in 0..<board.slots.count where board.slots[slot].isPresent { devices.insert(board.slots[slot]) }
    var console = try board.startSuspendableConsole().0
    try console.postReceive()
    var disk = try board.startSuspendableDisk().0
    for slot in 0..<devices.count where devices[slot].base != console.device.base {
        if devices[slot].base != disk.device.base {
            _ = try BlockDriver(devices[slot], board.form.with(Suspend.features), &board.arena)
        }
    }
    try disk.expectWorks()
    let suspend = try Suspend(disk.device, disk.features)
    for slot in 0..<devices.count { try suspend.with(devices[slot]).suspend() }
    for _ in 0..<reads {
        for slot in 0..<devices.count { try expect(devices[slot].status, suspend.suspended, "Status while suspended") }
    }
    for slot in 0..<devices.count { try suspend.with(devices[slot]).resume() }
    try disk.expectWorks()
    board.measurements.add("devices", UInt64(devices.count))
}
