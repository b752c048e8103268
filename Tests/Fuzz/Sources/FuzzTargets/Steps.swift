// A driver and a host that take random steps. The first byte of a step selects the action, more bytes are its
// parameters. Half of the driver's actions follow the specification, so that an input gets far before it breaks a rule.

import Virtio
import VirtioABI

/// A driver over a rig whose steps the input selects.
struct RandomDriver<Device: FuzzedDevice & ~Copyable> {
    let rig: Rig<Device>
    var rings: [Ring] = []
    let packed: Bool
    var ram: GuestRAM { rig.ram }

    /// Takes one step, selected by the input.
    mutating func step(_ input: inout Input) {
        if rig.transport.isDelayed, input.flag() { rig.call { $0.delayPassed() } }
        let choice = input.byte()
        switch choice % 20 {
        case 0...2: addChain(&input)
        case 3: mangleDescriptor(&input)
        case 4: mangleRing(&input)
        case 5: poke(&input)
        case 6: notify(&input)
        case 7: rig.serve(limit: 1 + input.below(4))
        case 8: rig.take(queue: input.below(rig.transport.queueCount), capacity: 1 + input.below(3))
        case 9, 10: finish(&input)
        case 11: writeStatus(&input)
        case 12: hostEvent(&input)
        case 13: rig.write(.interruptACK, UInt32(input.byte()))
        case 14: takeUsed(&input)
        case 15: endQueue(&input)
        case 16: register(&input)
        case 17: rig.migrate()
        case 18: receive(&input)
        default: suppress(&input)
        }
    }

    private mutating func pick(_ input: inout Input) -> Int? {
        rings.isEmpty ? nil : input.below(rings.count)
    }

    // MARK: The driver

    /// An address: mostly of a buffer, sometimes of a ring, at the end of memory, or any number.
    private func address(_ input: inout Input) -> UInt64 {
        let place = UInt64(input.byte())
        switch place {
        case 0..<0xa0: return 0x4000 + place * 102
        case 0xa0..<0xc0: return GuestRAM.highAddress + (place - 0xa0) * 128
        case 0xc0..<0xe0: return 0x1000 + (place - 0xc0) * 0x180
        case 0xe0..<0xf0: return UInt64(GuestRAM.lowSize) - (place - 0xe0)
        case 0xf0..<0xf8: return GuestRAM.highAddress + UInt64(GuestRAM.highSize) - (place - 0xf0)
        case 0xf8..<0xfc: return UInt64.max - (place - 0xf8)
        default: return input.number(UInt64.self)
        }
    }

    private func count(_ input: inout Input) -> UInt32 {
        let count = UInt32(input.byte())
        switch count {
        case 0..<0x80: return count
        case 0x80..<0xf0: return (count - 0x7f) * 16
        case 0xf0..<0xf8: return (count - 0xef) * 512
        case 0xf8: return .max
        default: return input.number(UInt32.self)
        }
    }

    /// Makes a well-formed chain available: a header that the device can read, buffers, a status byte.
    private mutating func addChain(_ input: inout Input) {
        guard let index = pick(&input) else { return }
        let shape = input.byte()
        let header = 0x4000 + UInt64(input.byte()) * 60
        if shape & 1 != 0 {
            ram.store(UInt32(input.below(16)), at: header)
            ram.store(UInt64(input.below(80)), at: header + 8)
        }
        var parts = [Part(address: header, count: 16, writable: false)]
        for _ in 0..<(shape >> 1 & 3) {
            parts.append(Part(address: address(&input), count: count(&input), writable: shape & 0x08 != 0))
        }
        if shape & 0x10 != 0 { parts.append(Part(address: address(&input), count: 1, writable: true)) }
        let indirect = shape & 0x20 != 0 && rig.driverFeatures.contains(.indirectDescriptors)
        _ = rings[index].add(parts, indirect: indirect)
        if shape & 0x40 != 0 { rig.notify(index, next: rings[index].nextAvailable) }
    }

