// The state of the first vCPU at the kernel's entry, by boot protocol. Xen's docs/misc/pvh.pandoc, "CPU state"; Linux's
// Documentation/arch/x86/boot.rst, "64-bit Boot Protocol".

import KVM

/// The state of the first vCPU before its first instruction.
public enum EntryState: Equatable, Sendable {
    /// 32-bit protected mode, flat segments, no paging; ebx holds the address of the start information.
    case pvh(entry: UInt32, startInfo: UInt32)
    /// The same; eax holds the magic value of the Multiboot protocol, ebx the address of the boot information.
    case multiboot(entry: UInt32, magic: UInt32, information: UInt32)
    /// 32-bit protected mode, flat segments with Linux's selectors, no paging; esi holds the address of the boot parameters.
    case linux32(entry: UInt32, parameters: UInt32)
    /// 64-bit mode, the first 4 GiB mapped to themselves; rsi holds the address of the boot parameters.
    case linux64(entry: UInt64, parameters: UInt64)

    /// Sets the registers of a new vCPU to this state.
    public func apply(to vcpu: borrowing VCPU) throws(KVMError) {
        var special = try vcpu.specialRegisters()
        var registers = kvm_regs()
        registers.rflags = 2  // the bit that is always 1
        switch self {
        case .pvh(let entry, let startInfo):
            Self.flatProtectedMode(&special)
            registers.rip = UInt64(entry)
            registers.rbx = UInt64(startInfo)
        case .multiboot(let entry, let magic, let information):
            Self.flatProtectedMode(&special)
            registers.rip = UInt64(entry)
            registers.rax = UInt64(magic)
            registers.rbx = UInt64(information)
        case .linux32(let entry, let parameters):
            Self.flatProtectedMode(&special)
            Self.linuxSegments(&special)
            registers.rip = UInt64(entry)
            registers.rsi = UInt64(parameters)
        case .linux64(let entry, let parameters):
            Self.longMode(&special)
            registers.rip = entry
            registers.rsi = parameters
        }
        try vcpu.setSpecialRegisters(special)
        try vcpu.setRegisters(registers)
    }

    /// Sets segments that cover the whole address space; `code` and `data` are their selectors.
    private static func flatSegments(_ special: inout kvm_sregs, code: UInt16, data: UInt16) {
        var flat = kvm_segment()
        flat.limit = 0xffff_ffff
        (flat.present, flat.s, flat.db, flat.g) = (1, 1, 1, 1)
        (flat.selector, flat.type) = (data, 3)  // data, writable, accessed
        special.ds = flat
        special.es = flat
        special.fs = flat
        special.gs = flat
        special.ss = flat
        (flat.selector, flat.type) = (code, 11)  // code, readable, accessed
        special.cs = flat
    }

    /// Sets the segments of Linux's protocols, whose descriptors are in memory too.
    private static func linuxSegments(_ special: inout kvm_sregs) {
        flatSegments(&special, code: 0x10, data: 0x18)
        special.gdt.base = MemoryMap.segments.lowerBound
        special.gdt.limit = UInt16(MemoryMap.segments.count - 1)
    }

    private static func longMode(_ special: inout kvm_sregs) {
        linuxSegments(&special)
        (special.cs.l, special.cs.db) = (1, 0)
        special.cr3 = MemoryMap.pageTables.lowerBound
        special.cr4 = 1 << 5  // PAE
        special.cr0 = 1 << 31 | 1  // PG, PE
        special.efer = 1 << 10 | 1 << 8  // LMA, LME
    }

    private static func flatProtectedMode(_ special: inout kvm_sregs) {
        flatSegments(&special, code: 0x08, data: 0x10)
        var task = kvm_segment()
        task.limit = 0x67
        (task.present, task.selector, task.type) = (1, 0x18, 11)  // 32-bit TSS, busy
        special.tr = task

        special.cr0 = 1  // PE
        special.cr4 = 0
        special.efer = 0
    }
}
