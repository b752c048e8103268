// Checks of the register window: identity, feature negotiation, reset (VIRTIO 1.4, 2.1, 2.2, 2.4, 4.2.2).

let transportChecks: [_ of Check] = [
    Check("identity", identity),
    Check("features-refused", featuresRefused),
    Check("features-locked", featuresLocked),
    Check("reset-clears", resetClears),
]

/// 4.2.2.1. Reads of another width and of undefined registers, which a driver must not do, are tried on vmm only.
private func identity(_ board: inout Board) throws(Failure) {
    for slot in 0..<board.slots.count {
        let device = board.slots[slot]
        board.subject = device
        try expect(device.read(.magicValue), Register.magic, "MagicValue")
        try expect(device.hasKnownVersion ? 1 : 0, 1, "a known Version")
        guard device.read(.deviceID) != 0 else { continue }
        let vendor = device.read(.vendorID)
        try expect(device.read(.vendorID), vendor, "VendorID read again")
        guard board.hasTestDevice else { continue }
        try expect(load8(device.base), 0, "a byte of MagicValue")
        try expect(load16(device.base &+ 2), 0, "half of MagicValue")
        try expect(load64(device.base), 0, "MagicValue and Version in one read")
        try expect(load32(device.base &+ 0x01c), 0, "the undefined register 0x01c")
        try expect(device.read(.queueNotify), 0, "QueueNotify, which is write-only")
    }
}

/// 2.2.2: FEATURES_OK does not stay set if the driver accepts a bit that is not offered.
private func featuresRefused(_ board: inout Board) throws(Failure) {
    let device = try board.needDisk()
    try device.begin()
    device.accept(device.offered.union(RingFeature.unknown))
    device.setStatus([.acknowledge, .driver, .featuresOK])
    try expect(device.status, 0x03, "Status after FEATURES_OK with an unoffered bit")
    _ = try device.negotiate([.version1])
}

/// 2.2.1: features cannot change after FEATURES_OK. SUSPEND, which works only if negotiated, shows that.
private func featuresLocked(_ board: inout Board) throws(Failure) {
    let (disk, suspend) = try board.startSuspendableDisk(live: false)
    disk.device.accept([])
    try disk.device.driverOK()
    try suspend.suspend()
}

/// 4.2.2.1: a reset clears Status, InterruptStatus and QueueReady.
private func resetClears(_ board: inout Board) throws(Failure) {
    disableInterrupts()
    var disk = try board.startDisk()
    try disk.leaveInterruptPending()
    try disk.device.reset()
    try expect(disk.device.read(.interruptStatus), 0, "InterruptStatus after a reset")
    disk.device.write(.queueSel, 0)
    try expect(disk.device.read(.queueReady), 0, "QueueReady after a reset")
}