    /// Overwrites a descriptor, in a queue's table or in one of its indirect tables.
    private mutating func mangleDescriptor(_ input: inout Input) {
        guard let index = pick(&input) else { return }
        let ring = rings[index]
        let place = input.byte()
        let table = place & 0x80 == 0 ? ring.descriptors : ring.tables
        let slot = UInt64(place & 0x3f) % (place & 0x80 == 0 ? UInt64(ring.size) : 64)
        let part = Part(address: address(&input), count: count(&input), writable: false)
        let flags = UInt16(input.byte())
        let at = table + 16 * slot
        ram.store(part.address, at: at)
        ram.store(part.count, at: at + 8)
        if packed {
            ram.store(UInt16(input.byte()), at: at + 12)
            ram.store(flags & 0x7 | (flags & 8) << 4 | (flags & 16) << 11, at: at + 14)
        } else {
            ram.store(flags & 0x0f, at: at + 12)
            ram.store(UInt16(input.byte()), at: at + 14)
        }
    }

    /// Makes a descriptor or an index available that is not a chain's.
    private mutating func mangleRing(_ input: inout Input) {
        guard let index = pick(&input) else { return }
        if packed {
            let part = Part(address: address(&input), count: count(&input), writable: false)
            rings[index].offer(part, id: UInt16(input.byte()), flags: UInt16(input.byte() & 7))
        } else if input.flag() {
            rings[index].publish(UInt16(input.byte()))
        } else {
            ram.store(input.number(UInt16.self), at: rings[index].driver + 2)
        }
    }

    /// Overwrites bytes anywhere in the low region, except in a split queue's used ring, which only the device writes.
    private func poke(_ input: inout Input) {
        let offset = UInt64(input.number(UInt16.self) % UInt16(GuestRAM.lowSize))
        let bytes = input.take(1 + input.below(16))
        for (index, byte) in bytes.enumerated() {
            let address = offset + UInt64(index)
            if !packed, rings.contains(where: { address &- $0.device < 0x180 }) { continue }
            ram.store(byte, at: address)
        }
    }

    private func notify(_ input: inout Input) {
        let value = input.byte()
        if value & 0x80 != 0 { return _ = rig.write(.queueNotify, input.number(UInt32.self)) }
        let index = Int(value) % max(rings.count, 1)
        rig.notify(index, next: rings.isEmpty ? 0 : rings[index].nextAvailable)
    }

    /// Writes the words that suppress used buffer notifications.
    private mutating func suppress(_ input: inout Input) {
        guard let index = pick(&input) else { return }
        let ring = rings[index]
        let value: UInt16 = UInt16(input.byte()) | (input.flag() ? 0x8000 : 0)
        let flags = UInt16(input.byte() & 3)
        if packed {
            ram.store(value, at: ring.driver)
            ram.store(flags, at: ring.driver + 2)
        } else {
            ram.store(flags & 1, at: ring.driver)
            // Near the device's used index, or anywhere.
            let event = value < 0xf0 ? rig.queues[index].usedIndex &+ value % 6 &- 2 : value
            ram.store(event, at: ring.driver + 4 + 2 * UInt64(ring.size))
        }
    }

    private mutating func takeUsed(_ input: inout Input) {
        guard let index = pick(&input) else { return }
        _ = rings[index].takeUsed()
    }

    private mutating func writeStatus(_ input: inout Input) {
        let value = input.byte()
        switch value {
        case 0..<0x60: rig.write(.status, 0x1f)
        case 0x60..<0xa0: rig.write(.status, 0x0f)
        case 0xa0..<0xc0: rig.write(.status, 0x1b)
        case 0xc0..<0xd0: rig.write(.status, input.number(UInt32.self))
        default: restart(value, &input)
        }
    }

    /// Resets the device and, depending on `value`, initialises it.
    mutating func restart(_ value: UInt8, _ input: inout Input) {
        let (features, size) = (input.number(UInt16.self), input.byte())
        rig.write(.status, 0)
        rings = []
        if value & 3 == 3 { return }
        let entries = packed ? 1 + UInt16(size % 32) : 1 << UInt16(size % 6)
        rings = rig.bringUp(rig.features(features, packed: packed), size: entries)
    }

