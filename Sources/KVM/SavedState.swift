// The state of a virtual machine and of its vCPUs as bytes in the kernel's layout, to be set again in another machine. Valid only while no
// thread runs a vCPU. Kernel: Documentation/virt/kvm/api.rst; struct definitions in <linux/kvm.h>.

import CKVM
import Glibc

extension VCPU {
    /// A part of a vCPU's state that one call reads and one sets, in the order in which they are set: the local APIC needs its base,
    /// the TSC deadline (a model-specific register, see `modelSpecificRegisters`) the local APIC.
    public enum Part: String, CaseIterable, Sendable {
        /// Whether it runs, has halted or was not started (KVM_GET_MP_STATE).
        case activity
        /// The general registers, RIP and RFLAGS (KVM_GET_REGS).
        case registers
        /// Segments, control registers, EFER and the APIC's base (KVM_GET_SREGS).
        case specialRegisters
        /// The floating-point and vector state (KVM_GET_XSAVE).
        case xsave
        /// XCR0 (KVM_GET_XCRS).
        case xcrs
        /// DR0 to DR3, DR6 and DR7 (KVM_GET_DEBUGREGS).
        case debugRegisters
        /// The local APIC's registers (KVM_GET_LAPIC).
        case lapic
        /// Pending exceptions and interrupts. To be set last.
        case events
    }

    /// All of the state with these model-specific registers, by the names of its parts; `msrs` is theirs.
    public borrowing func saved(_ registers: [UInt32]) throws(KVMError) -> [String: [UInt8]] {
        var state = ["msrs": try modelSpecificRegisters(registers)]
        for part in Part.allCases { state[part.rawValue] = try saved(part) }
        return state
    }

    /// Sets the state that `saved` returned. Returns the numbers of model-specific registers that KVM refuses to set. Throws with EINVAL
    /// if a part is missing or has another size than here.
    public borrowing func restore(_ state: [String: [UInt8]]) throws(KVMError) -> [UInt32] {
        var refused: [UInt32] = []
        for part in Part.allCases {
            if part == .events { refused = try setModelSpecificRegisters(state["msrs"] ?? []) }
            try restore(part, state[part.rawValue] ?? [])
        }
        return refused
    }

    /// A part of the state: the kernel's struct.
    public borrowing func saved(_ part: Part) throws(KVMError) -> [UInt8] {
        let size = part == .xsave ? max(xsaveSize, part.size) : part.size
        return try descriptor.load(part == .xsave && size > part.size ? .getXSave2 : part.requests.get, size)
    }

    /// Sets a part of the state. Throws with EINVAL if the bytes have another size than `saved` gives here.
    public borrowing func restore(_ part: Part, _ bytes: [UInt8]) throws(KVMError) {
        let size = part == .xsave ? max(xsaveSize, part.size) : part.size
        guard bytes.count == size else { throw KVMError(call: part.requests.set.name, errno: EINVAL) }
        // The first word counts the registers. On a host without XSAVE there are none, and KVM refuses to set them.
        if part == .xcrs, bytes[..<4].allSatisfy({ $0 == 0 }) { return }
        try descriptor.store(part.requests.set, bytes)
    }

    /// The model-specific registers with these numbers, without those that the vCPU does not have: 16 bytes each, with the number in the
    /// first four and the value in the last eight.
    public borrowing func modelSpecificRegisters(_ numbers: [UInt32]) throws(KVMError) -> [UInt8] {
        var entries = numbers.map { kvm_msr_entry(index: $0, reserved: 0, data: 0) }
        let refused = try transfer(.getMSRs, &entries)
        return kernelBytes(entries.enumerated().filter { !refused.contains($0.offset) }.map(\.element))
    }

    /// Sets model-specific registers, as `modelSpecificRegisters` gives them. Returns the numbers of those that KVM refuses and that do
    /// not have their value already.
    public borrowing func setModelSpecificRegisters(_ bytes: [UInt8]) throws(KVMError) -> [UInt32] {
        var entries: [kvm_msr_entry] = kernelStructs(bytes)
        var refused: [UInt32] = []
        for index in try transfer(.setMSRs, &entries) {
            var current = [kvm_msr_entry(index: entries[index].index, reserved: 0, data: 0)]
            let isUnknown = try !transfer(.getMSRs, &current).isEmpty
            if isUnknown || current[0].data != entries[index].data { refused.append(entries[index].index) }
        }
        return refused
    }

    /// The frequency of the time-stamp counter, in kHz.
    public borrowing func tscFrequency() throws(KVMError) -> Int { Int(try descriptor.control(.getTSCFrequency)) }

    /// Sets the frequency of the time-stamp counter, in kHz; refused by a host that cannot scale it.
    public borrowing func setTSCFrequency(_ frequency: Int) throws(KVMError) {
        try descriptor.control(.setTSCFrequency, UInt(frequency))
    }

    /// Transfers `entries` in calls of at most 128. The kernel stops at the first register that it refuses, which is then left out.
    /// Returns the indices of those.
    private borrowing func transfer(
        _ request: Request, _ entries: inout [kvm_msr_entry]
    ) throws(KVMError) -> [Int] {
        let (header, stride) = (8, MemoryLayout<kvm_msr_entry>.stride)
        let table = UnsafeMutableRawPointer.allocate(byteCount: header + 128 * stride, alignment: 8)
        defer { unsafe table.deallocate() }
        var refused: [Int] = []
        var start = 0
        while start < entries.count {
            let count = min(128, entries.count - start)
            unsafe table.storeBytes(of: UInt64(count), as: UInt64.self)
            for index in 0..<count {
                unsafe table.storeBytes(
                    of: entries[start + index], toByteOffset: header + index * stride, as: kvm_msr_entry.self)
            }
            let done = unsafe Int(try descriptor.control(request, at: table))
            for index in 0..<done {
                entries[start + index] = unsafe table.load(
                    fromByteOffset: header + index * stride, as: kvm_msr_entry.self)
            }
            start += done
            if done < count {
                refused.append(start)
                start += 1
            }
        }
        return refused
    }
}

