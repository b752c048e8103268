// A virtual processor and its thread: KVM_RUN, the board serves the exit, and again.

import KVM

/// Runs a vCPU in a thread until the machine's end.
final class VCPUThread {
    private let id: Int
    private let stopHandle: StopHandle
    private let processor: Processor
    private var thread: Thread?

    /// Takes the vCPU `id`, which does not run before `start`.
    init(
        _ vcpu: consuming VCPU, id: Int, vm: SharedVM, board: Board, completion: RunCompletion, symbols: Symbols,
        debugger: Debugger?
    ) {
        self.id = id
        stopHandle = vcpu.stopHandle
        processor = Processor(vcpu, id, vm, board, completion, symbols, debugger)
    }

    /// Starts the thread, which runs the vCPU when the sandbox is closed and the threads of `others` are about to enter KVM_RUN.
    func start(after others: [VCPUThread] = []) throws(MachineError) {
        thread = try Thread("vcpu\(id)", .vcpu) { [processor, others = others.map(\.processor)] in
            guard Sandbox.awaitOthers() else { return }
            for other in others { other.waitUntilRunning() }
            processor.runToTheEnd()
        }
    }

    /// Makes KVM_RUN return and the thread end. Any thread may call this.
    func requestStop() {
        processor.requestStop()
        stopHandle.requestStop()
    }

    /// Makes KVM_RUN return and the thread wait for `resume`. Any thread may call this.
    func requestPause() {
        processor.setPaused(true)
        stopHandle.requestStop()
    }

    /// Waits until the thread runs no instruction of the guest; false if it still serves an exit at `deadline`.
    func waitUntilPaused(_ deadline: Instant) -> Bool { processor.waitUntilPaused(deadline) }

    /// Ends a pause. Any thread may call this.
    func resume() { processor.setPaused(false) }

    /// Calls `body` with the vCPU if its thread is paused; otherwise returns nil. Any thread may call this.
    func whilePaused<Result>(_ body: (borrowing VCPU) -> Result) -> Result? { processor.whilePaused(body) }

    /// Whether the calling thread is the vCPU's.
    var isCurrentThread: Bool { stopHandle.isCurrentThread }

    /// Sends the vCPU a non-maskable interrupt before its next instruction. Any thread may call this.
    func requestNMI() {
        processor.requestNMI()
        stopHandle.requestStop()
    }

    /// The vCPU's state for a snapshot, by the names of its parts; nil if it runs. Any thread may call this.
    func saved(_ registers: [UInt32]) throws(KVMError) -> [String: [UInt8]]? { try processor.saved(registers) }

    /// The frequency of its time-stamp counter in kHz; 0 if KVM does not tell.
    var tscFrequency: Int { processor.tscFrequency }

    /// The kernel's id of the thread.
    var threadID: Int { Int(stopHandle.threadID) }

    /// Waits for the thread's end.
    func join() { thread.take()?.join() }

    /// The vCPU's exits; to be called after `join`.
    var counts: ExitCounts { processor.counts }

    /// Makes the thread note the vCPU's state, for `state`. Any thread may call this.
    func requestState() { if processor.requestState() { stopHandle.requestStop() } }

    /// The state of the vCPU when it was requested last; nil if the thread does not note it before `deadline`, because it
    /// serves an exit. Any thread may call this.
    func state(until deadline: Instant) -> ProcessorState? { processor.state(until: deadline) }
}

/// A vCPU, its board and its state. Except where a method says so, only the vCPU's thread uses it.
private final class Processor: @unchecked Sendable {
    private var vcpu: VCPU
    private let id: Int
    private let board: Board
    private let completion: RunCompletion
    private let vm: SharedVM
    private let symbols: Symbols
    private let debugger: Debugger?

    /// The exits so far, and the last of them.
    private(set) var counts = ExitCounts()
    private var recent = RecentExits()
    /// KVM_RUN was interrupted for the end of the thread.
    private var stopped = false

    private let lock = Lock()
    // Under the lock:
    private var phase = Phase.created
    private var isStateRequested = false
    private var isStopping = false
    private var isPauseWanted = false
    private var isNMIWanted = false
    private var latest: ProcessorState?

    private enum Phase {
        case created
        /// The thread notes the state when that is requested.
        case running
        /// The same, and the guest does not run.
        case paused
        case ended
    }

    init(
        _ vcpu: consuming VCPU, _ id: Int, _ vm: SharedVM, _ board: Board, _ completion: RunCompletion,
        _ symbols: Symbols, _ debugger: Debugger?
    ) {
        self.debugger = debugger
        self.vm = vm
        self.symbols = symbols
        self.vcpu = vcpu
        self.id = id
        self.board = board
        self.completion = completion
        latest = currentState
    }

