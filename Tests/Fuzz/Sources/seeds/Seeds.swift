// Writes the seed inputs, the same ones each time, in the format that the targets read. The corpus is a different set:
// the inputs that a fuzzer kept, starting from these.
//
// usage: seeds DIRECTORY        makes DIRECTORY/TARGET/seed-N

import FuzzTargets
import Glibc

@main
struct Seeds {
    static func main() {
        guard CommandLine.arguments.count == 2 else {
            print("usage: seeds DIRECTORY")
            exit(64)
        }
        let directory = CommandLine.arguments[1]
        unsafe mkdir(directory, 0o777)
        var count = 0
        for target in Target.allCases {
            unsafe mkdir("\(directory)/\(target.rawValue)", 0o777)
            for (index, bytes) in seeds(for: target).enumerated() {
                write(bytes, to: "\(directory)/\(target.rawValue)/seed-\(index)")
                count += 1
            }
        }
        print("\(count) seeds in \(directory)")
    }

    static func write(_ bytes: [UInt8], to path: String) {
        guard let file = unsafe fopen(path, "w") else { fatalError("cannot write \(path)") }
        defer { unsafe fclose(file) }
        guard unsafe fwrite(bytes, 1, bytes.count, file) == bytes.count else { fatalError("cannot write \(path)") }
    }

    static func seeds(for target: Target) -> [[UInt8]] {
        switch target {
        case .splitRing, .packedRing, .entropy: rings()
        case .registers: rings().map { interleaved($0) }
        case .block, .console, .network: noise()
        case .elf: kernels()
        case .multiboot: multiboot()
        case .bzImage: bzImages()
        case .qtest: [script(packed: false), script(packed: true)]
        case .gdb: packets.map { Array($0.utf8) }
        }
    }

    // MARK: Rings

    /// Every device in every dialect with three sets of features. The driver makes requests, suspends and resumes.
    static func rings() -> [[UInt8]] {
        var seeds: [[UInt8]] = []
        for device: UInt8 in [0x00, 0x10, 0x20, 0x80, 0x90] {
            for dialect: UInt8 in [0, 1, 2, 5, 6] {
                for features: UInt16 in [0, 0x1fff, 0x17f7] {
                    seeds.append(
                        [device | dialect, UInt8(features & 0xff), UInt8(features >> 8), 4] + suspendScenario(dialect))
                }
            }
        }
        for device: UInt8 in [0x00, 0x80] {
            for queue: UInt8 in 0..<2 { seeds.append([device, 4, 0, 4] + usedEvents(queue)) }
        }
        return seeds
    }

    /// Steps of `RandomDriver`: a request completed with used_event before, at and after the next used index.
    static func usedEvents(_ queue: UInt8) -> [UInt8] {
        (0..<12).flatMap { event in
            [19, queue, event % 6, 0, event / 6 * 2] + [0, queue, 0x5b, 34, 0, 1, 62, 0xf0, 124, 7, 2, 9, 0, 14, queue]
        }
    }

    /// Steps of `RandomDriver`: requests, completion, a suspend with requests in flight, resume, a queue reset, a
    /// snapshot restored.
    static func suspendScenario(_ dialect: UInt8) -> [UInt8] {
        var steps: [UInt8] = []
        for queue: UInt8 in 0..<4 {
            // A chain of header, one buffer and status; then the same in an indirect table.
            steps += [0, queue, 0x5b, 10 + queue, 0, queue, 40, 0xf0, 120]
            steps += [0, queue, 0x7b, 20 + queue, 0, queue, 50, 0xf0, 121]
            steps += [7, 3, 9, 0, 9, 2, 14, queue, 13, 3]
        }
        steps += [18, 0x10, 1, 2, 3, 7, 3, 14, 0]
        steps += [0, 0, 0x5b, 30, 1, 1, 60, 0xf0, 122, 7, 2]
        // Suspend, complete what is in flight, with a configuration change and a notification meanwhile, resume.
        steps += [11, 0, 12, 11, 6, 0, 9, 0, 13, 3, 15, 0, 1, 11, 0x60, 12, 0, 7, 3, 14, 0]
        // Suspend past the drain deadline.
        steps += [0, 0, 0x5b, 31, 0, 1, 61, 0xf0, 123, 7, 2, 11, 0, 12, 6, 9, 0, 17, 11, 0x60, 12, 0]
        // A queue reset and set up again; interrupt suppression; a snapshot restored.
        steps += [15, 0, 1, 15, 0, 2, 19, 0, 3, 1, 2, 0, 0, 0x5b, 32, 0, 1, 62, 0xf0, 124, 7, 2, 9, 0, 17]
        // Suspended with requests of a queue that was reset, with the narrow freeze scope too.
        steps += [0, 0, 0x5b, 33, 0, 2, 63, 0xf0, 125, 7, 2, 11, 0, 12, 6, 15, 0, 0, 9, 0, 11, 0x60, 12, 0]
        return steps
    }

