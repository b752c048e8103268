// What this host's KVM can do for a debugger, found by trying it in a machine of its own. A KVM that emulates privileged code, such as
// kvm_pvm, takes an int3 there for a failure, and does not notice accesses to watched memory. One under QEMU's emulation of a processor
// has no debug registers for its guests. Linux, Documentation/virt/kvm/api.rst, 4.87 "KVM_SET_GUEST_DEBUG".

import KVM

/// The abilities of this host's KVM.
struct HostAbilities {
    /// An int3 stops the guest.
    private(set) var int3 = false
    /// A debug register stops the guest in front of an instruction.
    private(set) var breakpoints = false
    /// A debug register stops the guest at an access to memory.
    private(set) var watchpoints = false

    /// Tries them. Throws if a machine cannot be made.
    init(_ hypervisor: borrowing Hypervisor) throws(KVMError) {
        // movb $5, 0x2000; int3; out %al, $0x80
        let code: [UInt8] = [0xc6, 0x05, 0x00, 0x20, 0x00, 0x00, 0x05, 0xcc, 0xe6, 0x80]
        guard let ram = try? RAM(size: MemoryMap.minimumRAM), ram.write(code, at: 0x1000) else { return }
        let machine = try VirtualMachine(hypervisor, reserved: MemoryMap.hypervisorPages)
        unsafe try machine.mapMemory(slot: 0, guestAddress: 0, host: ram.regions[0].host, size: ram.regions[0].size)
        var vcpu = try VCPU(machine, id: 0)
        try EntryState.pvh(entry: 0x1000, startInfo: 0).apply(to: vcpu)
        var table = BreakpointTable()
        _ = table.addToRegisters(Breakpoint(kind: .write, address: 0x2000, length: 1))
        _ = table.addPatch(0x1007, at: 0x1007, found: BreakpointTable.int3)
        let watching = table.control
        _ = table.addToRegisters(Breakpoint(kind: .hardware, address: 0x1000, length: 1))
        try vcpu.setDebugControl(table.control)
        // At most an instruction, a watched access, an int3, and interruptions in between.
        for _ in 0..<8 {
            switch try vcpu.run() {
            case .interrupted: vcpu.stopHandle.clear()
            case .debug(3, _, _):
                int3 = true
                return
            case .debug(_, _, let dr6) where dr6 & 1 != 0: watchpoints = true
            case .debug(_, _, let dr6) where dr6 & 2 != 0:
                breakpoints = true
                try vcpu.setDebugControl(watching)
            default: return
            }
        }
    }
}