    func runToTheEnd() {
        lock.locked {
            phase = .running
            lock.broadcast()
        }
        defer { noteState(isLast: true) }
        do throws(KVMError) {
            while !stopped {
                guard let outcome = try step() else { continue }
                completion.report(outcome)
                return
            }
        } catch {
            completion.report(crash("KVM failed: \(error)\(remedy(error.errno))"))
        }
    }

    // MARK: Requests of other threads

    /// Waits until the vCPU's thread, which was started, is about to enter KVM_RUN, or is to end. Any thread may call this.
    func waitUntilRunning() { lock.locked { while phase == .created && !isStopping { lock.wait() } } }

    /// Makes the thread end when KVM_RUN is interrupted. Any thread may call this.
    func requestStop() {
        lock.locked {
            isStopping = true
            lock.broadcast()
        }
    }

    /// Requests a pause when KVM_RUN is interrupted, or ends one. Any thread may call this.
    func setPaused(_ isPaused: Bool) {
        lock.locked {
            isPauseWanted = isPaused
            lock.broadcast()
        }
    }

    /// Waits until the guest does not run, and its thread waits or has ended; false if that is not so at `deadline`. Any thread may call
    /// this.
    func waitUntilPaused(_ deadline: Instant) -> Bool {
        lock.locked {
            while phase == .created || phase == .running { guard lock.wait(until: deadline) else { return false } }
            return true
        }
    }

    /// The vCPU's state with these model-specific registers; nil if it runs. Any thread may call this: the vCPU's own waits for the lock.
    func saved(_ registers: [UInt32]) throws(KVMError) -> [String: [UInt8]]? {
        try lock.locked { () throws(KVMError) in
            guard phase == .paused else { return nil }
            return try vcpu.saved(registers)
        }
    }

    /// The frequency of the time-stamp counter in kHz; 0 if KVM does not tell. Any thread may call this.
    var tscFrequency: Int { (try? vcpu.tscFrequency()) ?? 0 }

    /// Calls `body` with the vCPU if the guest does not run; otherwise returns nil. The vCPU's thread waits for the lock meanwhile. Any
    /// thread may call this.
    func whilePaused<Result>(_ body: (borrowing VCPU) -> Result) -> Result? {
        lock.locked { phase == .paused ? body(vcpu) : nil }
    }

    /// Requests a non-maskable interrupt. Any thread may call this.
    func requestNMI() { lock.locked { isNMIWanted = true } }

    /// Requests the state; true if KVM_RUN must be interrupted for it. Without a running thread the latest state remains.
    /// Any thread may call this.
    func requestState() -> Bool {
        lock.locked {
            isStateRequested = phase == .running || phase == .paused
            lock.broadcast()
            return isStateRequested
        }
    }

    /// The state that was requested; nil if it is not noted before `deadline`. Any thread may call this.
    func state(until deadline: Instant) -> ProcessorState? {
        lock.locked {
            while isStateRequested { guard lock.wait(until: deadline) else { return nil } }
            return latest
        }
    }

    /// Does what other threads requested, and waits while the machine is paused.
    private func serveRequests() throws(KVMError) {
        var wasPaused = false
        repeat {
            let (notes, interrupts) = lock.locked {
                phase = isPauseWanted && !isStopping ? .paused : .running
                lock.broadcast()
                while isPauseWanted, !isStopping, !isStateRequested { lock.wait() }
                stopped = isStopping
                let interrupts = isNMIWanted && !isPauseWanted
                if interrupts { isNMIWanted = false }
                return (isStateRequested, interrupts)
            }
            if notes { noteState() }
            if interrupts { try vcpu.injectNMI() }
            // Only this thread changes the phase.
            if phase == .paused { wasPaused = true }
        } while phase == .paused
        if wasPaused { vcpu.noteStop() }
    }

    private func noteState(isLast: Bool = false) {
        let state = currentState
        lock.locked {
            (latest, isStateRequested) = (state, false)
            if isLast { phase = .ended }
            lock.broadcast()
        }
    }

    private var currentState: ProcessorState? {
        guard let registers = try? vcpu.registers(), let activity = try? vcpu.activity() else { return nil }
        return ProcessorState(
            activity: activity, rip: registers.rip, rsp: registers.rsp,
            interruptsEnabled: registers.rflags & 1 << 9 != 0,
            accesses: counts.memory + counts.ports,
            frames: symbols.hasSource ? vm.stackFrames(of: vcpu, registers) : [])
    }

