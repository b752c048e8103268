// A machine as a debugger's target: vCPUs that stop and go on, their registers, memory by virtual addresses, breakpoints. The server's
// thread calls it, and each vCPU's thread when KVM_RUN ends with a debug exit.

import Glibc
import KVM

/// The debugger's side of a machine.
final class Debugger: DebugTarget, @unchecked Sendable {
    private static let mostStops = 256
    private static let mostWatched = 16

    private let host: HostAbilities
    let breaks: DeviceBreaks
    let hasAVX: Bool
    /// It ends the debugger's server before it is gone.
    unowned let machine: Machine
    /// Wakes the server's thread, for a stop or the end.
    let wake: EventFD

    private let lock = Lock()
    // Under the lock:
    private var table = BreakpointTable()
    private var stops: [DebugStop] = []
    /// The vCPUs that execute one instruction.
    private var stepping: Set<Int> = []
    /// Watched memory and what it held, on a host that does not watch it: every instruction ends KVM_RUN.
    private var watched: [(breakpoint: Breakpoint, place: UInt64, value: [UInt8])] = []
    /// The devices are stopped.
    private var holdsDevices = false
    /// Refusals that were printed.
    private var printed: Set<String> = []

    /// Finds out what the host's KVM can do. Throws if it cannot be asked.
    init(_ machine: Machine, _ hypervisor: borrowing Hypervisor, _ breaks: DeviceBreaks) throws(MachineError) {
        (self.machine, self.breaks) = (machine, breaks)
        do throws(KVMError) {
            host = try HostAbilities(hypervisor)
            hasAVX = try hypervisor.supportedCPUID().hasAVX
            wake = try EventFD()
        } catch { throw .kvm(error) }
        breaks.onStop = { [unowned self] in post($0) }
    }

    // MARK: Stops

    /// Notes that the guest has to stop, and why; the server's thread stops it. Any thread may call this.
    func post(_ stop: DebugStop) {
        lock.locked { if stops.count < Self.mostStops { stops.append(stop) } }
        wake.signal()
    }

    /// The first stop that was posted; nil if there is none. Of the others those that would not happen again stay: accesses.
    func takeStop() -> DebugStop? {
        lock.locked {
            guard !stops.isEmpty else { return nil }
            defer {
                stops.removeAll {
                    if case .breakpoint(let kind, _) = $0.reason { kind.isExecution } else { $0.reason != .device }
                }
            }
            return stops.removeFirst()
        }
    }

    func interrupt() { post(DebugStop(vcpu: 0, reason: .interrupt)) }

    /// Serves a debug exit of a vCPU, in its thread; returns whether the vCPU has to stop. `exception` is 1 or 3, `address` that of the
    /// instruction.
    func mustStop(_ id: Int, exception: UInt32, address: UInt64, dr6: UInt64, _ vcpu: borrowing VCPU) -> Bool {
        var isGuestsOwn = false
        let reason = lock.locked { () -> DebugStop.Reason? in
            if exception == 3 {
                // The guest may execute the byte at another address than the one at which the breakpoint was set.
                isGuestsOwn = !table.hasPatch(at: machine.vm.physicalAddress(of: address, on: vcpu))
                return isGuestsOwn ? nil : .breakpoint(.software, address: address)
            }
            if let reason = table.reason(dr6: dr6, address: address) { return reason }
            if let address = changedAddresses().first { return .breakpoint(.write, address: address) }
            return watched.isEmpty ? .step : nil
        }
        if isGuestsOwn { try? vcpu.setDebugControl(control(of: id), injectsINT3: true) }
        guard let reason = reason ?? (lock.locked { stepping.contains(id) } ? .step : nil) else { return false }
        post(DebugStop(vcpu: id, reason: reason))
        return true
    }

    /// The watched addresses whose memory has changed since the last call. With the lock held.
    private func changedAddresses() -> [UInt64] {
        watched.indices.compactMap { index in
            let (breakpoint, place, value) = watched[index]
            guard let now = machine.vm.bytes(at: place, count: value.count), now != value else { return nil }
            watched[index].value = now
            return breakpoint.address
        }
    }

    // MARK: Resuming

