// A debugger's session of GDB's remote serial protocol: bytes of the client in, bytes for it out, and calls of its target. All-stop: the
// vCPUs are threads, numbered from 1, that stop together. It does no I/O. GDB's manual, appendix "GDB Remote Serial Protocol".

/// The session of one client.
public struct GDBSession {
    /// How the client ended it.
    public enum Ending: Equatable, Sendable {
        case detached
        /// The guest is to end too.
        case killed
    }

    private let target: any DebugTarget
    private var parser = GDBPacketParser()
    /// Packets are acknowledged.
    private var acknowledges = true
    /// The packet to be sent again if the client did not get it.
    private var last: [UInt8] = []
    /// The vCPU that registers and memory are those of.
    var selected = 0
    /// Addresses are guest-physical.
    var isPhysical = false
    /// The client understands why a breakpoint stopped the guest.
    var reportsBreakpoints = false
    /// What QEMU calls sstep: bit 0 that a vCPU can step, which is always set, bits 1 and 2 that it takes no interrupt then.
    var stepFlags: UInt64 = 7
    private var stop: DebugStop
    /// The guest is stopped, so the client may ask.
    public private(set) var isStopped = true
    /// Nil while it lasts.
    public private(set) var ending: Ending?

    /// A session with a client that finds the guest stopped.
    public init(_ target: any DebugTarget) {
        self.target = target
        stop = DebugStop(vcpu: 0, reason: .step)
    }

    // MARK: In and out

    /// Takes bytes of the client; returns what is sent to it.
    public mutating func receive(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        for byte in bytes where ending == nil {
            if let input = parser.append(byte) { output += take(input) }
        }
        return output
    }

    private mutating func take(_ input: GDBInput) -> [UInt8] {
        switch input {
        case .acknowledgement(let isPositive): return isPositive || !acknowledges ? [] : last
        case .interrupt:
            if !isStopped { target.interrupt() }
            return []
        case .damaged: return acknowledges ? [UInt8(ascii: "-")] : []
        case .tooLong: return acknowledgement + send("E22")
        case .packet(let data):
            // The answer to QStartNoAckMode is still acknowledged.
            let acknowledgement = acknowledgement
            guard let answer = answer(data[...]) else { return acknowledgement }
            return acknowledgement + answer
        }
    }

    private var acknowledgement: [UInt8] { acknowledges ? [UInt8(ascii: "+")] : [] }

    private mutating func send(_ data: [UInt8]) -> [UInt8] {
        last = GDBPacketParser.frame(data)
        return last
    }

    private mutating func send(_ text: String) -> [UInt8] { send(Array(text.utf8)) }

    /// Packets that show text in the debugger's console.
    private mutating func show(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        return stride(from: 0, to: bytes.count, by: 1024).reduce(into: []) {
            $0 += send("O" + Array(bytes[$1..<min($1 + 1024, bytes.count)]).hexadecimal)
        }
    }

    /// The guest stopped; returns what is sent to the client, which waits for that.
    public mutating func report(_ stop: DebugStop) -> [UInt8] {
        guard !isStopped, ending == nil else { return [] }
        (self.stop, isStopped, selected) = (stop, true, stop.vcpu)
        return (stop.message.map { show($0 + "\n") } ?? []) + send(stopReply)
    }

    /// The run ended with an exit code, or by a signal; returns what is sent to the client.
    public mutating func end(exitCode: Int32, signal: Int32?) -> [UInt8] {
        guard ending == nil else { return [] }
        ending = .detached
        let number = UInt64(truncatingIfNeeded: signal ?? exitCode) & 0xff
        return send((signal == nil ? "W" : "X") + hex(number, digits: 2))
    }

    // MARK: Packets

    /// The answer to a packet, framed; nil if there is none.
    private mutating func answer(_ data: Word) -> [UInt8]? {
        guard let letter = data.first else { return send("") }
        let rest = data.dropFirst()
        if !isStopped, !"?DkvR".utf8.contains(letter) { return send("E.the guest runs; interrupt it first") }
        switch Character(UnicodeScalar(letter)) {
        case "?":
            // A client that asks has lost the thread: the guest is stopped, or will be.
            if !isStopped { target.interrupt() }
            return isStopped ? send(stopReply) : nil
        case "g": return send(registers)
        case "G": return send(setRegisters(rest))
        case "p": return send(readRegister(rest))
        case "P": return send(writeRegister(rest))
        case "m", "x": return send(read(rest, isBinary: letter == UInt8(ascii: "x")))
        case "M", "X": return send(write(rest, isBinary: letter == UInt8(ascii: "X")))
        case "Z", "z": return send(changeBreakpoint(rest, isInserted: letter == UInt8(ascii: "Z")))
        case "c", "s", "C", "S": return resume(letter, rest)
        case "v": return multiletter(rest)
        case "H": return send(select(rest))
        case "T": return send(thread(rest) == nil ? "E22" : "OK")
        case "D":
            ending = .detached
            return send("OK")
        case "k":
            ending = .killed
            return nil
        case "q", "Q":
            if let command = rest.removing("Rcmd,") { return perform(command) }
            return send(query(data))
        default: return send("")
        }
    }

