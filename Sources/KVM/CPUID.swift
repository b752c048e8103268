// The CPUID table of a guest. It sets no policy: KVM's own table passes through, and only the fields that depend on the
// vCPU, on the number of vCPUs, or on running under a hypervisor are filled in. Intel SDM volume 2, CPUID; AMD APM
// volume 3, appendix E.

import CKVM

/// A table of CPUID leaves, as KVM_GET_SUPPORTED_CPUID returns it.
public struct CPUID: Sendable {
    private var entries: [kvm_cpuid_entry2] = []

    /// KVM_MAX_CPUID_ENTRIES: the kernel's limit, in both directions.
    private static let capacity = 256

    init() {}

    /// The entries in the kernel's layout, 40 bytes each.
    public var bytes: [UInt8] { kernelBytes(entries) }

    /// The table with these `bytes`, at most as many entries as the kernel takes.
    public init(bytes: [UInt8]) { entries = Array(kernelStructs(bytes).prefix(Self.capacity)) }

    /// The table of the first of `count` vCPUs: without what depends on the processor that reads it.
    public func forFirstVCPU(of count: Int) -> CPUID { forVCPU(apicID: 0, of: UInt32(count)) }

    /// The leaf, as `0x1`, of the first thing that a guest with this table may use and a processor with `host` lacks; nil if there is
    /// none. Compared are the vendor and the leaves of feature bits.
    public func missing(from host: CPUID) -> String? {
        for entry in entries {
            let (leaf, index) = (entry.function, entry.index)
            let other = host.entries.first { $0.function == leaf && $0.index == index } ?? kvm_cpuid_entry2()
            let fits =
                switch (leaf, index) {
                case (0, _): (entry.ebx, entry.ecx, entry.edx) == (other.ebx, other.ecx, other.edx)
                case (1, _), (0x8000_0001, _): (entry.ecx & ~other.ecx, entry.edx & ~other.edx) == (0, 0)
                case (7, 0): (entry.ebx & ~other.ebx, entry.ecx & ~other.ecx, entry.edx & ~other.edx) == (0, 0, 0)
                case (7, _), (0xd, 1): entry.eax & ~other.eax == 0
                case (0xd, 0): (entry.eax & ~other.eax, entry.edx & ~other.edx) == (0, 0)
                case (0x8000_0008, _): entry.ebx & ~other.ebx == 0
                // What KVM itself offers its guests.
                case (0x4000_0001, _): entry.eax & ~other.eax == 0
                default: true
                }
            if !fits { return "0x" + String(leaf, radix: 16) }
        }
        return nil
    }

    /// Whether a guest with this table has AVX's registers: XSAVE, and AVX.
    public var hasAVX: Bool { entries.contains { $0.function == 1 && $0.ecx >> 26 & 5 == 5 } }

    /// Changes all subleaves of the leaf with this number.
    private mutating func update(_ leaf: UInt32, _ change: (inout kvm_cpuid_entry2) -> Void) {
        for index in entries.indices where entries[index].function == leaf { change(&entries[index]) }
    }

    /// Sets leaf 1 ECX bit 24: the local APIC's timer has TSC-deadline mode.
    mutating func setTSCDeadlineTimer() {
        update(1) { $0.ecx |= 1 << 24 }
    }

