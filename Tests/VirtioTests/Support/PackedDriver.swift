// The driver of a device whose queue 0 is packed (VIRTIO 1.4, 2.8). It is small: what it does not know of registers,
// initialisation and suspension, `FakeDriver` shows with split queues.

import Testing
import Virtio
import VirtioABI

/// A driver over a transport that offers VIRTIO_F_RING_PACKED and that a `ManualBackend` owns.
class PackedDriver<Device: VirtioDevice & ~Copyable>: GuestBuffers {
    let memory: FakeMemory
    let backend: ManualBackend<Device>
    let dialect: SuspendDialect?
    private var made: FakePackedQueue?
    var nextFree: UInt64 = 0x1000

    init(
        _ device: consuming Device, suspend: SuspendDialect?, memory: FakeMemory,
        execute: @escaping (Device.Request) -> Outcome
    ) {
        self.memory = memory
        dialect = suspend
        let transport = MMIOTransport(device: device, memory: memory.guest, suspend: suspend, adding: .ringPacked)
        backend = ManualBackend(transport, memory: memory, execute: execute)
    }

    // MARK: Registers

    func read(_ register: Register) -> UInt32 {
        var value: UInt64 = 0
        backend.call {
            value = $0.read(at: UInt64(register.rawValue), width: 4)
            return Effects()
        }
        return UInt32(value)
    }

    @discardableResult
    func write(_ register: Register, _ value: UInt32) -> Effects {
        backend.call { $0.write(at: UInt64(register.rawValue), width: 4, value: UInt64(value)) }
    }

    var statusByte: UInt32 { read(.status) }
    var interruptStatus: InterruptStatus { InterruptStatus(rawValue: read(.interruptStatus)) }

    /// Reads InterruptStatus and acknowledges what it saw.
    @discardableResult
    func acknowledge() -> InterruptStatus {
        let seen = interruptStatus
        write(.interruptACK, seen.rawValue)
        return seen
    }

    // MARK: Initialisation

    /// Resets the device and negotiates the packed ring and the dialect, and no more.
    func negotiate() {
        for status: UInt32 in [0, 1, 3] { write(.status, status) }
        let features = Features([.version1, .ringPacked]).union(dialect?.feature ?? [])
        for word in UInt32(0)..<2 {
            write(.driverFeaturesSel, word)
            write(.driverFeatures, features.word(word))
        }
        write(.status, 0x0b)
        #expect(statusByte == 0x0b, state)
    }

    /// Brings the device up, from reset to DRIVER_OK, with a queue 0 of `size` descriptors in fresh memory.
    func bringUp(size: UInt16) {
        negotiate()
        let queue = FakePackedQueue(
            index: 0, size: size, descriptors: allocate(16 * Int(size), alignment: 16),
            driverEvent: allocate(4, alignment: 4), deviceEvent: allocate(4, alignment: 4), memory: memory)
        made = queue
        configure(
            size: UInt32(size), descriptors: queue.descriptors, driver: queue.driverEvent, device: queue.deviceEvent)
        write(.queueReady, 1)
        #expect(read(.queueReady) == 1, state)
        write(.status, 0x0f)
        backend.events = []
    }

    /// Writes any values into the registers of queue 0, all but QueueReady.
    func configure(size: UInt32, descriptors: UInt64, driver: UInt64, device: UInt64) {
        write(.queueSel, 0)
        write(.queueSize, size)
        let areas: [(Register, Register, UInt64)] = [
            (.queueDescLow, .queueDescHigh, descriptors), (.queueDriverLow, .queueDriverHigh, driver),
            (.queueDeviceLow, .queueDeviceHigh, device),
        ]
        for (low, high, address) in areas {
            write(low, UInt32(truncatingIfNeeded: address))
            write(high, UInt32(truncatingIfNeeded: address >> 32))
        }
    }

    /// Queue 0.
    var queue: FakePackedQueue {
        guard let made else { preconditionFailure("the test never brought the device up") }
        return made
    }

    // MARK: Buffers

