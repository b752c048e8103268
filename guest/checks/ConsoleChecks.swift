// Checks of the console device (VIRTIO 1.4, 5.3).

let consoleChecks: [_ of Check] = [
    Check("console-size", consoleSize),
    Check("console-output", consoleOutput),
    Check("console-input", consoleInput),
    Check("console-resize", consoleResize),
]

/// 5.3.4 and 2.5: the size is readable and stable.
private func consoleSize(_ board: inout Board) throws(Failure) {
    let console = try board.startConsole()
    guard console.features.contains(ConsoleFeature.size) else { throw .skipped("device offers no size") }
    let size = try console.size()
    let generation = console.device.read(.configGeneration)
    try expect(console.size(), size, "size read again")
    try expect(console.device.read(.configGeneration), generation, "ConfigGeneration read again")
}

/// 5.3.6: a transmit buffer is used with used length 0.
private func consoleOutput(_ board: inout Board) throws(Failure) {
    var console = try board.startConsole()
    let text = Text("# console-output: this line came in one buffer\n")
    for index in 0..<text.count { store8(console.buffer &+ index, text[index]) }
    try expect(console.send(text.count).length, 0, "used length of a transmit buffer")
}

/// 5.3.6: input fills receive buffers; the check echoes the bytes. The input comes from the host if the command line
/// names it, else from the test device.
private func consoleInput(_ board: inout Board) throws(Failure) {
    var text = board.hostInput
    if text.count == 0 {
        try board.needTestDevice()
        text = Text("typed")
    }
    var console = try board.startConsole()
    try console.postReceive()
    if board.hostInput.count == 0 {
        for index in 0..<text.count { board.command(.input, console.device, UInt16(text[index])) }
    }
    try console.expectInput(text)
    try console.echo(text)
}

/// 5.3.4 and 2.5: a resize changes the fields and the generation and sends one notification.
private func consoleResize(_ board: inout Board) throws(Failure) {
    try board.needTestDevice()
    disableInterrupts()
    let console = try board.startConsole()
    let (columns, rows): (UInt32, UInt32) = try console.size() == 100 | 40 << 16 ? (90, 30) : (100, 40)
    try expectConfigurationChange(
        console.device, { board.command(.resize, console.device, UInt16(columns | rows << 8)) })
    try expect(console.size(), columns | rows << 16, "size after a resize")
}

/// Fails unless `change` changes the generation and sends one notification. Interrupts are off.
func expectConfigurationChange(_ device: MMIODevice, _ change: () -> Void) throws(Failure) {
    let generation = device.read(.configGeneration)
    change()
    try wait("InterruptStatus bit 1") { device.read(.interruptStatus) == 2 }
    try expect(device.read(.configGeneration) != generation, "a new ConfigGeneration")
    device.write(.interruptACK, 2)
    try expect(device.read(.interruptStatus), 0, "InterruptStatus after the acknowledgement")
    try expectUnchanged(device, "InterruptStatus, notified once") { UInt64(device.read(.interruptStatus)) }
}
