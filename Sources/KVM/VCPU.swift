// One virtual processor: its registers, and KVM_RUN. The caller provides the thread. Exits are in Exit.swift, stopping
// a running vCPU is in StopHandle.swift. Kernel: Documentation/virt/kvm/api.rst, "vcpu ioctls".

import CKVM
import Glibc

// A vCPU's registers are the kernel's structs, with the kernel's names; re-exported, so that their fields are visible
// to importers of KVM.
@_exported import struct CKVM.kvm_regs
@_exported import struct CKVM.kvm_segment
@_exported import struct CKVM.kvm_sregs

/// A virtual processor. It may move to another thread between two calls.
public struct VCPU: ~Copyable, Sendable {
    let descriptor: FileDescriptor
    private let id: UInt32
    /// Bytes of the state of `Part.xsave`.
    let xsaveSize: Int
    /// Stops this vCPU from any thread. It owns the area shared with the kernel, and may outlive the vCPU.
    public let stopHandle: StopHandle
    /// `pthread_self` of the thread that called `run` last. Comparing it needs no system call.
    private var runner: pthread_t = 0
    /// The last KVM_RUN returned EAGAIN though the vCPU runs, as one does that another vCPU has just started.
    private var wasTriedAgain = false
    /// The accesses left of the last exit, and the location of a pending read's value.
    private var access = PendingAccess()

    /// Creates the vCPU `id` of a machine; its local APIC has the same id. vCPU 0 runs at once, the others wait until
    /// the guest starts them.
    public init(_ machine: borrowing VirtualMachine, id: UInt32) throws(KVMError) {
        let xsaveSize = Int(try machine.descriptor.control(.checkExtension, UInt(KVM_CAP_XSAVE2)))
        let vcpu = try FileDescriptor(
            owning: try machine.descriptor.control(.createVCPU, UInt(id)), from: "KVM_CREATE_VCPU")
        stopHandle = try StopHandle(mapping: vcpu, size: machine.runSize)
        descriptor = vcpu
        self.id = id
        self.xsaveSize = xsaveSize
    }

    deinit { stopHandle.abandon() }

    /// Sets the vCPU's CPUID: the features in `supported`, its own APIC id, the topology of `count` processors, and the
    /// hypervisor bit. To be called before the first `run`.
    public borrowing func setCPUID(_ supported: CPUID, of count: Int = 1) throws(KVMError) {
        var table = supported.forVCPU(apicID: id, of: UInt32(count))
        unsafe try table.withTable { (table) throws(KVMError) in
            _ = unsafe try descriptor.control(.setCPUID, at: table)
        }
    }

    /// The state of a vCPU between two instructions (KVM_GET_MP_STATE).
    public enum Activity: Sendable {
        /// It executes instructions when it runs.
        case running
        /// It executed HLT and waits for an interrupt.
        case halted
        /// No other processor has started it yet.
        case notStarted
    }

    /// The vCPU's state; valid only while no thread runs it.
    public borrowing func activity() throws(KVMError) -> Activity {
        var state = kvm_mp_state()
        unsafe try descriptor.control(.getActivity, at: &state)
        return switch Int32(bitPattern: state.mp_state) {
        case KVM_MP_STATE_RUNNABLE: .running
        case KVM_MP_STATE_HALTED: .halted
        default: .notStarted
        }
    }

    /// The general registers, rip and rflags. After an access exit they hold the values from before the instruction
    /// completed.
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

    /// Sends the vCPU a non-maskable interrupt.
    public borrowing func injectNMI() throws(KVMError) { try descriptor.control(.injectNMI) }

    /// Tells a guest that uses KVM's clock that its host stopped it, so that its watchdogs do not take that for a lockup. A guest that
    /// does not is told nothing.
    public borrowing func noteStop() { _ = try? descriptor.control(.noteStop) }

    /// Runs the guest until an exit needs the caller, and returns the exit.
    ///
    /// After `.portIn` and `.mmioRead` the guest waits for a value, which `complete` provides; without it the guest
    /// reads all ones, as from an unclaimed address. The accesses of a string instruction are returned one at a time,
    /// in order.
    public mutating func run() throws(KVMError) -> Exit {
        let run = unsafe stopHandle.run
        if let exit = unsafe access.next(in: run) { return exit }
        if pthread_self() != runner {
            runner = pthread_self()
            stopHandle.adoptCurrentThread()
        }
        // Not restarted after EINTR: a signal is meant to end this call.
        let result = ckvm_ioctl(descriptor.number, CKVM_RUN, nil)
        if result != -EAGAIN { wasTriedAgain = false }
        switch result {
        case -EINTR: return .interrupted
        case -EAGAIN where !isRefused(): return .interrupted
        case ..<0: throw KVMError(call: "KVM_RUN", errno: -result)
        default: return unsafe access.take(run)
        }
    }

    /// Whether a KVM_RUN that returned EAGAIN was the second in a row of a vCPU that runs: then the host refuses KVM a thread of its own.
    private mutating func isRefused() -> Bool {
        let before = wasTriedAgain
        wasTriedAgain = (try? activity()) == .running
        return before && wasTriedAgain
    }

    /// Completes the read that the last `run` returned, with the low bytes of `value`, as many as the access is wide.
    public mutating func complete(_ value: UInt64) {
        unsafe access.complete(value, in: stopHandle.run)
    }
}
