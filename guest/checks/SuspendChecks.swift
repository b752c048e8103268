// Checks of the SUSPEND handshake, in the dialect that the disk offers. They poll with interrupts off, so that
// InterruptStatus keeps its bits. Checks that violate a rule for drivers on purpose are marked.

let suspendChecks: [_ of Check] = [
    Check("suspend-idle", suspendIdle),
    Check("suspend-two-exits", suspendTwoExits),
    Check("suspend-in-flight", suspendInFlight),
    Check("suspend-masked", suspendMasked),
    Check("suspend-abort", suspendAbort),
    Check("suspend-resume-held", suspendResumeHeld),
    Check("suspend-resume-abort", suspendResumeAbort),
    Check("suspend-before-driver-ok", suspendBeforeDriverOK),
    Check("suspend-not-negotiated", suspendNotNegotiated),
    Check("suspend-failed-bit", suspendFailedBit),
    Check("suspend-reset", suspendReset),
]

extension Suspend {
    /// Fails unless Status reads `status` and does not change.
    @inline(never)
    func expectStays(_ status: UInt32, _ what: StaticString) throws(Failure) {
        try expect(device.status, status, what)
        try expectUnchanged(device, what) { UInt64(device.status) }
    }
}

extension BlockDriver {
    /// Holds one read in the backend and requests a suspend; Status still reads the running value afterwards.
    @inline(never)
    mutating func suspendWithRequestHeld(_ suspend: Suspend, _ board: Board) throws(Failure) {
        board.command(.hold, device)
        try offer(0, BlockRequest.Kind.read, bytes: 512)
        queue.kick()
        suspend.requestSuspend()
        // 1.4: a device that has not popped the request yet leaves it in the ring and suspends at once. It pops the
        // request after the resume, so the next suspend has a request to wait for.
        let deadline = Deadline()
        while suspend.dialect == .ratified, device.status == suspend.suspended, !deadline.passed {
            try suspend.resume()
            suspend.requestSuspend()
        }
        try suspend.expectStays(Suspend.running, "Status while a request is in flight")
        try expect(queue.pending, 0, "used entries while the request is held")
    }

    /// Runs one request and leaves its interrupt unacknowledged: InterruptStatus bit 0 stays set.
    mutating func leaveInterruptPending() throws(Failure) {
        try expectWorks()
        try wait("InterruptStatus bit 0") { device.read(.interruptStatus) == 1 }
    }

    /// Runs one request; fails unless the device completes it.
    @inline(never)
    mutating func expectWorks() throws(Failure) { try run(BlockRequest.Kind.read, bytes: 512, tag: 7) }
}

private func suspendIdle(_ board: inout Board) throws(Failure) {
    var (disk, suspend) = try board.startSuspendableDisk()
    try disk.expectWorks()
    for _ in 0..<3 {
        try suspend.suspend()
        try suspend.expectStays(suspend.suspended, "Status while suspended")
        try suspend.resume()
        try disk.expectWorks()
    }
}

/// The drain of an idle device is immediate: the first Status read after the write reads the suspended value.
private func suspendTwoExits(_ board: inout Board) throws(Failure) {
    let (_, suspend) = try board.startSuspendableDisk()
    suspend.requestSuspend()
    try expect(suspend.device.status, suspend.suspended, "Status at the first read")
}

/// The device uses and notifies the requests in flight before Status reads the suspended value.
private func suspendInFlight(_ board: inout Board) throws(Failure) {
    try board.needTestDevice()
    var (disk, suspend) = try board.startSuspendableDisk()
    try disk.suspendWithRequestHeld(suspend, board)
    try expect(disk.device.read(.interruptStatus), 0, "InterruptStatus while the request is held")
    board.command(.release, disk.device)
    try suspend.awaitSuspended()
    try expect(disk.queue.pending, 1, "used entries at the first read of the suspended Status")
    try expect(disk.device.read(.interruptStatus), 1, "InterruptStatus at the first read of the suspended Status")
    try disk.finish()
    try suspend.resume()
    try disk.expectWorks()
}

/// The handshake completes with an unacknowledged interrupt pending; the interrupt stays pending.
private func suspendMasked(_ board: inout Board) throws(Failure) {
    var (disk, suspend) = try board.startSuspendableDisk()
    let before = Interrupts.count(disk.device)
    try disk.leaveInterruptPending()
    try suspend.suspend()
    try expect(disk.device.read(.interruptStatus), 1, "InterruptStatus while suspended")
    try suspend.resume()
    try expect(disk.device.read(.interruptStatus), 1, "InterruptStatus after the resume")
    enableInterrupts()
    try wait("the interrupt") { Interrupts.count(disk.device) != before }
}

