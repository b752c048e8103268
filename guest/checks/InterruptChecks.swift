// Checks of interrupts and of the fault path (VIRTIO 1.4, 2.1.2, 2.7.7, 4.2.2.1, 4.2.3.4).

let interruptChecks: [_ of Check] = [
    Check("interrupt-delivery", interruptDelivery),
    Check("interrupt-suppressed", interruptSuppressed),
    Check("queue-fault", queueFault),
]

/// 4.2.3.4: the line follows InterruptStatus. An interrupt raised while interrupts are off arrives when they are on.
private func interruptDelivery(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk()
    let before = Interrupts.count(disk.device)
    disableInterrupts()
    try disk.leaveInterruptPending()
    enableInterrupts()
    try wait("an interrupt") { Interrupts.count(disk.device) != before }
    try expect(Interrupts.takePendingStatus(disk.device).rawValue, 1, "InterruptStatus in the handler")
    try expect(disk.device.read(.interruptStatus), 0, "InterruptStatus after the acknowledgement")
    try disk.run(BlockRequest.Kind.read, bytes: 512)
    try wait("a second interrupt") { Interrupts.count(disk.device) == before &+ 2 }
}

/// 2.7.7.2 and 2.8.10: no interrupt for a used entry while the driver suppresses it. The first request has an
/// interrupt: some devices interrupt at the first used entry regardless of the suppression.
private func interruptSuppressed(_ board: inout Board) throws(Failure) {
    disableInterrupts()
    var disk = try board.startDisk()
    try disk.leaveInterruptPending()
    disk.device.write(.interruptACK, 1)
    let before = Interrupts.count(disk.device)
    enableInterrupts()
    disk.queue.setInterrupts(false)
    try disk.run(BlockRequest.Kind.read, bytes: 512)
    try expect(disk.device.read(.interruptStatus), 0, "InterruptStatus")
    try expectUnchanged(disk.device, "InterruptStatus") { UInt64(disk.device.read(.interruptStatus)) }
    try expect(Interrupts.count(disk.device), before, "interrupts")
    disk.queue.setInterrupts(true)
    try disk.run(BlockRequest.Kind.read, bytes: 512)
    try wait("an interrupt") { Interrupts.count(disk.device) == before &+ 1 }
}

/// 2.1.2: a head index out of range sets NEEDS_RESET and sends a notification; a reset recovers the device.
private func queueFault(_ board: inout Board) throws(Failure) {
    var disk = try board.startDisk()
    disk.queue.offerInvalid()
    disk.queue.notify()
    try wait("Status 0x4f") { disk.device.status == 0x4f }
    try wait("a configuration change notification") {
        Interrupts.takePendingStatus(disk.device).contains(.configurationChange)
    }
    disk = try board.startDisk()
    try disk.run(BlockRequest.Kind.read, bytes: 512)
}
