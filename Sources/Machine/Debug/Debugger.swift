// A machine as a debugger's target: vCPUs that stop and go on, their registers, memory by virtual addresses, breakpoints. The server's
// thread calls it, and each vCPU's thread when KVM_RUN ends with a debug exit.

import KVM

/// The debugger's side of a machine.
final class Debugger: DebugTarget, @unchecked Sendable {
    private let host: HostAbilities
    let breaks: DeviceBreaks
    let hasAVX: Bool
    /// Set before the guest runs.
    unowned let machine: Machine
    /// Wakes the server's thread: there is a stop.
    private let wake: EventFD
    var descriptor: Int32 { wake.descriptor }

    private let lock = Lock()
    // Under the lock:
    private var table = BreakpointTable()
    private var stops: [DebugStop] = []
    /// The vCPUs that execute one instruction.
    private var stepping: Set<Int> = []
    /// Watched memory and what it held, on a host that does not watch it: every instruction ends KVM_RUN.
    private var watched: [(breakpoint: Breakpoint, place: UInt64, value: [UInt8])] = []

    init(_ machine: Machine, _ hypervisor: borrowing Hypervisor, _ breaks: DeviceBreaks) throws(MachineError) {
        self.machine = machine
        self.breaks = breaks
        do throws(KVMError) {
            host = try HostAbilities(hypervisor)
            hasAVX = try hypervisor.supportedCPUID().hasAVX
            wake = try EventFD()
        } catch { throw .kvm(error) }
        breaks.onStop = { [unowned self] in post($0) }
    }

    // MARK: Stops

    /// Notes that the guest has to stop, and why; the server's thread does it. Any thread may call this.
    func post(_ stop: DebugStop) {
        lock.locked { if stops.count < 256 { stops.append(stop) } }
        wake.signal()
    }

    /// The first stop that was posted; nil if there is none. The others are forgotten, but those that would not come again.
    func takeStop() -> DebugStop? {
        wake.take()
        return lock.locked {
            guard !stops.isEmpty else { return nil }
            defer {
                stops.removeAll { if case .watchpoint = $0.reason { false } else { $0.reason != .device } }
            }
            return stops.removeFirst()
        }
    }

    /// A debug exit of a vCPU, in its thread: whether it has to stop, which is posted then.
    func mustStop(
        _ id: Int, exception: UInt32, address: UInt64, dr6: UInt64, _ vcpu: borrowing VCPU
    ) -> Bool {
        let (reason, injects) = lock.locked { () -> (DebugStop.Reason?, Bool) in
            if exception == 3 {
                // The kernel may execute the same byte at another address than the one at which the breakpoint was set.
                let place = (try? vcpu.physicalAddress(of: address)) ?? nil
                let isOwn = table.patches.values.contains { $0.place == place }
                return (isOwn ? .breakpoint(.software) : stepping.contains(id) ? .step : nil, !isOwn)
            }
            if let reason = table.reason(dr6: dr6, address: address) { return (reason, false) }
            for (index, watch) in watched.enumerated() {
                guard let now = machine.vm.bytes(at: watch.place, count: watch.value.count), now != watch.value else {
                    continue
                }
                watched[index].value = now
                return (.watchpoint(.write, address: watch.breakpoint.address), false)
            }
            return (stepping.contains(id) || watched.isEmpty ? .step : nil, false)
        }
        // The guest's own int3 is an exception of the guest.
        if injects { try? vcpu.setDebugControl(control(of: id), injectsINT3: true) }
        guard let reason else { return false }
        post(DebugStop(vcpu: id, reason: reason))
        return true
    }

    func interrupt() { post(DebugStop(vcpu: 0, reason: .interrupt)) }

    // MARK: Going on

    func resume(_ actions: [ResumeAction?]) {
        let isStopping = lock.locked {
            stepping = []
            for (index, watch) in watched.enumerated() {
                watched[index].value = machine.vm.bytes(at: watch.place, count: watch.value.count) ?? watch.value
            }
            return !stops.isEmpty
        }
        guard !isStopping else { return wake.signal() }
        for (id, action) in actions.enumerated() {
            var blocks = false
            if case .step(let blocksInterrupts) = action {
                lock.locked { _ = stepping.insert(id) }
                blocks = blocksInterrupts
            }
            let control = control(of: id, blocksInterrupts: blocks)
            _ = machine.vcpus.whilePaused(id) { (vcpu) in try? vcpu.setDebugControl(control) }
        }
        machine.release(actions.indices.filter { actions[$0] != nil })
    }

    private func control(of id: Int, blocksInterrupts: Bool = false) -> VCPU.DebugControl? {
        lock.locked {
            var control = table.control(watches: host.watchpoints)
            control.isSingleStep = stepping.contains(id) || !watched.isEmpty
            control.blocksInterrupts = blocksInterrupts
            return control == VCPU.DebugControl() ? nil : control
        }
    }

    /// Takes all breakpoints out. The guest is stopped.
    func removeBreakpoints() {
        breaks.set([])
        lock.locked {
            for patch in table.patches.values { _ = machine.vm.write([patch.original], at: patch.place) }
            (table, stops, stepping, watched) = (BreakpointTable(), [], [], [])
        }
        for id in 0..<processorCount { _ = machine.vcpus.whilePaused(id) { (vcpu) in try? vcpu.setDebugControl(nil) } }
    }

    // MARK: Processors

    var processorCount: Int { machine.configuration.processors }

    func activity(of vcpu: Int) -> String {
        switch machine.vcpus.whilePaused(vcpu, { (vcpu) in try? vcpu.activity() }) {
        case .halted: "halted "
        case .notStarted: "not started"
        default: "running"
        }
    }

