// Linux's 64-bit and 32-bit boot protocols: the header of a bzImage, and the boot parameters for a kernel. Linux's
// Documentation/arch/x86/boot.rst and zero-page.rst. The processor's state is in EntryState.swift.

/// A bzImage: a real-mode part, of which only the setup header is used, followed by the kernel.
struct BzImage {
    /// Where the setup header begins, in the file and in the boot parameters.
    static let headerStart = 0x1f1
    private static let signature: (offset: UInt64, bytes: [UInt8]) = (0x202, Array("HdrS".utf8))
    /// The protocols that first have a pointer to the command line, an end for the initial RAM disk, a size of the command line, a
    /// preferred address, and a 64-bit entry.
    private enum Version {
        static let commandLine: UInt64 = 0x202, initrdEnd: UInt64 = 0x203, commandLineSize: UInt64 = 0x206
        static let preferredAddress: UInt64 = 0x20a, entry64: UInt64 = 0x20c
    }

    /// The file's setup header, from `headerStart` on.
    let header: [UInt8]
    /// The kernel's offset in the file.
    let offset: UInt64
    /// The kernel's load address, and the bytes of memory it needs there to decompress itself.
    let address: UInt64
    let memorySize: UInt64
    /// The last address that a byte of the initial RAM disk may have.
    let lastInitrdAddress: UInt64
    /// The kernel's entry: at a fixed distance from its start in 64-bit mode, and else its start, in 32-bit mode.
    let entry: UInt64
    let is64Bit: Bool
    /// The longest command line in bytes, without its terminating zero; nil if the header does not say.
    let commandLineSize: Int?

    /// Whether `image` has the signature of a bzImage.
    static func hasSignature(_ image: borrowing Image) -> Bool {
        guard let found = try? image.bytes(at: signature.offset, count: signature.bytes.count) else { return false }
        return found == signature.bytes
    }

    init(_ image: borrowing Image) throws(LoaderError) {
        guard Self.hasSignature(image) else { throw .notBzImage(name: image.name) }
        // The byte at 0x201 is the offset of a jump over the header, and so gives its end.
        let start = try image.bytes(at: 0, count: 0x202)
        let end = min(0x202 + Int(start[0x201]), LinuxBoot.headerEnd)
        guard image.size >= UInt64(end) else { throw .truncated(name: image.name) }
        let setup = start + (try image.bytes(at: 0x202, count: end - 0x202))
        header = Array(setup[Self.headerStart...])
        // Fields behind the header's end read 0.
        let head = setup + [UInt8](repeating: 0, count: LinuxBoot.headerEnd - setup.count)
        let version = head.integer(at: 0x206, bytes: 2)
        let start32 = head.integer(at: 0x214, bytes: 4)
        // LOADED_HIGH; a kernel without an entry at 1 MiB has its only one in the real-mode part.
        guard version >= Version.commandLine, head[0x211] & 1 != 0, start32 != 0 else {
            throw .needsBIOS(name: image.name)
        }
        let sectors = head[0x1f1] == 0 ? 4 : UInt64(head[0x1f1])
        offset = (sectors + 1) * 512
        guard offset < image.size else { throw .truncated(name: image.name) }
        let fileSize = image.size - offset
        let preferred = head.integer(at: 0x258, bytes: 8)
        let needed = max(head.integer(at: 0x260, bytes: 4), fileSize)
        is64Bit = version >= Version.entry64 && head.integer(at: 0x236, bytes: 2) & 1 != 0  // XLF_KERNEL_64
        if is64Bit {
            (address, memorySize) = (preferred, needed)
            entry = address &+ 0x200
            guard needed > 0x200 else { throw .truncated(name: image.name) }
            guard preferred < (1 << 32) - 0x200 else {
                throw .malformed(name: image.name, what: "its entry is above 4 GiB, where no boot protocol enters")
            }
        } else {
            (address, entry) = (start32, start32)
            // A kernel that is loaded below its preferred address decompresses itself to that.
            let hasPreference = version >= Version.preferredAddress && preferred >= start32 && preferred >> 32 == 0
            memorySize = hasPreference ? preferred - start32 + needed : fileSize
        }
        lastInitrdAddress = version >= Version.initrdEnd ? head.integer(at: 0x22c, bytes: 4) : 0x37ff_ffff
        let size = version >= Version.commandLineSize ? Int(head.integer(at: 0x238, bytes: 4)) : 255
        commandLineSize = size == 0 ? nil : size
    }
}

