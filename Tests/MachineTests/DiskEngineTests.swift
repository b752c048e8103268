// Disks in files with their threads under load, in each I/O mode: reads return the file's content, every request is
// used once, and no transfer continues after a reset. No guest and no KVM: the test is the driver of all queues.

import Glibc
import Synchronization
import Testing
import VirtioABI

@testable import Machine
@testable import Virtio

private struct NoLine: InterruptLine {
    func set(_ level: Bool) {}
}

/// The configuration of a disk.
struct Engine: CustomTestStringConvertible, Sendable {
    let mode: IOMode
    let direct: Bool
    let queues: UInt16

    static let all: [Engine] = IOMode.allCases.flatMap { mode in
        [false, true].flatMap { direct in [1, 3].map { Engine(mode: mode, direct: direct, queues: $0) } }
    }

    var testDescription: String { "\(mode)\(direct ? ", direct" : ""), \(queues) queues" }
}

/// A disk with threads, and a driver that can have 10 requests per queue in flight. Request place p of a queue has
/// descriptors 3p to 3p + 2, and its own header, data and status byte in memory.
private final class DiskFixture {
    static let sectors = 2048
    /// Request places of a queue, and the queue's size.
    static let places = 10
    static let size = 32
    /// Bytes of a read.
    static let length = 4096

    let ram: RAM
    let slot: BlockSlot
    let path: String
    private let queues: Int
    private var available: [UInt16] = []
    private var used: [UInt16] = []

    init(_ engine: Engine) throws {
        path = "/tmp/vmm-engine-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let bytes = (0..<Self.sectors).flatMap { sector in [UInt8](repeating: Self.mark(sector), count: 512) }
        #expect(unsafe write(descriptor, bytes, bytes.count) == bytes.count)

        ram = try RAM(size: 4 << 20)
        queues = Int(engine.queues)
        slot = try BlockSlot(
            name: "blk0",
            transport: MMIOTransport(
                device: Block(capacity: UInt64(Self.sectors), queues: engine.queues), memory: ram.guestMemory),
            context: SlotContext(line: NoLine(), drainDeadline: .seconds(10), reportsViolations: false) { _ in },
            backend: try FileDisk(path: path, readOnly: false, direct: engine.direct), identity: "blk0",
            mode: engine.mode, workers: 2)
        try slot.start()
    }

    deinit {
        slot.stop()
        unsafe unlink(path)
    }

    static func mark(_ sector: Int) -> UInt8 { UInt8(truncatingIfNeeded: sector &* 37 &+ 1) }

    // MARK: The driver

    private func set(_ register: Register, _ value: UInt32) {
        slot.write(at: UInt64(register.rawValue), width: 4, value: UInt64(value))
    }

    func reset() { set(.status, 0) }

    /// Initialises the device from reset to DRIVER_OK, with all queues.
    func bringUp() {
        for status: UInt32 in [0, 1, 3] { set(.status, status) }
        let features = Features([.version1, BlockFeature.flush, BlockFeature.multiqueue])
        for word: UInt32 in [0, 1] {
            set(.driverFeaturesSel, word)
            set(.driverFeatures, features.word(word) & (queues > 1 || word > 0 ? .max : ~(1 << 12)))
        }
        set(.status, 0x0b)
        available = Array(repeating: 0, count: queues)
        used = available
        for queue in 0..<queues {
            let area = base(queue)
            #expect(ram.fill(0, at: area, count: 0x1000))
            for (register, value): (Register, UInt64) in [
                (.queueSel, UInt64(queue)), (.queueSize, UInt64(Self.size)), (.queueDescLow, area),
                (.queueDriverLow, area + 0x400), (.queueDeviceLow, area + 0x800), (.queueReady, 1),
            ] { set(register, UInt32(value)) }
        }
        set(.status, 0x0f)
        #expect(slot.read(at: UInt64(Register.status.rawValue), width: 4) == 0x0f)
    }

    private func base(_ queue: Int) -> UInt64 { 0x10_0000 + 0x10_0000 * UInt64(queue) }
    private func header(_ queue: Int, _ place: Int) -> UInt64 { base(queue) + 0x1000 + 32 * UInt64(place) }
    private func status(_ queue: Int, _ place: Int) -> UInt64 { header(queue, place) + 16 }
    private func data(_ queue: Int, _ place: Int) -> UInt64 { base(queue) + 0x2000 + UInt64(Self.length * place) }

