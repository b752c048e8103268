// The notes of an ELF file: which protocol its kernel can be entered by. System V gABI, chapter 5; the PVH note is in Xen's
// docs/misc/pvh.pandoc.

/// What the notes of an ELF file say.
struct Notes {
    /// The PVH entry point, in 32-bit protected mode (XEN_ELFNOTE_PHYS32_ENTRY).
    private(set) var pvhEntry: UInt32?
    /// What is wrong with the PVH note, if it gives no entry.
    private(set) var fault: String?
    /// Whether Linux's own notes are among them.
    private(set) var isLinux = false

    /// Adds the notes in `bytes`, padded to `alignment`. Many linkers pad to 4 in a segment aligned to 8: with 8 the notes are read
    /// both ways, and the first PVH entry counts.
    mutating func add(_ bytes: [UInt8], alignment: UInt64) {
        if alignment == 8 { read(bytes, alignment: 8) }
        if pvhEntry == nil { read(bytes, alignment: 4) }
    }

    /// Reads notes: three words (name size, description size, type), the name, and the description, each padded. Stops at the
    /// first note that does not fit; the notes before it count.
    private mutating func read(_ notes: [UInt8], alignment: Int) {
        func padded(_ offset: Int) -> Int { (offset + alignment - 1) / alignment * alignment }
        var start = 0
        while start + 12 <= notes.count {
            // Sizes of 32 bits: their sum cannot overflow an Int.
            let nameSize = Int(notes.integer(at: start, bytes: 4))
            let size = Int(notes.integer(at: start + 4, bytes: 4))
            let type = notes.integer(at: start + 8, bytes: 4)
            let description = padded(start + 12 + nameSize)
            guard start + 12 + nameSize <= notes.count else { return }
            // The name should end with a NUL; some assemblers' sources forget it.
            let name = notes[start + 12..<start + 12 + nameSize].prefix { $0 != 0 }
            let isWhole = description + size <= notes.count
            if name.elementsEqual("Xen".utf8), type == 18 {
                readEntry(isWhole ? Array(notes[description..<description + size]) : nil)
            }
            guard isWhole else { return }
            if name.elementsEqual("Linux".utf8) { isLinux = true }
            start = padded(description + size)
        }
    }

    /// Reads the description of a PVH note, an address of 4 or 8 bytes; nil if the note does not fit.
    private mutating func readEntry(_ description: [UInt8]?) {
        guard let description else { return fault = "is cut short" }
        guard description.count == 4 || description.count == 8 else {
            return fault = "has \(description.count) bytes where the entry's address takes 4 or 8"
        }
        let entry = description.integer(at: 0, bytes: description.count)
        if let entry = UInt32(exactly: entry) {
            pvhEntry = pvhEntry ?? entry
        } else {
            fault =
                "gives the entry \(LoaderError.hex(entry)), which is above 4 GiB and cannot be reached in 32-bit mode"
        }
    }
}