    func resume(_ actions: [ResumeAction?]) {
        // What the debugger wrote is no access of the guest.
        let mustStay = lock.locked {
            stepping = Set(actions.indices.filter { actions[$0] != nil && actions[$0] != .run })
            _ = changedAddresses()
            return !stops.isEmpty
        }
        guard !mustStay else { return wake.signal() }
        for (id, action) in actions.enumerated() {
            let control = control(of: id, blocksInterrupts: action == .step(blocksInterrupts: true))
            onVCPU(id) { (vcpu) in try? vcpu.setDebugControl(control) }
        }
        machine.release(actions.indices.filter { actions[$0] != nil })
    }

    private func control(of id: Int, blocksInterrupts: Bool = false) -> VCPU.DebugControl? {
        lock.locked {
            var control = table.control
            control.isSingleStep = stepping.contains(id) || !watched.isEmpty
            control.blocksInterrupts = blocksInterrupts
            return control == VCPU.DebugControl() ? nil : control
        }
    }

    /// Undoes what a client has set, all breakpoints included. The guest is stopped.
    func reset() {
        breaks.set([])
        holdDevices(false)
        setPatches(false)
        lock.locked { (table, stops, stepping, watched) = (BreakpointTable(), [], [], []) }
        for id in 0..<processorCount { onVCPU(id) { (vcpu) in try? vcpu.setDebugControl(nil) } }
    }

    /// Makes the requests that the devices take from now on wait, or starts those that wait.
    func holdDevices(_ areHeld: Bool) {
        let isChange = lock.locked {
            defer { holdsDevices = areHeld }
            return holdsDevices != areHeld
        }
        if isChange { machine.holdDevices(areHeld) }
    }

    /// Writes the breakpoints into memory, or what they replaced: a snapshot has none. The guest is stopped.
    func setPatches(_ areSet: Bool) {
        lock.locked {
            for patch in table.allPatches {
                _ = machine.vm.write([areSet ? BreakpointTable.int3 : patch.original], at: patch.place)
            }
        }
    }

    // MARK: Processors

    /// Calls `body` with a vCPU; nil if it does not wait, as at the end of the run.
    @discardableResult
    private func onVCPU<Result>(_ id: Int, _ body: (borrowing VCPU) -> Result?) -> Result? {
        machine.vcpus.whilePaused(id, body) ?? nil
    }

    var processorCount: Int { machine.configuration.processors }

    func activity(of vcpu: Int) -> String {
        switch onVCPU(vcpu, { (vcpu) in try? vcpu.activity() }) {
        case .halted: "halted "
        case .notStarted: "not started"
        default: "running"
        }
    }

    func registers(of vcpu: Int) throws(DebugError) -> RegisterFile {
        guard let file = onVCPU(vcpu, { (vcpu) in try? RegisterFile(vcpu) }) else { throw .number(EFAULT) }
        return file
    }

    func setRegisters(_ registers: RegisterFile, of vcpu: Int) throws(DebugError) {
        let before = try self.registers(of: vcpu)
        guard onVCPU(vcpu, { (vcpu) in try? registers.apply(to: vcpu, before: before) }) != nil else {
            throw .number(EINVAL)
        }
    }

    // MARK: Memory

    /// The guest-physical address of a linear address of `vcpu`; nil if no page has it. Without `vcpu` the address itself.
    private func place(of address: UInt64, vcpu: Int?) -> UInt64? {
        guard let vcpu else { return address }
        return onVCPU(vcpu) { (vcpu) in machine.vm.physicalAddress(of: address, on: vcpu) }
    }

    /// The guest-physical addresses of a range, page by page, as far as it is in memory.
    private func pages(of address: UInt64, _ count: Int, vcpu: Int?) -> [(place: UInt64, bytes: [UInt8])] {
        var pages: [(place: UInt64, bytes: [UInt8])] = []
        var (address, left) = (address, count)
        while left > 0 {
            let part = min(left, 4096 - Int(address % 4096))
            guard let place = place(of: address, vcpu: vcpu) else { break }
            guard let bytes = machine.vm.bytes(at: place, count: part) else { break }
            pages.append((place, bytes))
            (address, left) = (address &+ UInt64(part), left - part)
        }
        return pages
    }

