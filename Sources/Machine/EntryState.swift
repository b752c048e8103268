// How a boot protocol wants the first vCPU to start. Xen's docs/misc/pvh.pandoc, "CPU state".

import KVM

/// The state of the first vCPU before its first instruction.
public enum EntryState: Equatable, Sendable {
    /// 32-bit protected mode, flat segments, no paging; ebx holds the address of the start information.
    case pvh(entry: UInt32, startInfo: UInt32)

    /// Puts a new vCPU into this state.
    public func apply(to vcpu: borrowing VCPU) throws(KVMError) {
        switch self {
        case .pvh(let entry, let startInfo):
            var special = try vcpu.specialRegisters()
            Self.flatProtectedMode(&special)
            try vcpu.setSpecialRegisters(special)
            var registers = kvm_regs()
            registers.rip = UInt64(entry)
            registers.rbx = UInt64(startInfo)
            registers.rflags = 2  // the bit that is always 1
            try vcpu.setRegisters(registers)
        }
    }

    private static func flatProtectedMode(_ special: inout kvm_sregs) {
        var flat = kvm_segment()
        flat.limit = 0xffff_ffff
        (flat.present, flat.s, flat.db, flat.g) = (1, 1, 1, 1)
        (flat.selector, flat.type) = (0x10, 3)  // data, writable, accessed
        special.ds = flat
        special.es = flat
        special.fs = flat
        special.gs = flat
        special.ss = flat
        (flat.selector, flat.type) = (0x08, 11)  // code, readable, accessed
        special.cs = flat

        var task = kvm_segment()
        task.limit = 0x67
        (task.present, task.selector, task.type) = (1, 0x18, 11)  // 32-bit TSS, busy
        special.tr = task

        special.cr0 = 1  // PE
        special.cr4 = 0
        special.efer = 0
    }
}
