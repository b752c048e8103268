// A guest of a few pages with one vCPU. Its code is given as bytes, so these tests need no assembler.

import Glibc
import KVM
import Synchronization
import Testing

/// The reason why tests that need KVM are skipped; nil where they run.
let kvmMissing: String? = {
    do throws(KVMError) {
        _ = try Hypervisor()
        return nil
    } catch {
        return error.description
    }
}()

/// Skips the test where there is no KVM, and reports the reason.
extension Trait where Self == ConditionTrait {
    static var needsKVM: Self { .enabled(if: kvmMissing == nil, Comment(rawValue: kvmMissing ?? "")) }
}

/// 64 KiB of guest memory at 0.
@safe final class GuestPages: Sendable {
    static let size = 0x10000
    nonisolated(unsafe) let base: UnsafeMutableRawPointer

    init() {
        unsafe base =
            mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            .unsafelyUnwrapped
    }

    deinit { unsafe munmap(base, Self.size) }

    func write(_ bytes: [UInt8], at address: Int) {
        for (index, byte) in bytes.enumerated() {
            unsafe base.storeBytes(of: byte, toByteOffset: address + index, as: UInt8.self)
        }
    }

    /// A word that the guest may change during the load.
    func word(at address: Int) -> UInt32 {
        unsafe (base + address).assumingMemoryBound(to: Atomic<UInt32>.self).pointee.load(ordering: .relaxed)
    }

    func byte(at address: Int) -> UInt8 { unsafe base.load(fromByteOffset: address, as: UInt8.self) }
}

/// A machine with one vCPU, set up to run code at 0x1000 in 32-bit flat protected mode without paging.
struct Guest: ~Copyable {
    static let entry = 0x1000
    /// An address without memory.
    static let device: UInt64 = 0xd000_0000

    let pages = GuestPages()
    let machine: VirtualMachine
    var vcpu: VCPU

    /// Creates the guest; CPUID reports `count` processors.
    init(_ code: [UInt8], of count: Int = 1) throws(KVMError) {
        let hypervisor = try Hypervisor()
        let machine = try VirtualMachine(hypervisor, reserved: 0xfffb_c000)
        pages.write(code, at: Self.entry)
        unsafe try machine.mapMemory(slot: 0, guestAddress: 0, host: pages.base, size: GuestPages.size)
        let vcpu = try VCPU(machine, id: 0)
        try vcpu.setCPUID(hypervisor.supportedCPUID(), of: count)
        try Self.enterProtectedMode(vcpu)
        self.machine = machine
        self.vcpu = vcpu
    }

    private static func enterProtectedMode(_ vcpu: borrowing VCPU) throws(KVMError) {
        var special = try vcpu.specialRegisters()
        var segment = kvm_segment()
        segment.limit = 0xffff_ffff
        (segment.present, segment.s, segment.db, segment.g) = (1, 1, 1, 1)
        (segment.selector, segment.type) = (0x10, 3)
        (special.ds, special.es, special.ss) = (segment, segment, segment)
        (segment.selector, segment.type) = (0x08, 11)
        special.cs = segment
        special.cr0 = 1
        try vcpu.setSpecialRegisters(special)
        var registers = kvm_regs()
        registers.rip = UInt64(entry)
        registers.rsp = 0x8000
        registers.rflags = 2
        try vcpu.setRegisters(registers)
    }

    /// Switches the vCPU to ring 3 of long mode, at the same code: 2 MiB of user pages at 0, I/O privilege level 3.
    func enterRing3() throws(KVMError) {
        let (present, large): (UInt8, UInt8) = (0x07, 0x87)
        pages.write([present, 0x50], at: 0x4000)
        pages.write([present, 0x60], at: 0x5000)
        pages.write([large], at: 0x6000)
        var special = try vcpu.specialRegisters()
        special.cr3 = 0x4000
        special.cr4 = 1 << 5  // PAE
        special.cr0 = 1 << 31 | 1  // PG, PE
        special.efer = 1 << 10 | 1 << 8  // LMA, LME
        (special.cs.l, special.cs.db, special.cs.dpl, special.cs.selector) = (1, 0, 3, 0x1b)
        (special.ss.dpl, special.ss.selector) = (3, 0x23)
        special.ds = special.ss
        special.es = special.ss
        try vcpu.setSpecialRegisters(special)
        var registers = try vcpu.registers()
        registers.rflags = 3 << 12 | 2
        try vcpu.setRegisters(registers)
    }

    /// The next exit that is not an interruption.
    mutating func next() throws(KVMError) -> VCPU.Exit {
        while true {
            let exit = try vcpu.run()
            if exit != .interrupted { return exit }
        }
    }
}
