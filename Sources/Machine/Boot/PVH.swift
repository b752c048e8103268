// The tables of the PVH boot protocol. Xen's docs/misc/pvh.pandoc and
// xen/include/public/arch-x86/hvm/start_info.h, version 1. The processor's state is in EntryState.swift.

/// `hvm_start_info` and the tables it points to.
///
///     0x00  start information   56 bytes
///     0x40  module list         32 bytes: the initrd
///     0x60  memory map          24 bytes an entry, by ascending address
enum PVH {
    private static let moduleOffset = 0x40
    private static let mapOffset = 0x60

    /// The bytes for `MemoryMap.startInfo`. `module` is the initrd's range; `rsdp` is 0 without ACPI.
    static func startInfo(ram: RAM, module: Range<UInt64>?, rsdp: UInt64) -> [UInt8] {
        let base = MemoryMap.startInfo.lowerBound
        let map = ram.map
        var bytes: [UInt8] = []
        bytes.append(UInt32(0x336e_c578))  // magic: "xEn3" with the top bit of the E
        bytes.append(UInt32(1))  // version
        bytes.append(UInt32(0))  // flags
        bytes.append(UInt32(module == nil ? 0 : 1))
        bytes.append(module == nil ? 0 : base + UInt64(moduleOffset))
        bytes.append(MemoryMap.commandLine.lowerBound)
        bytes.append(rsdp)
        bytes.append(base + UInt64(mapOffset))
        bytes.append(UInt32(map.count))
        bytes.pad(to: moduleOffset)
        bytes.append(module?.lowerBound ?? 0)
        bytes.append(module.map { $0.upperBound - $0.lowerBound } ?? 0)
        bytes.pad(to: mapOffset)  // the module has no command line
        for (range, type) in map {
            bytes.append(range.lowerBound)
            bytes.append(range.upperBound - range.lowerBound)
            bytes.append(type.rawValue)
            bytes.append(UInt32(0))
        }
        return bytes
    }
}