/// In the draft the driver may abort a suspend. In 1.4 the same write has no effect.
private func suspendAbort(_ board: inout Board) throws(Failure) {
    try board.needTestDevice()
    var (disk, suspend) = try board.startSuspendableDisk()
    try disk.suspendWithRequestHeld(suspend, board)
    suspend.device.setStatus(.running)
    try suspend.expectStays(Suspend.running, "Status after SUSPEND is cleared")
    board.command(.release, disk.device)
    if suspend.dialect == .ratified {
        try suspend.awaitSuspended()
        try suspend.resume()
    }
    try disk.finish()
    try suspend.expectStays(Suspend.running, "Status after the request is used")
    try disk.expectWorks()
}

/// Until the backend is ready, Status reads the suspended value and the device delivers nothing.
private func suspendResumeHeld(_ board: inout Board) throws(Failure) {
    try board.needTestDevice()
    var (disk, suspend) = try board.startSuspendableDisk()
    try suspend.suspend()
    try disk.offer(0, BlockRequest.Kind.read, bytes: 512)
    board.command(.holdResume, disk.device)
    suspend.requestResume()
    try suspend.expectStays(suspend.suspended, "Status while resuming")
    try expect(disk.queue.pending, 0, "used entries while resuming")
    board.command(.ready, disk.device)
    try suspend.awaitRunning()
    try disk.finish()
    try disk.expectWorks()
}

private func suspendResumeAbort(_ board: inout Board) throws(Failure) {
    try board.needTestDevice()
    var (disk, suspend) = try board.startSuspendableDisk()
    guard suspend.dialect == .draft else { throw .skipped("1.4 has no abort") }
    try suspend.suspend()
    board.command(.holdResume, disk.device)
    suspend.requestResume()
    try expect(disk.device.status, suspend.suspended, "Status while resuming")
    suspend.requestSuspend()
    try suspend.expectStays(suspend.suspended, "Status after the abort")
    board.command(.ready, disk.device)
    try suspend.expectStays(suspend.suspended, "Status after the abort, backend ready")
    try suspend.resume()
    try disk.expectWorks()
}

/// SUSPEND before DRIVER_OK, and in the write that sets DRIVER_OK, has no effect. A driver must not write it.
private func suspendBeforeDriverOK(_ board: inout Board) throws(Failure) {
    var (disk, suspend) = try board.startSuspendableDisk(live: false)
    suspend.device.setStatus([.acknowledge, .driver, .featuresOK, .suspend])
    try suspend.expectStays(0x0b, "Status before DRIVER_OK")
    suspend.device.setStatus([.running, .suspend])
    try suspend.expectStays(Suspend.running, "Status after DRIVER_OK and SUSPEND in one write")
    try disk.expectWorks()
}

/// SUSPEND without its feature has no effect. A driver must not write it.
private func suspendNotNegotiated(_ board: inout Board) throws(Failure) {
    let (_, suspend) = try board.startSuspendableDisk()
    var disk = try board.startDisk()
    suspend.requestSuspend()
    try suspend.expectStays(Suspend.running, "Status after SUSPEND")
    try disk.expectWorks()
}

/// FAILED does not keep a device from suspending and resuming.
private func suspendFailedBit(_ board: inout Board) throws(Failure) {
    let (_, suspend) = try board.startSuspendableDisk()
    let suspended = suspend.suspended | 0x80
    suspend.device.setStatus([.running, .suspend, .failed])
    try suspend.awaitStatus(suspended, from: 0x8f, "Status after FAILED and SUSPEND in one write")
    suspend.device.setStatus(suspend.dialect == .draft ? [.running, .failed] : [.running, .suspend, .failed])
    try suspend.awaitStatus(0x8f, from: suspended, "Status after the resume of a device with FAILED set")
    var disk = try board.startDisk()
    try disk.expectWorks()
}

/// A reset while suspending and a reset of a suspended device: nothing deferred is delivered after it.
private func suspendReset(_ board: inout Board) throws(Failure) {
    try board.needTestDevice()
    var (disk, suspend) = try board.startSuspendableDisk()
    try disk.suspendWithRequestHeld(suspend, board)
    try expectReset(&disk, suspend, board)

    var (second, _) = try board.startSuspendableDisk()
    try expect(second.features.rawValue, disk.features.rawValue, "features accepted after the reset")
    try suspend.suspend()
    try second.offer(0, BlockRequest.Kind.read, bytes: 512)
    second.queue.notify()
    try expectReset(&second, suspend, board)

    var third = try board.startDisk()
    try third.expectWorks()
    try expect(disk.queue.pending, 0, "used entries in the first queue")
    try expect(second.queue.pending, 0, "used entries in the second queue")
}

private func expectReset(_ disk: inout BlockDriver, _ suspend: Suspend, _ board: Board) throws(Failure) {
    disk.device.write(.status, 0)
    try expect(disk.device.status, 0, "Status at the first read after a reset")
    board.command(.release, disk.device)
    let queue = disk.queue
    try expectUnchanged(disk.device, "used index after a reset") { UInt64(queue.deviceIndex) }
    try expect(disk.queue.pending, 0, "used entries after a reset")
    try suspend.expectStays(0, "Status after a reset")
    try expect(disk.device.read(.interruptStatus), 0, "InterruptStatus after a reset")
}
