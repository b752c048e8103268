// The registers of a vCPU, in the numbers of QEMU's gdbstub: where each is in what KVM returns. Linux `struct kvm_regs`, `struct
// kvm_sregs`; Intel SDM volume 1, 13.4 "XSAVE Area", and 13.5.1 "x87 State" for the tag word.

import KVM

/// The registers of a vCPU.
public struct RegisterFile: Equatable, Sendable {
    // What KVM returns, one behind the other; offsets in bytes.
    static let special = MemoryLayout<kvm_regs>.size
    static let extended = special + MemoryLayout<kvm_sregs>.size
    static let kernelGSBase = extended + VCPU.extendedStateSize
    static let size = kernelGSBase + 8
    /// XSTATE_BV: which parts of the extended state are not in their initial state.
    private static let headerMask = extended + 512

    /// `kvm_regs`, `kvm_sregs`, the extended state, and the base that SWAPGS exchanges with that of GS.
    var bytes: [UInt8]

    /// Registers that are all 0.
    public init() { bytes = [UInt8](repeating: 0, count: Self.size) }

    /// A register.
    public struct Register: Sendable {
        /// As gdb has it.
        public let name: String
        /// Bytes in the protocol.
        public let width: Int
        /// Its feature and its type in the target description.
        let feature: Feature
        let type: String
        /// Where it is in `RegisterFile.bytes`, and how many bytes.
        fileprivate let offset: Int
        fileprivate let storedWidth: Int
        /// Its part of the extended state, a bit of XSTATE_BV; 0 for none.
        fileprivate let part: UInt8
    }

    /// A part of the target description (GDB manual, appendix G.5.5, "i386 Features").
    enum Feature: String, CaseIterable {
        case core = "org.gnu.gdb.i386.core"
        case segments = "org.gnu.gdb.i386.segments"
        case system = "vmm.x86-64.system"
        case sse = "org.gnu.gdb.i386.sse"
        case avx = "org.gnu.gdb.i386.avx"
    }

    /// Registers of one type, the first at `offset`, the next each `stride` bytes behind the last.
    private static func row(
        _ names: String, _ width: Int, _ type: String, _ feature: Feature = .core, at offset: Int, stride: Int? = nil,
        stored: Int? = nil, part: UInt8 = 0
    ) -> [Register] {
        names.split(separator: " ").enumerated().map { index, name in
            Register(
                name: String(name), width: width, feature: feature, type: type,
                offset: offset + index * (stride ?? width), storedWidth: stored ?? width, part: part)
        }
    }

    /// All but those of AVX, by number.
    private static let base: [Register] = [
        row("rax rbx rcx rdx rsi rdi", 8, "int64", at: 0), row("rbp", 8, "data_ptr", at: 56),
        row("rsp", 8, "data_ptr", at: 48), row("r8 r9 r10 r11 r12 r13 r14 r15", 8, "int64", at: 64),
        row("rip", 8, "code_ptr", at: ripOffset), row("eflags", 4, "i386_eflags", at: 136),
        // cs, ds, es, fs, gs, ss of kvm_sregs have 24 bytes each: the base, and at 12 the selector.
        row("cs", 4, "int32", at: special + 12, stored: 2), row("ss", 4, "int32", at: special + 132, stored: 2),
        row("ds es fs gs", 4, "int32", at: special + 36, stride: 24, stored: 2),
        row("fs_base gs_base", 8, "data_ptr", .segments, at: special + 72, stride: 24),
        row("k_gs_base", 8, "data_ptr", .system, at: kernelGSBase),
        row("cr0", 8, "vmm_cr0", .system, at: special + 224), row("cr2 cr3", 8, "int64", .system, at: special + 232),
        row("cr4", 8, "vmm_cr4", .system, at: special + 248), row("cr8", 8, "int64", .system, at: special + 256),
        row("efer", 8, "vmm_efer", .system, at: special + 264),
        row("st0 st1 st2 st3 st4 st5 st6 st7", 10, "i387_ext", at: extended + 32, stride: 16, part: 1),
        row("fctrl fstat", 4, "int", at: extended, stride: 2, stored: 2, part: 1),
        row(tags, 4, "int", at: extended + 4, stored: 1, part: 1),
        row("fiseg", 4, "int", at: extended + 12, stored: 2, part: 1),
        row("fioff", 4, "int", at: extended + 8, part: 1),
        row("foseg", 4, "int", at: extended + 20, stored: 2, part: 1),
        row("fooff", 4, "int", at: extended + 16, part: 1),
        row("fop", 4, "int", at: extended + 6, stored: 2, part: 1),
        row((0..<16).map { "xmm\($0)" }.joined(separator: " "), 16, "vec128", .sse, at: extended + 160, part: 2),
        row("mxcsr", 4, "int", .sse, at: extended + 24, part: 2),
    ].flatMap(\.self)

