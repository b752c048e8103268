// A debugger's session of GDB's remote serial protocol: bytes of the client in, bytes for it out, and calls of its target. All-stop: the
// vCPUs are threads, numbered from 1, that stop together. It does no I/O. GDB manual, appendix E, "GDB Remote Serial Protocol"; of QEMU's
// gdbstub the packets `qqemu.*`.

/// The session of one client.
public struct GDBSession {
    /// How the client ended it.
    public enum Ending: Equatable, Sendable {
        /// The guest goes on without a debugger.
        case detached
        /// The guest is to end too.
        case killed
    }

    private let target: any DebugTarget
    private var parser = GDBPacketParser()
    private var output: [UInt8] = []
    /// Packets are acknowledged.
    private var acknowledges = true
    /// The packet that is sent again if the client did not receive it.
    private var last: [UInt8] = []
    /// The vCPU whose registers and page tables are used.
    private(set) var selected = 0
    /// Addresses are guest-physical.
    private var isPhysical = false
    /// The client understands `swbreak` and `hwbreak` in a stop reply.
    private var reportsBreakpoints = false
    /// QEMU's sstep: bit 0 is set, bits 1 and 2 block interrupts and timers during a step.
    private var stepFlags: UInt64 = 7
    private var stop = DebugStop(vcpu: 0, reason: .step)
    /// The guest is stopped, so the client may ask.
    public private(set) var isStopped = true
    /// Nil while the session lasts.
    public private(set) var ending: Ending?

    /// A session with a client that finds the guest stopped.
    public init(_ target: any DebugTarget) { self.target = target }

    // MARK: Input and output

    /// Takes bytes of the client; returns what is sent to it: at most one packet of 16 KiB for each in `bytes`, and what `monitor` prints.
    public mutating func receive(_ bytes: [UInt8]) -> [UInt8] {
        for byte in bytes where ending == nil { if let input = parser.append(byte) { take(input) } }
        return takeOutput()
    }

    /// The guest stopped; returns what is sent to the client, which waits for that.
    public mutating func report(_ stop: DebugStop) -> [UInt8] {
        guard !isStopped, ending == nil else { return [] }
        (self.stop, isStopped, selected) = (stop, true, stop.vcpu)
        if let message = stop.message { show(message + "\n") }
        send(stopReply)
        return takeOutput()
    }

    /// The run ended with an exit code, or by a signal; returns what is sent to the client.
    public mutating func end(exitCode: Int32, signal: Int32?) -> [UInt8] {
        guard ending == nil else { return [] }
        ending = .detached
        send((signal == nil ? "W" : "X") + hex(UInt64(truncatingIfNeeded: signal ?? exitCode) & 0xff, digits: 2))
        return takeOutput()
    }

    private mutating func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    private mutating func take(_ input: GDBInput) {
        switch input {
        case .acknowledgement(let isPositive): if !isPositive && acknowledges { output += last }
        case .interrupt: if !isStopped { target.interrupt() }
        case .damaged: if acknowledges { output.append(UInt8(ascii: "-")) }
        case .packet(let data):
            // Before the answer: that to QStartNoAckMode is still acknowledged.
            if acknowledges { output.append(UInt8(ascii: "+")) }
            do throws(DebugError) {
                guard let data else { throw Self.malformed }
                if let answer = try answer(data[...]) { send(answer) }
            } catch { send(error.reply) }
        }
    }

    private mutating func send(_ data: [UInt8]) {
        last = GDBPacketParser.frame(data)
        output += last
    }

    private mutating func send(_ text: String) { send(Array(text.utf8)) }

