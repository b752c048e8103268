// Multiboot, called version 1: the header of a kernel, and the boot information. Multiboot Specification 0.6.96.

enum Multiboot1 {
    /// The value of eax at the entry.
    static let entryMagic: UInt32 = 0x2bad_b002

    /// Flags of the header. Of bits 0 to 15 a boot loader has to know those that are set (3.1.2): modules on page boundaries, the
    /// amount of memory, and a display's mode, of which there is none to tell.
    private enum HeaderFlag { static let known: UInt64 = 0b111, required: UInt64 = 0xffff, addresses: UInt64 = 1 << 16 }

    /// The offset of the header of `image`; nil if it has none (3.1).
    static func header(of image: borrowing Image) -> Int? {
        Multiboot.find(0x1bad_b002, words: 3, alignment: 4, in: 8 << 10, of: image)
    }

    /// Reads the header at `offset`.
    static func read(_ image: borrowing Image, header offset: Int) throws(LoaderError) -> Multiboot {
        let flags = try image.bytes(at: UInt64(offset) + 4, count: 4).integer(at: 0, bytes: 4)
        let unknown = flags & HeaderFlag.required & ~HeaderFlag.known
        guard unknown == 0 else {
            throw .badMultiboot(
                name: image.name,
                what: "requires flags \(LoaderError.hex(unknown)), which the specification does not have")
        }
        guard flags & HeaderFlag.addresses != 0 else {
            return try Multiboot(image, header: offset, addresses: nil, entry: nil)
        }
        let fields = try image.bytes(at: UInt64(offset) + 12, count: 20)
        func field(_ number: Int) -> UInt64 { fields.integer(at: 4 * number, bytes: 4) }
        let addresses = Multiboot.Addresses(header: field(0), load: field(1), loadEnd: field(2), bssEnd: field(3))
        return try Multiboot(image, header: offset, addresses: addresses, entry: field(4))
    }

    /// The bytes for `MemoryMap.startInfo` (3.3). Strings are by their addresses.
    ///
    ///     0x00  boot information  116 bytes
    ///     0x80  memory map        24 bytes an entry, by ascending address
    ///           modules           16 bytes each
    ///           strings           the boot loader's name, the modules' names
    static func information(_ boot: BootInformation) -> [UInt8] {
        let base = UInt32(MemoryMap.startInfo.lowerBound)
        let map = boot.ram.map
        let mapOffset: UInt32 = 0x80
        let modulesOffset = mapOffset + 24 * UInt32(map.count)
        let stringsOffset = modulesOffset + 16 * UInt32(boot.modules.count)
        var strings = Array(Multiboot.loaderName.utf8) + [0]
        var modules: [UInt8] = []
        for module in boot.modules {
            modules.append(UInt32(module.range.lowerBound))
            modules.append(UInt32(module.range.upperBound))
            modules.append(base + stringsOffset + UInt32(strings.count))
            modules.append(UInt32(0))
            strings += Array(module.name.utf8) + [0]
        }
        var bytes: [UInt8] = []
        bytes.append(UInt32(1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9))  // memory, command line, modules, map, name
        let memory = Multiboot.memory(boot.ram)
        bytes.append(memory.lower)
        bytes.append(memory.upper)
        bytes.append(UInt32(0))  // no boot device
        bytes.append(UInt32(MemoryMap.commandLine.lowerBound))
        bytes.append(UInt32(boot.modules.count))
        bytes.append(base + modulesOffset)
        bytes.pad(to: 44)  // no symbols
        bytes.append(24 * UInt32(map.count))
        bytes.append(base + mapOffset)
        bytes.pad(to: 64)  // no drives, no ROM configuration table
        bytes.append(base + stringsOffset)
        bytes.pad(to: Int(mapOffset))  // no APM, no display
        for (range, type) in map {
            bytes.append(UInt32(20))  // the size of what follows
            bytes.append(range.lowerBound)
            bytes.append(range.upperBound - range.lowerBound)
            bytes.append(type.rawValue)
        }
        return bytes + modules + strings
    }
}
