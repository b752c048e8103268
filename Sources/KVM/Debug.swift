// What a debugger needs of a vCPU: breakpoints and single steps that end KVM_RUN, and registers that nothing else asks for. Kernel:
// Documentation/virt/kvm/api.rst, "KVM_SET_GUEST_DEBUG"; Intel SDM volume 3, "Debug registers".

import CKVM

extension VCPU {
    /// What of the guest's execution ends `run` with `Exit.debug`.
    public struct DebugControl: Equatable, Sendable {
        /// The next instruction.
        public var isSingleStep = false
        /// No interrupt is delivered during a single step, on hosts since Linux 5.15.
        public var blocksInterrupts = false
        /// An int3.
        public var usesINT3 = false
        /// DR0 to DR3, linear addresses.
        public var addresses: InlineArray<4, UInt64> = .init(repeating: 0)
        /// DR7, which says what is done with them.
        public var dr7: UInt64 = 0

        /// Nothing.
        public init() {}

        public static func == (one: DebugControl, other: DebugControl) -> Bool {
            (one.isSingleStep, one.blocksInterrupts, one.usesINT3, one.dr7)
                == (other.isSingleStep, other.blocksInterrupts, other.usesINT3, other.dr7)
                && one.addresses.indices.allSatisfy { one.addresses[$0] == other.addresses[$0] }
        }
    }

    /// Sets what ends `run`; nil for nothing. With `injectsINT3` the guest takes the exception of an int3 of its own, which `run`
    /// returned.
    public borrowing func setDebugControl(_ control: DebugControl?, injectsINT3: Bool = false) throws(KVMError) {
        var debug = kvm_guest_debug()
        if let control {
            debug.control = UInt32(KVM_GUESTDBG_ENABLE)
            if control.isSingleStep { debug.control |= UInt32(KVM_GUESTDBG_SINGLESTEP) }
            // KVM_GUESTDBG_BLOCKIRQ, which headers of Linux before 5.15 lack.
            if control.isSingleStep && control.blocksInterrupts { debug.control |= 1 << 20 }
            if control.usesINT3 { debug.control |= UInt32(KVM_GUESTDBG_USE_SW_BP) }
            if control.dr7 != 0 { debug.control |= UInt32(KVM_GUESTDBG_USE_HW_BP) }
            let registers = control.addresses
            debug.arch.debugreg = (
                registers[0], registers[1], registers[2], registers[3], 0, 0, 0, control.dr7
            )
        }
        if injectsINT3 { debug.control |= UInt32(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_BP) }
        unsafe try descriptor.control(.setGuestDebug, at: &debug)
    }

    /// Bytes of `struct kvm_xsave`.
    public static let extendedStateSize = MemoryLayout<kvm_xsave>.size

    /// The x87, SSE and AVX registers, in the processor's standard form of XSAVE: `extendedStateSize` bytes.
    public borrowing func extendedState() throws(KVMError) -> [UInt8] {
        var state = [UInt8](repeating: 0, count: Self.extendedStateSize)
        try exchange(.getXSave, &state)
        return state
    }

    /// Sets them.
    public borrowing func setExtendedState(_ state: [UInt8]) throws(KVMError) {
        precondition(state.count == Self.extendedStateSize)
        var state = state
        try exchange(.setXSave, &state)
    }

    private borrowing func exchange(_ request: Request, _ state: inout [UInt8]) throws(KVMError) {
        let result = unsafe state.withUnsafeMutableBytes { buffer in
            unsafe ckvm_ioctl(descriptor.number, request.number, buffer.baseAddress)
        }
        guard result >= 0 else { throw KVMError(call: request.name, errno: -result) }
    }

    /// `struct kvm_msrs` with one entry.
    private struct OneRegister {
        var count: UInt32 = 1
        var pad: UInt32 = 0
        var entry = kvm_msr_entry()
    }

    /// A model-specific register; nil if KVM does not know it.
    public borrowing func modelSpecificRegister(_ index: UInt32) throws(KVMError) -> UInt64? {
        var request = OneRegister()
        request.entry.index = index
        return unsafe try descriptor.control(.getMSRs, at: &request) == 1 ? request.entry.data : nil
    }

    /// Sets a model-specific register; false if KVM refuses it.
    public borrowing func setModelSpecificRegister(_ index: UInt32, _ value: UInt64) throws(KVMError) -> Bool {
        var request = OneRegister()
        (request.entry.index, request.entry.data) = (index, value)
        return unsafe try descriptor.control(.setMSRs, at: &request) == 1
    }
}
