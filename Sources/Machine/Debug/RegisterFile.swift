// The registers of a vCPU as a debugger numbers them, in QEMU's order: where each is in what KVM returns, and the target description.
// Kernel: struct kvm_regs, struct kvm_sregs; Intel SDM volume 1, "XSAVE-managed features"; GDB's manual, "i386 features".

import KVM

/// The registers of a vCPU.
public struct RegisterFile: Equatable, Sendable {
    // What KVM returns, one behind the other.
    static let special = MemoryLayout<kvm_regs>.size
    static let extended = special + MemoryLayout<kvm_sregs>.size
    static let kernelGSBase = extended + 4096
    static let size = kernelGSBase + 8
    /// In the extended state: the bits of the parts that are not in their initial state.
    private static let headerMask = extended + 512

    /// `kvm_regs`, `kvm_sregs`, the extended state, and the base that SWAPGS exchanges with GS's.
    var bytes: [UInt8]

    /// Registers that are all 0.
    public init() { bytes = [UInt8](repeating: 0, count: Self.size) }

    /// A register.
    public struct Register: Sendable {
        public let name: String
        /// Bytes in the protocol.
        public let width: Int
        /// Its type in the target description, and the feature there.
        fileprivate let type: String
        fileprivate let feature: Feature
        fileprivate let offset: Int
        /// Bytes in `RegisterFile.bytes`.
        fileprivate let storedWidth: Int
        /// The part of the extended state that it belongs to, as a bit of its header; 0 for none.
        fileprivate let part: UInt8

        fileprivate init(
            _ name: String, _ width: Int, _ type: String, _ feature: Feature, at offset: Int, stored: Int? = nil,
            part: UInt8 = 0
        ) {
            (self.name, self.width, self.type, self.feature) = (name, width, type, feature)
            (self.offset, storedWidth, self.part) = (offset, stored ?? width, part)
        }
    }

    fileprivate enum Feature: String, CaseIterable {
        case core = "org.gnu.gdb.i386.core"
        case segments = "org.gnu.gdb.i386.segments"
        case system = "vmm.x86-64.system"
        case sse = "org.gnu.gdb.i386.sse"
        case avx = "org.gnu.gdb.i386.avx"
    }

    /// All but AVX's, by number.
    private static let base: [Register] = {
        let general = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp"] + (8...15).map { "r\($0)" } + ["rip"]
        let order = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"] + general.dropFirst(8)
        let types = ["rbp": "data_ptr", "rsp": "data_ptr", "rip": "code_ptr"]
        var all = order.map { name in
            Register(name, 8, types[name] ?? "int64", .core, at: 8 * (general.firstIndex(of: name) ?? 0))
        }
        all.append(Register("eflags", 4, "i386_eflags", .core, at: 136))
        // The order of kvm_sregs: cs, ds, es, fs, gs, ss, 24 bytes each; the base, and at 12 the selector.
        for (name, index) in [("cs", 0), ("ss", 5), ("ds", 1), ("es", 2), ("fs", 3), ("gs", 4)] {
            all.append(Register(name, 4, "int32", .core, at: special + 24 * index + 12, stored: 2))
        }
        all.append(Register("fs_base", 8, "data_ptr", .segments, at: special + 24 * 3))
        all.append(Register("gs_base", 8, "data_ptr", .segments, at: special + 24 * 4))
        all.append(Register("k_gs_base", 8, "data_ptr", .system, at: kernelGSBase))
        for (index, name) in ["cr0", "cr2", "cr3", "cr4", "cr8", "efer"].enumerated() {
            let type = ["cr0", "cr4", "efer"].contains(name) ? "vmm_\(name)" : "int64"
            all.append(Register(name, 8, type, .system, at: special + 224 + 8 * index))
        }
        for index in 0..<8 {
            all.append(Register("st\(index)", 10, "i387_ext", .core, at: extended + 32 + 16 * index, part: 1))
        }
        for (name, offset, stored) in [
            ("fctrl", 0, 2), ("fstat", 2, 2), ("ftag", 4, 1), ("fiseg", 12, 2), ("fioff", 8, 4), ("foseg", 20, 2),
            ("fooff", 16, 4),
            ("fop", 6, 2),
        ] {
            all.append(Register(name, 4, "int", .core, at: extended + offset, stored: stored, part: 1))
        }
        for index in 0..<16 {
            all.append(Register("xmm\(index)", 16, "vec128", .sse, at: extended + 160 + 16 * index, part: 2))
        }
        all.append(Register("mxcsr", 4, "int", .sse, at: extended + 24, part: 2))
        return all
    }()

    private static let avx = (0..<16).map { index in
        Register("ymm\(index)h", 16, "uint128", .avx, at: extended + 576 + 16 * index, part: 4)
    }

    /// The registers of a processor with or without AVX, by number.
    public static func registers(hasAVX: Bool) -> [Register] { hasAVX ? base + avx : base }

    /// The value of a register, little-endian, as wide as in the protocol.
    subscript(_ register: Register) -> [UInt8] {
        get {
            var value = Array(bytes[register.offset..<register.offset + register.storedWidth])
            if register.name == "ftag" { value = Self.fullTags(value[0]) }
            return value + [UInt8](repeating: 0, count: register.width - value.count)
        }
        set {
            precondition(newValue.count == register.width)
            // XSAVE has a bit for each x87 register: whether it holds something.
            let value = register.name == "ftag" ? [Self.abridgedTags(newValue)] : newValue
            let stored = value.prefix(register.storedWidth)
            bytes.replaceSubrange(register.offset..<register.offset + stored.count, with: stored)
            bytes[Self.headerMask] |= register.part
        }
    }