    /// Makes a buffer of `parts` available, and kicks unless told not to.
    @discardableResult
    func add(_ parts: [Part], kick: Bool = true) -> Chain {
        let chain = queue.add(parts)
        if kick { self.kick() }
        return chain
    }

    @discardableResult
    func kick() -> Effects { write(.queueNotify, 0) }

    func takeUsed() -> [UsedElement] { queue.takeUsed() }

    /// The device as a failing test shows it.
    var state: Comment {
        let status = backend.transport.lifecycle.status.rawValue
        let fault = String(describing: backend.transport.lastFault)
        return """
            \(String(describing: backend.transport.lifecycle.phase)), status 0x\(String(status, radix: 16)), \
            interrupt status \(backend.transport.interruptStatus.rawValue), fault \(fault), \
            \(backend.requests.count) requests with the backend, \
            queue of \(made?.size ?? 0): available \(String(describing: made?.nextAvailable)), \
            used \(String(describing: made?.nextUsed))
            """
    }
}

/// The driver of a disk behind a packed queue.
final class PackedBlockDriver: PackedDriver<Block> {
    let disk: MemoryDisk

    init(sectors: Int = 64, queueSize: UInt16 = 256, memory: FakeMemory = FakeMemory()) {
        let disk = MemoryDisk(sectors: sectors)
        self.disk = disk
        let device = Block(capacity: UInt64(sectors), queueSize: queueSize)
        super.init(device, suspend: nil, memory: memory) { disk.execute($0) }
    }

    /// Makes a request available: the header, `data` and each of `rooms` in a descriptor of its own, and the status
    /// byte in the last.
    @discardableResult
    func submit(
        _ kind: UInt32, sector: UInt64 = 0, data: [UInt8] = [], rooms: [Int] = [], kick: Bool = true
    ) -> Chain {
        var parts = [readable(BlockDriver.header(kind, sector: sector))]
        if !data.isEmpty { parts.append(readable(data)) }
        return add(parts + (rooms + [1]).map { writable($0) }, kick: kick)
    }

    /// Whether `chain`, a read of `sector`, holds what the disk has there, and a status byte of 0.
    func expectData(_ chain: Chain, sector: Int, _ location: SourceLocation = #_sourceLocation) {
        let answer = answer(chain)
        let start = 512 * sector
        #expect(answer.last == 0, state, sourceLocation: location)
        #expect(
            Array(answer.dropLast()) == Array(disk.bytes[start..<(start + answer.count - 1)]), state,
            sourceLocation: location)
    }

    /// A read from one end to the other: the device works.
    func expectWorks(_ location: SourceLocation = #_sourceLocation) {
        let chain = submit(BlockRequest.Kind.read, sector: 3, rooms: [512])
        backend.complete()
        #expect(
            takeUsed() == [UsedElement(id: UInt32(chain.head), length: 513)], state, sourceLocation: location)
        expectData(chain, sector: 3, location)
    }
}

/// The driver of a device whose buffers wait for the backend and need one writable byte, so that a ring of one
/// descriptor will do.
final class PackedFourQueuesDriver: PackedDriver<FourQueues> {
    init(suspend: SuspendDialect? = nil, memory: FakeMemory = FakeMemory(low: 1 << 16, high: 4096)) {
        super.init(FourQueues(), suspend: suspend, memory: memory) { _ in .ok() }
    }

    /// Makes a buffer of `count` descriptors available, each of one byte for the device to write.
    @discardableResult
    func offer(_ count: Int = 1, kick: Bool = true) -> Chain {
        add((0..<count).map { _ in writable(1) }, kick: kick)
    }

    /// Moves the ring on by `count` descriptors.
    func advance(by count: Int, _ location: SourceLocation = #_sourceLocation) {
        for _ in 0..<count {
            offer()
            backend.complete()
            guard takeUsed().count == 1 else {
                return _ = Issue.record("the ring does not move: \(state)", sourceLocation: location)
            }
        }
        acknowledge()
    }
}
