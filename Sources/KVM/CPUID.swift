// What the CPUID instruction answers in a guest. Not a policy: KVM's own table passes through, and only what depends on
// the vCPU or on being a guest at all is filled in. Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E.

import CKVM

/// A table of CPUID answers, as KVM_GET_SUPPORTED_CPUID gives it.
public struct CPUID: Sendable {
    private var entries: [kvm_cpuid_entry2] = []

    /// KVM_MAX_CPUID_ENTRIES: no kernel gives or takes more.
    private static let capacity = 256

    init() {}

    /// The leaves with this number, all subleaves.
    private mutating func update(_ leaf: UInt32, _ change: (inout kvm_cpuid_entry2) -> Void) {
        for index in entries.indices where entries[index].function == leaf { change(&entries[index]) }
    }

    /// Leaf 1 ECX bit 24: the local APIC's timer takes a deadline.
    mutating func setTSCDeadlineTimer() {
        update(1) { $0.ecx |= 1 << 24 }
    }

    /// The table for the vCPU with this APIC id.
    func forVCPU(apicID: UInt32) -> CPUID {
        var table = self
        table.update(1) {
            $0.ecx |= 1 << 31  // a hypervisor is present
            $0.ebx = $0.ebx & 0x00ff_ffff | apicID << 24
        }
        // The x2APIC id: both topology leaves, and AMD's.
        table.update(0xb) { $0.edx = apicID }
        table.update(0x1f) { $0.edx = apicID }
        table.update(0x8000_001e) { $0.eax = apicID }
        return table
    }

    /// Calls `body` with the table in the kernel's form: a count, a pad word, then the entries. With no entries yet the
    /// count tells the room there is. What the kernel writes there is taken over.
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
