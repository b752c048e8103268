// Multiboot2: the header of a kernel with its tags, and the boot information. Multiboot2 Specification 2.0.

enum Multiboot2 {
    /// The value of eax at the entry.
    static let entryMagic: UInt32 = 0x36d7_6289

    /// Most bytes of a header, which is whole in the first 32 KiB (3.1).
    private static let limit = 32 << 10
    /// The tags of the boot information that the specification has: types 0 to 21 (3.6).
    private static let lastInformation: UInt64 = 21

    /// The types of the header's tags (3.1.3 to 3.1.13).
    private enum HeaderTag {
        static let end: UInt64 = 0, informationRequest: UInt64 = 1, addresses: UInt64 = 2, entry: UInt64 = 3
        static let console: UInt64 = 4, framebuffer: UInt64 = 5, moduleAlignment: UInt64 = 6
        static let efiBootServices: UInt64 = 7, efi32Entry: UInt64 = 8, efi64Entry: UInt64 = 9, relocatable: UInt64 = 10
        /// The bytes of a tag that is read, with its type, flags and size.
        static func size(_ type: UInt64) -> Int {
            switch type {
            case addresses, relocatable: 24
            case entry, console: 12
            default: 8
            }
        }
    }

    /// The offset of the header of `image`; nil if it has none.
    static func header(of image: borrowing Image) -> Int? {
        Multiboot.find(0xe852_50d6, words: 4, alignment: 8, in: limit, of: image)
    }

    /// Reads the header at `offset`.
    static func read(_ image: borrowing Image, header offset: Int) throws(LoaderError) -> Multiboot {
        let start = try image.bytes(at: UInt64(offset), count: 16)
        guard start.integer(at: 4, bytes: 4) == 0 else {
            throw .badMultiboot(name: image.name, what: "is for an architecture other than i386")
        }
        let length = start.integer(at: 8, bytes: 4)
        guard length >= 16, length <= UInt64(limit - offset) else {
            throw .badMultiboot(name: image.name, what: "has \(length) bytes, and does not end in the first 32 KiB")
        }
        let header = try image.bytes(at: UInt64(offset), count: Int(length))
        var tags = Tags()
        try tags.read(header, at: UInt64(offset), name: image.name)
        var kernel = try Multiboot(image, header: offset, addresses: tags.addresses, entry: tags.entry)
        if let range = tags.relocation { try kernel.move(to: range, name: image.name) }
        return kernel
    }

    /// Where a relocatable image may be: its lowest and its last address, and the alignment (3.1.13).
    fileprivate struct Relocation {
        let first: UInt64
        let last: UInt64
        let alignment: UInt64
    }

    /// What the tags of a header say.
    private struct Tags {
        /// The header's offset in the file.
        private var offset: UInt64 = 0
        var addresses: Multiboot.Addresses?
        var entry: UInt64?
        var relocation: Relocation?

        /// Reads the tags up to the end tag, or to the end of the header.
        mutating func read(_ header: [UInt8], at offset: UInt64, name: String) throws(LoaderError) {
            self.offset = offset
            var start = 16
            while start + 8 <= header.count {
                let type = header.integer(at: start, bytes: 2)
                let isOptional = header.integer(at: start + 2, bytes: 2) & 1 != 0
                let size = Int(header.integer(at: start + 4, bytes: 4))
                guard type != HeaderTag.end else { return }
                guard size >= HeaderTag.size(type), size <= header.count - start else {
                    throw .badMultiboot(
                        name: name, what: "has a tag of type \(type) with \(size) bytes, which cannot be")
                }
                let tag = Array(header[start..<start + size])
                do throws(LoaderError) { try read(tag, type, name: name) } catch {
                    if !isOptional { throw error }
                }
                start += (size + 7) & ~7
            }
        }

