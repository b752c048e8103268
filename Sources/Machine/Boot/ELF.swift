// The segments and sections of an ELF executable, and where its notes are (Notes.swift). Relocations are not read.
// System V gABI, chapters 4 and 5. An image is not trusted: each value in it
// is checked before it is used, by arithmetic that reports overflow.

/// An x86 executable, 32-bit or 64-bit.
struct ELF {
    static let magic: [UInt8] = [0x7f, 0x45, 0x4c, 0x46]

    /// A part of the image that is loaded at its physical address. The bytes from `fileSize` to `memorySize` are 0.
    struct Segment: Equatable {
        let offset: UInt64
        var address: UInt64
        /// The address it is linked to.
        let virtual: UInt64
        let fileSize: UInt64
        let memorySize: UInt64
    }

    /// The segments that take up memory, in the image's order.
    private(set) var segments: [Segment] = []
    /// The entry point in the file's header.
    let entry: UInt64
    /// Whether the file is ELFCLASS64.
    let is64Bit: Bool
    /// What its notes say.
    private(set) var notes = Notes()

    /// Most bytes of program headers, and of notes. Linux's loader has the same limit for headers.
    private static let limit: UInt64 = 64 << 10

    /// The offsets of the fields in one class of ELF. Sizes and offsets are in bytes; addresses are `word` bytes wide.
    private struct Layout {
        let word: Int
        let header: Int
        /// e_phoff, e_shoff; e_phentsize and e_phnum, and behind them e_shentsize and e_shnum.
        let tableOffset: Int
        let sectionsOffset: Int
        let entrySize: Int
        let entryCount: Int
        /// The size of a program header, and in it p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align.
        let entry: Int
        let offset: Int
        let virtual: Int
        let address: Int
        let fileSize: Int
        let memorySize: Int
        let alignment: Int

        /// The size of a section header, and in it sh_offset, sh_size, sh_link, sh_addralign.
        let section: Int
        let sectionOffset: Int
        let sectionSize: Int
        let sectionLink: Int
        let sectionAlignment: Int

        static let class32 = Layout(
            word: 4, header: 52, tableOffset: 28, sectionsOffset: 32, entrySize: 42, entryCount: 44,
            entry: 32, offset: 4, virtual: 8, address: 12, fileSize: 16, memorySize: 20, alignment: 28,
            section: 40, sectionOffset: 16, sectionSize: 20, sectionLink: 24, sectionAlignment: 32)
        static let class64 = Layout(
            word: 8, header: 64, tableOffset: 32, sectionsOffset: 40, entrySize: 54, entryCount: 56,
            entry: 56, offset: 8, virtual: 16, address: 24, fileSize: 32, memorySize: 40, alignment: 48,
            section: 64, sectionOffset: 24, sectionSize: 32, sectionLink: 40, sectionAlignment: 48)
    }

    /// The physical address of the entry point: in the segment that is linked to it, or as it stands.
    var physicalEntry: UInt64 {
        guard let segment = segments.first(where: { entry >= $0.virtual && entry - $0.virtual < $0.memorySize }) else {
            return entry
        }
        return entry - segment.virtual &+ segment.address
    }

    /// EM_386 and EM_X86_64. Either may stand in a file of either class: PVH enters both in 32-bit mode.
    private static let machines: [UInt64] = [3, 62]

    /// Whether it is Linux: its notes say so, or it is linked to the upper half of the address space, as Linux is, and has Linux's
    /// version in it. `image` is its file.
    func isLinux(_ image: borrowing Image) throws(LoaderError) -> Bool {
        if notes.isLinux { return true }
        guard segments.contains(where: { $0.virtual >> 63 == 1 }) else { return false }
        return try image.contains(Array("Linux version ".utf8))
    }

