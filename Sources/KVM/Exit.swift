// The exit reason of KVM_RUN as a value, and the accesses that one exit consists of. Kernel:
// Documentation/virt/kvm/api.rst, "The kvm_run structure".

import CKVM

extension VCPU {
    /// Why KVM_RUN returned. Widths are in bytes: 1, 2 or 4 for ports, 1 to 8 for memory.
    public enum Exit: Equatable, Sendable {
        /// The guest reads a port and waits for `complete`.
        case portIn(port: UInt16, width: Int)
        /// The guest wrote `value` to a port.
        case portOut(port: UInt16, width: Int, value: UInt32)
        /// The guest reads an address without memory, and waits for `complete`.
        case mmioRead(address: UInt64, width: Int)
        /// The guest wrote `value` to an address without memory.
        case mmioWrite(address: UInt64, width: Int, value: UInt64)
        /// HLT. KVM reports it only for a machine without in-kernel interrupt controllers.
        case hlt
        /// A triple fault, or another condition that the vCPU cannot continue from (KVM_EXIT_SHUTDOWN).
        case shutdown
        /// The processor refused the vCPU's state; `reason` is the hardware's code.
        case failEntry(reason: UInt64)
        /// KVM failed: KVM_INTERNAL_ERROR_*, and the instruction that it could not emulate, if KVM reports it.
        case internalError(suberror: UInt32, instruction: Instruction?)
        /// A signal, a stop request, or a vCPU not yet started. The caller checks what was requested, then runs again.
        case interrupted
        /// The guest made a request to the platform: KVM_SYSTEM_EVENT_*.
        case systemEvent(type: UInt32)
        /// A breakpoint, a watchpoint or a single step of `DebugControl`: 3 for int3, else 1, the debug exception; the linear
        /// address of the instruction to be executed next, of int3 its own; and DR6, which says what it was.
        case debug(exception: UInt32, address: UInt64, dr6: UInt64)
        /// An exit that this package does not enable: KVM_EXIT_*.
        case unknown(reason: UInt32)
    }

    /// The bytes at the instruction pointer, up to 15. Bytes of later instructions may follow.
    public struct Instruction: Equatable, Sendable {
        private let size: Int
        private let low: UInt64
        private let high: UInt64

        /// `field` is 16 bytes: the size, then the bytes.
        init(_ field: UnsafeRawBufferPointer) {
            low = unsafe field.loadUnaligned(as: UInt64.self)
            high = unsafe field.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            size = min(Int(low & 0xff), 15)
        }

        /// The bytes, in the order of their addresses.
        public var bytes: [UInt8] {
            (1..<1 + size).map { UInt8(truncatingIfNeeded: ($0 < 8 ? low : high) >> UInt64($0 % 8 * 8)) }
        }
    }
}

/// The unfinished part of a vCPU's last exit: the elements of a string instruction that `run` has yet to return, and
/// the read that waits for its value. Offsets are in bytes from the start of `kvm_run`.
struct PendingAccess: Sendable {
    private var offset = 0
    private var count: UInt32 = 0
    private var answer: (offset: Int, width: Int)?

    /// Reads the exit that `run` holds after KVM_RUN.
    mutating func take(_ run: UnsafeMutablePointer<kvm_run>) -> VCPU.Exit {
        switch unsafe Int32(bitPattern: run.pointee.exit_reason) {
        case KVM_EXIT_IO:
            offset = unsafe Int(run.pointee.io.data_offset)
            count = unsafe run.pointee.io.count
            return unsafe next(in: run) ?? .interrupted
        case KVM_EXIT_MMIO: return unsafe memory(run)
        case KVM_EXIT_HLT: return .hlt
        case KVM_EXIT_SHUTDOWN: return .shutdown
        case KVM_EXIT_FAIL_ENTRY:
            return unsafe .failEntry(reason: run.pointee.fail_entry.hardware_entry_failure_reason)
        case KVM_EXIT_INTERNAL_ERROR: return unsafe internalError(run)
        case KVM_EXIT_INTR: return .interrupted
        case KVM_EXIT_SYSTEM_EVENT: return unsafe .systemEvent(type: run.pointee.system_event.type)
        case KVM_EXIT_DEBUG:
            let arch = unsafe run.pointee.debug.arch
            return .debug(exception: arch.exception, address: arch.pc, dr6: arch.dr6)
        case let reason: return .unknown(reason: UInt32(bitPattern: reason))
        }
    }

