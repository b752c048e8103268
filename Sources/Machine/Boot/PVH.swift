// The tables of the PVH boot protocol. Xen's docs/misc/pvh.pandoc and
// xen/include/public/arch-x86/hvm/start_info.h, version 1. The processor's state is in EntryState.swift.

/// `hvm_start_info` and the tables it points to.
///
///     0x00  start information   56 bytes
///     0x40  memory map          24 bytes an entry, by ascending address
///           module list         32 bytes each
enum PVH {
    private static let mapOffset = 0x40

    /// The bytes for `MemoryMap.startInfo`.
    static func startInfo(_ boot: BootInformation) -> [UInt8] {
        let base = MemoryMap.startInfo.lowerBound
        let map = boot.ram.map
        var bytes: [UInt8] = []
        bytes.append(UInt32(0x336e_c578))  // magic: "xEn3" with the top bit of the E
        bytes.append(UInt32(1))  // version
        bytes.append(UInt32(0))  // flags
        bytes.append(UInt32(boot.modules.count))
        bytes.append(boot.modules.isEmpty ? 0 : base + UInt64(mapOffset + 24 * map.count))
        bytes.append(MemoryMap.commandLine.lowerBound)
        bytes.append(boot.rsdp)
        bytes.append(base + UInt64(mapOffset))
        bytes.append(UInt32(map.count))
        bytes.pad(to: mapOffset)
        for (range, type) in map {
            bytes.append(range.lowerBound)
            bytes.append(range.upperBound - range.lowerBound)
            bytes.append(type.rawValue)
            bytes.append(UInt32(0))
        }
        for module in boot.modules {
            bytes.append(module.range.lowerBound)
            bytes.append(module.range.upperBound - module.range.lowerBound)
            bytes.append(UInt64(0))  // it has no command line
            bytes.append(UInt64(0))
        }
        return bytes
    }
}
