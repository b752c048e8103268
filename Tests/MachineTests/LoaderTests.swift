// Valid and invalid kernels, and the loader's result for each.

import Glibc
import Machine
import Testing

/// Loads `kernel` into a RAM of 16 MiB.
private func loaded(
    _ kernel: Executable, commandLine: String = "", initrd: [UInt8]? = nil, acpi: [UInt8]? = nil,
    memory: UInt64 = 16 << 20
) throws -> (RAM, EntryState) {
    let ram = try RAM(size: memory)
    let loader = try Loader(kernel: .bytes(kernel.bytes, name: "kernel"))
    let state = try loader.load(
        into: ram, commandLine: commandLine, modules: initrd.map { [.bytes($0, name: "initrd")] } ?? [], acpi: acpi)
    return (ram, state)
}

extension RAM {
    fileprivate func number(at address: UInt64, bytes: Int) -> UInt64? {
        read(at: address, count: bytes)?.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

struct LoaderTests {
    @Test(arguments: [true, false])
    func segmentsGoToTheirPhysicalAddresses(is64Bit: Bool) throws {
        var kernel = Executable.kernel([1, 2, 3], is64Bit: is64Bit)
        kernel.segments.insert(.init(address: 0x20_0000, bytes: [4, 5], extra: 6), at: 1)
        kernel.segments.append(.init(address: 0xffff_f000, bytes: []))
        let (ram, state) = try loaded(kernel)
        #expect(ram.read(at: 0x0f_ffff, count: 5) == [0, 1, 2, 3, 0])
        #expect(ram.read(at: 0x20_0000, count: 8) == [4, 5, 0, 0, 0, 0, 0, 0])
        #expect(state == .pvh(entry: 0x10_0000, startInfo: 0x6000))
    }

    @Test func theStartInformationIsComplete() throws {
        let initrd: [UInt8] = Array("cpio".utf8)
        let (ram, _) = try loaded(
            .kernel([0x90]), commandLine: "a=b c", initrd: initrd, acpi: [1, 2, 3], memory: 5 << 30)
        func field(_ offset: UInt64, _ bytes: Int) -> UInt64? { ram.number(at: 0x6000 + offset, bytes: bytes) }
        #expect(field(0, 4) == 0x336e_c578)
        #expect(field(4, 4) == 1)
        #expect(field(8, 4) == 0)
        #expect(field(12, 4) == 1, "one module")
        #expect(ram.read(at: try #require(field(24, 8)), count: 6) == Array("a=b c\0".utf8))
        #expect(field(32, 8) == 0xe_0000)
        #expect(ram.read(at: 0xe_0000, count: 4) == [1, 2, 3, 0])

        let module = try #require(field(16, 8))
        let start = try #require(ram.number(at: module, bytes: 8))
        #expect(start == (3 << 30) - 4096, "the highest page-aligned address")
        #expect(ram.number(at: module + 8, bytes: 8) == 4)
        #expect(ram.read(at: start, count: 4) == initrd)

        let map = try #require(field(40, 8))
        #expect(field(48, 4) == 4)
        let expected: [[UInt64]] = [
            [0, 0xa_0000, 1], [0xa_0000, 0x6_0000, 2], [0x10_0000, 0xbff0_0000, 1], [4 << 30, 2 << 30, 1],
        ]
        for (index, entry) in expected.enumerated() {
            let start = map + UInt64(index * 24)
            for word in 0..<3 { #expect(ram.number(at: start + UInt64(8 * word), bytes: 8) == entry[word]) }
        }
    }

    @Test func withoutAnInitrdThereIsNoModule() throws {
        let (ram, _) = try loaded(.kernel([0x90]))
        #expect(ram.number(at: 0x600c, bytes: 4) == 0)
        #expect(ram.number(at: 0x6010, bytes: 8) == 0)
        #expect(ram.number(at: 0x6030, bytes: 4) == 3, "no memory above 4 GiB")
    }

    @Test(arguments: [4, 8])
    func theNoteIsFoundAmongOthers(alignment: Int) throws {
        var kernel = Executable.kernel([0x90])
        let notes =
            Executable.note("GNU\0", 3, [1, 2, 3, 4, 5], alignment: alignment)
            + Executable.note("Xen\0", 6, Array("linux".utf8), alignment: alignment)
            + Executable.note("Xen\0", 18, Executable.number(0x10_0000, 8), alignment: alignment)
        kernel.segments[1] = .init(type: 4, address: 0, bytes: notes, alignment: UInt64(alignment))
        #expect(try loaded(kernel).1 == .pvh(entry: 0x10_0000, startInfo: 0x6000))
    }

    /// Files that QEMU and other monitors boot: each machine in each class, padding to 4 where 8 is declared, a name without its NUL.
    @Test func unambiguousNotesCount() throws {
        for is64Bit in [true, false] {
            for machine: UInt8 in [3, 62] {
                var bytes = Executable.kernel([0x90], is64Bit: is64Bit).bytes
                bytes[18] = machine
                #expect(try Loader(kernel: .bytes(bytes, name: "k")).bootProtocol == .pvh)
            }
        }
        var kernel = Executable.kernel([0x90])
        kernel.segments[1].bytes = Executable.note("GNU\0", 3, [1, 2, 3, 4]) + kernel.segments[1].bytes
        kernel.segments[1].alignment = 8
        #expect(try Loader(kernel: .bytes(kernel.bytes, name: "k")).bootProtocol == .pvh)
        kernel.segments[1].bytes = Executable.note("Xen", 18, Executable.number(0x10_0000, 4))
        #expect(try loaded(kernel).1 == .pvh(entry: 0x10_0000, startInfo: 0x6000))
    }

    @Test(arguments: [true, false])
    func aNoteInASectionAlone(is64Bit: Bool) throws {
        let kernel = Executable.kernel([0x90], is64Bit: is64Bit)
        var bytes = Executable(is64Bit: is64Bit, segments: [kernel.segments[0]]).bytes
        let note = kernel.segments[1].bytes
        let (word, noteOffset) = (is64Bit ? 8 : 4, bytes.count)
        bytes += note
        let table = bytes.count
        // sh_name, SHT_NOTE, sh_flags, sh_addr, sh_offset, sh_size, sh_link, sh_info, sh_addralign, sh_entsize
        bytes +=
            Executable.number(0, 4) + Executable.number(7, 4) + Executable.number(0, word) + Executable.number(0, word)
        bytes +=
            Executable.number(UInt64(noteOffset), word) + Executable.number(UInt64(note.count), word)
            + Executable.number(0, 8)
        bytes += Executable.number(4, word) + Executable.number(0, word)
        let (offset, size) = (is64Bit ? 40 : 32, is64Bit ? 58 : 46)
        bytes.replaceSubrange(offset..<offset + word, with: Executable.number(UInt64(table), word))
        bytes.replaceSubrange(
            size..<size + 4, with: Executable.number(UInt64(bytes.count - table), 2) + Executable.number(1, 2))
        #expect(try Loader(kernel: .bytes(bytes, name: "k")).bootProtocol == .pvh)
    }

    @Test func linuxIsKnownByItsNotes() throws {
        var kernel = Executable.kernel([0x90])
        #expect(try Loader(kernel: .bytes(kernel.bytes, name: "k")).isLinux == false)
        kernel.segments[1].bytes += Executable.note("Linux\0", 0x100, [0])
        #expect(try Loader(kernel: .bytes(kernel.bytes, name: "k")).isLinux)
    }

    @Test func theLongestCommandLineFits() throws {
        let longest = String(repeating: "x", count: 2047)
        let (ram, _) = try loaded(.kernel([0x90]), commandLine: longest)
        #expect(ram.read(at: 0x7000, count: 2049) == Array(longest.utf8) + [0, 0])
        #expect(throws: LoaderError.commandLineTooLong(length: 2048, limit: 2047, isKernels: false)) {
            try loaded(.kernel([0x90]), commandLine: longest + "x")
        }
    }

    @Test func anInitrdMayFillWhatIsLeft() throws {
        // Memory ends at 2 MiB; the kernel's one page leaves 255.
        let most = [UInt8](repeating: 7, count: 255 * 4096)
        let (ram, _) = try loaded(.kernel([0x90]), initrd: most, memory: 2 << 20)
        #expect(ram.read(at: 0x10_0000, count: 4096)?.first == 0x90)
        #expect(ram.read(at: 0x10_1000, count: most.count) == most)
        let error = LoaderError.initrdTooLarge(
            name: "initrd", size: UInt64(most.count + 1), room: UInt64(most.count), needed: (2 << 20) + 4096)
        #expect(throws: error) { try loaded(.kernel([0x90]), initrd: most + [7], memory: 2 << 20) }
    }
}

struct LoaderErrorTests {
    private static func refusal(_ kernel: Executable, memory: UInt64 = 16 << 20) -> LoaderError? {
        refusal(kernel.bytes, memory: memory)
    }

    private static func refusal(_ bytes: [UInt8], memory: UInt64 = 16 << 20) -> LoaderError? {
        do {
            let loader = try Loader(kernel: .bytes(bytes, name: "k"))
            _ = try loader.load(into: RAM(size: memory), commandLine: "")
            return nil
        } catch { return error as? LoaderError }
    }

    @Test func filesThatAreNoKernels() {
        func refusal(_ path: String) -> LoaderError? {
            do throws(LoaderError) { _ = try Loader(kernel: .path(path)) } catch { return error }
            return nil
        }
        #expect(refusal("/no/such/kernel") == .unreadable(name: "/no/such/kernel", errno: ENOENT))
        #expect(refusal("/") == .directory(name: "/"))
        #expect(refusal("/dev/zero") == .notAFile(name: "/dev/zero"))
        // A pipe without a writer is refused at once; the loader does not wait.
        let pipe = "/tmp/loader-\(getpid()).pipe"
        unsafe mkfifo(pipe, 0o600)
        defer { unsafe unlink(pipe) }
        #expect(refusal(pipe) == .notAFile(name: pipe))
    }

    @Test func aFileIsReadLikeBytes() throws {
        let kernel = Executable.kernel([1, 2, 3]).bytes
        let file = try TemporaryFile()
        #expect(throws: LoaderError.empty(name: file.path)) { _ = try Loader(kernel: .path(file.path)) }
        file.write(kernel)
        let loader = try Loader(kernel: .path(file.path))
        let ram = try RAM(size: 2 << 20)
        _ = try loader.load(into: ram, commandLine: "", modules: [.path(file.path)])
        #expect(ram.read(at: 0x10_0000, count: 3) == [1, 2, 3])
        #expect(ram.read(at: (2 << 20) - 4096, count: kernel.count) == kernel)
        // The file shrinks after its headers were read and before it is loaded.
        file.write(Array(kernel.prefix(178)))
        #expect(throws: LoaderError.truncated(name: file.path)) {
            _ = try loader.load(into: RAM(size: 2 << 20), commandLine: "")
        }
    }

    @Test func filesOfOtherKinds() {
        #expect(Self.refusal([UInt8]()) == .empty(name: "k"))
        #expect(Self.refusal(Array("#!/bin/sh\necho this is no kernel\n".utf8)) == .notELF(name: "k"))
        var other = Executable.kernel([0x90]).bytes
        other[18] = 183  // EM_AARCH64
        #expect(Self.refusal(other) == .wrongMachine(name: "k"))
        var object = Executable.kernel([0x90]).bytes
        object[16] = 1  // ET_REL
        #expect(Self.refusal(object) == .malformed(name: "k", what: "it is not an executable"))
    }

    @Test func kernelsWithoutAnEntry() {
        var kernel = Executable.kernel([0x90])
        kernel.segments[1].bytes = Executable.note("Xen\0", 18, Executable.number(0x20_0000, 4))
        #expect(Self.refusal(kernel) == .malformed(name: "k", what: "its PVH entry is in none of its segments"))
        let useless = [
            Executable.note("Xen\0", 17, [0, 0, 0x10, 0]), Executable.note("xen\0", 18, [0, 0, 0x10, 0]),
        ]
        let none = LoaderError.noPVHNote(name: "k", is64Bit: true)
        for note in useless {
            kernel.segments[1].bytes = note
            #expect(Self.refusal(kernel) == none)
        }
        kernel.segments.removeLast()
        #expect(Self.refusal(kernel) == none)
        kernel.is64Bit = false
        #expect(Self.refusal(kernel)?.description.contains("elf64") == false)
    }

    @Test func notesWithoutAUsableEntry() {
        var kernel = Executable.kernel([0x90])
        let note = Executable.note("Xen\0", 18, [0, 0, 0x10, 0])
        for (note, fault) in [
            (Executable.note("Xen\0", 18, [0, 0]), "has 2 bytes where the entry's address takes 4 or 8"),
            (
                Executable.note("Xen\0", 18, [0, 0, 0x10, 0, 1, 0, 0, 0]),
                "gives the entry 0x100100000, which is above 4 GiB and cannot be reached in 32-bit mode"
            ),
            (Array(note.dropLast()), "is cut short"),
        ] {
            kernel.segments[1].bytes = note
            #expect(Self.refusal(kernel) == .badPVHNote(name: "k", fault: fault))
        }
    }

    @Test func otherFormatsAreNamed() {
        for (start, format) in [
            ([0x1f, 0x8b, 8], "a gzip file"), ([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], "an xz file"),
            ([0x28, 0xb5, 0x2f, 0xfd], "a zstd file"), ([0x02, 0x21, 0x4c, 0x18], "an lz4 file"),
            (Array("MZ".utf8), "a PE file"), ([0x51, 0x46, 0x49, 0xfb], "a qcow2 image"),
        ] as [([UInt8], String)] {
            let text = Self.refusal(start + [UInt8](repeating: 0, count: 600))?.description
            #expect(text?.hasPrefix("k is \(format), not a kernel; ") == true)
        }
    }

    @Test func segmentsOutsideMemory() {
        var kernel = Executable.kernel([0x90])
        kernel.segments[0].extra = 32 << 20
        let end = (33 << 20) + 1 as UInt64
        #expect(Self.refusal(kernel) == .outsideMemory(part: "k, segment 0", needed: end, memory: 16 << 20))
        #expect(Self.refusal(kernel)?.description.hasSuffix("try -m 34M or more") == true)
        kernel.segments[0].extra = 0
        for (address, extra, text) in [
            (0xc000_0000, 0, "in the hole for devices below 4 GiB"),
            (0x10_0000, 1 << 40, "reach into the hole for devices at 0xc0000000"),
            (0xffff_ffff_8100_0000, 0, "beyond the most RAM"), (.max, 0, "0x1 bytes go beyond the last address"),
        ] as [(UInt64, UInt64, String)] {
            kernel.segments[0].address = address
            kernel.segments[0].extra = extra
            #expect(Self.refusal(kernel) == .notRAM(part: "k, segment 0", address: address, size: 1 + extra))
            #expect(Self.refusal(kernel)?.description.contains(text) == true)
        }
    }

    @Test func aSegmentAbove4GiB() throws {
        var kernel = Executable.kernel([0x90])
        kernel.segments.append(.init(address: 5 << 30, bytes: [1, 2]))
        #expect(Self.refusal(kernel) == .outsideMemory(part: "k, segment 1", needed: (4 << 30) + 2, memory: 16 << 20))
        #expect(Self.refusal(kernel)?.description.hasSuffix("try -m 4097M or more") == true)
        let (ram, _) = try loaded(kernel, initrd: [7], memory: 5 << 30)
        #expect(ram.read(at: 5 << 30, count: 2) == [1, 2])
        #expect(ram.read(at: (3 << 30) - 4096, count: 1) == [7])
    }

    @Test func overlappingSegments() {
        var kernel = Executable.kernel([0x90, 0x90])
        kernel.segments.append(.init(address: 0x10_0001, bytes: [1]))
        #expect(Self.refusal(kernel) == .overlap("k, segment 0", "k, segment 1", address: 0x10_0001))
        for (taken, part) in [
            (0x6fff, "the start information"), (0x77ff, "the command line"), (0xf_ffff, "the firmware's area"),
        ] as [(UInt64, String)] {
            let low = Executable.kernel([0x90], at: taken)
            #expect(Self.refusal(low) == .overlap(part, "k, segment 0", address: taken))
        }
        #expect(Self.refusal(Executable.kernel([0x90], at: 0x7800)) == nil)
    }

    @Test(arguments: [true, false])
    func everyTruncationIsDetected(is64Bit: Bool) {
        // The note is at the end of the file, so every byte is needed.
        let bytes = Executable.kernel([0x90], is64Bit: is64Bit).bytes
        for count in 1..<bytes.count {
            let error = Self.refusal(Array(bytes.prefix(count)), memory: 2 << 20)
            #expect(error == (count < 20 ? .notELF(name: "k") : .truncated(name: "k")), "\(count) bytes")
        }
    }

    /// For every value of every byte the loader loads or refuses the file: it does not trap.
    @Test(arguments: [true, false])
    func noByteIsTrusted(is64Bit: Bool) {
        let bytes = Executable.kernel([0x90, 0x90, 0x90], is64Bit: is64Bit).bytes
        var refused = 0
        for index in bytes.indices {
            for value: UInt8 in [0, 1, 0x7f, 0x80, 0xff] {
                var wrong = bytes
                wrong[index] = value
                if Self.refusal(wrong, memory: 2 << 20) != nil { refused += 1 }
            }
        }
        #expect(refused > 50)
    }

    /// The offset, address and size fields, with extreme values.
    @Test func noFieldIsTrusted() {
        let kernel = Executable.kernel([0x90, 0x90, 0x90])
        let extremes: [UInt64] = [0x7fff_ffff, 0xffff_ffff, 1 << 63, .max - 63, .max]
        for field in [32, 64 + 8, 64 + 24, 64 + 32, 64 + 40, 120 + 8, 120 + 32] {
            for value in extremes {
                var wrong = kernel.bytes
                wrong.replaceSubrange(field..<field + 8, with: Executable.number(value, 8))
                #expect(Self.refusal(wrong) != nil, "\(value) at \(field)")
            }
        }
        var full = kernel.bytes
        full[64 + 40] = 2  // p_memsz: less than the three bytes in the file
        #expect(Self.refusal(full) == .malformed(name: "k", what: "a segment has more bytes than memory"))
        var many = kernel.bytes
        many.replaceSubrange(56..<58, with: [0xff, 0xff])
        #expect(Self.refusal(many) == .malformed(name: "k", what: "it has too many program headers"))
    }
}