    /// The table for the vCPU with this APIC id. The `count` vCPUs are cores of one package, with one thread each and a
    /// shared last-level cache.
    func forVCPU(apicID: UInt32, of count: UInt32) -> CPUID {
        var table = self
        // Width of the core number in an APIC id.
        let bits = UInt32(32 - (count - 1).leadingZeroBitCount)
        let isMultiprocessor: UInt32 = count > 1 ? 1 : 0
        table.update(1) {
            $0.ecx.set(31...31, 1)  // a hypervisor is present
            $0.ebx.set(24...31, apicID)
            $0.ebx.set(16...23, count)
            $0.edx.set(28...28, isMultiprocessor)  // HTT: the count is valid
        }
        // Leaf 4, Intel's caches: the maximum number of APIC ids that share the cache, and that are in the package,
        // each minus one.
        table.update(4) { cache in
            guard cache.isCache else { return }
            cache.eax.set(14...25, cache.isLastLevel ? (1 << bits) - 1 : 0)
            cache.eax.set(26...31, min((1 << bits) - 1, 63))
        }
        for leaf: UInt32 in [0xb, 0x1f] where table.entries.contains(where: { $0.function == leaf }) {
            table.setTopology(leaf, apicID, bits, count)
        }
        table.update(0x8000_0001) { $0.ecx.set(1...1, isMultiprocessor) }  // CmpLegacy: leaf 1 counts cores
        table.update(0x8000_0008) {
            $0.ecx.set(0...7, count - 1)
            $0.ecx.set(12...15, bits)
        }
        // AMD's caches: the number of processors that share the cache, minus one.
        table.update(0x8000_001d) { cache in
            if cache.isCache { cache.eax.set(14...25, cache.isLastLevel ? count - 1 : 0) }
        }
        table.update(0x8000_001e) { ($0.eax, $0.ebx, $0.ecx) = (apicID, apicID, 0) }  // a core of its own, node 0
        return table
    }

    /// Writes the levels of an extended topology leaf: threads of a core (type 1), cores of the package (type 2), the
    /// end.
    private mutating func setTopology(_ leaf: UInt32, _ apicID: UInt32, _ bits: UInt32, _ count: UInt32) {
        entries.removeAll { $0.function == leaf }
        let levels: [(type: UInt32, shift: UInt32, processors: UInt32)] = [(1, 0, 1), (2, bits, count), (0, 0, 0)]
        for (level, fields) in levels.enumerated() {
            var entry = kvm_cpuid_entry2()
            (entry.function, entry.index) = (leaf, UInt32(level))
            entry.flags = 1  // KVM_CPUID_FLAG_SIGNIFCANT_INDEX
            (entry.eax, entry.ebx, entry.edx) = (fields.shift, fields.processors, apicID)
            entry.ecx = fields.type << 8 | UInt32(level)
            entries.append(entry)
        }
    }

    /// Calls `body` with the table in the kernel's layout (`struct kvm_cpuid2`: a count, a pad word, then the entries),
    /// and stores the entries that the kernel wrote there. While the table is empty, the count passed is the capacity.
    mutating func withTable(_ body: (UnsafeMutableRawPointer) throws(KVMError) -> Void) throws(KVMError) {
        let header = MemoryLayout<kvm_cpuid2>.size
        let stride = MemoryLayout<kvm_cpuid_entry2>.stride
        let table = UnsafeMutableRawPointer.allocate(byteCount: header + Self.capacity * stride, alignment: 8)
        defer { unsafe table.deallocate() }
        unsafe table.storeBytes(of: UInt32(entries.isEmpty ? Self.capacity : entries.count), as: UInt32.self)
        unsafe table.storeBytes(of: 0, toByteOffset: 4, as: UInt32.self)
        for (index, entry) in entries.enumerated() {
            unsafe table.storeBytes(of: entry, toByteOffset: header + index * stride, as: kvm_cpuid_entry2.self)
        }
        unsafe try body(table)
        let count = unsafe Int(table.load(as: UInt32.self))
        entries = (0..<count).map {
            unsafe table.load(fromByteOffset: header + $0 * stride, as: kvm_cpuid_entry2.self)
        }
    }
}

extension kvm_cpuid_entry2 {
    /// Whether this subleaf of leaf 4 or 0x8000001d describes a cache.
    fileprivate var isCache: Bool { eax & 0x1f != 0 }
    /// Whether the cache's level is 3 or more.
    fileprivate var isLastLevel: Bool { eax >> 5 & 7 >= 3 }
}

extension UInt32 {
    /// Writes the low bits of `value` into the field at `bits`.
    fileprivate mutating func set(_ bits: ClosedRange<UInt32>, _ value: UInt32) {
        let mask = UInt32.max >> (31 - bits.upperBound + bits.lowerBound)
        self = self & ~(mask << bits.lowerBound) | (value & mask) << bits.lowerBound
    }
}