    /// Stops or resets a queue, or sets it up again.
    private mutating func endQueue(_ input: inout Input) {
        guard let index = pick(&input) else { return }
        rig.write(.queueSel, UInt32(index))
        switch input.below(3) {
        case 0: rig.write(.queueReady, 0)
        case 1: rig.write(.queueReset, 1)
        default:
            guard rig.read(.queueReady) == 0, rig.read(.queueReset) == 0 else { return }
            rings[index] = rig.setUp(index, size: rings[index].size, packed: packed)
        }
    }

    /// Accesses the window, at a register or at any offset.
    func register(_ input: inout Input) {
        let choice = input.byte()
        let width = 1 << (choice >> 5 & 3)
        let offset: UInt64
        if choice & 0x80 != 0 {
            offset = UInt64(input.number(UInt16.self) % 0x1200)
        } else {
            let register = Register.allCases[Int(input.byte()) % Register.allCases.count]
            offset = UInt64(register.rawValue)
        }
        switch choice & 3 {
        case 0: _ = rig.read(at: offset, width: width)
        case 1: rig.write(at: offset, width: 4, UInt64(input.byte()))
        default: rig.write(at: offset, width: width, input.number(UInt64.self))
        }
    }

    // MARK: The host

    private func finish(_ input: inout Input) {
        let choice = input.byte()
        guard !rig.pending.isEmpty else { return }
        // An interrupt can be observed only if none is pending.
        if choice & 0x40 == 0 { rig.write(.interruptACK, 3) }
        let results: [Outcome.Result] = [.ok, .ok, .ioError, .unsupported]
        rig.finish(
            Int(choice >> 2) % rig.pending.count, results[Int(choice & 3)], share: choice & 1 == 0 ? 255 : choice)
    }

    private func hostEvent(_ input: inout Input) {
        let value = input.byte()
        switch value % 16 {
        case 0...5: rig.call { $0.backendReady() }
        case 6...9: rig.call { $0.drainDeadlinePassed() }
        case 10: rig.call { $0.fail() }
        default: change(value)
        }
    }

    /// Changes the configuration. It must not change while suspended, nor without ConfigGeneration.
    private func change(_ value: UInt8) {
        let (old, generation) = (configurationBytes(), rig.read(.configGeneration))
        rig.call { $0.change { Device.edit(&$0, value) } }
        // Under torture it changes of itself, between any two reads.
        if rig.options.torture != nil { return }
        let (new, after) = (configurationBytes(), rig.read(.configGeneration))
        require((old == new) == (generation == after), "ConfigGeneration and the configuration disagree")
        require(!rig.transport.lifecycle.isFrozen || old == new, "a suspended device's configuration changes")
    }

    private func configurationBytes() -> [UInt64] {
        (0..<24).map { rig.read(at: 0x100 + 4 * UInt64($0), width: 4) }
    }

    /// Input for a console's port, or a port opened or closed at the host.
    private func receive(_ input: inout Input) {
        let choice = input.byte()
        let bytes = choice & 0x81 == 0x81 ? [] : input.take(1 + Int(choice >> 3))
        guard let rig = rig as? Rig<Console> else { return }
        let port = Int(choice >> 1) % rig.portCount
        if bytes.isEmpty { return _ = rig.call { $0.setOpen(choice & 2 == 0, port: port) } }
        rig.receive(bytes, port: port)
    }
}

extension Rig<Console> {
    /// The number of the console's ports, visible to the driver or not.
    var portCount: Int { options.device & 1 != 0 ? 2 : 1 }

    /// Offers input to the console, which has to accept as much as it has room for. Returns the number of bytes
    /// accepted.
    @discardableResult
    func receive(_ bytes: [UInt8], port: Int = 0) -> Int {
        let room = transport.inputRoom(port: port)
        var accepted = 0
        call { $0.receive(bytes.span, port: port, accepted: &accepted) }
        require(accepted <= bytes.count, "more input accepted than there was")
        require(
            transport.lifecycle.isFrozen || accepted == min(room, bytes.count), "input refused though there is room")
        return accepted
    }
}
