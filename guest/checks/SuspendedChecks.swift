// Checks of what a suspended device must not change, and of what it delivers when it resumes. As in
// SuspendChecks.swift, interrupts are off, and checks that violate a rule for drivers are marked.

let suspendedChecks: [_ of Check] = [
    Check("suspend-frozen", suspendFrozen),
    Check("suspend-config-ignored", suspendConfigIgnored),
    Check("suspend-kick-ignored", suspendKickIgnored),
    Check("resume-rescans", resumeRescans),
    Check("suspend-ack-clears", suspendAckClears),
    Check("suspend-console-input", suspendConsoleInput),
    Check("suspend-config-change", suspendConfigChange),
    Check("suspend-retained", suspendRetained),
    Check("suspend-cycles", suspendCycles),
    Check("suspend-fatal", suspendFatal),
]

extension BlockDriver {
    /// State visible to the driver: used index (bits 0 to 15), InterruptStatus (16 to 31), ConfigGeneration (32 to 63).
    func visible() -> UInt64 {
        UInt64(queue.deviceIndex) | UInt64(device.read(.interruptStatus)) << 16
            | UInt64(device.read(.configGeneration)) << 32
    }
}

/// Readable registers do not change, and selectors act. A queue that the driver stops reads ready until the resume.
private func suspendFrozen(_ board: inout Board) throws(Failure) {
    var (disk, suspend) = try board.startSuspendableDisk()
    let device = disk.device
    try disk.leaveInterruptPending()
    device.write(.queueSel, 0)
    device.write(.deviceFeaturesSel, 0)
    let before = disk.visible()
    try suspend.suspend()
    device.write(.queueSel, 0xffff)
    try expect(device.read(.queueSizeMax), 0, "QueueSizeMax after a write to QueueSel")
    device.write(.deviceFeaturesSel, 1)
    let version1 = Features.version1.word(1)
    try expect(device.read(.deviceFeatures) & version1, version1, "DeviceFeatures after a write to DeviceFeaturesSel")
    device.write(.queueSel, 0)
    device.write(.queueReady, 0)
    try expect(device.read(.queueReady), 1, "QueueReady after a write of 0")
    try expect(disk.visible(), before, "generation, InterruptStatus, used index while suspended")
    try expectUnchanged(device, "generation, InterruptStatus, used index while suspended") { disk.visible() }
    try suspend.resume()
    try expect(disk.visible(), before, "generation, InterruptStatus, used index after the resume")
    try expect(device.read(.queueReady), 0, "QueueReady after the resume")
    var again = try board.startDisk()
    try again.expectWorks()
}

/// Writes to the configuration space are ignored. A driver must not write it.
private func suspendConfigIgnored(_ board: inout Board) throws(Failure) {
    let (disk, suspend) = try board.startSuspendableDisk()
    let start = disk.device.configuration(0)
    let before = checksum(start)
    try suspend.suspend()
    for word in 0..<(UInt64(BlockConfiguration.size) / 4) { store32(start &+ 4 &* word, 0x0101_0101) }
    try expect(checksum(start), before, "checksum of the configuration while suspended")
    try suspend.resume()
    try expect(checksum(start), before, "checksum of the configuration after the resume")
}

private func checksum(_ start: UInt64) -> UInt64 {
    var sum: UInt64 = 0
    for word in 0..<(UInt64(BlockConfiguration.size) / 4) { sum = sum &* 31 &+ UInt64(load32(start &+ 4 &* word)) }
    return sum
}

/// A suspended device does not take new buffers, notified or not. A driver must not make them available.
private func suspendKickIgnored(_ board: inout Board) throws(Failure) {
    var (disk, suspend) = try board.startSuspendableDisk()
    try disk.offerSuspended(suspend)
    try suspend.expectStays(suspend.suspended, "Status while suspended")
}

extension BlockDriver {
    /// Suspends, makes a request with tag 0 available and notifies; fails if the device reacts.
    fileprivate mutating func offerSuspended(_ suspend: Suspend) throws(Failure) {
        try leaveInterruptPending()
        try suspend.suspend()
        let before = visible()
        try offer(0, BlockRequest.Kind.read, bytes: 512)
        queue.notify()
        try expectUntouched(before)
    }

