// The headers of the Multiboot protocols: which are obeyed, and which are refused.

import Machine
import Testing

@Suite("Multiboot headers")
struct MultibootTests {
    private static let magic1: UInt32 = 0x1bad_b002
    private static let magic2: UInt32 = 0xe852_50d6

    private static func bytes(_ words: [UInt32]) -> [UInt8] { words.flatMap { Executable.number(UInt64($0), 4) } }

    /// A file of a version 1 header alone, with addresses.
    private static func version1(_ flags: UInt32, _ addresses: [UInt32]) -> [UInt8] {
        bytes([magic1, flags, 0 &- magic1 &- flags] + addresses)
    }

    /// A file of a version 2 header alone; a tag is its type, flags and fields.
    private static func version2(_ tags: [(UInt16, UInt16, [UInt32])], architecture: UInt32 = 0) -> [UInt8] {
        var content: [UInt8] = []
        for (type, flags, fields) in tags + [(0, 0, [])] {
            content += bytes([UInt32(type) | UInt32(flags) << 16, UInt32(8 + 4 * fields.count)] + fields)
            while content.count % 8 != 0 { content.append(0) }
        }
        let length = UInt32(16 + content.count)
        return bytes([magic2, architecture, length, 0 &- magic2 &- architecture &- length]) + content
    }

    private static func load(_ file: [UInt8], in ram: RAM) throws(LoaderError) -> EntryState {
        try Loader(kernel: .bytes(file, name: "k")).load(into: ram, commandLine: "")
    }

    private static func refusal(_ file: [UInt8]) throws -> String? {
        let ram = try RAM(size: 4 << 20)
        do throws(LoaderError) { _ = try load(file, in: ram) } catch { return error.description }
        return nil
    }

    private static let addresses: [UInt32] = [0x10_0000, 0x10_0000, 0, 0, 0x10_0000]

    @Test("Addresses are taken from the header, for a file that is no ELF")
    func addressFields() throws {
        let ram = try RAM(size: 4 << 20)
        let one = Self.version1(1 << 16, Self.addresses)
        #expect(try Self.load(one, in: ram) == .multiboot(entry: 0x10_0000, magic: 0x2bad_b002, information: 0x6000))
        #expect(ram.read(at: 0x10_0000, count: one.count) == one)
        let two = Self.version2([(2, 0, [0x20_0010, .max, 0, 0]), (3, 0, [0x20_0000])])
        // The header is 16 bytes into the file, whose first byte is at the load address.
        let file = [UInt8](repeating: 0x90, count: 16) + two
        #expect(try Self.load(file, in: ram) == .multiboot(entry: 0x20_0000, magic: 0x36d7_6289, information: 0x6000))
        #expect(ram.read(at: 0x20_0000, count: file.count) == file)
    }

    @Test("PVH wins, and version 2 before version 1")
    func order() throws {
        let both = Self.version2([(2, 0, [0x10_0000, 0x10_0000, 0, 0]), (3, 0, [0x10_0000])])
        let versions = both + Self.version1(1 << 16, Self.addresses)
        #expect(try Loader(kernel: .bytes(versions, name: "k")).bootProtocol == .multiboot2)
        #expect(try Loader(kernel: .bytes(versions, name: "k"), as: .multiboot).bootProtocol == .multiboot)
        // The code stands 176 bytes behind the file's start, a multiple of 8.
        let elf = Executable.kernel(versions)
        #expect(try Loader(kernel: .bytes(elf.bytes, name: "k")).bootProtocol == .pvh)
        #expect(try Loader(kernel: .bytes(elf.bytes, name: "k"), as: .multiboot2).bootProtocol == .multiboot2)
    }

    @Test("An entry in the higher half is entered at its physical address")
    func higherHalf() throws {
        var elf = Executable(segments: [.init(address: 0x10_0000, bytes: Self.version1(3, []))])
        elf.entry = 0xffff_ffff_8010_0000
        var file = elf.bytes
        file.replaceSubrange(64 + 16..<64 + 24, with: Executable.number(elf.entry, 8))  // p_vaddr
        let ram = try RAM(size: 4 << 20)
        #expect(try Self.load(file, in: ram) == .multiboot(entry: 0x10_0000, magic: 0x2bad_b002, information: 0x6000))
    }

