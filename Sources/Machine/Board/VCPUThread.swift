// A virtual processor in its thread: run, hand the exit to the board, again.

import KVM

/// Runs a vCPU until the machine's end.
final class VCPUThread {
    private let stopHandle: StopHandle
    private let processor: Processor
    private var thread: Thread?

    /// Starts the thread. The vCPU is its own from here on.
    init(_ vcpu: consuming VCPU, id: Int, board: Board, completion: RunCompletion) throws(MachineError) {
        stopHandle = vcpu.stopHandle
        let processor = Processor(vcpu, id, board, completion)
        self.processor = processor
        thread = try Thread("vcpu\(id)") { processor.runToTheEnd() }
    }

    /// Makes the thread come out, wherever its guest is. The end has been reported before.
    func requestStop() { stopHandle.requestStop() }

    /// Waits for the thread's end.
    func join() { thread.take()?.join() }

    /// How often the guest left it; to be called after `join`.
    var counts: ExitCounts { processor.counts }

    /// Where its guest is; to be called after `join`.
    var position: String { processor.position }
}

/// A vCPU and what it runs on. Used by one thread.
private final class Processor: @unchecked Sendable {
    private var vcpu: VCPU
    private let id: Int
    private let board: Board
    private let completion: RunCompletion

    init(_ vcpu: consuming VCPU, _ id: Int, _ board: Board, _ completion: RunCompletion) {
        self.vcpu = vcpu
        self.id = id
        self.board = board
        self.completion = completion
    }

    func runToTheEnd() {
        do throws(KVMError) {
            while !stopped {
                guard let outcome = try step() else { continue }
                completion.report(outcome)
                return
            }
        } catch {
            completion.report(crash("KVM failed: \(error)"))
        }
    }

    /// Its exits so far, and the last of them.
    private(set) var counts = ExitCounts()
    private var recent = RecentExits()

    /// Set by an interrupted run after the end was reported.
    private var stopped = false

    /// Runs to the next exit and serves it; an outcome if that was the last.
    private func step() throws(KVMError) -> Machine.Outcome? {
        let exit = try vcpu.run()
        counts.count(exit)
        recent.add(exit)
        switch exit {
        case .mmioRead(let address, let width): answer(board.readMemory(address, width: width))
        case .mmioWrite(let address, let width, let value):
            if !board.writeMemory(address, width: width, value: value) { counts.unanswered += 1 }
        case .portIn(let port, let width): answer(board.readPort(port, width: width))
        case .portOut(let port, let width, let value):
            switch board.writePort(port, width: width, value: value) {
            case .taken: break
            case .unanswered:
                counts.unanswered += 1
                if port == SerialPort.ports.lowerBound { counts.lostOutput += 1 }
            case .end(let outcome): return outcome
            }
        case .interrupted: stopped = completion.isReached
        case .hlt: return crash("the guest halted where nothing can wake it")
        case .shutdown: return crash("the guest crashed: triple fault")
        case .failEntry(let reason): return crash("the processor refused the guest's state (reason \(reason))")
        case .internalError(let suberror, let instruction): return crash(describe(suberror, instruction))
        case .systemEvent(let type): return crash("the guest asked KVM for system event \(type)")
        case .unknown(let reason): return crash("KVM stopped for a reason that vmm does not know (\(reason))")
        }
        return nil
    }

    /// Completes a read; nobody reads as all ones.
    private func answer(_ value: UInt64?) {
        if value == nil { counts.unanswered += 1 }
        vcpu.complete(value ?? .max)
    }

    private func crash(_ what: String) -> Machine.Outcome {
        .crashed("\(what)\n  vcpu\(id):\n\(registers)\n\(recent.text)")
    }

    /// One line about where the guest is.
    var position: String {
        guard let registers = try? vcpu.registers(), let activity = try? vcpu.activity() else {
            return "its state cannot be read"
        }
        let doing =
            switch activity {
            case .running: "running"
            case .halted: "halted"
            case .notStarted: "not started"
            }
        return "\(doing) at rip \(hex(registers.rip, digits: 16)), rsp \(hex(registers.rsp, digits: 16)), "
            + "interrupts \(registers.rflags & 1 << 9 != 0 ? "on" : "off")"
    }

    private func describe(_ suberror: UInt32, _ instruction: VCPU.Instruction?) -> String {
        // 1 is KVM_INTERNAL_ERROR_EMULATION.
        guard suberror == 1 else { return "KVM could not go on (internal error \(suberror))" }
        guard let instruction else { return "KVM could not emulate an instruction" }
        let bytes = instruction.bytes.map { hex(UInt64($0), digits: 2) }.joined(separator: " ")
        return "KVM could not emulate an instruction; the bytes there: \(bytes)"
    }

    /// The registers, four a line.
    private var registers: String {
        guard let general = try? vcpu.registers(), let special = try? vcpu.specialRegisters() else {
            return "  (its registers cannot be read)"
        }
        let rows: [[(String, UInt64)]] = [
            [("rip", general.rip), ("rflags", general.rflags), ("rsp", general.rsp), ("rbp", general.rbp)],
            [("rax", general.rax), ("rbx", general.rbx), ("rcx", general.rcx), ("rdx", general.rdx)],
            [("rsi", general.rsi), ("rdi", general.rdi), ("r8", general.r8), ("r9", general.r9)],
            [("r10", general.r10), ("r11", general.r11), ("r12", general.r12), ("r13", general.r13)],
            [("r14", general.r14), ("r15", general.r15), ("cr0", special.cr0), ("cr2", special.cr2)],
            [("cr3", special.cr3), ("cr4", special.cr4), ("efer", special.efer), ("cs", UInt64(special.cs.selector))],
        ]
        return rows.map { row in
            "  "
                + row.map { $0 + String(repeating: " ", count: 7 - $0.count) + hex($1, digits: 16) }
                .joined(separator: "  ")
        }.joined(separator: "\n")
    }
}

/// `value` in hexadecimal, at least `digits` of them.
func hex(_ value: UInt64, digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}
