// The driver's side of a device under test, generic over the device type. It follows the rules or breaks them, as the
// test asks. Example:
//
//     let driver = BlockDriver(suspend: .draft)       // device, memory, disk; `ConsoleDriver` for the console
//     driver.bringUp()                                // reset to DRIVER_OK; `bringUp(to: .featuresOK)` stops there
//     let chain = driver.submit(BlockRequest.Kind.read, sector: 1, room: 512)   // available, and the device notified
//     driver.backend.requests.count                   // 1: in flight; `completesAtOnce = true` completes it at once
//     driver.backend.complete()                       // or fail(), complete(at: 1), ready(), deadline(), fatal()
//     driver.takeUsed(0)                              // [UsedElement(id: chain.head, length: 513)]
//     driver.write(.status, 0x1f); driver.status      // registers by name; `read(at:width:)` for odd accesses
//     driver.backend.line.risingEdges; driver.backend.events    // the interrupt line; events reported to the host
//     let before = driver.memory.snapshot(); driver.memory.changes(since: before)   // [] if nothing was written
//     #expect(driver.dump() == old, driver.state)     // every readable register; failures print the state
//
// The driver notifies the device only if the device wants it. A device that fails to ask for a notification leaves the
// request in the ring, and the test fails. `form` selects the ring format and the layout of chains.

import Testing
import Virtio
import VirtioABI

/// The conformance mode of the devices that a test creates.
enum ConformanceChecking {
    @TaskLocal static var mode = ConformanceMode.report
}

/// The torture of the devices that a test creates.
enum TestedTorture {
    @TaskLocal static var torture: Torture?
}

/// A driver over a transport that a `ManualBackend` owns.
class FakeDriver<Device: VirtioDevice & ~Copyable>: GuestBuffers {
    /// The steps of device initialisation (VIRTIO 1.4, 3.1.1).
    enum Stage: Int, CaseIterable, Comparable {
        case reset, acknowledge, driver, features, featuresOK, queues, driverOK

        static var beforeDriverOK: [Stage] { allCases.filter { $0 < .driverOK } }

        static func < (left: Stage, right: Stage) -> Bool { left.rawValue < right.rawValue }
    }

    let memory: FakeMemory
    let backend: ManualBackend<Device>
    /// The queues set up, by index.
    private(set) var rings: [Int: any FakeRing] = [:]
    /// Layout of the chains added from now on.
    var layout: Layout
    /// `Form.tidy`.
    private let tidy: Bool
    /// The features that the driver accepted.
    private(set) var accepted: Features = []
    /// Number of notifications that `add` sent.
    private(set) var kicks = 0
    /// Number of indirect tables created.
    private var tables = 0
    var nextFree: UInt64 = 0x1000

    init(
        _ device: consuming Device, suspend: SuspendDialect?, freeze: FreezeScope = .wide, form: Form = Form(),
        adding: Features = [], withholding: Features = [], memory: FakeMemory, tracing: Tracing = .off,
        version: MMIOVersion = .two, execute: @escaping (Device.Request) -> Outcome
    ) {
        self.memory = memory
        layout = form.layout
        tidy = form.tidy
        let transport = MMIOTransport(
            device: device, memory: memory.guest, suspend: suspend, freeze: freeze, adding: adding.union(form.adding),
            withholding: withholding.union(form.withholding), conform: ConformanceChecking.mode,
            tracing: tracing, version: version, torture: TestedTorture.torture)
        backend = ManualBackend(transport, memory: memory, execute: execute)
    }

    /// Takes over `other`'s guest memory and driver state, and restores its device from a snapshot. Returns false if
    /// the device has no snapshot or it cannot be restored.
    func replace(_ other: FakeDriver) -> Bool {
        guard let bytes = other.backend.transport.snapshotBytes() else { return false }
        memory.store(other.memory.bytes(at: 0, count: memory.lowSize), at: 0)
        rings = other.rings.mapValues { $0.moved(to: memory) }
        accepted = other.accepted
        nextFree = other.nextFree
        var fits = false
        backend.call {
            do throws(QueueFault) {
                guard let effects = try $0.restore(bytes: bytes) else { return Effects() }
                fits = true
                return effects
            } catch { return Effects() }
        }
        return fits
    }

    // MARK: Registers

    func read(_ register: Register) -> UInt32 { UInt32(read(at: UInt64(register.rawValue), width: 4)) }