/// The boot parameters ("zero page") and segments for a kernel, and page tables if it is entered in 64-bit mode.
enum LinuxBoot {
    /// The end of the space for a setup header.
    static let headerEnd = 0x290
    private static let mapOffset = 0x2d0

    /// The bytes for `MemoryMap.startInfo`. `header` is a bzImage's setup header; an ELF file has none. Of a header only the fields change
    /// that a boot loader writes (boot.rst, "Details of Header Fields").
    static func parameters(_ boot: BootInformation, header: [UInt8]?) -> [UInt8] {
        let initrd = boot.modules.first?.range
        var page = [UInt8](repeating: 0, count: 4096)
        if let header {
            page.replaceSubrange(BzImage.headerStart..<BzImage.headerStart + header.count, with: header)
        } else {
            page.put(UInt16(0xaa55), at: 0x1fe)
            page.replaceSubrange(0x202..<0x206, with: Array("HdrS".utf8))
            page.put(UInt16(0x20c), at: 0x206)
            page.put(UInt32(0x100_0000), at: 0x230)  // kernel_alignment
            page.put(UInt32(MemoryMap.commandLine.count - 1), at: 0x238)  // cmdline_size
        }
        page.put(boot.rsdp, at: 0x070)
        page.put(UInt8(0xff), at: 0x210)  // type_of_loader: no assigned ID
        page.put(page[0x211] & ~0x80 | 1, at: 0x211)  // LOADED_HIGH, not CAN_USE_HEAP
        page.put(UInt32(initrd?.lowerBound ?? 0), at: 0x218)
        page.put(UInt32(initrd.map { $0.upperBound - $0.lowerBound } ?? 0), at: 0x21c)
        page.put(UInt32(MemoryMap.commandLine.lowerBound), at: 0x228)
        let map = boot.ram.map
        page.put(UInt8(map.count), at: 0x1e8)
        for (number, entry) in map.enumerated() {
            let offset = mapOffset + 20 * number
            page.put(entry.range.lowerBound, at: offset)
            page.put(entry.range.upperBound - entry.range.lowerBound, at: offset + 8)
            page.put(entry.type.rawValue, at: offset + 16)
        }
        return page
    }

    /// Page tables for `MemoryMap.pageTables` that map the first 4 GiB one to one, in pages of 2 MiB.
    static var pageTables: [UInt8] {
        let base = MemoryMap.pageTables.lowerBound
        let present: UInt64 = 3  // and writable
        var bytes: [UInt8] = []
        bytes.append(base + 0x1000 | present)
        bytes.pad(to: 0x1000)
        for table: UInt64 in 0..<4 { bytes.append(base + 0x2000 + table << 12 | present) }
        bytes.pad(to: 0x2000)
        for page: UInt64 in 0..<2048 { bytes.append(page << 21 | present | 1 << 7) }
        return bytes
    }

    /// The segments for `MemoryMap.segments`: __BOOT_CS at 0x10, with code of 64 or 32 bits, and __BOOT_DS at 0x18.
    static func segments(is64Bit: Bool) -> [UInt8] {
        let code: UInt64 = is64Bit ? 0x00af_9b00_0000_ffff : 0x00cf_9b00_0000_ffff
        var bytes: [UInt8] = []
        for descriptor: UInt64 in [0, 0, code, 0x00cf_9300_0000_ffff] { bytes.append(descriptor) }
        return bytes
    }
}
