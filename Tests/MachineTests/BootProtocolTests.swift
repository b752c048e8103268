// Which boot protocol is chosen for a kernel, and the boot parameters of Linux' own.

import KVM
import Machine
import Testing

/// A bzImage: the boot sector and four setup sectors, then `code`.
private func bzImage(
    _ code: [UInt8], address: UInt64 = 0x20_0000, memorySize: UInt64 = 0x1000, version: UInt64 = 0x20f,
    flags: UInt64 = 1, loadFlags: UInt64 = 1, start32: UInt64 = 0x10_0000,
    lastInitrdAddress: UInt64 = 0x7f_ffff
) -> [UInt8] {
    var file = [UInt8](repeating: 0, count: 5 * 512)
    func put(_ value: UInt64, _ bytes: Int, at offset: Int) {
        file.replaceSubrange(offset..<offset + bytes, with: Executable.number(value, bytes))
    }
    put(4, 1, at: 0x1f1)
    put(0xaa55, 2, at: 0x1fe)
    put(0x66eb, 2, at: 0x200)  // a jump over the header, up to 0x268
    file.replaceSubrange(0x202..<0x206, with: Array("HdrS".utf8))
    put(version, 2, at: 0x206)
    put(loadFlags, 1, at: 0x211)
    put(start32, 4, at: 0x214)
    put(lastInitrdAddress, 4, at: 0x22c)
    put(flags, 2, at: 0x236)
    put(2047, 4, at: 0x238)
    put(address, 8, at: 0x258)
    put(memorySize, 4, at: 0x260)
    return file + code
}

private func refusal(_ bytes: [UInt8], as chosen: BootProtocol? = nil) -> LoaderError? {
    do throws(LoaderError) {
        _ = try Loader(kernel: .bytes(bytes, name: "k"), as: chosen)
        return nil
    } catch { return error }
}

@Suite("Boot protocols")
struct BootProtocolTests {
    private static let linuxNote = Executable.note("Linux\0", 0x101, [0, 0, 0, 0])

    /// A 64-bit ELF file with a Linux note and without a PVH note.
    private var vmlinux: Executable {
        Executable(segments: [
            .init(address: 0x20_0000, bytes: [0xf4]), .init(type: 4, address: 0, bytes: Self.linuxNote),
        ])
    }

    private func chosen(_ bytes: [UInt8], as wanted: BootProtocol? = nil) throws -> BootProtocol {
        try Loader(kernel: .bytes(bytes, name: "k"), as: wanted).bootProtocol
    }

    @Test("The protocol is detected from the file's content, or chosen")
    func detected() throws {
        #expect(try chosen(bzImage([0xf4])) == .bzImage)
        #expect(try chosen(Executable.kernel([0xf4]).bytes) == .pvh)
        #expect(try chosen(vmlinux.bytes) == .elf64)
        #expect(try chosen([0xf4], as: .flat) == .flat)
        #expect(try chosen(Executable.kernel([0xf4]).bytes, as: .elf64) == .elf64)
        #expect(try chosen(bzImage([0xf4]), as: .flat) == .flat)
    }

    @Test("Linux is detected by its header or its notes")
    func linux() throws {
        #expect(try Loader(kernel: .bytes(bzImage([0xf4]), name: "k")).isLinux)
        #expect(try Loader(kernel: .bytes(vmlinux.bytes, name: "k")).isLinux)
        #expect(try !Loader(kernel: .bytes(Executable.kernel([0xf4]).bytes, name: "k")).isLinux)
    }

