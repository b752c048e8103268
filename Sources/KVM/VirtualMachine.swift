// One virtual machine: guest memory, interrupt controllers, ioeventfds. The caller chooses all addresses. Kernel:
// Documentation/virt/kvm/api.rst, "VM ioctls".

import CKVM
import Glibc

/// A virtual machine. Every method is one ioctl, and any thread may call it at any time.
///
/// The kernel keeps the machine alive while one of its vCPUs is open, so the two may be closed in any order.
public struct VirtualMachine: ~Copyable, Sendable {
    let descriptor: FileDescriptor
    let runSize: Int

    /// Creates a machine with the in-kernel 8259s, IOAPIC (GSIs 0 to 23) and local APICs.
    ///
    /// - Parameters:
    ///   - hypervisor: The host's KVM.
    ///   - reserved: The guest-physical address, below 4 GiB, of four 4 KiB pages that KVM needs on Intel processors
    ///     without unrestricted guest mode: one for the identity map, three for the TSS. They must hold no memory and
    ///     no device.
    public init(_ hypervisor: borrowing Hypervisor, reserved: UInt32) throws(KVMError) {
        let machine = try FileDescriptor(owning: try hypervisor.descriptor.control(.createVM), from: "KVM_CREATE_VM")
        // Both before the first vCPU, on every processor: KVM refuses them later.
        var identityMap = UInt64(reserved)
        unsafe try machine.control(.setIdentityMapAddress, at: &identityMap)
        try machine.control(.setTSSAddress, UInt(reserved) + 0x1000)
        try machine.control(.createIRQChip)
        descriptor = machine
        runSize = hypervisor.runSize
    }

    /// Adds the in-kernel 8254, which interrupts by GSI 0, with a PC's port 0x61. Once.
    public borrowing func addPIT() throws(KVMError) {
        var configuration = kvm_pit_config()
        configuration.flags = UInt32(KVM_PIT_SPEAKER_DUMMY)
        unsafe try descriptor.control(.createPIT, at: &configuration)
    }

    /// The state of the 8254, which `addPIT` added.
    public borrowing func pit() throws(KVMError) -> kvm_pit_state2 {
        var state = kvm_pit_state2()
        unsafe try descriptor.control(.getPIT, at: &state)
        return state
    }

    /// Sets the state of the 8254, and starts its counters.
    public borrowing func setPIT(_ state: kvm_pit_state2) throws(KVMError) {
        var state = state
        unsafe try descriptor.control(.setPIT, at: &state)
    }

    /// Maps `size` bytes at `host` as guest memory at `guestAddress`. All three are multiples of 4096.
    ///
    /// `slot` is the caller's number for the mapping; the same number replaces the mapping, size 0 removes it. `host`
    /// must stay mapped while the machine or one of its vCPUs exists.
    public borrowing func mapMemory(
        slot: UInt32, guestAddress: UInt64, host: UnsafeMutableRawPointer, size: Int
    ) throws(KVMError) {
        var region = kvm_userspace_memory_region()
        region.slot = slot
        region.guest_phys_addr = guestAddress
        region.memory_size = UInt64(size)
        region.userspace_addr = UInt64(UInt(bitPattern: host))
        unsafe try descriptor.control(.setMemoryRegion, at: &region)
    }

    /// Sets the level of an input of the interrupt controllers: `true` raises the line, `false` lowers it.
    public borrowing func setInterruptLine(gsi: UInt32, level: Bool) throws(KVMError) {
        var line = kvm_irq_level()
        line.irq = gsi
        line.level = level ? 1 : 0
        unsafe try descriptor.control(.irqLine, at: &line)
    }

    /// Whether no interrupt controller delivers the input `gsi`, 0 to 23: the IOAPIC masks it, and the 8259 that has it
    /// masks it or was not initialised (KVM_GET_IRQCHIP).
    public borrowing func isMasked(gsi: UInt32) throws(KVMError) -> Bool {
        let entry = try load(UInt64.self, at: CKVM_IOAPIC_TABLE + 8 * UInt(gsi), of: KVM_IRQCHIP_IOAPIC)
        // Bit 16 of a redirection entry is its mask.
        if entry & 1 << 16 == 0 { return false }
        if gsi >= 16 { return true }
        let chip = gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE
        let mask = try load(UInt8.self, at: CKVM_PIC_MASK, of: chip)
        // ICW2 sets the base vector, which is never 0: vectors below 32 are exceptions.
        let base = try load(UInt8.self, at: CKVM_PIC_BASE, of: chip)
        return base == 0 || mask & 1 << (gsi % 8) != 0
    }

    /// A field of the state of interrupt controller `chip`.
    private borrowing func load<Value: BitwiseCopyable>(
        _ type: Value.Type, at offset: UInt, of chip: Int32
    ) throws(KVMError) -> Value {
        var state = kvm_irqchip()
        state.chip_id = UInt32(chip)
        unsafe try descriptor.control(.getIRQChip, at: &state)
        return unsafe withUnsafeBytes(of: &state) { unsafe $0.loadUnaligned(fromByteOffset: Int(offset), as: type) }
    }

    /// The address space of an ioeventfd.
    public enum Space: Sendable {
        /// Guest-physical memory.
        case memory
        /// I/O ports.
        case ports
    }

    /// Registers an ioeventfd: a guest's write of exactly `length` bytes (1, 2, 4 or 8) at `address` signals `event`
    /// without an exit. With `match` this holds only for writes of that value; other writes still exit.
    public borrowing func attach(
        _ event: borrowing EventFD, in space: Space = .memory, address: UInt64, length: UInt32, match: UInt64? = nil
    ) throws(KVMError) {
        let flags =
            (match == nil ? 0 : CKVM_IOEVENTFD_FLAG_DATAMATCH) | (space == .ports ? CKVM_IOEVENTFD_FLAG_PIO : 0)
        try bind(event.descriptor, address, length, match ?? 0, flags)
    }

    /// Registers an ioeventfd of 4 bytes in memory, or takes it back: from then on such a write exits.
    public borrowing func setIOEventFD(
        _ event: Int32, address: UInt64, match: UInt64, isRegistered: Bool
    ) throws(KVMError) {
        let flags = CKVM_IOEVENTFD_FLAG_DATAMATCH | (isRegistered ? 0 : CKVM_IOEVENTFD_FLAG_DEASSIGN)
        try bind(event, address, 4, match, flags)
    }

    private borrowing func bind(
        _ event: Int32, _ address: UInt64, _ length: UInt32, _ match: UInt64, _ flags: UInt32
    ) throws(KVMError) {
        var binding = kvm_ioeventfd()
        (binding.addr, binding.len, binding.fd, binding.datamatch) = (address, length, event, match)
        binding.flags = flags
        unsafe try descriptor.control(.ioEventFD, at: &binding)
    }
}