    @Test("What is required and not there is named")
    func refused() throws {
        for (file, text) in [
            (Self.version1(1 << 16 | 0x18, Self.addresses), "requires flags 0x18,"),
            (Self.version1(1 << 16, [0x10_0000, 0x10_0001, 0, 0, 0]), "has a load address"),
            (Self.version1(1 << 16, [0x10_0000, 0x0f_0000, 0, 0, 0]), "has a load address"),
            (Self.version1(1 << 16, [0x10_0000, 0x10_0000, 0x0f_0000, 0, 0]), "has end addresses"),
            (Self.version1(1 << 16, [0x10_0000, 0x10_0000, 0x10_0010, 0x10_0001, 0]), "has end addresses"),
            (Self.version1(1 << 16, [0x10_0000, 0x10_0000, 0, 0, 0x20_0000]), "its entry is in none"),
            (Self.version1(1 << 16, [0x10_0000]), "is truncated"),
            (Self.version1(0, []), "is not an ELF file"),
            (Self.version2([], architecture: 4), "architecture other than i386"),
            (Self.version2([(2, 0, [0x10_0000, 0x10_0000, 0, 0])]), "has addresses, and no entry"),
            (Self.version2([(2, 0, [0x10_0000])]), "has a tag of type 2 with 12 bytes"),
            (Self.version2([(1, 0, [21, 22])]), "requires information of type 22,"),
            (Self.version2([(4, 0, [1])]), "requires a display"),
            (Self.version2([(11, 0, [])]), "requires a tag of type 11,"),
        ] { #expect(try Self.refusal(file)?.contains(text) == true, "\(text)") }
    }

    @Test("A header counts with a valid checksum, and an optional tag that is not known is skipped")
    func accepted() throws {
        var file = Self.version1(1 << 16, Self.addresses)
        file[8] ^= 1
        #expect(try Self.refusal(file)?.contains("is not an ELF file") == true)
        let tags: [(UInt16, UInt16, [UInt32])] = [
            (11, 1, [7]), (2, 0, [0x10_0000, 0x10_0000, 0, 0]), (3, 0, [0x10_0000]),
        ]
        #expect(try Self.refusal(Self.version2(tags)) == nil)
    }

    @Test("A relocatable image goes where its header allows, at the lowest address")
    func relocatable() throws {
        func file(_ range: [UInt32]) -> [UInt8] {
            Self.version2([(2, 0, [0x10_0000, 0x10_0000, 0, 0]), (3, 0, [0x10_0008]), (10, 0, range)])
        }
        let ram = try RAM(size: 4 << 20)
        func entry(_ range: [UInt32]) throws -> EntryState { try Self.load(file(range), in: ram) }
        func state(_ entry: UInt32) -> EntryState { .multiboot(entry: entry, magic: 0x36d7_6289, information: 0x6000) }
        #expect(try entry([0, .max, 0x1000, 2]) == state(0x10_0008), "it is linked to an address that is allowed")
        #expect(try entry([0x20_0001, .max, 0x1000, 1]) == state(0x20_1008))
        #expect(try Self.refusal(file([0x20_0000, 0x20_0001, 1, 0]))?.contains("no address") == true)
    }

    /// Guest memory of 5 GiB in which a kernel was loaded with a command line and two modules.
    private static func loaded(_ file: [UInt8]) throws -> RAM {
        let ram = try RAM(size: 5 << 30)
        let modules = [ImageSource.bytes([1, 2, 3], name: "a"), .bytes([4], name: "bc")]
        _ = try Loader(kernel: .bytes(file, name: "k")).load(
            into: ram, commandLine: "quiet", modules: modules, acpi: [7])
        return ram
    }

    /// The memory map of that memory: start, size, type.
    private static let map: [[UInt64]] = [
        [0, 0xa_0000, 1], [0xa_0000, 0x6_0000, 2], [0x10_0000, 0xbff0_0000, 1], [4 << 30, 2 << 30, 1],
    ]

    @Test("The information of version 1: memory, command line, modules, memory map, name")
    func information1() throws {
        let ram = try Self.loaded(Self.version1(1 << 16, Self.addresses))
        func number(_ address: UInt64, _ bytes: Int = 4) throws -> UInt64 { try #require(ram.number(address, bytes)) }
        func field(_ offset: UInt64) throws -> UInt64 { try number(0x6000 + offset) }
        #expect(try field(0) == 0x24d)
        #expect(try field(4) == 640 && field(8) == (3 << 20) - (1 << 10))
        #expect(try ram.text(field(16)) == "quiet")
        #expect(try ram.text(field(64)) == "vmm")
        #expect(try field(20) == 2)
        let modules = try field(24)
        for (index, content, name) in [(0, [1, 2, 3], "a"), (1, [4], "bc")] as [(UInt64, [UInt8], String)] {
            let entry = modules + 16 * index
            let (start, end) = (try number(entry), try number(entry + 4))
            #expect(start % 4096 == 0 && ram.read(at: start, count: Int(end - start)) == content)
            #expect(try ram.text(number(entry + 8)) == name)
        }
        var map: [[UInt64]] = []
        var entry = try field(48)
        let end = try entry + field(44)
        while entry < end {
            map.append([try number(entry + 4, 8), try number(entry + 12, 8), try number(entry + 20)])
            entry += 4 + (try number(entry))
        }
        #expect(map == Self.map)
    }

    @Test("The information of version 2: the same in tags on multiples of 8, and the RSDP and a moved image's address")
    func information2() throws {
        let ram = try Self.loaded(
            Self.version2([
                (2, 0, [0x10_0000, 0x10_0000, 0, 0]), (3, 0, [0x10_0000]), (10, 0, [0x20_0000, .max, 1, 1]),
            ]))
        func number(_ address: UInt64, _ bytes: Int = 4) throws -> UInt64 { try #require(ram.number(address, bytes)) }
        var tags: [UInt64: [UInt64]] = [:]
        var tag: UInt64 = 0x6008
        let end = try 0x6000 + number(0x6000)
        while tag < end {
            #expect(tag % 8 == 0)
            tags[try number(tag), default: []].append(tag + 8)
            tag += (try number(tag + 4) + 7) & ~7
        }
        #expect(tag == end && tags.keys.sorted() == [0, 1, 2, 3, 4, 6, 15, 21] && tags[0] == [end])
        func only(_ type: UInt64) throws -> UInt64 { try #require(tags[type]?.first) }
        #expect(try ram.text(only(1)) == "quiet")
        #expect(try ram.text(only(2)) == "vmm")
        #expect(try number(only(4)) == 640 && number(only(4) + 4) == (3 << 20) - (1 << 10))
        #expect(try ram.read(at: only(15), count: 1) == [7])
        #expect(try number(only(21)) == 0x20_0000)
        let contents: [([UInt8], String)] = [([1, 2, 3], "a"), ([4], "bc")]
        for (module, (content, name)) in zip(try #require(tags[3]), contents) {
            let (start, end) = (try number(module), try number(module + 4))
            #expect(start % 4096 == 0 && ram.read(at: start, count: Int(end - start)) == content)
            #expect(ram.text(module + 8) == name)
        }
        let map = try only(6)
        let size = try number(map)
        #expect(try number(map - 4) == 16 + 4 * size)
        #expect(
            try (0..<4 as Range<UInt64>).map { index in
                let entry = map + 8 + size * index
                return [try number(entry, 8), try number(entry + 8, 8), try number(entry + 16)]
            } == Self.map)
    }

    @Test("No changed byte of a header crashes the loader")
    func noise() throws {
        let ram = try RAM(size: 4 << 20)
        for file in [
            Self.version1(1 << 16, Self.addresses),
            Self.version2([
                (1, 0, [4, 6]), (2, 0, [0x10_0000, 0x10_0000, 0, 0]), (3, 0, [0x10_0000]), (10, 0, [0, .max, 1, 0]),
            ]),
        ] {
            let (sum, magic) = (file[0] == 2 ? 8 : 12, file[0] == 2 ? Self.magic1 : Self.magic2)
            for index in 4..<file.count where !(sum..<sum + 4).contains(index) {
                for value: UInt8 in [0, 1, 0x7f, 0x80, 0xff] {
                    var wrong = file
                    wrong[index] = value
                    let words = stride(from: 4, to: sum, by: 4).map { offset in
                        wrong[offset..<offset + 4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                    }
                    let checksum = words.reduce(0 &- magic, &-)
                    wrong.replaceSubrange(sum..<sum + 4, with: Executable.number(UInt64(checksum), 4))
                    do throws(LoaderError) { _ = try Self.load(wrong, in: ram) } catch {
                        #expect(!error.description.isEmpty)
                    }
                }
            }
        }
    }
}

extension RAM {
    /// The little-endian number at a guest-physical address.
    fileprivate func number(_ address: UInt64, _ bytes: Int) -> UInt64? {
        read(at: address, count: bytes)?.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The text up to a zero there.
    fileprivate func text(_ address: UInt64) -> String? {
        read(at: address, count: 64).map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