    /// Sends text for the debugger's console.
    private mutating func show(_ text: String) {
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: 1024) {
            send("O" + Array(bytes[start..<min(start + 1024, bytes.count)]).hexadecimal)
        }
    }

    // MARK: Packets

    private static let malformed = DebugError.number(22)
    private static let notInMemory = DebugError.number(14)

    /// The answer to a packet; nil if there is none, or none yet; empty if the packet is unknown.
    private mutating func answer(_ data: Word) throws(DebugError) -> String? {
        guard let letter = data.first else { return "" }
        let rest = data.dropFirst()
        guard isStopped || "?Dkv".utf8.contains(letter) else {
            throw .sentence("the guest runs; interrupt it first")
        }
        switch Character(UnicodeScalar(letter)) {
        case "?":
            // A client that asks has missed the stop: the guest is stopped, or will be.
            if !isStopped { target.interrupt() }
            return isStopped ? stopReply : nil
        case "g":
            let file = try target.registers(of: selected)
            return numbered.flatMap { file[$0] }.hexadecimal
        case "G": try setRegisters(rest)
        case "p": return try target.registers(of: selected)[register(rest)].hexadecimal
        case "P": try setRegister(rest)
        case "m", "x": return try read(rest, isBinary: letter == UInt8(ascii: "x"))
        case "M", "X": try write(rest, isBinary: letter == UInt8(ascii: "X"))
        case "Z", "z":
            if "56789".utf8.contains(rest.first ?? 0) { return "" }
            try changeBreakpoint(rest, isInserted: letter == UInt8(ascii: "Z"))
        case "c", "s", "C", "S": return try resume(letter, rest)
        case "v" where rest.text == "Cont?": return "vCont;c;C;s;S"
        case "v" where rest.starts(with: "Cont;".utf8): return try resumeThreads(rest.dropFirst(5))
        case "v" where rest.cut(";").first.text == "Kill": ending = .killed
        case "H": try select(rest)
        case "T": _ = try vcpu(rest)
        case "D": ending = .detached
        case "k":
            ending = .killed
            return nil
        case "q", "Q": return try query(data)
        default: return ""
        }
        return "OK"
    }

    private func number(_ word: Word) throws(DebugError) -> UInt64 {
        guard let number = word.hexadecimalNumber else { throw Self.malformed }
        return number
    }

    private func bytes(_ word: Word) throws(DebugError) -> [UInt8] {
        guard let bytes = word.hexadecimalPairs else { throw Self.malformed }
        return bytes
    }

    /// The two numbers around a comma.
    private func pair(_ word: Word) throws(DebugError) -> (first: UInt64, second: UInt64) {
        let (first, second) = word.cut(",")
        return (try number(first), try number(second ?? []))
    }

    // MARK: Threads

    private func threadID(_ vcpu: Int) -> String { hex(UInt64(vcpu) + 1, digits: 2) }

    /// The vCPU of a thread's number; that of 0, any thread, is the selected one.
    private func vcpu(_ word: Word) throws(DebugError) -> Int {
        let number = try number(word)
        guard number <= UInt64(target.processorCount) else { throw Self.malformed }
        return number == 0 ? selected : Int(number) - 1
    }

    /// Hg selects a thread for registers and memory; Hc one to be resumed, which vCont names itself.
    private mutating func select(_ data: Word) throws(DebugError) {
        let (kind, thread) = (data.prefix(1).text, data.dropFirst())
        guard kind == "g" || kind == "c" else { throw Self.malformed }
        let vcpu = thread.text == "-1" ? selected : try vcpu(thread)
        if kind == "g" { selected = vcpu }
    }

    /// Why the guest stopped (appendix E.3, "Stop Reply Packets").
    private var stopReply: String {
        let thread = "thread:\(threadID(stop.vcpu));"
        switch stop.reason {
        case .interrupt: return "T02\(thread)"
        case .breakpoint(let kind, let address) where !kind.isExecution || reportsBreakpoints:
            let name = ["swbreak", "hwbreak", "watch", "rwatch", "awatch"][Int(kind.rawValue)]
            return "T05\(thread)\(name):\(kind.isExecution ? "" : hex(address, digits: 1));"
        case .step, .device, .breakpoint: return "T05\(thread)"
        }
    }

    // MARK: Resuming

    private func action(_ letter: UInt8?) throws(DebugError) -> ResumeAction {
        switch letter.map({ $0 | 0x20 }) {
        case UInt8(ascii: "c"): return .run
        case UInt8(ascii: "s"): return .step(blocksInterrupts: stepFlags & 6 != 0)
        default: throw Self.malformed
        }
    }

    /// c and s with an address, C and S with a signal, which has no meaning here, and an address: all vCPUs run, or the selected one steps.
    private mutating func resume(_ letter: UInt8, _ data: Word) throws(DebugError) -> String? {
        let address = letter & 0x20 != 0 ? data : data.cut(";").rest ?? []
        if !address.isEmpty {
            var file = try target.registers(of: selected)
            file.rip = try number(address)
            try target.setRegisters(file, of: selected)
        }
        let action = try action(letter)
        var actions = [ResumeAction?](repeating: action == .run ? action : nil, count: target.processorCount)
        actions[selected] = action
        return try resume(actions)
    }

    /// vCont: the first action that names a thread, or all, is that thread's.
    private mutating func resumeThreads(_ data: Word) throws(DebugError) -> String? {
        var actions = [ResumeAction?](repeating: nil, count: target.processorCount)
        for word in data.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false) {
            let (verb, thread) = word.cut(":")
            let action = try action(verb.first)
            let isEvery = thread.map { $0.text == "-1" } ?? true
            for index in try isEvery ? Array(actions.indices) : [vcpu(thread ?? [])] where actions[index] == nil {
                actions[index] = action
            }
        }
        return try resume(actions)
    }

    private mutating func resume(_ actions: [ResumeAction?]) throws(DebugError) -> String? {
        guard isStopped, actions.contains(where: { $0 != nil }) else { throw Self.malformed }
        isStopped = false
        target.resume(actions)
        return nil
    }

    // MARK: Registers

    private var numbered: [RegisterFile.Register] { RegisterFile.registers(hasAVX: target.hasAVX) }

    private func register(_ word: Word) throws(DebugError) -> RegisterFile.Register {
        let number = try number(word)
        guard number < UInt64(numbered.count) else { throw Self.malformed }
        return numbered[Int(number)]
    }

    private func setRegisters(_ data: Word) throws(DebugError) {
        var (file, values) = (try target.registers(of: selected), try bytes(data)[...])
        // A client may know fewer registers.
        for register in numbered where values.count >= register.width {
            file[register] = Array(values.prefix(register.width))
            values = values.dropFirst(register.width)
        }
        try target.setRegisters(file, of: selected)
    }

    /// P NUMBER=VALUE
    private func setRegister(_ data: Word) throws(DebugError) {
        let (name, text) = data.cut("=")
        let (register, value) = (try register(name), try bytes(text ?? []))
        guard value.count == register.width else { throw Self.malformed }
        var file = try target.registers(of: selected)
        file[register] = value
        try target.setRegisters(file, of: selected)
    }

    // MARK: Memory and breakpoints

    /// Most bytes that are read at once: as many as a packet holds in hexadecimal.
    private static let longestRead = UInt64(GDBPacketParser.capacity / 2 - 8)

    private var addressSpace: Int? { isPhysical ? nil : selected }

    /// m ADDRESS,LENGTH; x the same, answered in binary.
    private mutating func read(_ data: Word, isBinary: Bool) throws(DebugError) -> String? {
        let (address, count) = try pair(data)
        let bytes = target.read(address, count: Int(min(count, Self.longestRead)), vcpu: addressSpace)
        guard !bytes.isEmpty || count == 0 else { throw Self.notInMemory }
        guard isBinary else { return bytes.hexadecimal }
        send([UInt8(ascii: "b")] + bytes)
        return nil
    }

    /// M ADDRESS,LENGTH:BYTES; X the same in binary.
    private func write(_ data: Word, isBinary: Bool) throws(DebugError) {
        let (place, content) = data.cut(":")
        let (address, count) = try pair(place)
        let bytes = try isBinary ? Array(content ?? []) : bytes(content ?? [])
        guard UInt64(bytes.count) == count else { throw Self.malformed }
        try target.write(bytes, at: address, vcpu: addressSpace)
    }

    /// Z and z: KIND,ADDRESS,LENGTH and conditions behind a semicolon, of which none is offered. The length of a breakpoint is that of its
    /// instruction, which is not needed.
    private func changeBreakpoint(_ data: Word, isInserted: Bool) throws(DebugError) {
        let (digit, rest) = data.cut(",")
        guard let kind = Breakpoint.Kind(rawValue: try number(digit)) else { throw Self.malformed }
        let (address, length) = try pair((rest ?? []).cut(";").first)
        let breakpoint = Breakpoint(kind: kind, address: address, length: kind.isExecution ? 1 : length)
        if isInserted { try target.insert(breakpoint, vcpu: selected) } else { target.remove(breakpoint) }
    }

    // MARK: Queries

    private mutating func query(_ data: Word) throws(DebugError) -> String? {
        let name = data.prefix { !":,=".utf8.contains($0) }
        let rest = data.dropFirst(name.count + 1)
        switch name.text {
        case "qRcmd":
            show(target.perform(String(decoding: try bytes(rest), as: UTF8.self)))
            return "OK"
        case "qSupported":
            let offered = rest.split(separator: UInt8(ascii: ";")).map(\.text)
            reportsBreakpoints = offered.contains("swbreak+") && offered.contains("hwbreak+")
            return "PacketSize=\(hex(UInt64(GDBPacketParser.capacity), digits: 1));QStartNoAckMode+;"
                + "qXfer:features:read+;vContSupported+;swbreak+;hwbreak+;binary-upload+"
        case "QStartNoAckMode": acknowledges = false
        case "qAttached", "qqemu.PhyMemMode": return name.text == "qAttached" || isPhysical ? "1" : "0"
        case "qC": return "QC\(threadID(selected))"
        case "qfThreadInfo": return "m" + (0..<target.processorCount).map(threadID).joined(separator: ",")
        case "qsThreadInfo": return "l"
        case "qThreadExtraInfo":
            let vcpu = try vcpu(rest)
            return Array("CPU#\(vcpu) [\(target.activity(of: vcpu))]".utf8).hexadecimal
        case "qSymbol": break
        case "qXfer": return try transfer(rest)
        case "qqemu.Supported": return "sstepbits;sstep;PhyMemMode"
        case "qqemu.sstepbits": return "ENABLE=1,NOIRQ=2,NOTIMER=4"
        case "qqemu.sstep": return "0x\(hex(stepFlags, digits: 1))"
        case "Qqemu.sstep":
            let flags = try number(rest)
            guard flags < 8 else { throw Self.malformed }
            stepFlags = flags
        case "Qqemu.PhyMemMode": isPhysical = try number(rest) != 0
        default: return ""
        }
        return "OK"
    }

    /// qXfer:features:read:target.xml:OFFSET,LENGTH
    private func transfer(_ data: Word) throws(DebugError) -> String {
        let words = data.split(separator: UInt8(ascii: ":"), maxSplits: 3, omittingEmptySubsequences: false)
        guard words.count == 4, words[0].text == "features", words[1].text == "read" else { return "" }
        guard words[2].text == "target.xml" else { return "E00" }
        let (offset, length) = try pair(words[3])
        let text = Array(RegisterFile.description(hasAVX: target.hasAVX).utf8)
        guard offset <= UInt64(text.count) else { throw Self.malformed }
        let part = text[Int(offset)...].prefix(Int(min(length, Self.longestRead)))
        return (part.endIndex == text.count ? "l" : "m") + part.text
    }
}