    /// Fails if the status byte of tag 0 is written or the visible state is not `before`.
    fileprivate func expectUntouched(_ before: UInt64) throws(Failure) {
        try expect(visible(), before, "generation, InterruptStatus, used index while suspended")
        try expectUnchanged(device, "generation, InterruptStatus, used index while suspended") { visible() }
        try expect(load8(statusByte(0)), 0xff, "status byte of a request the device must not see")
    }
}

/// Buffers made available while suspended are processed after the resume without another notification.
private func resumeRescans(_ board: inout Board) throws(Failure) {
    var (disk, suspend) = try board.startSuspendableDisk()
    try disk.offerSuspended(suspend)
    try suspend.resume()
    try disk.finish()
    try disk.expectWorks()
}

/// InterruptACK works while suspended, and the cleared bit stays clear after the resume.
private func suspendAckClears(_ board: inout Board) throws(Failure) {
    var (disk, suspend) = try board.startSuspendableDisk()
    try disk.leaveInterruptPending()
    try suspend.suspend()
    disk.device.write(.interruptACK, 1)
    try expect(disk.device.read(.interruptStatus), 0, "InterruptStatus after the acknowledgement")
    try suspend.resume()
    try expect(disk.device.read(.interruptStatus), 0, "InterruptStatus after the resume")
    try expectUnchanged(disk.device, "InterruptStatus") { UInt64(disk.device.read(.interruptStatus)) }
}

/// Input is deferred while the console is suspended, even with receive buffers posted, and delivered once, in order.
private func suspendConsoleInput(_ board: inout Board) throws(Failure) {
    try board.needTestDevice()
    var (console, suspend) = try board.startSuspendableConsole()
    try console.postReceive()
    try suspend.suspend()
    let text = Text("input of a suspended console")
    for index in 0..<text.count { board.command(.input, console.device, UInt16(text[index])) }
    let receive = console.receive
    try expectUnchanged(console.device, "used index while suspended") { UInt64(receive.deviceIndex) }
    try expect(receive.pending, 0, "used receive buffers while suspended")
    try expect(console.device.read(.interruptStatus), 0, "InterruptStatus while suspended")
    try suspend.resume()
    try console.expectInput(text)
    // Buffers posted before the suspension are still filled, without another notification.
    let more = Text("more")
    for index in 0..<more.count { board.command(.input, console.device, UInt16(more[index])) }
    try console.expectInput(more)
    try expectUnchanged(console.device, "used index after the last byte") { UInt64(console.receive.deviceIndex) }
    try expect(console.receive.pending, 0, "used receive buffers after the last byte")
}

/// Changes are staged: bytes and generation do not change; the resume commits the last value with one notification.
private func suspendConfigChange(_ board: inout Board) throws(Failure) {
    try board.needTestDevice()
    let (disk, suspendDisk) = try board.startSuspendableDisk()
    let half = try disk.capacity() / 2
    try expectStaged(
        suspendDisk, board, .capacity, UInt16(truncatingIfNeeded: half &+ 1), UInt16(truncatingIfNeeded: half))
    try expect(disk.capacity(), half, "capacity after the resume")

    let (console, suspendConsole) = try board.startSuspendableConsole()
    let size: UInt16 = try console.size() == 100 | 40 << 16 ? 90 | 30 << 8 : 100 | 40 << 8
    try expectStaged(suspendConsole, board, .resize, 1 | 1 << 8, size)
    try expect(console.size(), UInt32(size & 0xff) | UInt32(size >> 8) << 16, "size after the resume")
}

/// Stages two changes while suspended; `verb` changes the first word of the configuration.
private func expectStaged(
    _ suspend: Suspend, _ board: Board, _ verb: TestDevice.Verb, _ first: UInt16, _ last: UInt16
) throws(Failure) {
    let device = suspend.device
    let visible = { () -> UInt64 in
        UInt64(load32(device.configuration(0))) << 32 | UInt64(device.read(.configGeneration)) << 8
            | UInt64(device.read(.interruptStatus))
    }
    let generation = device.read(.configGeneration)
    let before = visible()
    try suspend.suspend()
    board.command(verb, device, first)
    board.command(verb, device, last)
    try expect(visible(), before, "first word, generation, InterruptStatus while suspended")
    try expectUnchanged(device, "first word, generation, InterruptStatus while suspended", visible)
    try suspend.resume()
    try wait("InterruptStatus bit 1") { device.read(.interruptStatus) == 2 }
    try expect(device.read(.configGeneration) != generation, "a new ConfigGeneration after the resume")
    device.write(.interruptACK, 2)
    try expect(device.read(.interruptStatus), 0, "InterruptStatus after the acknowledgement")
    try expectUnchanged(device, "InterruptStatus, notified once") { UInt64(device.read(.interruptStatus)) }
}

