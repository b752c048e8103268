// A disk with two queues and held requests, stepped by the test: resetting one queue does not affect the other.

import Testing
import VirtioABI

@testable import Machine
@testable import Virtio

private struct NoLine: InterruptLine {
    func set(_ level: Bool) {}
}

@Suite struct QueueResetTests {
    private let ram: RAM
    private let slot: BlockSlot

    init() throws {
        ram = try RAM(size: MemoryMap.minimumRAM)
        let context = SlotContext(line: NoLine(), drainDeadline: .seconds(10), reportsViolations: false) { _ in }
        slot = try BlockSlot(
            name: "blk0",
            transport: MMIOTransport(device: Block(capacity: 8, queues: 2), memory: ram.guestMemory),
            context: context, backend: try MemoryDisk(size: 4096), identity: "blk0", mode: .threads, workers: 1)
        let features = Features([.version1, .ringReset, BlockFeature.multiqueue, BlockFeature.flush])
        for status: UInt32 in [1, 3] { set(.status, status) }
        for word: UInt32 in [0, 1] {
            set(.driverFeaturesSel, word)
            set(.driverFeatures, features.word(word))
        }
        set(.status, 0x0b)
        for queue: UInt32 in [0, 1] {
            let area = base(queue)
            for (register, value): (Register, UInt32) in [
                (.queueSel, queue), (.queueSize, 8), (.queueDescLow, area), (.queueDriverLow, area + 0x100),
                (.queueDeviceLow, area + 0x200), (.queueReady, 1),
            ] { set(register, value) }
        }
        set(.status, 0x0f)
        try #require(get(.status) == 0x0f)
    }

    private func base(_ queue: UInt32) -> UInt32 { 0x1000 * (queue + 1) }

    private func set(_ register: Register, _ value: UInt32) {
        slot.write(at: UInt64(register.rawValue), width: 4, value: UInt64(value))
    }

    private func get(_ register: Register) -> UInt64 { slot.read(at: UInt64(register.rawValue), width: 4) }

    private func store(_ words: UInt64..., at address: UInt32) {
        let bytes = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
        #expect(ram.write(bytes, at: UInt64(address)))
    }

    /// Makes a flush available in `queue` and notifies: header at +0x300, status byte, initially 0xff, at +0x400.
    private func flush(_ queue: UInt32) {
        let area = base(queue)
        let header = Descriptor(address: UInt64(area) + 0x300, length: 16, flags: .next, next: 1)
        let status = Descriptor(address: UInt64(area) + 0x400, length: 1, flags: .write)
        store(header.address, header.high, status.address, status.high, at: area)
        store(UInt64(BlockRequest.Kind.flush), 0, at: area + 0x300)
        store(0xff, at: area + 0x400)
        store(1 << 16, at: area + 0x100)
        set(.queueNotify, queue)
    }

    private func statusByte(_ queue: UInt32) -> UInt8? { ram.read(at: UInt64(base(queue)) + 0x400, count: 1)?.first }

    @Test("a queue reset discards the held requests of that queue, and no others")
    func reset() throws {
        try slot.perform(.hold)
        flush(0)
        flush(1)
        while slot.step() {}
        set(.queueSel, 1)
        set(.queueReset, 1)
        #expect(get(.queueReset) == 0 && get(.queueReady) == 0)
        #expect(statusByte(0) == 0xff && statusByte(1) == 0xff)
        try slot.perform(.release(count: nil))
        while slot.step() {}
        #expect(statusByte(0) == 0 && statusByte(1) == 0xff)
    }
}