    /// Reads the headers and the notes of an image.
    init(_ image: borrowing Image) throws(LoaderError) {
        let layout = try Self.layout(of: image)
        let header = try image.bytes(at: 0, count: layout.header)
        entry = header.integer(at: 24, bytes: layout.word)
        is64Bit = layout.word == 8
        let type = header.integer(at: 16, bytes: 2)
        guard type == 2 || type == 3 else {
            throw .malformed(name: image.name, what: "it is not an executable")
        }
        guard header.integer(at: layout.entrySize, bytes: 2) == UInt64(layout.entry) else {
            throw .malformed(name: image.name, what: "its program headers have the wrong size")
        }
        let size = header.integer(at: layout.entryCount, bytes: 2) * UInt64(layout.entry)
        guard size <= Self.limit else { throw .malformed(name: image.name, what: "it has too many program headers") }
        let table = try image.bytes(at: header.integer(at: layout.tableOffset, bytes: layout.word), count: Int(size))
        var hasNotes = false
        for start in stride(from: 0, to: table.count, by: layout.entry) {
            let entry = Array(table[start..<start + layout.entry])
            if entry.integer(at: 0, bytes: 4) == 4 { hasNotes = true }
            try read(entry, layout, image)
        }
        if !hasNotes { readSections(image) }
    }

    static func hasMagic(_ image: borrowing Image) -> Bool {
        (try? image.bytes(at: 0, count: magic.count)) == magic
    }

    private static func layout(of image: borrowing Image) throws(LoaderError) -> Layout {
        let start = try image.bytes(at: 0, count: Int(min(image.size, 20)))
        guard start.count == 20, start.starts(with: magic) else { throw .notAKernel(image) }
        // EI_CLASS and EI_DATA: 32-bit or 64-bit, little-endian.
        guard start[4] == 1 || start[4] == 2, start[5] == 1, machines.contains(start.integer(at: 18, bytes: 2)) else {
            throw .wrongMachine(name: image.name)
        }
        return start[4] == 1 ? .class32 : .class64
    }

    /// One program header: PT_LOAD is 1, PT_NOTE 4.
    private mutating func read(_ header: [UInt8], _ layout: Layout, _ image: borrowing Image) throws(LoaderError) {
        let segment = Segment(
            offset: header.integer(at: layout.offset, bytes: layout.word),
            address: header.integer(at: layout.address, bytes: layout.word),
            virtual: header.integer(at: layout.virtual, bytes: layout.word),
            fileSize: header.integer(at: layout.fileSize, bytes: layout.word),
            memorySize: header.integer(at: layout.memorySize, bytes: layout.word))
        switch header.integer(at: 0, bytes: 4) {
        case 1 where segment.memorySize > 0:
            guard segment.fileSize <= segment.memorySize else {
                throw .malformed(name: image.name, what: "a segment has more bytes than memory")
            }
            segments.append(segment)
        case 4:
            guard segment.fileSize <= Self.limit else { throw .malformed(name: image.name, what: "its notes are huge") }
            let bytes = try image.bytes(at: segment.offset, count: Int(segment.fileSize))
            notes.add(bytes, alignment: header.integer(at: layout.alignment, bytes: layout.word))
        default: break
        }
    }

    /// The header of a section.
    struct Section {
        let type: UInt64
        let offset: UInt64
        let size: UInt64
        /// The number of the section that this one refers to.
        let link: Int
        let alignment: UInt64
    }

    /// The sections of an image, which are not needed to load it: none if something is wrong with their headers.
    static func sections(of image: borrowing Image) -> [Section] {
        guard let layout = try? layout(of: image), let header = try? image.bytes(at: 0, count: layout.header) else {
            return []
        }
        let size = header.integer(at: layout.entryCount + 4, bytes: 2) * UInt64(layout.section)
        let offset = header.integer(at: layout.sectionsOffset, bytes: layout.word)
        guard header.integer(at: layout.entrySize + 4, bytes: 2) == UInt64(layout.section), size <= limit,
            let table = try? image.bytes(at: offset, count: Int(size))
        else { return [] }
        return stride(from: 0, to: table.count, by: layout.section).map { start in
            Section(
                type: table.integer(at: start + 4, bytes: 4),
                offset: table.integer(at: start + layout.sectionOffset, bytes: layout.word),
                size: table.integer(at: start + layout.sectionSize, bytes: layout.word),
                link: Int(table.integer(at: start + layout.sectionLink, bytes: 4)),
                alignment: table.integer(at: start + layout.sectionAlignment, bytes: layout.word))
        }
    }

    /// Reads the notes in sections, for a file that has no segment of notes: SHT_NOTE is 7.
    private mutating func readSections(_ image: borrowing Image) {
        for section in Self.sections(of: image) where section.type == 7 && section.size <= Self.limit {
            guard let bytes = try? image.bytes(at: section.offset, count: Int(section.size)) else { continue }
            notes.add(bytes, alignment: section.alignment)
        }
    }
}
