// The inputs that a user gives to vmm: a kernel, and lines of the qtest protocol.

import Machine
import VirtioABI

/// Loads an ELF file, as far as that is possible without a processor. The first byte is not part of the file: its bit 0
/// adds an initial RAM disk.
func fuzzELF(_ bytes: [UInt8]) {
    guard let choice = bytes.first else { return }
    let image = ImageSource.bytes(Array(bytes.dropFirst()), name: "kernel")
    let modules = choice & 1 == 0 ? [] : [ImageSource.bytes([UInt8](repeating: 7, count: 4096), name: "initrd")]
    do throws(LoaderError) {
        let loader = try Loader(kernel: image)
        _ = loader.isLinux
        let state = try loader.load(into: smallRAM, commandLine: "console=hvc0", modules: modules)
        guard case .pvh(let entry, let startInfo) = state else { return }
        require(smallRAM.read(at: UInt64(entry), count: 1) != nil, "an entry outside memory")
        require(smallRAM.read(at: UInt64(startInfo), count: 4) == [0x78, 0xc5, 0x6e, 0x33], "no start information")
    } catch {
        require(!error.description.isEmpty, "an error without a description")
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