    func read(at offset: UInt64, width: Int) -> UInt64 {
        var value: UInt64 = 0
        backend.call {
            value = $0.read(at: offset, width: width)
            return Effects()
        }
        return value
    }

    @discardableResult
    func write(_ register: Register, _ value: UInt32) -> Effects {
        write(at: UInt64(register.rawValue), width: 4, UInt64(value))
    }

    @discardableResult
    func write(at offset: UInt64, width: Int, _ value: UInt64) -> Effects {
        backend.call { $0.write(at: offset, width: width, value: value) }
    }

    var status: DeviceStatus { DeviceStatus(rawValue: UInt8(truncatingIfNeeded: read(.status))) }
    var interruptStatus: InterruptStatus { InterruptStatus(rawValue: read(.interruptStatus)) }

    /// Reads InterruptStatus and acknowledges its bits, as an interrupt handler does.
    @discardableResult
    func acknowledge() -> InterruptStatus {
        let status = interruptStatus
        write(.interruptACK, status.rawValue)
        return status
    }

    /// Number of violations of `check` that the model counted.
    func count(_ check: Check) -> UInt64 { backend.transport.conformance[check] }

    /// A field of the configuration space.
    func configuration(_ offset: Int, width: Int = 4) -> UInt64 {
        read(at: UInt64(Register.configuration) + UInt64(offset), width: width)
    }

    // MARK: Initialisation

    /// The features that the device offers.
    var offered: Features {
        var features: Features = []
        for word in UInt32(0)..<2 {
            write(.deviceFeaturesSel, word)
            features = features.replacing(word: word, with: read(.deviceFeatures))
        }
        return features
    }

    /// Resets and initialises the device up to `stage`, accepting `features` (nil: all offered) with queues of
    /// `queueSize` entries (nil: the device's maximum, at most 16).
    func bringUp(to stage: Stage = .driverOK, accepting features: Features? = nil, queueSize: UInt16? = nil) {
        for step in Stage.allCases where step <= stage { perform(step, features, queueSize) }
    }

    /// Performs one step of the initialisation.
    func perform(_ step: Stage, _ features: Features? = nil, _ queueSize: UInt16? = nil) {
        switch step {
        case .reset:
            write(.status, 0)
            // ResetTests checks the events of a reset.
            backend.events = []
            rings = [:]
            accepted = []
        case .acknowledge: write(.status, 1)
        case .driver: write(.status, 3)
        case .features: accept(features ?? offered)
        case .featuresOK:
            write(.status, 0x0b)
            _ = status
        case .queues:
            for index in 0..<backend.transport.queueCount where exists(index) { setUp(queue: index, size: queueSize) }
        case .driverOK: write(.status, 0x0f)
        }
    }

    /// Writes both words of DriverFeatures.
    func accept(_ features: Features) {
        accepted = features
        for word in UInt32(0)..<2 {
            write(.driverFeaturesSel, word)
            write(.driverFeatures, features.word(word))
        }
    }

    // MARK: Queues

    /// Whether queue `index` exists; selects it.
    func exists(_ index: Int) -> Bool {
        write(.queueSel, UInt32(index))
        return read(.queueSizeMax) > 0
    }

    /// Makes queue `index` ready in newly allocated memory, in the negotiated format.
    func setUp(queue index: Int, size: UInt16? = nil) {
        write(.queueSel, UInt32(index))
        let size = size ?? UInt16(min(read(.queueSizeMax), 16))
        configure(accepted.contains(.ringPacked) ? packedRing(index, size) : splitRing(index, size))
        write(.queueReady, 1)
    }

    private func splitRing(_ index: Int, _ size: UInt16) -> any FakeRing {
        FakeQueue(
            index: index, size: size,
            descriptors: allocate(Int(SplitRing.descriptorBytes(size: size)), alignment: 16),
            available: allocate(Int(SplitRing.availableBytes(size: size)), alignment: 2),
            used: allocate(Int(SplitRing.usedBytes(size: size)), alignment: 4), features: accepted, tidy: tidy,
            memory: memory)
    }

    private func packedRing(_ index: Int, _ size: UInt16) -> any FakeRing {
        FakePackedQueue(
            index: index, size: size, descriptors: allocate(16 * Int(size), alignment: 16),
            driverEvent: allocate(4, alignment: 4), deviceEvent: allocate(4, alignment: 4), features: accepted,
            tidy: tidy, memory: memory)
    }

