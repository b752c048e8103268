// A builder of ELF executables, in which each field can be made wrong.

/// An ELF executable.
struct Executable {
    struct Segment {
        var type: UInt32 = 1
        var address: UInt64
        /// The address it is linked to.
        var virtual: UInt64 = 0
        var bytes: [UInt8]
        /// Bytes in memory beyond the segment's bytes in the file.
        var extra: UInt64 = 0
        var alignment: UInt64 = 4
    }

    var is64Bit = true
    /// The entry address in the header.
    var entry: UInt64 = 0
    var segments: [Segment]

    /// A kernel with `code` at `address`, which is its entry, and a PVH note.
    static func kernel(_ code: [UInt8], at address: UInt64 = 0x10_0000, is64Bit: Bool = true) -> Executable {
        let entry = note("Xen\0", 18, number(address, 4))
        return Executable(
            is64Bit: is64Bit,
            segments: [Segment(address: address, bytes: code), Segment(type: 4, address: 0, bytes: entry)])
    }

    /// A note, padded to `alignment`.
    static func note(_ name: String, _ type: UInt64, _ description: [UInt8], alignment: Int = 4) -> [UInt8] {
        func pad(_ bytes: inout [UInt8]) { while bytes.count % alignment != 0 { bytes.append(0) } }
        var bytes = number(UInt64(name.utf8.count), 4) + number(UInt64(description.count), 4) + number(type, 4)
        bytes += Array(name.utf8)
        pad(&bytes)
        bytes += description
        pad(&bytes)
        return bytes
    }

    /// `value` as a little-endian number of `bytes` bytes.
    static func number(_ value: UInt64, _ bytes: Int) -> [UInt8] {
        (0..<bytes).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    var headerSize: Int { is64Bit ? 64 : 52 }
    var entrySize: Int { is64Bit ? 56 : 32 }

    /// The file: header, program headers, then each segment's bytes.
    var bytes: [UInt8] {
        var table: [UInt8] = []
        var content: [UInt8] = []
        let start = headerSize + entrySize * segments.count
        for segment in segments {
            table += programHeader(segment, offset: UInt64(start + content.count))
            content += segment.bytes
        }
        return header + table + content
    }

    private var header: [UInt8] {
        let word = is64Bit ? 8 : 4
        var bytes: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, is64Bit ? 2 : 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        bytes += Self.number(2, 2) + Self.number(is64Bit ? 62 : 3, 2) + Self.number(1, 4)
        bytes += Self.number(entry, word) + Self.number(UInt64(headerSize), word) + Self.number(0, word)
        bytes += Self.number(0, 4) + Self.number(UInt64(headerSize), 2)
        bytes += Self.number(UInt64(entrySize), 2) + Self.number(UInt64(segments.count), 2)
        return bytes + [0, 0, 0, 0, 0, 0]
    }

    private func programHeader(_ segment: Segment, offset: UInt64) -> [UInt8] {
        let (file, memory) = (UInt64(segment.bytes.count), UInt64(segment.bytes.count) + segment.extra)
        if is64Bit {
            let head = Self.number(UInt64(segment.type), 4) + Self.number(7, 4)
            return [offset, segment.virtual, segment.address, file, memory, segment.alignment].reduce(head) {
                $0 + Self.number($1, 8)
            }
        }
        return [UInt64(segment.type), offset, segment.virtual, segment.address, file, memory, 7, segment.alignment]
            .reduce([]) { $0 + Self.number($1, 4) }
    }
}