    /// Steps of the registers target: two of three are register accesses.
    static func interleaved(_ ring: [UInt8]) -> [UInt8] {
        var generator = SplitMix64(state: UInt64(ring.count))
        var bytes: [UInt8] = [ring[0], UInt8(ring.count & 1), 0, ring[1], ring[2], ring[3]]
        for _ in 0..<60 {
            bytes += [1, 0x40 | UInt8(generator.next() & 3), UInt8(truncatingIfNeeded: generator.next())]
            bytes += generator.bytes(8)
        }
        return bytes
    }

    /// Random bytes, for targets in which every byte sequence means something legal.
    static func noise() -> [[UInt8]] {
        (0..<48).map { seed in
            var generator = SplitMix64(state: UInt64(seed))
            let head: [UInt8] = [
                [0, 1, 2, 0x10, 0x20, 0x30][seed % 6], UInt8(seed & 1), UInt8(seed * 37 & 0xff), 0x1f, 4,
            ]
            return head + generator.bytes(100 + 10 * seed)
        }
    }

    // MARK: Kernels

    /// The smallest kernels that boot, 32-bit and 64-bit, and two that are truncated.
    static func kernels() -> [[UInt8]] {
        let wide = kernel(wide: true)
        return [[0] + wide, [1] + wide, [0] + kernel(wide: false), [0] + wide.dropLast(8), [0] + wide.prefix(70)]
    }

    /// An ELF file of one segment at 1 MiB with a PVH entry note (Xen's type 18).
    static func kernel(wide: Bool) -> [UInt8] {
        let word = wide ? 8 : 4
        let (header, entry) = wide ? (64, 56) : (52, 32)
        let code = header + 2 * entry
        var file = FileBuilder()
        file.add([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1] + [UInt8](repeating: 0, count: 9))
        for (value, size) in [
            (2, 2), (wide ? 62 : 3, 2), (1, 4), (0x10_0000, word), (header, word), (0, word), (0, 4), (header, 2),
            (entry, 2), (2, 2), (0, 2), (0, 2), (0, 2),
        ] { file.add(value, size) }
        file.segment(wide, type: 1, offset: code, address: 0x10_0000, fileSize: 4, memorySize: 4096)
        file.segment(wide, type: 4, offset: code + 4, address: 0, fileSize: 20, memorySize: 20)
        file.add(0xf4f4_f4f4, 4)
        for value in [4, 4, 18, 0x006e_6558, 0x10_0000] { file.add(value, 4) }
        return file.bytes
    }

    /// Kernels of both versions of Multiboot: with addresses in the header, relocatable, and an ELF file.
    static func multiboot() -> [[UInt8]] {
        let base = 0x10_0000
        let first = words([0, 1 << 16 | 3, 0, base, base, 0, base + 0x2000, base]) + [0xf4]
        // Tags: information, addresses, entry; and in the second a relocatable image. Magic number and checksum are the target's.
        let tags = [1, 16, 4, 6, 2, 24, base, -1, 0, base + 0x2000, 3, 12, base, 0]
        let second = words([0, 0, 16 + 4 * 16, 0] + tags + [0, 8])
        let moved = words([0, 0, 16 + 4 * 22, 0] + tags + [10, 24, 0x11_0000, 0x1f_ffff, 0x1000, 2] + [0, 8])
        // The code is 176 bytes behind the file's start; the header takes its place and that of the PVH note.
        let elf = kernel(wide: true)
        return [[0, 0] + first, [1, 0] + first, [2, 0] + second, [3, 0] + moved, [0, 22] + elf, [3, 22] + elf]
    }