    // MARK: Exits

    /// Runs to the next exit and serves it; an outcome if that was the last.
    private func step() throws(KVMError) -> Machine.Outcome? {
        let exit = try vcpu.run()
        counts.count(exit)
        if exit != .interrupted { recent.add(exit) }
        switch exit {
        case .mmioRead(let address, let width):
            let value = board.readMemory(address, width: width)
            if value == nil { countUnclaimed(address) }
            vcpu.complete(value ?? .max)
        case .mmioWrite(let address, let width, let value):
            if !board.writeMemory(address, width: width, value: value) { countUnclaimed(address) }
        case .portIn(let port, let width):
            let value = board.readPort(port, width: width)
            if value == nil { countUnclaimed(port: port) }
            vcpu.complete(value ?? .max)
        case .portOut(let port, let width, let value):
            switch board.writePort(port, width: width, value: value) {
            case .taken: break
            case .unanswered:
                countUnclaimed(port: port)
                if port == SerialPort.ports.lowerBound { counts.lostOutput += 1 }
            case .end(let outcome): return outcome
            }
        case .interrupted:
            // Cleared first: a stop or a request that comes later then interrupts the next KVM_RUN.
            vcpu.stopHandle.clear()
            try serveRequests()
        case .debug(let exception, let address, let dr6):
            if debugger?.mustStop(id, exception: exception, address: address, dr6: dr6, vcpu) == true {
                setPaused(true)
                try serveRequests()
            }
        case .hlt: return crash("the guest halted where nothing can wake it")
        case .shutdown:
            return crash("the guest crashed: triple fault", registers: isReset ? Self.lostRegisters : registers + place)
        case .failEntry(let reason): return crash("the processor refused the guest's state (reason \(reason))")
        case .internalError(let suberror, let instruction): return crash(describe(suberror, instruction))
        case .systemEvent(let type): return crash("the guest asked KVM for system event \(type)")
        case .unknown(let reason): return crash("KVM stopped for a reason that vmm does not know (\(reason))")
        }
        return nil
    }

    private func countUnclaimed(_ address: UInt64) { countUnclaimed(isPort: false, address) }

    private func countUnclaimed(port: UInt16) { countUnclaimed(isPort: true, UInt64(port)) }

    private func countUnclaimed(isPort: Bool, _ address: UInt64) {
        counts.unclaimed.count(isPort: isPort, address) { try? vcpu.registers().rip }
    }

    // MARK: A crash

    private func crash(_ what: String) -> Machine.Outcome { crash(what, registers: registers + place) }

    /// A line for the name of the place where the guest is, and lines for its callers, each with a new line before it.
    private var place: String {
        guard let registers = try? vcpu.registers(), let place = symbols.place(of: registers.rip) else { return "" }
        return "\n  in \(place)\(symbols.callers(vm.stackFrames(of: vcpu, registers)))"
    }

    private func crash(_ what: String, registers: String) -> Machine.Outcome {
        .crashed("\(what)\n  vcpu\(id):\n\(registers)\n\(recent.text)")
    }

    /// Whether the vCPU is in the state after INIT: real mode at 0xfffffff0, where the board has no memory. kvm_amd resets a
    /// vCPU when it intercepts a shutdown, because the VMCB is undefined then (Linux, `shutdown_interception`).
    private var isReset: Bool {
        guard let general = try? vcpu.registers(), let special = try? vcpu.specialRegisters() else { return false }
        return general.rip == 0xfff0 && special.cs.base == 0xffff_0000 && special.cr0 & 1 == 0
    }

    private static let lostRegisters =
        "  the guest's registers at the fault are lost: KVM on AMD processors (kvm_amd) resets a processor at a triple fault"

    private func describe(_ suberror: UInt32, _ instruction: VCPU.Instruction?) -> String {
        // 1 is KVM_INTERNAL_ERROR_EMULATION.
        guard suberror == 1 else { return "KVM could not continue (internal error \(suberror))" }
        guard let instruction else { return "KVM could not emulate an instruction" }
        let bytes = instruction.bytes.map { hex(UInt64($0), digits: 2) }.joined(separator: " ")
        return "KVM could not emulate an instruction; the bytes there: \(bytes)"
    }

    /// The registers, four to a line.
    private var registers: String {
        guard let general = try? vcpu.registers(), let special = try? vcpu.specialRegisters() else {
            return "  the registers cannot be read"
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