    /// Writes the registers of `ring` except QueueReady, and stores it in `rings`.
    func configure(_ ring: any FakeRing) {
        rings[ring.index] = ring
        configure(
            ring.index, size: UInt32(ring.size), descriptors: ring.areas[0], available: ring.areas[1],
            used: ring.areas[2])
    }

    /// Writes the given values to the registers of queue `index` except QueueReady.
    func configure(_ index: Int, size: UInt32, descriptors: UInt64, available: UInt64, used: UInt64) {
        write(.queueSel, UInt32(index))
        write(.queueSize, size)
        let areas: [(Register, Register, UInt64)] = [
            (.queueDescLow, .queueDescHigh, descriptors), (.queueDriverLow, .queueDriverHigh, available),
            (.queueDeviceLow, .queueDeviceHigh, used),
        ]
        for (low, high, address) in areas {
            write(low, UInt32(truncatingIfNeeded: address))
            write(high, UInt32(truncatingIfNeeded: address >> 32))
        }
    }

    /// The queue `index`.
    func ring(_ index: Int) -> any FakeRing {
        guard let ring = rings[index] else { preconditionFailure("the test never set queue \(index) up") }
        return ring
    }

    /// The queue `index`, which must be split.
    subscript(queue index: Int) -> FakeQueue {
        guard let queue = ring(index) as? FakeQueue else { preconditionFailure("queue \(index) is packed") }
        return queue
    }

    /// The queue `index`, which must be packed.
    subscript(packed index: Int) -> FakePackedQueue {
        guard let queue = ring(index) as? FakePackedQueue else { preconditionFailure("queue \(index) is split") }
        return queue
    }

    /// QueueReady of queue `index`; selects it.
    func isReady(_ index: Int) -> Bool {
        write(.queueSel, UInt32(index))
        return read(.queueReady) == 1
    }

    /// Makes a chain of `parts` available in queue `index`. Notifies the device if it wants that and `kick` is true.
    @discardableResult
    func add(_ parts: [Part], to index: Int, kick: Bool = true) -> Chain {
        let ring = ring(index)
        let chain = ring.add(arrange(parts, for: ring), whole: parts)
        if kick && ring.prepareKick() {
            kicks += 1
            write(.queueNotify, UInt32(index))
        }
        return chain
    }

    /// The ring's descriptors for `parts`, according to `layout`.
    private func arrange(_ parts: [Part], for ring: any FakeRing) -> [Part] {
        switch layout {
        case .direct: parts
        case .table(let shift): [table(parts, for: ring, shift)]
        case .tail(let shift):
            parts.count > 1 ? [parts[0], table(Array(parts[1...]), for: ring, shift)] : parts
        }
    }

    /// Creates an indirect table of `parts`, `shift` bytes after an aligned address. The device ignores
    /// VIRTQ_DESC_F_WRITE of the descriptor that refers to it (2.7.5.3.2, 2.8.7), so every second one has it.
    func table(_ parts: [Part], for ring: any FakeRing, _ shift: UInt64 = 0) -> Part {
        let bytes = ring.table(parts)
        let address = allocate(bytes.count + Int(shift), alignment: 16) + shift
        memory.store(bytes, at: address)
        tables += 1
        return Part(address: address, length: UInt32(bytes.count), writable: tables % 2 == 0, indirect: true)
    }

    /// Notifies the device unconditionally.
    @discardableResult
    func kick(_ index: Int) -> Effects {
        if let ring = rings[index] { _ = ring.prepareKick() }
        return write(.queueNotify, UInt32(index))
    }

    /// Used elements of queue `index` since the last call.
    func takeUsed(_ index: Int) -> [UsedElement] { ring(index).takeUsed() }

    // MARK: Buffers

    /// Buffers for `bytes` followed by `room` device-writable bytes, split at the offsets `cuts`.
    func parts(_ bytes: [UInt8], room: Int, cuts: [Int] = []) -> [Part] {
        let whole = bytes.count + room
        let edges = Set(cuts + [0, bytes.count, whole]).filter { $0 <= whole }.sorted()
        return zip(edges, edges.dropFirst()).map { from, to in
            from < bytes.count ? readable(Array(bytes[from..<to])) : writable(to - from)
        }
    }
}