    func registers(of vcpu: Int) -> RegisterFile? {
        machine.vcpus.whilePaused(vcpu) { (vcpu) in try? RegisterFile(vcpu) } ?? nil
    }

    func setRegisters(_ registers: RegisterFile, of vcpu: Int) -> Bool {
        guard let before = self.registers(of: vcpu) else { return false }
        return machine.vcpus.whilePaused(vcpu) { (vcpu) in
            (try? registers.apply(to: vcpu, before: before)) != nil
        } ?? false
    }

    // MARK: Memory

    /// Calls `body` with the guest-physical address and the length of each part of a range that is in one page; false, and no more calls,
    /// where there is no page or `body` returns false.
    private func forEachPage(
        _ address: UInt64, _ count: Int, in space: DebugSpace, _ body: (_ place: UInt64, _ count: Int) -> Bool
    ) -> Bool {
        var (address, left) = (address, count)
        while left > 0 {
            let part = min(left, 4096 - Int(address % 4096))
            guard let place = place(of: address, in: space), body(place, part) else { return false }
            (address, left) = (address &+ UInt64(part), left - part)
        }
        return true
    }

    /// The guest-physical address of an address; nil if it is in no page.
    private func place(of address: UInt64, in space: DebugSpace) -> UInt64? {
        guard case .linear(let vcpu) = space else { return address }
        return machine.vcpus.whilePaused(vcpu) { (vcpu) in (try? vcpu.physicalAddress(of: address)) ?? nil } ?? nil
    }

    func read(_ address: UInt64, count: Int, in space: DebugSpace) -> [UInt8] {
        var bytes: [UInt8] = []
        _ = forEachPage(address, count, in: space) { place, count in
            guard var part = machine.vm.bytes(at: place, count: count) else { return false }
            lock.locked { table.hidePatches(in: &part, at: place) }
            bytes += part
            return true
        }
        return bytes
    }

    func write(_ bytes: [UInt8], at address: UInt64, in space: DebugSpace) -> Bool {
        var places: [(place: UInt64, count: Int)] = []
        let isMemory = forEachPage(address, bytes.count, in: space) { place, count in
            places.append((place, count))
            return machine.vm.bytes(at: place, count: count) != nil
        }
        guard isMemory else { return false }
        var rest = bytes[...]
        for (place, count) in places {
            var part = Array(rest.prefix(count))
            rest = rest.dropFirst(count)
            lock.locked { table.keepPatches(in: &part, at: place) }
            _ = machine.vm.write(part, at: place)
        }
        return true
    }

    // MARK: Breakpoints

    func insert(_ breakpoint: Breakpoint, vcpu: Int) throws(DebugError) {
        do throws(DebugError) { try set(breakpoint, vcpu) } catch {
            // Debian's gdb does not show what a refusal says.
            Log.say("debugger: \(error.text)")
            throw error
        }
    }

    private func set(_ breakpoint: Breakpoint, _ vcpu: Int) throws(DebugError) {
        let place = place(of: breakpoint.address, in: .linear(vcpu: vcpu))
        var reason = ""
        if breakpoint.kind == .software {
            if host.int3, let place, let original = machine.vm.bytes(at: place, count: 1) {
                return try patch(breakpoint.address, place, original[0])
            }
            reason =
                host.int3
                ? ", and the address is in no page of memory" : ", and this host's KVM stops at no other breakpoint"
        } else if !breakpoint.kind.isExecution, !host.watchpoints {
            guard breakpoint.kind == .write, let place else {
                throw DebugError("this host's KVM does not notice reads of memory; use watch, for writes")
            }
            let count = Int(min(breakpoint.length, 64, 4096 - place % 4096))
            guard let value = machine.vm.bytes(at: place, count: count) else {
                throw DebugError("what is to be watched is not in memory")
            }
            return try lock.locked { () throws(DebugError) in
                if watched.contains(where: { $0.breakpoint == breakpoint }) { return }
                guard watched.count < 16 else { throw DebugError("16 watchpoints are set; delete one") }
                watched.append((breakpoint, place, value))
            }
        }
        guard host.breakpoints || !breakpoint.kind.isExecution else {
            throw DebugError(
                host.int3
                    ? "this host's KVM has no breakpoint registers for its guests; use break, where the address is in memory"
                    : "this host's KVM has no breakpoints; use stepi")
        }
        guard lock.locked({ table.addToRegisters(breakpoint) }) else {
            throw DebugError(
                "the processor's four breakpoint registers are in use\(reason); delete a breakpoint or watchpoint")
        }
    }

    private func patch(_ address: UInt64, _ place: UInt64, _ original: UInt8) throws(DebugError) {
        try lock.locked { () throws(DebugError) in
            if table.patches[address] != nil { return }
            guard table.patches.count < 4096 else { throw DebugError("4096 breakpoints are set; delete some") }
            // Another address of the same byte may have one.
            var byte = [original]
            table.hidePatches(in: &byte, at: place)
            table.add(BreakpointTable.Patch(place: place, original: byte[0]), at: address)
            _ = machine.vm.write([BreakpointTable.int3], at: place)
        }
    }

    func remove(_ breakpoint: Breakpoint) {
        lock.locked {
            if breakpoint.kind == .software, let patch = table.takePatch(at: breakpoint.address) {
                if !table.patches.values.contains(where: { $0.place == patch.place }) {
                    _ = machine.vm.write([patch.original], at: patch.place)
                }
            }
            table.removeFromRegisters(breakpoint)
            watched.removeAll { $0.breakpoint == breakpoint }
        }
    }

    func perform(_ command: String) -> String { MonitorCommand.perform(command, self) + "\n" }
}
