// What can be fuzzed, by name.

import Virtio

/// A target: a promise about some code that no bytes can break. To break it ends the process.
public enum Target: String, CaseIterable, Sendable {
    /// Registers at any offset and width, in between everything a host does.
    case registers
    /// A driver that lays out split rings, well and badly.
    case splitRing = "split-ring"
    /// The same with packed rings.
    case packedRing = "packed-ring"
    /// Legal block requests in any framing, against a disk.
    case block
    /// A console's input and output.
    case console
    /// Kernels that may be no ELF files.
    case elf
    /// The text of the qtest protocol.
    case qtest

    /// Runs one input.
    public func run(_ bytes: [UInt8]) {
        var input = Input(bytes)
        switch self {
        case .registers: fuzzRegisters(&input)
        case .splitRing: fuzzRing(&input, packed: false)
        case .packedRing: fuzzRing(&input, packed: true)
        case .block: fuzzBlock(&input)
        case .console: fuzzConsole(&input)
        case .elf: fuzzELF(bytes)
        case .qtest: fuzzQTest(bytes)
        }
    }
}

/// Registers: the first byte chooses the device, the rest are steps; two of three are register accesses.
func fuzzRegisters(_ input: inout Input) {
    let options = Options(input.byte())
    if options.device & 8 == 0 {
        registers(Rig<Block>(options), &input)
    } else {
        registers(Rig<Console>(options), &input)
    }
}

private func registers<Device: FuzzedDevice & ~Copyable>(_ rig: Rig<Device>, _ input: inout Input) {
    let packed = input.flag()
    var driver = Anything(rig: rig, packed: packed)
    driver.restart(input.byte(), &input)
    while !input.isEmpty {
        if input.byte() % 3 == 0 { driver.step(&input) } else { driver.register(&input) }
    }
    rig.checkHealth(packed: packed, choice: UInt16(rig.transport.conformance.sum & 0x1fff))
}

/// Rings: the device is brought up by the rules, and then anything happens.
func fuzzRing(_ input: inout Input, packed: Bool) {
    let options = Options(input.byte())
    if options.device & 8 == 0 {
        ring(Rig<Block>(options), &input, packed)
    } else {
        ring(Rig<Console>(options), &input, packed)
    }
}

private func ring<Device: FuzzedDevice & ~Copyable>(_ rig: Rig<Device>, _ input: inout Input, _ packed: Bool) {
    var driver = Anything(rig: rig, packed: packed)
    driver.restart(0, &input)
    while !input.isEmpty { driver.step(&input) }
    rig.checkHealth(packed: packed, choice: UInt16(rig.transport.conformance.sum & 0x1fff))
}
