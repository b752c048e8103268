// The inputs that a user gives to vmm: a kernel, and lines of the qtest protocol.

import Machine
import VirtioABI

/// Loads an ELF file. The first byte is not part of it: its bit 0 adds an initial RAM disk.
func fuzzELF(_ bytes: [UInt8]) {
    guard let choice = bytes.first else { return }
    fuzzKernel(Array(bytes.dropFirst()), as: nil, hasModule: choice & 1 != 0)
}

/// Loads a file with a Multiboot header. The first byte: bit 0 adds a module, bit 1 selects version 2. The second byte is the header's
/// offset, in units of 8; its magic number and its checksum are made right. The rest is the file.
func fuzzMultiboot(_ bytes: [UInt8]) {
    guard bytes.count > 2 else { return }
    let (choice, start) = (bytes[0], 8 * Int(bytes[1]))
    let (magic, words): (UInt32, Int) = choice & 2 == 0 ? (0x1bad_b002, 3) : (0xe852_50d6, 4)
    var file = Array(bytes.dropFirst(2))
    if start + 4 * words <= file.count {
        file.put(magic, at: start)
        let sum = (0..<words - 1).reduce(UInt32(0)) { $0 &+ file.word(at: start + 4 * $1) }
        file.put(0 &- sum, at: start + 4 * (words - 1))
    }
    fuzzKernel(file, as: choice & 2 == 0 ? .multiboot : .multiboot2, hasModule: choice & 1 != 0)
}

/// Loads a bzImage. The first byte: bit 0 adds an initial RAM disk, the others are the file's least size in sectors. The rest is the
/// file from the setup header on; its signature is made right.
func fuzzBzImage(_ bytes: [UInt8]) {
    guard let choice = bytes.first else { return }
    var file = [UInt8](repeating: 0, count: 0x1f1) + bytes.dropFirst()
    file += [UInt8](repeating: 0, count: max(0, 512 * Int(choice >> 1) - file.count))
    if file.count >= 0x206 { file.replaceSubrange(0x202..<0x206, with: Array("HdrS".utf8)) }
    fuzzKernel(file, as: .bzImage, hasModule: choice & 1 != 0)
}

/// Loads a kernel by `boot`, or as its first bytes say, as far as that is possible without a processor.
private func fuzzKernel(_ file: [UInt8], as boot: BootProtocol?, hasModule: Bool) {
    let modules = hasModule ? [ImageSource.bytes([UInt8](repeating: 7, count: 4096), name: "initrd")] : []
    do throws(LoaderError) {
        let loader = try Loader(kernel: .bytes(file, name: "kernel"), as: boot)
        _ = loader.isLinux
        let state = try loader.load(into: smallRAM, commandLine: "console=hvc0", modules: modules)
        let (entry, information): (UInt64, UInt64)
        var (offset, magic): (UInt64, UInt32) = (0, 0)
        switch state {
        case .pvh(let start, let startInfo):
            (entry, information, magic) = (UInt64(start), UInt64(startInfo), 0x336e_c578)
        case .multiboot(let start, 0x2bad_b002, let boot):
            (entry, information, magic) = (UInt64(start), UInt64(boot), 0b10_0100_1101)
        case .multiboot(let start, _, let boot):
            // The first tag is the command line.
            (entry, information, offset, magic) = (UInt64(start), UInt64(boot), 8, 1)
        case .linux32(let start, let parameters):
            (entry, information, offset, magic) = (UInt64(start), UInt64(parameters), 0x202, 0x5372_6448)
        case .linux64(let start, let parameters):
            (entry, information, offset, magic) = (start, parameters, 0x202, 0x5372_6448)
        }
        require(smallRAM.read(at: entry, count: 1) != nil, "an entry outside memory")
        require(smallRAM.read(at: information + offset, count: 4)?.word(at: 0) == magic, "no boot information")
    } catch {
        require(!error.description.isEmpty, "an error without a description")
    }
}

extension [UInt8] {
    /// The little-endian word of 32 bits at `offset`.
    fileprivate func word(at offset: Int) -> UInt32 {
        self[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// Overwrites that word.
    fileprivate mutating func put(_ word: UInt32, at offset: Int) {
        for index in 0..<4 { self[offset + index] = UInt8(truncatingIfNeeded: word >> UInt32(8 * index)) }
    }
}

private let smallRAM: RAM = {
    guard let ram = try? RAM(size: MemoryMap.minimumRAM) else { fatalError("no memory for the fuzzer") }
    return ram
}()

/// Handles lines of the qtest protocol. Each line that has a word gets one answer, after any number of IRQ lines.
func fuzzQTest(_ bytes: [UInt8]) {
    var configuration = Machine.Configuration()
    configuration.memory = MemoryMap.minimumRAM
    configuration.reportsViolations = false
    configuration.suspend = bytes.first.map { $0 & 1 == 0 } == true ? .draft : .ratified
    guard let machine = try? QTestMachine(configuration) else { fatalError("no machine for the fuzzer") }
    let session = QTestSession(machine)
    for line in bytes.split(separator: UInt8(ascii: "\n")) where session.outcome == nil {
        let answers = session.handle(line)
        let hasWord = line.contains { ![UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r")].contains($0) }
        require(answers.isEmpty != hasWord, "\(answers.count) answers")
        for (index, answer) in answers.enumerated() {
            let isLast = index + 1 == answers.count
            let prefixes = isLast ? ["OK", "FAIL ", "ERR "] : ["IRQ raise ", "IRQ lower "]
            require(prefixes.contains { answer.hasPrefix($0) }, "an answer without a known prefix: \(answer)")
            require(!answer.utf8.contains { $0 < 0x20 }, "an answer of more than one line")
        }
    }
}
