// The segments and notes of an ELF executable. Sections, symbols and relocations are not read.
// System V gABI, chapters 4 and 5; the PVH note is in Xen's docs/misc/pvh.pandoc. An image is not trusted: each value in it
// is checked before it is used, by arithmetic that reports overflow.

/// An x86 executable, 32-bit or 64-bit.
struct ELF {
    static let magic: [UInt8] = [0x7f, 0x45, 0x4c, 0x46]

    /// A part of the image that is loaded at its physical address. The bytes from `fileSize` to `memorySize` are 0.
    struct Segment: Equatable {
        let offset: UInt64
        let address: UInt64
        let fileSize: UInt64
        let memorySize: UInt64
    }

    /// The segments that take up memory, in the image's order.
    private(set) var segments: [Segment] = []
    /// The entry point in the file's header.
    let entry: UInt64
    /// Whether the file is ELFCLASS64.
    let is64Bit: Bool
    /// The PVH entry point, in 32-bit protected mode (XEN_ELFNOTE_PHYS32_ENTRY).
    private(set) var pvhEntry: UInt32?
    /// Whether it carries Linux's own notes.
    private(set) var isLinux = false

    /// Most bytes of program headers, and of notes. Linux's loader has the same limit for headers.
    private static let limit: UInt64 = 64 << 10

    /// The offsets of the fields in one class of ELF. Sizes and offsets are in bytes; addresses are `word` bytes wide.
    private struct Layout {
        let word: Int
        let machine: UInt16
        let header: Int
        /// e_phoff; e_phentsize and e_phnum.
        let tableOffset: Int
        let entrySize: Int
        let entryCount: Int
        /// The size of a program header, and in it p_offset, p_paddr, p_filesz, p_memsz, p_align.
        let entry: Int
        let offset: Int
        let address: Int
        let fileSize: Int
        let memorySize: Int
        let alignment: Int

        /// EM_386 in ELFCLASS32.
        static let i386 = Layout(
            word: 4, machine: 3, header: 52, tableOffset: 28, entrySize: 42, entryCount: 44,
            entry: 32, offset: 4, address: 12, fileSize: 16, memorySize: 20, alignment: 28)
        /// EM_X86_64 in ELFCLASS64.
        static let x86_64 = Layout(
            word: 8, machine: 62, header: 64, tableOffset: 32, entrySize: 54, entryCount: 56,
            entry: 56, offset: 8, address: 24, fileSize: 32, memorySize: 40, alignment: 48)
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
        for start in stride(from: 0, to: table.count, by: layout.entry) {
            try read(Array(table[start..<start + layout.entry]), layout, image)
        }
    }

    private static func layout(of image: borrowing Image) throws(LoaderError) -> Layout {
        guard image.size >= 20 else { throw .notELF(name: image.name) }
        let start = try image.bytes(at: 0, count: 20)
        guard start.starts(with: magic) else { throw .notELF(name: image.name) }
        let machine = UInt16(start.integer(at: 18, bytes: 2))
        // EI_CLASS and EI_DATA: 32-bit or 64-bit, little-endian.
        for (number, layout) in [(1, Layout.i386), (2, .x86_64)]
        where start[4] == number && start[5] == 1 && machine == layout.machine {
            return layout
        }
        throw .wrongMachine(name: image.name)
    }

    /// One program header: PT_LOAD is 1, PT_NOTE 4.
    private mutating func read(_ header: [UInt8], _ layout: Layout, _ image: borrowing Image) throws(LoaderError) {
        let segment = Segment(
            offset: header.integer(at: layout.offset, bytes: layout.word),
            address: header.integer(at: layout.address, bytes: layout.word),
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
            let notes = try image.bytes(at: segment.offset, count: Int(segment.fileSize))
            let aligned8 = header.integer(at: layout.alignment, bytes: layout.word) == 8
            readNotes(notes, alignment: aligned8 ? 8 : 4)
        default: break
        }
    }

    /// Reads notes: three words (name size, description size, type), the name, and the description, each padded. Stops at the
    /// first note that does not fit; the notes before it count.
    private mutating func readNotes(_ notes: [UInt8], alignment: Int) {
        func padded(_ offset: Int) -> Int { (offset + alignment - 1) / alignment * alignment }
        var start = 0
        while start + 12 <= notes.count {
            // Sizes of 32 bits: their sum cannot overflow an Int.
            let nameSize = Int(notes.integer(at: start, bytes: 4))
            let size = Int(notes.integer(at: start + 4, bytes: 4))
            let type = notes.integer(at: start + 8, bytes: 4)
            let description = padded(start + 12 + nameSize)
            guard description + size <= notes.count else { return }
            switch (Array(notes[start + 12..<start + 12 + nameSize]), type) {
            // 4 or 8 bytes, the upper half 0: the entry is below 4 GiB.
            case (Array("Xen\0".utf8), 18) where size == 4 || size == 8:
                pvhEntry = UInt32(exactly: notes.integer(at: description, bytes: size))
            case (Array("Linux\0".utf8), _): isLinux = true
            default: break
            }
            start = padded(description + size)
        }
    }
}