        private mutating func read(_ tag: [UInt8], _ type: UInt64, name: String) throws(LoaderError) {
            func field(_ number: Int) -> UInt64 { tag.integer(at: 8 + 4 * number, bytes: 4) }
            switch type {
            case HeaderTag.informationRequest:
                // What is known and not there is left out (3.1.4).
                for number in 0..<(tag.count - 8) / 4 where field(number) > lastInformation {
                    throw .badMultiboot(
                        name: name,
                        what: "requires information of type \(field(number)), which the specification does not have")
                }
            case HeaderTag.addresses:
                // A load address of all ones: from the beginning of the file (3.1.5).
                let load = field(1) == 0xffff_ffff && field(0) >= offset ? field(0) - offset : field(1)
                addresses = Multiboot.Addresses(header: field(0), load: load, loadEnd: field(2), bssEnd: field(3))
            case HeaderTag.entry: entry = field(0)
            case HeaderTag.console:
                guard field(0) & 1 == 0 else {
                    throw .badMultiboot(
                        name: name, what: "requires a display (console flags), which the board does not have")
                }
            case HeaderTag.relocatable:
                relocation = Relocation(first: field(0), last: field(1), alignment: max(field(2), 1))
            case HeaderTag.framebuffer, HeaderTag.moduleAlignment:
                break  // a mode is a wish, and there is no display; modules are on page boundaries
            case HeaderTag.efiBootServices, HeaderTag.efi32Entry, HeaderTag.efi64Entry:
                break  // only where there is EFI
            default:
                throw .badMultiboot(
                    name: name, what: "requires a tag of type \(type), which the specification does not have")
            }
        }
    }

    /// The bytes for `MemoryMap.startInfo` (3.6): tags, each on a multiple of 8.
    static func information(_ boot: BootInformation, loadBase: UInt64?) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 8)
        func add(_ type: UInt32, _ content: [UInt8]) {
            bytes.append(type)
            bytes.append(UInt32(8 + content.count))
            bytes += content
            bytes.pad(to: (bytes.count + 7) & ~7)
        }
        add(1, boot.commandLine)
        add(2, Array(Multiboot.loaderName.utf8) + [0])
        for module in boot.modules {
            var content: [UInt8] = []
            content.append(UInt32(module.range.lowerBound))
            content.append(UInt32(module.range.upperBound))
            add(3, content + Array(module.name.utf8) + [0])
        }
        var amount: [UInt8] = []
        let memory = Multiboot.memory(boot.ram)
        amount.append(memory.lower)
        amount.append(memory.upper)
        add(4, amount)
        var map: [UInt8] = []
        map.append(UInt32(24))  // the size of an entry
        map.append(UInt32(0))  // their version
        for (range, type) in boot.ram.map {
            map.append(range.lowerBound)
            map.append(range.upperBound - range.lowerBound)
            map.append(type.rawValue)
            map.append(UInt32(0))
        }
        add(6, map)
        // The RSDP of ACPI 2.0 and later: there is no table for an earlier one.
        if let acpi = boot.acpi { add(15, Array(acpi.prefix(36))) }
        if let loadBase {
            var content: [UInt8] = []
            content.append(UInt32(truncatingIfNeeded: loadBase))
            add(21, content)
        }
        add(0, [])
        bytes.put(UInt32(bytes.count), at: 0)
        return bytes
    }
}

extension Multiboot {
    /// Moves a relocatable image, if it is not linked to an address that its header allows, to the lowest that it does.
    fileprivate mutating func move(to range: Multiboot2.Relocation, name: String) throws(LoaderError) {
        guard let base = segments.map(\.address).min() else { return }
        // An end that overflows is refused with the segment.
        let size = segments.map { ($0.address - base).addingReportingOverflow($0.memorySize).partialValue }.max() ?? 0
        func fits(_ address: UInt64) -> Bool {
            address >= range.first && address <= range.last && size <= range.last - address + 1
                && address % range.alignment == 0
        }
        var target = base
        if !fits(target) {
            target = max(range.first, MemoryMap.firmware.upperBound)
            target += (range.alignment - target % range.alignment) % range.alignment
            guard fits(target) else {
                throw .badMultiboot(name: name, what: "allows no address above 1 MiB at which the image fits")
            }
        }
        loadBase = target
        entry = entry &- base &+ target
        segments = segments.map { segment in
            var moved = segment
            moved.address = segment.address &- base &+ target
            return moved
        }
    }
}
