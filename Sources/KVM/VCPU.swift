// One virtual processor: its registers, and KVM_RUN. Not a thread: the caller brings one. What an exit looks like is in
// Exit.swift, how a running vCPU is stopped in StopHandle.swift. Kernel: Documentation/virt/kvm/api.rst, "vcpu ioctls".

import CKVM
import Glibc

// A vCPU's registers are the kernel's structs, under the kernel's names; who imports KVM can read their fields.
@_exported import struct CKVM.kvm_regs
@_exported import struct CKVM.kvm_segment
@_exported import struct CKVM.kvm_sregs

/// A virtual processor. It may move to another thread between two calls.
public struct VCPU: ~Copyable, Sendable {
    private let descriptor: FileDescriptor
    private let id: UInt32
    /// Stops this vCPU from any thread. It owns the area shared with the kernel, and may outlive the vCPU.
    public let stopHandle: StopHandle
    /// `pthread_self` of the thread that ran last, which costs no system call to compare.
    private var runner: pthread_t = 0
    /// What is left of an exit that holds several accesses, and where a pending read's answer goes.
    private var access = PendingAccess()

    /// Creates the vCPU number `id` of a machine; its local APIC has the same id. The first is 0 and runs at once, the
    /// others wait for the guest to start them.
    public init(_ machine: borrowing VirtualMachine, id: UInt32) throws(KVMError) {
        let vcpu = try FileDescriptor(
            owning: try machine.descriptor.control(.createVCPU, UInt(id)), from: "KVM_CREATE_VCPU")
        stopHandle = try StopHandle(mapping: vcpu, size: machine.runSize)
        descriptor = vcpu
        self.id = id
    }

    deinit { stopHandle.abandon() }

    /// Gives the vCPU the processor features in `supported`, with its own APIC id, as one of `count` processors, and tells it that
    /// it is a guest. Before the first `run`.
    public borrowing func setCPUID(_ supported: CPUID, of count: Int = 1) throws(KVMError) {
        var table = supported.forVCPU(apicID: id, of: UInt32(count))
        unsafe try table.withTable { (table) throws(KVMError) in
            _ = unsafe try descriptor.control(.setCPUID, at: table)
        }
    }

    /// What a vCPU does between two instructions.
    public enum Activity: Sendable {
        case running
        /// It executed HLT, and waits for an interrupt.
        case halted
        /// No other processor has started it yet.
        case notStarted
    }

    /// What the vCPU is doing; meaningful while no thread runs it.
    public borrowing func activity() throws(KVMError) -> Activity {
        var state = kvm_mp_state()
        unsafe try descriptor.control(.getActivity, at: &state)
        return switch Int32(bitPattern: state.mp_state) {
        case KVM_MP_STATE_RUNNABLE: .running
        case KVM_MP_STATE_HALTED: .halted
        default: .notStarted
        }
    }

    /// The general registers, rip and rflags. After an access exit they are those from before the instruction completed.
    public borrowing func registers() throws(KVMError) -> kvm_regs {
        var value = kvm_regs()
        unsafe try descriptor.control(.getRegisters, at: &value)
        return value
    }

    /// Sets the general registers, rip and rflags.
    public borrowing func setRegisters(_ registers: kvm_regs) throws(KVMError) {
        var value = registers
        unsafe try descriptor.control(.setRegisters, at: &value)
    }

    /// The segment, descriptor table and control registers, EFER and the local APIC's base.
    public borrowing func specialRegisters() throws(KVMError) -> kvm_sregs {
        var value = kvm_sregs()
        unsafe try descriptor.control(.getSpecialRegisters, at: &value)
        return value
    }

    /// Sets the segment, descriptor table and control registers, EFER and the local APIC's base.
    public borrowing func setSpecialRegisters(_ registers: kvm_sregs) throws(KVMError) {
        var value = registers
        unsafe try descriptor.control(.setSpecialRegisters, at: &value)
    }

    /// Runs the guest until something needs the caller, and says what.
    ///
    /// After `.portIn` and `.mmioRead` the guest waits for a value: `complete` gives it; without, it reads all ones, as from a
    /// bus where nobody answers. A string instruction's accesses come one at a time, in order.
    public mutating func run() throws(KVMError) -> Exit {
        let run = unsafe stopHandle.run
        if let exit = unsafe access.next(in: run) { return exit }
        if pthread_self() != runner {
            runner = pthread_self()
            stopHandle.adoptCurrentThread()
        }
        // A signal ends this call, and is not a reason to start it again.
        let result = ckvm_ioctl(descriptor.number, CKVM_RUN, nil)
        switch result {
        case -EINTR, -EAGAIN: return .interrupted
        case ..<0: throw KVMError(call: "KVM_RUN", errno: -result)
        default: return unsafe access.take(run)
        }
    }

    /// Answers the read that the last `run` returned: the low bytes of `value`, as many as the access is wide.
    public mutating func complete(_ value: UInt64) {
        unsafe access.complete(value, in: stopHandle.run)
    }
}
