// The fuzz targets, by name.

import Virtio

/// A target: invariants of some code that must hold for every input. A violation ends the process.
public enum Target: String, CaseIterable, Sendable {
    /// Register accesses at any offset and width, between steps of driver and host.
    case registers
    /// A driver with split rings, correct and broken.
    case splitRing = "split-ring"
    /// The same with packed rings.
    case packedRing = "packed-ring"
    /// Legal block requests in any framing, against a disk.
    case block
    /// A console's input, output and control messages.
    case console
    /// An entropy device with split or packed rings, correct and broken.
    case entropy
    /// A network device with split or packed rings, correct and broken, and frames from its link.
    case network
    /// A disk, console, entropy device or network device under torture, with a driver that is correct and broken.
    case torture
    /// Kernel files, valid ELF files or not.
    case elf
    /// Kernel files with a Multiboot header, of either version.
    case multiboot
    /// Kernel files with a setup header of Linux.
    case bzImage = "bzimage"
    /// Lines of the qtest protocol.
    case qtest
    /// Packets of GDB's remote protocol.
    case gdb

    /// Runs one input.
    public func run(_ bytes: [UInt8]) {
        var input = Input(bytes)
        switch self {
        case .registers: fuzzRegisters(&input)
        case .splitRing: fuzzRing(&input, packed: false)
        case .packedRing: fuzzRing(&input, packed: true)
        case .block: fuzzBlock(&input)
        case .console: fuzzConsole(&input)
        case .entropy: ring(Rig<Entropy>(Options(input.byte())), &input, input.flag())
        case .network: fuzzNetwork(&input)
        case .torture: fuzzTorture(&input)
        case .elf: fuzzELF(bytes)
        case .multiboot: fuzzMultiboot(bytes)
        case .bzImage: fuzzBzImage(bytes)
        case .qtest: fuzzQTest(bytes)
        case .gdb: fuzzGDB(bytes)
        }
    }
}

/// Registers: the first byte selects the device, the rest are steps; two of three are register accesses.
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
    var driver = RandomDriver(rig: rig, packed: packed)
    driver.restart(input.byte(), &input)
    while !input.isEmpty {
        if input.byte() % 3 == 0 { driver.step(&input) } else { driver.register(&input) }
    }
    rig.checkHealth(packed: packed, choice: UInt16(rig.transport.conformance.sum & 0x1fff))
}

/// Rings: the device is initialised as specified, then takes random steps.
func fuzzRing(_ input: inout Input, packed: Bool) {
    let options = Options(input.byte())
    if options.device & 8 == 0 {
        ring(Rig<Block>(options), &input, packed)
    } else {
        ring(Rig<Console>(options), &input, packed)
    }
}

/// A network device. One step in four is a frame, whose header and length are random. The draft is not for it (D-1).
private func fuzzNetwork(_ input: inout Input) {
    let byte = input.byte()
    let rig = Rig<Network>(Options(byte & 3 == 1 ? byte | 2 : byte))
    var driver = RandomDriver(rig: rig, packed: input.flag())
    driver.restart(0, &input)
    while !input.isEmpty {
        let choice = input.byte()
        if choice % 4 == 1, let control = driver.rings.indices.last, control % 2 == 0 {
            // A command, at most 16 bytes of it, where its class and command exist.
            let buffer: UInt64 = 0x4000
            let bytes =
                [input.byte() % 6, input.byte() % 3] + (0..<Int(input.byte() % 15)).map { _ in input.byte() % 3 }
            for (index, byte) in bytes.enumerated() { rig.ram.fill(byte, at: buffer + 16 + UInt64(index), count: 1) }
            let parts = [
                Part(address: buffer + 16, count: UInt32(bytes.count), writable: false),
                Part(address: buffer, count: 1, writable: true),
            ]
            if driver.rings[control].add(parts) != nil {
                rig.notify(control, next: driver.rings[control].nextAvailable)
                rig.serve()
            }
            continue
        }
        guard choice % 4 == 0 else {
            driver.step(&input)
            continue
        }
        var frame = (0..<14).map { _ in input.byte() }
        frame += [UInt8](repeating: input.byte(), count: 16 << Int(input.byte() % 12))
        var accepted = false
        rig.call { $0.receive(frame.span, pair: Int(frame[0] & 1), accepted: &accepted) }
        rig.serve()
    }
    rig.checkHealth(packed: driver.packed, choice: UInt16(rig.transport.conformance.sum & 0x1fff))
}

/// Torture: the third byte is the seed. Every choice is made but DEVICE_NEEDS_RESET at any moment, which no check could tell from a
/// fault.
private func fuzzTorture(_ input: inout Input) {
    let byte = input.byte()
    let packed = input.flag()
    let choices = Torture.everyChoice & ~(1 << UInt32(TortureChoice.die.rawValue))
    let torture = Torture(seed: UInt64(input.byte()), choices: choices)
    switch input.below(4) {
    case 0: ring(Rig<Block>(Options(byte, torture)), &input, packed)
    case 1: ring(Rig<Console>(Options(byte, torture)), &input, packed)
    case 2: ring(Rig<Entropy>(Options(byte, torture)), &input, packed)
    default: ring(Rig<Network>(Options(byte & 3 == 1 ? byte | 2 : byte, torture)), &input, packed)
    }
}

private func ring<Device: FuzzedDevice & ~Copyable>(_ rig: Rig<Device>, _ input: inout Input, _ packed: Bool) {
    var driver = RandomDriver(rig: rig, packed: packed)
    driver.restart(0, &input)
    while !input.isEmpty { driver.step(&input) }
    rig.checkHealth(packed: packed, choice: UInt16(rig.transport.conformance.sum & 0x1fff))
}