    private static let avx = row(
        (0..<16).map { "ymm\($0)h" }.joined(separator: " "), 16, "uint128", .avx, at: extended + 576, part: 4)

    /// The registers of a processor with or without AVX, by number.
    public static func registers(hasAVX: Bool) -> [Register] { hasAVX ? base + avx : base }

    /// The value of a register, little-endian, `register.width` bytes.
    subscript(_ register: Register) -> [UInt8] {
        get {
            var value = Array(bytes[register.offset..<register.offset + register.storedWidth])
            if register.name == Self.tags { value = Self.fullTags(value[0]) }
            return value + [UInt8](repeating: 0, count: register.width - value.count)
        }
        set {
            precondition(newValue.count == register.width)
            let value = register.name == Self.tags ? [Self.abridgedTags(newValue)] : newValue
            bytes.replaceSubrange(
                register.offset..<register.offset + register.storedWidth, with: value.prefix(register.storedWidth))
            bytes[Self.headerMask] |= register.part
        }
    }

    private static let ripOffset = 128

    /// The instruction pointer.
    var rip: UInt64 {
        get { bytes.integer(at: Self.ripOffset, bytes: 8) }
        set { bytes.put(newValue, at: Self.ripOffset) }
    }

    /// The tag word of x87: two bits for each register, 3 for an empty one. XSAVE has a bit for each, 0 for an empty one.
    private static let tags = "ftag"

    private static func fullTags(_ abridged: UInt8) -> [UInt8] {
        let tags = (0..<8).reduce(UInt16(0)) { abridged & 1 << $1 == 0 ? $0 | 3 << (2 * $1) : $0 }
        return [UInt8(tags & 0xff), UInt8(tags >> 8)]
    }

    private static func abridgedTags(_ full: [UInt8]) -> UInt8 {
        (0..<8).reduce(UInt8(0)) { full[$1 / 4] >> UInt8(2 * ($1 % 4)) & 3 == 3 ? $0 : $0 | 1 << $1 }
    }
}

// MARK: KVM

extension RegisterFile {
    /// MSR IA32_KERNEL_GS_BASE.
    private static let kernelGSBaseNumber: UInt32 = 0xc000_0102

    /// The registers of `vcpu`, which does not run.
    init(_ vcpu: borrowing VCPU) throws(KVMError) {
        let (general, special) = (try vcpu.registers(), try vcpu.specialRegisters())
        bytes =
            unsafe withUnsafeBytes(of: general) { unsafe [UInt8]($0) }
            + withUnsafeBytes(of: special) { unsafe [UInt8]($0) }
        bytes += try vcpu.extendedState()
        bytes.append(try vcpu.modelSpecificRegister(Self.kernelGSBaseNumber) ?? 0)
    }

    /// Sets those registers of `vcpu` that are not as in `before`, which it has.
    func apply(to vcpu: borrowing VCPU, before: RegisterFile) throws(KVMError) {
        func differs(_ range: Range<Int>) -> Bool { bytes[range] != before.bytes[range] }
        if differs(Self.special..<Self.extended) { try vcpu.setSpecialRegisters(load(at: Self.special)) }
        if differs(0..<Self.special) { try vcpu.setRegisters(load(at: 0)) }
        if differs(Self.extended..<Self.kernelGSBase) {
            try vcpu.setExtendedState(Array(bytes[Self.extended..<Self.kernelGSBase]))
        }
        if differs(Self.kernelGSBase..<Self.size) {
            _ = try vcpu.setModelSpecificRegister(Self.kernelGSBaseNumber, load(at: Self.kernelGSBase))
        }
    }

    private func load<Value: BitwiseCopyable>(at offset: Int) -> Value {
        unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: offset, as: Value.self) }
    }
}