    /// The instruction pointer.
    var rip: UInt64 {
        get { bytes.integer(at: 128, bytes: 8) }
        set { bytes.put(newValue, at: 128) }
    }

    /// x87's tag word, two bits for each register, 3 for an empty one.
    private static func fullTags(_ abridged: UInt8) -> [UInt8] {
        let tags = (0..<8).reduce(UInt16(0)) { abridged & 1 << $1 == 0 ? $0 | 3 << (2 * $1) : $0 }
        return [UInt8(tags & 0xff), UInt8(tags >> 8)]
    }

    private static func abridgedTags(_ full: [UInt8]) -> UInt8 {
        (0..<8).reduce(UInt8(0)) { full[$1 / 4] >> UInt8(2 * ($1 % 4)) & 3 == 3 ? $0 : $0 | 1 << $1 }
    }

    // MARK: The target description

    private static let flags: [(name: String, width: Int, bits: [(String, Int)])] = [
        (
            "i386_eflags", 4,
            [
                ("CF", 0), ("", 1), ("PF", 2), ("AF", 4), ("ZF", 6), ("SF", 7), ("TF", 8), ("IF", 9), ("DF", 10),
                ("OF", 11),
                ("NT", 14), ("RF", 16), ("VM", 17), ("AC", 18), ("VIF", 19), ("VIP", 20), ("ID", 21),
            ]
        ),
        (
            "vmm_cr0", 8,
            [
                ("PE", 0), ("MP", 1), ("EM", 2), ("TS", 3), ("ET", 4), ("NE", 5), ("WP", 16), ("AM", 18), ("NW", 29),
                ("CD", 30),
                ("PG", 31),
            ]
        ),
        (
            "vmm_cr4", 8,
            [
                ("VME", 0), ("PVI", 1), ("TSD", 2), ("DE", 3), ("PSE", 4), ("PAE", 5), ("MCE", 6), ("PGE", 7),
                ("PCE", 8),
                ("OSFXSR", 9), ("OSXMMEXCPT", 10), ("UMIP", 11), ("LA57", 12), ("FSGSBASE", 16), ("PCIDE", 17),
                ("OSXSAVE", 18),
                ("SMEP", 20), ("SMAP", 21), ("PKE", 22),
            ]
        ),
        ("vmm_efer", 8, [("SCE", 0), ("LME", 8), ("LMA", 10), ("NXE", 11), ("SVME", 12)]),
    ]

    /// The types that the registers of a feature have.
    private static func types(of feature: Feature) -> String {
        var xml = ""
        if feature == .sse {
            for (id, type, count) in [
                ("v4f", "ieee_single", 4), ("v2d", "ieee_double", 2), ("v16i8", "int8", 16), ("v8i16", "int16", 8),
                ("v4i32", "int32", 4), ("v2i64", "int64", 2),
            ] {
                xml += "<vector id=\"\(id)\" type=\"\(type)\" count=\"\(count)\"/>"
            }
            xml += "<union id=\"vec128\">"
            for (field, type) in [
                ("v4_float", "v4f"), ("v2_double", "v2d"), ("v16_int8", "v16i8"), ("v8_int16", "v8i16"),
                ("v4_int32", "v4i32"),
                ("v2_int64", "v2i64"), ("uint128", "uint128"),
            ] {
                xml += "<field name=\"\(field)\" type=\"\(type)\"/>"
            }
            xml += "</union>"
        }
        for (name, width, bits) in flags
        where (feature == .core) == (name == "i386_eflags") && [.core, .system].contains(feature) {
            xml += "<flags id=\"\(name)\" size=\"\(width)\">"
            for (name, bit) in bits { xml += "<field name=\"\(name)\" start=\"\(bit)\" end=\"\(bit)\"/>" }
            xml += "</flags>"
        }
        return xml
    }

    /// The target description, in XML.
    static func description(hasAVX: Bool) -> String {
        var xml =
            "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target><architecture>i386:x86-64</architecture>"
        let registers = registers(hasAVX: hasAVX)
        for feature in Feature.allCases where hasAVX || feature != .avx {
            xml += "<feature name=\"\(feature.rawValue)\">\(types(of: feature))"
            for (number, register) in registers.enumerated() where register.feature == feature {
                xml +=
                    "<reg name=\"\(register.name)\" bitsize=\"\(8 * register.width)\" type=\"\(register.type)\" regnum=\"\(number)\"/>"
            }
            xml += "</feature>"
        }
        return xml + "</target>"
    }
}

// MARK: KVM

extension RegisterFile {
    /// The registers of `vcpu`, which does not run.
    init(_ vcpu: borrowing VCPU) throws(KVMError) {
        let general = try vcpu.registers()
        let special = try vcpu.specialRegisters()
        bytes =
            unsafe withUnsafeBytes(of: general) { unsafe [UInt8]($0) }
            + withUnsafeBytes(of: special) { unsafe [UInt8]($0) }
        bytes += try vcpu.extendedState()
        bytes.append(try vcpu.modelSpecificRegister(Self.kernelGSBaseNumber) ?? 0)
    }

    /// IA32_KERNEL_GS_BASE.
    private static let kernelGSBaseNumber: UInt32 = 0xc000_0102

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