    /// bzImages with a 64-bit entry, with a 32-bit one, of an old protocol, and for a BIOS. They begin at the setup header.
    static func bzImages() -> [[UInt8]] {
        [(0x20f, 1, 1), (0x20f, 0, 1), (0x203, 0, 1), (0x20f, 1, 0)].flatMap { version, flags, loadFlags in
            var header = [UInt8](repeating: 0, count: 0x268 - 0x1f1)
            for (offset, size, value) in [
                (0x1f1, 1, 1), (0x201, 1, 0x66), (0x206, 2, version), (0x211, 1, loadFlags), (0x214, 4, 0x10_0000),
                (0x22c, 4, 0x7f_ffff), (0x236, 2, flags), (0x238, 4, 255), (0x258, 8, 0x10_0000), (0x260, 4, 0x4000),
            ] {
                for index in 0..<size {
                    header[offset - 0x1f1 + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
                }
            }
            // Six sectors, without and with an initial RAM disk.
            return [[12] + header, [13] + header]
        }
    }

    /// Words of 32 bits.
    static func words(_ values: [Int]) -> [UInt8] {
        var file = FileBuilder()
        for value in values { file.add(value, 4) }
        return file.bytes
    }

    // MARK: gdb

    /// What debuggers say.
    static let packets = [
        "qSupported:multiprocess+;swbreak+;hwbreak+\nvMustReplyEmpty\nQStartNoAckMode\n\0+\nHg0\n"
            + "qXfer:features:read:target.xml:0,ffb\nqTStatus\n?\nqfThreadInfo\nqsThreadInfo\nqAttached\nHc-1\nqC\n"
            + "qThreadExtraInfo,2\nT2\nqSymbol::\ng\nm100,40\nm0,7\nx10,20",
        "Z0,10,1\nZ1,20,1\nZ2,30,8\nZ3,40,4\nvCont?\nvCont;c\n\0\u{3}\nz0,10,1\nvCont;s:2;c\n\0\u{3}\np10\nP10=0000000000001000\n"
            + "M10,3:00ffee\nX10,2:ab\ns100\n\0\u{3}\nC05;200\n\0\u{3}\nqRcmd,68656c70\nD",
        "Qqemu.PhyMemMode:1\nqqemu.PhyMemMode\nQqemu.sstep=1\nqqemu.sstep\nqqemu.sstepbits\nqqemu.Supported\nG0011\nvKill;1",
    ]

    // MARK: qtest

    /// Lines that bring up a disk, make and complete a read, and suspend.
    static func script(packed: Bool) -> [UInt8] {
        let disk = 0xd000_1000
        var lines = ["irq_intercept_in ioapic", "readl 0xd0001000", "endianness", "x-hold blk0"]
        func write(_ register: Int, _ value: Int) { lines.append("writel \(disk + register) \(value)") }
        for status in [0, 1, 3] { write(0x70, status) }
        write(0x24, 1)
        write(0x20, packed ? 0x405 : 0x401)
        write(0x24, 0)
        write(0x20, 0x1000_0200)
        write(0x70, 11)
        for (register, value) in [
            (0x30, 0), (0x38, 4), (0x80, 0x10000), (0x90, 0x11000), (0xa0, 0x12000), (0x44, 1), (0x70, 15),
        ] { write(register, value) }
        lines += ["memset 0x10000 0x4000 0", "writeq 0x10000 0x13000", "writel 0x10008 16"]
        lines += packed ? ["writel 0x1000c 0x00810000"] : ["writel 0x1000c 0x00010001"]
        lines += ["writeq 0x10010 0x13100", "writel 0x10018 513"]
        lines += packed ? ["writel 0x1001c 0x00820000"] : ["writel 0x1001c 2", "writel 0x11000 0x10000"]
        write(0x50, 0)
        lines += ["x-state blk0", "x-release blk0 1", "read 0x13100 16", "b64read 0x12000 12", "readl \(disk + 0x60)"]
        write(0x64, 3)
        write(0x70, 31)
        lines += ["clock_step", "x-capacity blk0 77", "x-ready blk0", "readl \(disk + 0x70)"]
        write(0x70, 15)
        lines += ["clock_set 5000000000", "x-input console0 0x6869", "x-size console0 100 40", "x-output console0"]
        lines += ["x-fail blk0 EIO 2", "x-deadline blk1", "x-hold-resume blk0", "x-fatal blk1", "inb 0x608"]
        lines += ["write 0x1000 2 0xabcd", "b64write 0x1000 3 YWJj", "outb 0x602 1"]
        return Array(lines.joined(separator: "\n").utf8)
    }
}

/// The pseudo-random generator SplitMix64.
struct SplitMix64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
        return word ^ word >> 31
    }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
}

/// A file's bytes, appended field by field.
struct FileBuilder {
    var bytes: [UInt8] = []

    mutating func add(_ new: [UInt8]) { bytes += new }

    /// Appends `value` in `size` bytes, little-endian.
    mutating func add(_ value: Int, _ size: Int) {
        for index in 0..<size { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
    }

    /// Appends a program header.
    mutating func segment(_ wide: Bool, type: Int, offset: Int, address: Int, fileSize: Int, memorySize: Int) {
        let word = wide ? 8 : 4
        add(type, 4)
        if wide { add(5, 4) }
        for value in [offset, address, address, fileSize, memorySize] { add(value, word) }
        if !wide { add(5, 4) }
        add(type == 4 ? 4 : 4096, word)
    }
}
