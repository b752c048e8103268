// What the headers of both Multiboot protocols have in common. Multiboot1.swift and Multiboot2.swift read them and make the boot
// information; the processor's state is in EntryState.swift.

/// A kernel with a Multiboot header, as it is to be loaded.
struct Multiboot {
    /// The physical address of its entry, in 32-bit protected mode.
    var entry: UInt64
    var segments: [ELF.Segment]
    /// The lowest physical address of an image that may be moved (relocatable header tag); nil for other images.
    var loadBase: UInt64?

    /// The boot loader's name in the boot information.
    static let loaderName = "vmm"

    /// The address fields of a header: where the file is loaded that has no other header (Multiboot 0.6.96, 3.1.3).
    struct Addresses {
        let header: UInt64
        let load: UInt64
        /// The end of what is loaded, 0 for the end of the file; and of the memory after it that is cleared, 0 for none.
        let loadEnd: UInt64
        let bssEnd: UInt64
    }

    /// By the header's own addresses and entry if it has them, and else by those of the ELF file. `offset` is the header's.
    init(
        _ image: borrowing Image, header offset: Int, addresses: Addresses?, entry: UInt64?
    ) throws(LoaderError) {
        if let addresses {
            segments = [try Self.segment(addresses, image, header: UInt64(offset))]
            guard let entry else { throw .badMultiboot(name: image.name, what: "has addresses, and no entry") }
            self.entry = entry
        } else {
            let elf = try ELF(image)
            segments = elf.segments
            self.entry = entry ?? elf.physicalEntry
        }
    }

    private static func segment(
        _ addresses: Addresses, _ image: borrowing Image, header: UInt64
    ) throws(LoaderError) -> ELF.Segment {
        // All values have 32 bits, of which sums in 64 bits do not overflow.
        guard addresses.load <= addresses.header, addresses.header - addresses.load <= header else {
            throw .badMultiboot(name: image.name, what: "has a load address from which its own is not in the file")
        }
        let offset = header - (addresses.header - addresses.load)
        let end = addresses.loadEnd == 0 ? addresses.load + (image.size - offset) : addresses.loadEnd
        guard end > addresses.load, addresses.bssEnd == 0 || addresses.bssEnd >= end else {
            throw .badMultiboot(name: image.name, what: "has end addresses that do not ascend")
        }
        return ELF.Segment(
            offset: offset, address: addresses.load, virtual: addresses.load, fileSize: end - addresses.load,
            memorySize: max(end, addresses.bssEnd) - addresses.load)
    }

    /// The offset of a header in the first `limit` bytes: `words` words that begin with `magic` and whose sum is 0.
    static func find(
        _ magic: UInt32, words: Int, alignment: Int, in limit: Int, of image: borrowing Image
    ) -> Int? {
        guard let start = try? image.bytes(at: 0, count: Int(min(image.size, UInt64(limit)))) else { return nil }
        return stride(from: 0, through: start.count - 4 * words, by: alignment).first { offset in
            let sum = (0..<words).reduce(UInt64(0)) { $0 + start.integer(at: offset + 4 * $1, bytes: 4) }
            return start.integer(at: offset, bytes: 4) == UInt64(magic) && sum & 0xffff_ffff == 0
        }
    }

    /// KiB of memory from 0, and from 1 MiB on.
    static func memory(_ ram: RAM) -> (lower: UInt32, upper: UInt32) {
        let firmware = MemoryMap.firmware
        return (UInt32(firmware.lowerBound >> 10), UInt32((ram.lowEnd - firmware.upperBound) >> 10))
    }
}
