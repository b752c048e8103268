// A debugger's client: any bytes.

import Machine

/// Lines that a client of the debugger sends, each as a packet with its checksum, or as it is if it begins with a zero, about a guest of two
/// processors. A session answers within bounds, asks its target for nothing that is not there, and ends only as a client may.
func fuzzGDB(_ bytes: [UInt8]) {
    let target = FakeGuest()
    var session = GDBSession(target)
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
        var packet = Array(line)
        if packet.first == 0 {
            packet.removeFirst()
        } else {
            let sum = packet.reduce(0, &+)
            let digits = Array("0123456789abcdef".utf8)
            packet = [UInt8(ascii: "$")] + packet + [UInt8(ascii: "#"), digits[Int(sum >> 4)], digits[Int(sum & 15)]]
        }
        let output = session.receive(packet)
        // Within a line several packets may begin.
        require(output.count <= 40_000 * (packet.count + 1), "an answer without bounds")
        guard session.ending == nil else { return }
        require(session.isStopped != target.isRunning, "the session and the guest disagree")
        if target.isInterrupted {
            _ = session.report(DebugStop(vcpu: 1, reason: .interrupt, message: "interrupted"))
            (target.isRunning, target.isInterrupted) = (false, false)
        }
    }
    let end = session.end(exitCode: 3, signal: nil)
    require(end == Array("$W03#ba".utf8), "another end: \(end)")
}

/// A guest with one page of memory.
private final class FakeGuest: DebugTarget {
    private var memory = [UInt8](repeating: 0x90, count: 4096)
    private var files = [RegisterFile(), RegisterFile()]
    private var breakpoints: Set<Breakpoint> = []
    var isRunning = false
    var isInterrupted = false

    let processorCount = 2
    let hasAVX = true
    func activity(of vcpu: Int) -> String { vcpu == 0 ? "running" : "halted " }
    func registers(of vcpu: Int) throws(DebugError) -> RegisterFile { files[vcpu] }

    func setRegisters(_ registers: RegisterFile, of vcpu: Int) throws(DebugError) { files[vcpu] = registers }

    func read(_ address: UInt64, count: Int, vcpu: Int?) -> [UInt8] {
        require(count <= 1 << 14, "a read of \(count) bytes")
        return address < 4096 ? Array(memory[Int(address)...].prefix(count)) : []
    }

    func write(_ bytes: [UInt8], at address: UInt64, vcpu: Int?) throws(DebugError) {
        guard address <= 4096, bytes.count <= 4096 - Int(address) else { throw .number(14) }
        memory.replaceSubrange(Int(address)..<Int(address) + bytes.count, with: bytes)
    }

    func insert(_ breakpoint: Breakpoint, vcpu: Int) throws(DebugError) {
        require(files.indices.contains(vcpu), "a breakpoint of no vCPU")
        guard breakpoints.count < 4 else { throw .sentence("four are set") }
        breakpoints.insert(breakpoint)
    }

    func remove(_ breakpoint: Breakpoint) { breakpoints.remove(breakpoint) }

    func resume(_ actions: [ResumeAction?]) {
        require(actions.count == 2 && !isRunning, "what runs is resumed")
        isRunning = true
    }

    func interrupt() {
        require(isRunning, "what does not run is interrupted")
        isInterrupted = true
    }

    func perform(_ command: String) -> String { command }
}