    @Test("Linux without notes is known by its version and its addresses in the upper half")
    func linuxWithoutNotes() throws {
        func kernel(_ text: String, behind distance: Int = 0, virtual: UInt64 = 0xffff_ffff_8020_0000) -> [UInt8] {
            let bytes = [UInt8](repeating: 0xf4, count: 1 + distance) + Array(text.utf8)
            return Executable(segments: [.init(address: 0x20_0000, virtual: virtual, bytes: bytes)]).bytes
        }
        // The second is where one read of the file ends and the next begins.
        let headers = 64 + 56
        for linux in [kernel("Linux version 6.1"), kernel("Linux version 6.1", behind: (1 << 20) - headers - 8)] {
            let loader = try Loader(kernel: .bytes(linux, name: "k"))
            #expect(loader.bootProtocol == .elf64 && loader.isLinux)
            #expect(try Loader(kernel: .bytes(linux, name: "k"), as: .elf64).isLinux)
        }
        for other in [kernel("Linux versions"), kernel("Linux version 6.1", virtual: 0x40_0000)] {
            #expect(refusal(other) == .noPVHNote(name: "k", is64Bit: true))
            #expect(try !Loader(kernel: .bytes(other, name: "k"), as: .elf64).isLinux)
        }
        #expect(
            LoaderError.noPVHNote(name: "k", is64Bit: true).description.contains("--boot elf64 --discovery cmdline"))
    }

    @Test("A 64-bit entry has to be in the kernel's memory, below 4 GiB")
    func entry64Limits() {
        #expect(refusal(bzImage([0xf4], memorySize: 0x200)) == .truncated(name: "k"))
        #expect(refusal(bzImage([0xf4], memorySize: 0x201)) == nil)
        #expect(refusal(bzImage([0xf4], address: 0xffff_fdff)) == nil)
        #expect(refusal(bzImage([0xf4], address: 0xffff_fe00))?.description.contains("above 4 GiB") == true)
        #expect(refusal(bzImage([0xf4], address: .max))?.description.contains("above 4 GiB") == true)
    }

    @Test("A rejection names what was expected")
    func refused() {
        #expect(refusal([0xf4]) == .notELF(name: "k"))
        #expect(refusal([0xf4], as: .bzImage) == .notBzImage(name: "k"))
        for image in [
            bzImage([0xf4], version: 0x201), bzImage([0xf4], loadFlags: 0), bzImage([0xf4], start32: 0),
        ] { #expect(refusal(image) == .needsBIOS(name: "k")) }
        #expect(refusal(Array(bzImage([0xf4]).prefix(0x210))) == .truncated(name: "k"))
        #expect(refusal(bzImage([])) == .truncated(name: "k"))
        #expect(refusal(Executable.kernel([0xf4], is64Bit: false).bytes, as: .elf64) == .not64Bit(name: "k"))
        #expect(refusal(vmlinux.bytes, as: .pvh) == .noPVHNote(name: "k", is64Bit: true))
        #expect(LoaderError.notELF(name: "k").description.contains("HdrS at 0x202"))
    }

    @Test("A limit of the command line is the kernel's where it is known, and else the board's")
    func commandLineLimit() {
        func refusal(_ kernel: [UInt8], _ length: Int) -> LoaderError? {
            do {
                let loader = try Loader(kernel: .bytes(kernel, name: "k"))
                _ = try loader.load(into: RAM(size: 4 << 20), commandLine: String(repeating: "x", count: length))
                return nil
            } catch { return error as? LoaderError }
        }
        var image = bzImage([0xf4])
        image.replaceSubrange(0x238..<0x23c, with: Executable.number(255, 4))
        #expect(refusal(image, 255) == nil)
        #expect(refusal(image, 256) == .commandLineTooLong(length: 256, limit: 255, isKernels: true))
        image.replaceSubrange(0x238..<0x23c, with: Executable.number(4096, 4))
        #expect(refusal(image, 2048) == .commandLineTooLong(length: 2048, limit: 2047, isKernels: false))
        var linux = Executable.kernel([0xf4])
        linux.segments[1].bytes += Executable.note("Linux\0", 0x100, [0])
        #expect(refusal(linux.bytes, 2048) == .commandLineTooLong(length: 2048, limit: 2047, isKernels: true))
    }

    @Test("No truncated or changed header of a bzImage crashes the loader")
    func noise() throws {
        let image = bzImage([0xf4])
        let ram = try RAM(size: 4 << 20)
        for offset in 0x1f1..<0x268 {
            for value: UInt8 in [0, 1, 0x7f, 0x80, 0xff] {
                var bytes = image
                bytes[offset] = value
                do throws(LoaderError) {
                    _ = try Loader(kernel: .bytes(bytes, name: "k")).load(into: ram, commandLine: "")
                } catch { #expect(!error.description.isEmpty) }
            }
        }
        for count in 1..<image.count { _ = refusal(Array(image.prefix(count))) }
    }

    @Test("The boot parameters: header, command line, initial RAM disk, memory, ACPI")
    func parameters() throws {
        let ram = try RAM(size: 5 << 30)
        let loader = try Loader(kernel: .bytes(bzImage([0xf4, 0x90]), name: "k"))
        let state = try loader.load(
            into: ram, commandLine: "quiet", modules: [.bytes([1, 2, 3], name: "initrd")], acpi: [7])
        #expect(state == .linux64(entry: 0x20_0200, parameters: 0x6000))
        func field(_ offset: UInt64, _ bytes: Int) -> UInt64? {
            ram.read(at: 0x6000 + offset, count: bytes)?.reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        #expect(ram.read(at: 0x20_0000, count: 2) == [0xf4, 0x90])
        #expect(ram.read(at: 0x6202, count: 4) == Array("HdrS".utf8) && field(0x206, 2) == 0x20f)
        #expect(field(0x210, 1) == 0xff && field(0x211, 1) == 1)
        #expect(field(0x238, 4) == 2047, "the kernel's own limit, which the loader only reads")
        #expect(field(0x228, 4) == 0x7000 && ram.read(at: 0x7000, count: 6) == Array("quiet\0".utf8))
        #expect(field(0x218, 4) == 0x7f_f000 && field(0x21c, 4) == 3, "below the last address that the header allows")
        #expect(ram.read(at: 0x7f_f000, count: 3) == [1, 2, 3])
        #expect(field(0x070, 8) == 0xe_0000 && ram.read(at: 0xe_0000, count: 1) == [7])
        #expect(field(0x1e8, 1) == 4)
        let last: UInt64 = 0x2d0 + 3 * 20
        #expect(field(last, 8) == 4 << 30 && field(last + 8, 8) == 2 << 30 && field(last + 16, 4) == 1)
    }

    /// Runs a kernel to its first exit.
    private func firstWrite(_ bytes: [UInt8], as chosen: BootProtocol?) throws -> VCPU.Exit {
        let ram = try RAM(size: 4 << 20)
        let state = try Loader(kernel: .bytes(bytes, name: "k"), as: chosen).load(into: ram, commandLine: "")
        let hypervisor = try Hypervisor()
        let machine = try VirtualMachine(hypervisor, reserved: MemoryMap.hypervisorPages)
        let region = try #require(ram.regions.first)
        unsafe try machine.mapMemory(slot: 0, guestAddress: 0, host: region.host, size: region.size)
        var vcpu = try VCPU(machine, id: 0)
        try vcpu.setCPUID(hypervisor.supportedCPUID())
        try state.apply(to: vcpu)
        return try vcpu.run()
    }

    @Test("Entered in 64-bit mode with the parameters in rsi", .needsKVM)
    func entry64() throws {
        // rsi plus the signature at 0x202 of the page there, by an address that only 64-bit mode can compute.
        let code: [UInt8] = [
            0x48, 0xb8, 0, 0, 0, 0, 1, 0, 0, 0,  // mov rax, 0x100000000
            0x48, 0xc1, 0xe8, 0x20,  // shr rax, 32: 1
            0x01, 0xf0,  // add eax, esi
            0xe7, 0xf4,  // out 0xf4, eax
        ]
        var image = bzImage([UInt8](repeating: 0x90, count: 0x200) + code)
        #expect(try firstWrite(image, as: nil) == .portOut(port: 0xf4, width: 4, value: 0x6001))
        image.removeAll()
        var elf = vmlinux
        elf.segments[0].bytes = code
        elf.entry = 0x20_0000
        #expect(try firstWrite(elf.bytes, as: nil) == .portOut(port: 0xf4, width: 4, value: 0x6001))
    }

    /// The first kernel has no 64-bit entry, the second a header from before there was one; its fields of later versions do not count.
    @Test("Without a 64-bit entry, entered in 32-bit mode with the parameters in esi", .needsKVM)
    func entry32() throws {
        let code: [UInt8] = [
            0x8e, 0x1d, 0x70, 0, 0x10, 0,  // mov ds, [0x100070]: __BOOT_DS, from the GDT
            0x8b, 0x86, 0x02, 0x02, 0, 0,  // mov eax, [esi + 0x202]: HdrS
            0x01, 0xd8, 0x01, 0xe8, 0x01, 0xf8,  // add eax, ebx; add eax, ebp; add eax, edi: all 0
            0x48, 0x90,  // dec eax in 32-bit mode, a prefix in 64-bit mode
            0xe7, 0xf4,  // out 0xf4, eax
        ]
        let kernel = code + [UInt8](repeating: 0, count: 0x70 - code.count) + [0x18, 0]
        for image in [bzImage(kernel, flags: 0), bzImage(kernel, version: 0x204)] {
            #expect(try firstWrite(image, as: nil) == .portOut(port: 0xf4, width: 4, value: 0x5372_6447))
        }
    }

    @Test("In 32-bit mode a kernel has the memory up to its preferred address, and a first protocol's limits")
    func limits32() throws {
        func load(_ image: [UInt8], memory: UInt64, commandLine: Int = 0) -> LoaderError? {
            do {
                let loader = try Loader(kernel: .bytes(image, name: "k"))
                _ = try loader.load(
                    into: RAM(size: memory), commandLine: String(repeating: "x", count: commandLine))
                return nil
            } catch { return error as? LoaderError }
        }
        let preferring = bzImage([0xf4], memorySize: 2 << 20, flags: 0)
        #expect(load(preferring, memory: 4 << 20) == nil)
        #expect(load(preferring, memory: 2 << 20) == .outsideMemory(part: "k", needed: 4 << 20, memory: 2 << 20))
        let old = bzImage([0xf4], memorySize: 2 << 20, version: 0x205)
        #expect(load(old, memory: 2 << 20, commandLine: 255) == nil)
        #expect(
            load(old, memory: 2 << 20, commandLine: 256)
                == .commandLineTooLong(length: 256, limit: 255, isKernels: true))
    }

    @Test("Linux takes one initial RAM disk, other kernels any number that the boot information has room for")
    func modules() throws {
        func load(_ image: [UInt8], _ count: Int) -> LoaderError? {
            do {
                let loader = try Loader(kernel: .bytes(image, name: "k"))
                _ = try loader.load(
                    into: RAM(size: 4 << 20), commandLine: "",
                    modules: [ImageSource](repeating: .bytes([7], name: "m"), count: count))
                return nil
            } catch { return error as? LoaderError }
        }
        #expect(load(bzImage([0xf4]), 2) == .manyInitrds)
        var elf = vmlinux
        elf.entry = 0x20_0000
        #expect(load(elf.bytes, 2) == .manyInitrds)
        // 0x40 bytes, three ranges of 24 bytes, and 32 bytes a module.
        let kernel = Executable.kernel([0xf4]).bytes
        #expect(load(kernel, 123) == nil)
        #expect(load(kernel, 124) == .tooManyModules(size: 0x40 + 72 + 124 * 32))
    }

    @Test("Flat code is entered at 1 MiB with the start information in ebx", .needsKVM)
    func flat() throws {
        // mov eax, [ebx]; out 0xf4, eax
        #expect(
            try firstWrite([0x8b, 0x03, 0xe7, 0xf4], as: .flat)
                == .portOut(port: 0xf4, width: 4, value: 0x336e_c578))
    }

    @Test("The reset vector writes the reset port")
    func resetVector() throws {
        let ram = try RAM(size: 4 << 20)
        _ = try Loader(kernel: .bytes([0xf4], name: "k"), as: .flat).load(into: ram, commandLine: "")
        #expect(ram.read(at: 0xf_fff0, count: 4) == [0xba, 0x02, 0x06, 0xee])
    }
}