/// At the drain deadline a draft device suspends, retains the request and delivers it after the resume; a 1.4 device
/// sets NEEDS_RESET.
private func suspendRetained(_ board: inout Board) throws(Failure) {
    try board.needTestDevice()
    var (disk, suspend) = try board.startSuspendableDisk()
    try disk.suspendWithRequestHeld(suspend, board)
    let before = disk.visible()
    board.command(.deadline, disk.device)
    guard suspend.dialect == .draft else {
        try suspend.awaitStatus(0x4f, from: Suspend.running, "Status after the drain deadline")
        try wait("InterruptStatus bit 1") { disk.device.read(.interruptStatus) & 2 != 0 }
        disk = try board.startDisk()
        board.command(.release, disk.device)
        return try disk.expectWorks()
    }
    try suspend.awaitSuspended()
    board.command(.release, disk.device)
    try disk.expectUntouched(before)
    try suspend.resume()
    try disk.finish()
    try expectUnchanged(disk.device, "used index after the request") { UInt64(disk.queue.deviceIndex) }
    try disk.expectWorks()
}

/// Suspends and resumes many times with two writes and two reads in flight, one of each in a small queue. The reads
/// return the data written a cycle before.
private func suspendCycles(_ board: inout Board) throws(Failure) {
    var (disk, suspend) = try board.startSuspendableDisk()
    let pairs = try disk.needDepth(2) < 4 ? 1 : 2
    enableInterrupts()
    for cycle in 0..<board.cycles {
        for tag in 0..<pairs {
            let last = tag == 1
            disk.fill(tag, seed: 2 &* cycle &+ (last ? 1 : 0), bytes: 512)
            try disk.offer(tag, BlockRequest.Kind.write, sector: sector(cycle, last), bytes: 512)
            if cycle > 0 {
                try disk.offer(2 + tag, BlockRequest.Kind.read, sector: sector(cycle &- 1, last), bytes: 512)
            }
        }
        disk.queue.kick()
        try suspend.suspend()
        try suspend.resume()
        for _ in 0..<(cycle > 0 ? 2 * pairs : pairs) { try disk.finish() }
        guard cycle > 0 else { continue }
        for tag in 0..<pairs {
            try disk.verify(2 + tag, seed: 2 &* cycle &- (tag == 1 ? 1 : 2), bytes: 512)
        }
    }
    try expectUnchanged(disk.device, "used index after the last") { UInt64(disk.queue.deviceIndex) }
    try expect(disk.queue.pending, 0, "used entries after the last")
}

private func sector(_ cycle: UInt64, _ last: Bool) -> UInt64 { 64 &+ cycle % 8 &* 2 &+ (last ? 1 : 0) }

/// A backend failure while suspended sets NEEDS_RESET at the resume in the draft, at once and without a notification in
/// 1.4.
private func suspendFatal(_ board: inout Board) throws(Failure) {
    try board.needTestDevice()
    let (disk, suspend) = try board.startSuspendableDisk()
    let device = disk.device
    try suspend.suspend()
    board.command(.fatal, device)
    guard suspend.dialect == .draft else {
        try suspend.awaitStatus(0x5b, from: suspend.suspended, "Status after the backend broke")
        suspend.requestResume()
        try suspend.expectStays(0x5b, "Status after a resume request to a broken device")
        return try expect(device.read(.interruptStatus), 0, "InterruptStatus of a broken device")
    }
    try suspend.expectStays(suspend.suspended, "Status of a suspended device whose backend broke")
    try expect(device.read(.interruptStatus), 0, "InterruptStatus of a suspended device whose backend broke")
    suspend.requestResume()
    try suspend.awaitStatus(0x4f, from: suspend.suspended, "Status after the resume request")
    try wait("InterruptStatus bit 1") { device.read(.interruptStatus) == 2 }
}