    /// The next element of a port access, or nil if none is left.
    mutating func next(in run: UnsafeMutablePointer<kvm_run>) -> VCPU.Exit? {
        answer = nil
        guard count > 0 else { return nil }
        let (port, width) = unsafe (run.pointee.io.port, Int(run.pointee.io.size))
        defer {
            count -= 1
            offset += width
        }
        guard unsafe Int32(run.pointee.io.direction) == KVM_EXIT_IO_IN else {
            let value = unsafe UInt32(truncatingIfNeeded: Self.load(run, offset, width))
            return .portOut(port: port, width: width, value: value)
        }
        unsafe awaitAnswer(run, offset, width)
        return .portIn(port: port, width: width)
    }

    /// Stores the value for the read that the last exit reported.
    mutating func complete(_ value: UInt64, in run: UnsafeMutablePointer<kvm_run>) {
        guard let (offset, width) = answer else { preconditionFailure("no read waits for an answer") }
        unsafe Self.store(run, offset, width, value)
        answer = nil
    }

    private mutating func memory(_ run: UnsafeMutablePointer<kvm_run>) -> VCPU.Exit {
        let (address, width) = unsafe (run.pointee.mmio.phys_addr, Int(run.pointee.mmio.len))
        let data = Int(CKVM_MMIO_DATA)
        guard unsafe run.pointee.mmio.is_write == 0 else {
            return unsafe .mmioWrite(address: address, width: width, value: Self.load(run, data, width))
        }
        unsafe awaitAnswer(run, data, width)
        return .mmioRead(address: address, width: width)
    }

    private func internalError(_ run: UnsafeMutablePointer<kvm_run>) -> VCPU.Exit {
        let failure = unsafe run.pointee.emulation_failure
        // KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES is bit 0; the flags and the bytes are three words of
        // data.
        let told =
            failure.suberror == UInt32(KVM_INTERNAL_ERROR_EMULATION) && failure.ndata >= 3 && failure.flags & 1 != 0
        let field = unsafe UnsafeRawBufferPointer(start: UnsafeRawPointer(run) + Int(CKVM_INSTRUCTION), count: 16)
        return .internalError(suberror: failure.suberror, instruction: told ? unsafe VCPU.Instruction(field) : nil)
    }

    /// Sets the pending read's value to all ones, the value of an unclaimed address, until `complete` replaces it.
    private mutating func awaitAnswer(_ run: UnsafeMutablePointer<kvm_run>, _ offset: Int, _ width: Int) {
        unsafe Self.store(run, offset, width, .max)
        answer = (offset, width)
    }

    /// The `width` bytes at `offset`, little-endian. KVM's widths are 1 to 8.
    private static func load(_ run: UnsafeMutablePointer<kvm_run>, _ offset: Int, _ width: Int) -> UInt64 {
        var value: UInt64 = 0
        unsafe withUnsafeMutableBytes(of: &value) {
            unsafe $0.copyMemory(from: UnsafeRawBufferPointer(start: UnsafeRawPointer(run) + offset, count: width))
        }
        return value
    }

    private static func store(
        _ run: UnsafeMutablePointer<kvm_run>, _ offset: Int, _ width: Int, _ value: UInt64
    ) {
        unsafe withUnsafeBytes(of: value) {
            unsafe (UnsafeMutableRawPointer(run) + offset).copyMemory(
                from: $0.baseAddress.unsafelyUnwrapped, byteCount: width)
        }
    }
}