    private func store<Value: FixedWidthInteger>(_ value: Value, at address: UInt64) {
        let bytes = (0..<Value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> Value(8 * $0)) }
        #expect(ram.write(bytes, at: address))
    }

    /// Loads a word with one access, because the device may write it meanwhile.
    private func load(_ address: UInt64) -> UInt16 {
        guard let word = ram.guestMemory.resolve(address, 2) else { return 0 }
        return unsafe word.base.assumingMemoryBound(to: Atomic<UInt16>.self).pointee.load(ordering: .acquiring)
    }

    /// Makes a read of `sector` available in a request place, without a notification.
    func submit(_ queue: Int, _ place: Int, sector: Int) {
        store(UInt32(BlockRequest.Kind.read), at: header(queue, place))
        store(UInt64(sector), at: header(queue, place) + 8)
        store(UInt8(0xff), at: status(queue, place))
        let first = UInt16(3 * place)
        let parts = [
            Descriptor(address: header(queue, place), length: 16, flags: .next, next: first + 1),
            Descriptor(
                address: data(queue, place), length: UInt32(Self.length), flags: [.next, .write], next: first + 2),
            Descriptor(address: status(queue, place), length: 1, flags: .write),
        ]
        for (index, part) in parts.enumerated() {
            let entry = base(queue) + 16 * (UInt64(first) + UInt64(index))
            store(part.address, at: entry)
            store(part.high, at: entry + 8)
        }
        store(first, at: base(queue) + 0x404 + 2 * UInt64(Int(available[queue]) % Self.size))
        available[queue] &+= 1
        store(available[queue], at: base(queue) + 0x402)
    }

    func notify(_ queue: Int) { set(.queueNotify, UInt32(queue)) }

    /// The places whose reads are used, and whether each has the disk's content at `sectors`.
    func takeUsed(_ queue: Int, sectors: [Int]) -> [(place: Int, isRight: Bool)] {
        let index = load(base(queue) + 0x802)
        var done: [(Int, Bool)] = []
        while used[queue] != index {
            let place = Int(load(base(queue) + 0x804 + 8 * UInt64(Int(used[queue]) % Self.size))) / 3
            let expected = (0..<Self.length).map { Self.mark(sectors[place] + $0 / 512) }
            let isRight =
                ram.read(at: data(queue, place), count: Self.length) == expected
                && ram.read(at: status(queue, place), count: 1) == [0]
            done.append((place, isRight))
            used[queue] &+= 1
        }
        return done
    }

    /// Fills every data area with `byte`.
    func fillData(_ byte: UInt8) {
        for queue in 0..<queues {
            #expect(ram.fill(byte, at: data(queue, 0), count: UInt64(Self.length * Self.places)))
        }
    }

    /// Whether every byte of the data areas is `byte`.
    func hasOnly(_ byte: UInt8) -> Bool {
        (0..<queues).allSatisfy { queue in
            ram.read(at: data(queue, 0), count: Self.length * Self.places)?.allSatisfy { $0 == byte } == true
        }
    }
}

@Suite struct DiskEngineTests {
    @Test("with every request place in use, each read returns its sectors and is used once", arguments: Engine.all)
    func reads(_ engine: Engine) throws {
        let disk = try DiskFixture(engine)
        disk.bringUp()
        let queues = Int(engine.queues)
        var sectors = Array(repeating: Array(repeating: 0, count: DiskFixture.places), count: queues)
        var seed: UInt64 = 1
        func submit(_ queue: Int, _ place: Int) {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1
            sectors[queue][place] = Int(seed >> 33) % (DiskFixture.sectors - DiskFixture.length / 512)
            disk.submit(queue, place, sector: sectors[queue][place])
        }
        var left = 600
        var open = 0
        for queue in 0..<queues {
            for place in 0..<DiskFixture.places {
                submit(queue, place)
                open += 1
            }
            disk.notify(queue)
        }
        let deadline = Instant.now.advanced(by: .seconds(30))
        while open > 0 {
            try #require(Instant.now < deadline, "timed out; \(open) reads are not used: \(disk.slot.state.json.text)")
            for queue in 0..<queues {
                let done = disk.takeUsed(queue, sectors: sectors[queue])
                for (place, isRight) in done {
                    #expect(isRight, "queue \(queue), sector \(sectors[queue][place])")
                    open -= 1
                    guard left > 0 else { continue }
                    left -= 1
                    open += 1
                    submit(queue, place)
                }
                if !done.isEmpty { disk.notify(queue) }
            }
        }
        #expect(left == 0 && disk.slot.lock.locked { disk.slot.transport.requestsInFlight } == 0)
    }

    @Test("after a reset no read writes to memory, however many were in flight", arguments: Engine.all)
    func resets(_ engine: Engine) throws {
        let disk = try DiskFixture(engine)
        var isUnchanged = true
        for round in 0..<60 {
            disk.bringUp()
            isUnchanged = isUnchanged && (round == 0 || disk.hasOnly(0))
            for queue in 0..<Int(engine.queues) {
                for place in 0..<DiskFixture.places { disk.submit(queue, place, sector: 8 * place) }
                disk.notify(queue)
            }
            disk.reset()
            disk.fillData(0)
        }
        #expect(isUnchanged, "a transfer continued after the reset")
    }
}