    private mutating func multiletter(_ data: Word) -> [UInt8]? {
        if data.text == "Cont?" { return send("vCont;c;C;s;S") }
        if let actions = data.removing("Cont;") { return resumeThreads(actions) }
        if data.removing("Kill") != nil {
            ending = .killed
            return send("OK")
        }
        return send("")
    }

    /// Carries out a `monitor` command, in hexadecimal.
    private mutating func perform(_ command: Word) -> [UInt8] {
        guard let line = command.hexadecimalPairs else { return send("E22") }
        return show(target.perform(String(decoding: line, as: UTF8.self))) + send("OK")
    }

    /// Starts a session's packets without acknowledgements.
    mutating func stopAcknowledging() { acknowledges = false }

    // MARK: Threads

    /// Its target, for the queries.
    var threads: [String] { (1...target.processorCount).map { hex(UInt64($0), digits: 2) } }

    var hasAVX: Bool { target.hasAVX }

    /// What a thread does, in words.
    func activity(_ word: Word) -> String? {
        thread(word).map { "CPU#\($0) [\(target.activity(of: $0))]" }
    }

    /// The vCPU of a thread's number; that of 0, any, is the selected one.
    private func thread(_ word: Word) -> Int? {
        guard let number = word.hexadecimalNumber else { return nil }
        if number == 0 { return selected }
        return number <= target.processorCount ? Int(number) - 1 : nil
    }

    private mutating func select(_ data: Word) -> String {
        guard let kind = data.first, "gc".utf8.contains(kind) else { return "E22" }
        let word = data.dropFirst()
        if word.text == "-1" { return "OK" }
        guard let vcpu = thread(word) else { return "E22" }
        if kind == UInt8(ascii: "g") { selected = vcpu }
        return "OK"
    }

    /// Why the guest stopped, as a packet.
    private var stopReply: String {
        let thread = "thread:\(hex(UInt64(stop.vcpu) + 1, digits: 2));"
        switch stop.reason {
        case .interrupt: return "T02\(thread)"
        case .step, .device: return "T05\(thread)"
        case .breakpoint(let kind):
            let why = reportsBreakpoints ? (kind == .software ? "swbreak:;" : "hwbreak:;") : ""
            return "T05\(thread)\(why)"
        case .watchpoint(let kind, let address):
            let name = kind == .write ? "watch" : kind == .read ? "rwatch" : "awatch"
            return "T05\(thread)\(name):\(hex(address, digits: 1));"
        }
    }

    // MARK: Going on

    private var step: ResumeAction { .step(blocksInterrupts: stepFlags & 6 != 0) }

    /// c, s, C and S: the selected vCPU steps, or all run; a signal has no meaning, an address is where it goes on.
    private mutating func resume(_ letter: UInt8, _ data: Word) -> [UInt8]? {
        let isStep = letter | 0x20 == UInt8(ascii: "s")
        let address =
            letter & 0x20 != 0
            ? data
            : data.split(separator: UInt8(ascii: ";"), maxSplits: 1, omittingEmptySubsequences: false).dropFirst().first
                ?? []
        if !address.isEmpty {
            guard let rip = address.hexadecimalNumber, var registers = target.registers(of: selected) else {
                return send("E22")
            }
            registers.rip = rip
            guard target.setRegisters(registers, of: selected) else { return send("E22") }
        }
        var actions = [ResumeAction?](repeating: isStep ? nil : .run, count: target.processorCount)
        if isStep { actions[selected] = step }
        return resume(actions)
    }

