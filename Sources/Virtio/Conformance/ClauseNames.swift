// Names of clauses: what `vmm explain` accepts and the documentation uses.

/// A name of the requirements of SUSPEND for clauses of VIRTIO 1.4 (SuspendRequirements.md).
private struct Alias {
    let name: StaticString
    let clauses: [StaticString]

    init(_ name: StaticString, _ clauses: StaticString...) {
        self.name = name
        self.clauses = clauses
    }

    /// B: the base text; MM: virtio-mmio.
    static var all: [Alias] {
        [
            Alias("B-1", "2.1-0", "2.4.1-1"), Alias("B-2", "3.1.1-1a", "2.1.1-1", "2.1.1-2"), Alias("B-3", "2.1.1-3"),
            Alias("B-4", "2.1.1-4"), Alias("B-5", "2.1.2-1"), Alias("B-6", "2.1.2-2", "2.1.2-3"),
            Alias("B-7", "2.4.1-2"), Alias("B-8", "2.4.2-1"), Alias("B-9", "2.2.2-4"), Alias("B-10", "2.2.2-5"),
            Alias("B-11", "2.2.1-1", "2.2.1-4", "2.2.1-5"), Alias("B-12", "2.2.2-3"), Alias("B-13", "2.5.2-1"),
            Alias("B-14", "2.5.1-2"), Alias("B-15", "3.3.1-1", "3.3.1-2"), Alias("B-16", "3.2.1-0", "2.1.2-3"),
            Alias("B-17", "2.7.7.2-3", "2.7.7.2-5"), Alias("B-18", "2.7.7.1-5", "2.7.10.2-5"),
            Alias("B-19", "2.6.1.1.1-1", "2.6.1.1.1-2", "2.6.1.2.1-1"),
            Alias("B-20", "2.6.1.1.2-1", "2.6.1.2.2-1"), Alias("B-21", "3.1.1-7"), Alias("B-22", "3.1.1-3"),
            Alias("MM-1", "4.2.2.1-1", "4.2.2.1-2"), Alias("MM-2", "4.2.2.1-3", "4.2.2.1-4"),
            Alias("MM-3", "4.2.2.1-5"), Alias("MM-4", "4.2.2.1-6"), Alias("MM-5", "4.2.2.1-7"),
            Alias("MM-6", "4.2.2.1-8", "4.2.2.1-9", "4.2.2.1-10", "4.2.2.1-11", "4.2.2.1-12"),
            Alias("MM-7", "4.2.2.2-4", "4.2.2.2-5"), Alias("MM-8", "4.2.2.2-1", "4.2.2.2-2", "4.2.2.2-3"),
            Alias("MM-9", "4.2.2.2-6", "4.2.2.2-8", "4.2.2.2-10", "4.2.2.2-11", "4.2.3.1.1-3", "4.2.3.1.1-4"),
            Alias("MM-10", "4.2.2.2-12", "4.2.2.2-13", "4.2.2.2-14", "4.2.3.2-0"), Alias("MM-11", "4.2.2.2-15"),
            Alias("MM-12", "4.2.2.2-16", "4.2.2.2-17"),
            Alias("MM-13", "4.2.3.4.1-1", "4.2.3.4.1-3", "4.2.2.2-19", "4.2.2.2-20"), Alias("MM-14", "4.2.2.2-21"),
            Alias("MM-15", "4.2.3.4-0"), Alias("MM-16", "4.2.5-0"), Alias("MM-17", "4.2.3.1.1-5"),
        ]
    }
}

extension Clause {
    /// Returns the clauses that `name` stands for, and the part of it that they have in common. Nil if there is none.
    ///
    /// A name is an id; a name of the requirements of SUSPEND (B-6); or the beginning of ids, up to a dot, a hyphen or
    /// the letter after a number: V5, 4.2.2.2. A section without clauses stands for the nearest one around it that has
    /// some. Upper and lower case are the same.
    public static func named(_ name: String) -> (name: String, clauses: [Clause])? {
        let all = all
        let bytes = lowercased(Array(name.utf8))
        if let clause = all.first(where: { $0.idBytes == bytes }) { return (name, [clause]) }
        if let alias = Alias.all.first(where: { lowercased(Array($0.name.description.utf8)) == bytes }) {
            let ids = alias.clauses.map { lowercased(Array($0.description.utf8)) }
            return (name, ids.flatMap { id in all.filter { $0.idBytes == id } })
        }
        let found = all.filter { isBeginning(bytes, of: $0.idBytes) }
        if !found.isEmpty { return (name, found) }
        // The section around it. A number is not looked for there, nor is a section in a whole chapter.
        guard !bytes.contains(UInt8(ascii: "-")), let dot = bytes.lastIndex(of: UInt8(ascii: ".")),
            bytes[..<dot].contains(UInt8(ascii: "."))
        else { return nil }
        return named(String(decoding: bytes[..<dot], as: UTF8.self))
    }

    private var idBytes: [UInt8] { Self.lowercased(Array(id.description.utf8)) }

    /// ASCII capitals as small letters.
    private static func lowercased(_ text: [UInt8]) -> [UInt8] {
        text.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
    }

    /// Whether `id` begins with all parts of `name`.
    private static func isBeginning(_ name: [UInt8], of id: [UInt8]) -> Bool {
        guard id.starts(with: name), let last = name.last, id.count > name.count else { return false }
        let next = id[name.count]
        let separators = [UInt8(ascii: "."), UInt8(ascii: "-")]
        return separators.contains(next) || separators.contains(last) || next >= UInt8(ascii: "a")
    }
}
