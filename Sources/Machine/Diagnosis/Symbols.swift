// The symbols of a kernel, which give an address in a report a name. Read when a report first needs them; a kernel without a symbol table
// has none. System V gABI, chapter 4.

/// The functions of a kernel.
final class Symbols: @unchecked Sendable {
    private struct Symbol {
        let address: UInt64
        let size: UInt64
        /// Offset of its name in `names`.
        let name: Int
    }

    /// Most bytes of a symbol or string table that are read.
    private static let limit: UInt64 = 256 << 20

    private let lock = Lock()
    /// Whether there is a file that may have symbols.
    let hasSource: Bool

    // Under the lock:
    /// Open from the start, as no file can be opened in the sandbox; nil once it is read.
    private var image: Image?
    /// By ascending address.
    private var symbols: [Symbol] = []
    private var names: [UInt8] = []

    /// The symbols of the ELF file `source`, if it is one.
    init(_ source: ImageSource?) {
        hasSource = source != nil
        image = source.flatMap { try? Image($0) }
    }

    /// `<name+0x1b>` for an address in a symbol; nil if it is in none. A return address may be behind the last instruction of its caller.
    func place(of address: UInt64, isReturn: Bool = false) -> String? {
        let instruction = isReturn ? address &- 1 : address
        return find(instruction).map { symbol, name in "<\(name)+0x\(hex(address &- symbol, digits: 1))>" }
    }

    /// The address and the name of the symbol that an address is in.
    private func find(_ address: UInt64) -> (address: UInt64, name: String)? {
        lock.locked {
            read()
            // The last symbol at or before the address.
            var (low, high) = (0, symbols.count)
            while low < high {
                let middle = (low + high) / 2
                if symbols[middle].address <= address { low = middle + 1 } else { high = middle }
            }
            guard low > 0 else { return nil }
            let symbol = symbols[low - 1]
            let offset = address - symbol.address
            // Assembly often states no size; then a symbol ends where the next begins, and the last after a page.
            let end = symbol.size > 0 ? symbol.size : low < symbols.count ? .max : 4096
            guard offset < end else { return nil }
            return (symbol.address, String(decoding: names[symbol.name...].prefix { $0 != 0 }, as: UTF8.self))
        }
    }

    /// A line for each return address, up to the first without a name; each begins with a new line.
    func callers(_ frames: [UInt64]) -> String {
        var lines = ""
        for frame in frames {
            guard let place = place(of: frame, isReturn: true) else { break }
            lines += "\n  called from \(hex(frame, digits: 16)) \(place)"
        }
        return lines
    }

    private func read() {
        guard let image = image.take() else { return }
        let sections = ELF.sections(of: image)
        // SHT_SYMTAB is 2.
        guard let table = sections.first(where: { $0.type == 2 }), table.link < sections.count,
            let content = Self.content(of: table, image),
            let names = Self.content(of: sections[table.link], image),
            let ident = try? image.bytes(at: 4, count: 1)
        else { return }
        self.names = names
        let layout = ident[0] == 1 ? Self.class32 : Self.class64
        symbols = layout.symbols(content, names: names.count).sorted { $0.address < $1.address }
    }

    private static func content(of section: ELF.Section, _ image: borrowing Image) -> [UInt8]? {
        guard section.size <= min(limit, image.size) else { return nil }
        return try? image.bytes(at: section.offset, count: Int(section.size))
    }

    /// The offsets of the fields in a symbol of one class of ELF; addresses are `word` bytes wide.
    private struct Layout {
        let word: Int
        /// The size of a symbol, and in it st_value, st_size, st_info, st_shndx.
        let symbol: Int
        let value: Int
        let length: Int
        let info: Int
        let section: Int

        /// The functions, and labels without a type, that a table defines.
        func symbols(_ table: [UInt8], names: Int) -> [Symbol] {
            var found: [Symbol] = []
            for start in stride(from: 0, to: table.count - symbol + 1, by: symbol) {
                let name = Int(table.integer(at: start, bytes: 4))
                guard table[start + info] & 0xf == 2 || table[start + info] & 0xf == 0,
                    table.integer(at: start + section, bytes: 2) != 0, name > 0, name < names
                else { continue }
                found.append(
                    Symbol(
                        address: table.integer(at: start + value, bytes: word),
                        size: table.integer(at: start + length, bytes: word), name: name))
            }
            return found
        }
    }

    private static let class32 = Layout(word: 4, symbol: 16, value: 4, length: 8, info: 12, section: 14)
    private static let class64 = Layout(word: 8, symbol: 24, value: 8, length: 16, info: 4, section: 6)
}

extension Symbols: Equatable {
    static func == (one: Symbols, other: Symbols) -> Bool { one === other }
}