    /// vCont: of the actions the first that names a thread, or all, is that thread's.
    private mutating func resumeThreads(_ data: Word) -> [UInt8]? {
        var actions = [ResumeAction?](repeating: nil, count: target.processorCount)
        for word in data.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false) {
            let parts = word.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
            let action: ResumeAction
            switch parts[0].first.map({ Character(UnicodeScalar($0 | 0x20)) }) {
            case "c": action = .run
            case "s": action = step
            default: return send("E22")
            }
            guard parts.count == 2, parts[1].text != "-1" else {
                for index in actions.indices where actions[index] == nil { actions[index] = action }
                continue
            }
            guard let vcpu = thread(parts[1]) else { return send("E22") }
            if actions[vcpu] == nil { actions[vcpu] = action }
        }
        return resume(actions)
    }

    private mutating func resume(_ actions: [ResumeAction?]) -> [UInt8]? {
        guard isStopped else { return nil }
        guard actions.contains(where: { $0 != nil }) else { return send("E22") }
        isStopped = false
        target.resume(actions)
        return nil
    }

    // MARK: Registers

    private var numbered: [RegisterFile.Register] { RegisterFile.registers(hasAVX: target.hasAVX) }

    private var registers: String {
        guard let file = target.registers(of: selected) else { return "E14" }
        return numbered.flatMap { file[$0] }.hexadecimal
    }

    private func setRegisters(_ data: Word) -> String {
        guard var file = target.registers(of: selected), var values = data.hexadecimalPairs.map({ $0[...] }) else {
            return "E22"
        }
        for register in numbered {
            // A client may know fewer registers.
            guard values.count >= register.width else { break }
            file[register] = Array(values.prefix(register.width))
            values = values.dropFirst(register.width)
        }
        return target.setRegisters(file, of: selected) ? "OK" : "E22"
    }

    private func readRegister(_ data: Word) -> String {
        guard let number = data.hexadecimalNumber, number < numbered.count else { return "E22" }
        guard let file = target.registers(of: selected) else { return "E14" }
        return file[numbered[Int(number)]].hexadecimal
    }

    private func writeRegister(_ data: Word) -> String {
        let parts = data.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let number = parts[0].hexadecimalNumber, number < numbered.count,
            let value = parts[1].hexadecimalPairs, value.count == numbered[Int(number)].width,
            var file = target.registers(of: selected)
        else { return "E22" }
        file[numbered[Int(number)]] = value
        return target.setRegisters(file, of: selected) ? "OK" : "E22"
    }

    // MARK: Memory

    /// Most bytes read at once: their answer is a packet.
    private static let most = UInt64(GDBPacketParser.capacity / 2 - 8)

    private var space: DebugSpace { isPhysical ? .physical : .linear(vcpu: selected) }

    /// The address and the length in front of `separator`, and what is behind it.
    private func range(_ data: Word, _ separator: UInt8) -> (address: UInt64, count: UInt64, rest: Word)? {
        let parts = data.split(separator: separator, maxSplits: 1, omittingEmptySubsequences: false)
        let numbers = parts[0].split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        guard numbers.count == 2, let address = numbers[0].hexadecimalNumber, let count = numbers[1].hexadecimalNumber
        else { return nil }
        return (address, count, parts.count == 2 ? parts[1] : [])
    }

    private func read(_ data: Word, isBinary: Bool) -> [UInt8] {
        guard let (address, count, _) = range(data, UInt8(ascii: ":")) else { return Array("E22".utf8) }
        let bytes = target.read(address, count: Int(min(count, Self.most)), in: space)
        guard !bytes.isEmpty || count == 0 else { return Array("E14".utf8) }
        return isBinary ? [UInt8(ascii: "b")] + bytes : Array(bytes.hexadecimal.utf8)
    }

    private func write(_ data: Word, isBinary: Bool) -> String {
        guard let (address, count, content) = range(data, UInt8(ascii: ":")),
            let bytes = isBinary ? Array(content) : content.hexadecimalPairs, bytes.count == count
        else { return "E22" }
        return target.write(bytes, at: address, in: space) ? "OK" : "E14"
    }

    // MARK: Breakpoints

    /// Z and z: KIND,ADDRESS,LENGTH. A breakpoint's length is that of its instruction, and not used.
    private func changeBreakpoint(_ data: Word, isInserted: Bool) -> String {
        guard let digit = data.first?.hexadecimalDigit,
            let (address, count, _) = range(data.dropFirst(2), UInt8(ascii: ";"))
        else {
            return "E22"
        }
        guard let kind = Breakpoint.Kind(rawValue: UInt64(digit)) else { return "" }
        let breakpoint = Breakpoint(kind: kind, address: address, length: kind.isExecution ? 1 : count)
        guard isInserted else {
            target.remove(breakpoint)
            return "OK"
        }
        do throws(DebugError) {
            try target.insert(breakpoint, vcpu: selected)
            return "OK"
        } catch { return "E.\(error.text)" }
    }
}

extension Word {
    /// A number of hexadecimal digits; nil for anything else, and for more than 64 bits.
    var hexadecimalNumber: UInt64? {
        guard (1...16).contains(count), allSatisfy({ $0.hexadecimalDigit != nil }) else { return nil }
        return reduce(0) { $0 << 4 | UInt64($1.hexadecimalDigit ?? 0) }
    }

    /// What is behind `prefix`; nil if that is not in front.
    func removing(_ prefix: String) -> Word? { starts(with: prefix.utf8) ? dropFirst(prefix.utf8.count) : nil }
}