extension VCPU.Part {
    fileprivate var size: Int {
        switch self {
        case .activity: MemoryLayout<kvm_mp_state>.size
        case .registers: MemoryLayout<kvm_regs>.size
        case .specialRegisters: MemoryLayout<kvm_sregs>.size
        case .xsave: 4096
        case .xcrs: MemoryLayout<kvm_xcrs>.size
        case .debugRegisters: MemoryLayout<kvm_debugregs>.size
        case .lapic: MemoryLayout<kvm_lapic_state>.size
        case .events: MemoryLayout<kvm_vcpu_events>.size
        }
    }

    var requests: (get: Request, set: Request) {
        switch self {
        case .activity: (.getActivity, Request(CKVM_SET_MP_STATE, "KVM_SET_MP_STATE"))
        case .registers: (.getRegisters, .setRegisters)
        case .specialRegisters: (.getSpecialRegisters, .setSpecialRegisters)
        case .xsave: (.getXSave, .setXSave)
        case .xcrs: (Request(CKVM_GET_XCRS, "KVM_GET_XCRS"), Request(CKVM_SET_XCRS, "KVM_SET_XCRS"))
        case .debugRegisters:
            (Request(CKVM_GET_DEBUGREGS, "KVM_GET_DEBUGREGS"), Request(CKVM_SET_DEBUGREGS, "KVM_SET_DEBUGREGS"))
        case .lapic: (Request(CKVM_GET_LAPIC, "KVM_GET_LAPIC"), Request(CKVM_SET_LAPIC, "KVM_SET_LAPIC"))
        case .events:
            (
                Request(CKVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS"),
                Request(CKVM_SET_VCPU_EVENTS, "KVM_SET_VCPU_EVENTS")
            )
        }
    }
}

extension VirtualMachine {
    /// A part of the machine's state beside its vCPUs. To be set after theirs: an interrupt that an interrupt controller then delivers
    /// is not overwritten.
    public enum Part: String, CaseIterable, Sendable {
        /// The first 8259 (KVM_GET_IRQCHIP).
        case pic0
        /// The second 8259.
        case pic1
        /// The IOAPIC.
        case ioapic
        /// The 8254; only with `addPIT`.
        case pit
        /// KVM's clock, in nanoseconds. It goes on from what it showed.
        case clock
    }

    /// A part of the state: the kernel's struct.
    public borrowing func saved(_ part: Part) throws(KVMError) -> [UInt8] {
        switch part {
        case .pic0, .pic1, .ioapic: try descriptor.load(.getIRQChip, 520, passing: [part.chip])
        case .pit: try descriptor.load(.getPIT, MemoryLayout<kvm_pit_state2>.size)
        case .clock: try descriptor.load(.getClock, MemoryLayout<kvm_clock_data>.size)
        }
    }

    /// Sets a part of the state. Throws with EINVAL if the bytes are not those of this part.
    public borrowing func restore(_ part: Part, _ bytes: [UInt8]) throws(KVMError) {
        let (request, size): (Request, Int) =
            switch part {
            case .pic0, .pic1, .ioapic: (.setIRQChip, 520)
            case .pit: (.setPIT, MemoryLayout<kvm_pit_state2>.size)
            case .clock: (.setClock, MemoryLayout<kvm_clock_data>.size)
            }
        guard bytes.count == size, part == .pit || part == .clock || bytes[0] == part.chip else {
            throw KVMError(call: request.name, errno: EINVAL)
        }
        var bytes = bytes
        // The flags, which say what else is valid: the clock is set to what it showed, however long that is ago.
        if part == .clock { for index in 8..<12 { bytes[index] = 0 } }
        try descriptor.store(request, bytes)
    }
}

extension VirtualMachine.Part {
    /// The number of an interrupt controller.
    fileprivate var chip: UInt8 { self == .pic0 ? 0 : self == .pic1 ? 1 : 2 }
}

extension FileDescriptor {
    /// The `size` bytes that an ioctl fills; the kernel is passed `input` in front.
    fileprivate borrowing func load(
        _ request: Request, _ size: Int, passing input: [UInt8] = []
    ) throws(KVMError) -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 8)
        defer { unsafe buffer.deallocate() }
        unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0)
        unsafe buffer.copyBytes(from: input)
        unsafe try control(request, at: buffer.baseAddress)
        return unsafe Array(buffer)
    }

    /// Passes `bytes` to an ioctl.
    fileprivate borrowing func store(_ request: Request, _ bytes: [UInt8]) throws(KVMError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
        defer { unsafe buffer.deallocate() }
        unsafe buffer.copyBytes(from: bytes)
        unsafe try control(request, at: buffer.baseAddress)
    }
}

/// The bytes of structs of the kernel.
func kernelBytes<Value: BitwiseCopyable>(_ values: [Value]) -> [UInt8] {
    unsafe values.withUnsafeBytes { unsafe Array($0) }
}

/// The structs of the kernel with these bytes; a rest is left out.
func kernelStructs<Value: BitwiseCopyable>(_ bytes: [UInt8]) -> [Value] {
    let stride = MemoryLayout<Value>.stride
    return unsafe bytes.withUnsafeBytes { bytes in
        (0..<bytes.count / stride).map { unsafe bytes.loadUnaligned(fromByteOffset: $0 * stride, as: Value.self) }
    }
}