    func read(_ address: UInt64, count: Int, vcpu: Int?) -> [UInt8] {
        let pages = pages(of: address, count, vcpu: vcpu)
        return lock.locked { pages.flatMap { table.hidden($0.bytes, at: $0.place) } }
    }

    func write(_ bytes: [UInt8], at address: UInt64, vcpu: Int?) throws(DebugError) {
        let pages = pages(of: address, bytes.count, vcpu: vcpu)
        guard pages.reduce(0, { $0 + $1.bytes.count }) == bytes.count else { throw .number(EFAULT) }
        var rest = bytes[...]
        for (place, old) in pages {
            let part = Array(rest.prefix(old.count))
            rest = rest.dropFirst(old.count)
            lock.locked { _ = machine.vm.write(table.patched(part, at: place), at: place) }
        }
    }

    // MARK: Breakpoints

    func insert(_ breakpoint: Breakpoint, vcpu: Int) throws(DebugError) {
        let place = place(of: breakpoint.address, vcpu: vcpu)
        do throws(DebugError) {
            try lock.locked { () throws(DebugError) in
                if breakpoint.kind == .software, host.int3, let place, try patch(breakpoint, place) { return }
                if !breakpoint.kind.isExecution, !host.watchpoints { return try watch(breakpoint, place) }
                try useRegister(breakpoint)
            }
        } catch {
            // gdb before version 15 does not show the sentence of a refusal.
            if case .sentence(let text) = error, lock.locked({ printed.insert(text).inserted }) {
                Log.say("debugger: \(text)")
            }
            throw error
        }
    }

    /// Puts an int3 in memory; false if there is none at `place`. With the lock held.
    private func patch(_ breakpoint: Breakpoint, _ place: UInt64) throws(DebugError) -> Bool {
        guard let found = machine.vm.bytes(at: place, count: 1) else { return false }
        guard table.addPatch(breakpoint.address, at: place, found: found[0]) else {
            throw .sentence("4096 breakpoints are set; delete some")
        }
        return machine.vm.write([BreakpointTable.int3], at: place)
    }

    /// Compares memory after each instruction, on a host without watchpoints. With the lock held.
    private func watch(_ breakpoint: Breakpoint, _ place: UInt64?) throws(DebugError) {
        guard breakpoint.kind == .write else {
            throw .sentence("this host's KVM does not notice reads of memory; use watch, for writes")
        }
        let count = Int(clamping: breakpoint.length)
        guard let place, 1...64 ~= count, let value = machine.vm.bytes(at: place, count: count) else {
            throw .sentence(
                "what is to be watched is not in memory, or not 1 to 64 bytes; name a variable or an address")
        }
        if watched.contains(where: { $0.breakpoint == breakpoint }) { return }
        guard watched.count < Self.mostWatched else { throw .sentence("16 watchpoints are set; delete one") }
        watched.append((breakpoint, place, value))
    }

    /// Uses a debug register. With the lock held.
    private func useRegister(_ breakpoint: Breakpoint) throws(DebugError) {
        guard host.breakpoints || !breakpoint.kind.isExecution else {
            throw .sentence(
                host.int3
                    ? "this host's KVM has no breakpoint registers for its guests; use break, where the address is in memory"
                    : "this host's KVM has no breakpoints; use stepi, watch or monitor break")
        }
        guard !table.addToRegisters(breakpoint) else { return }
        let reason =
            breakpoint.kind != .software
            ? ""
            : host.int3
                ? ", and the address is in no page of memory" : ", and this host's KVM stops at no other breakpoint"
        throw .sentence(
            "the processor's four breakpoint registers are in use\(reason); delete a breakpoint or watchpoint")
    }

    func remove(_ breakpoint: Breakpoint) {
        lock.locked {
            if breakpoint.kind == .software, let patch = table.removePatch(breakpoint.address) {
                _ = machine.vm.write([patch.original], at: patch.place)
            }
            table.removeFromRegisters(breakpoint)
            watched.removeAll { $0.breakpoint == breakpoint }
        }
    }

    func perform(_ command: String) -> String { MonitorCommand.perform(command, self) + "\n" }
}
