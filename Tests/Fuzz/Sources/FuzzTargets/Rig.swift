// A device under test with its host. Every call into the model goes through `call`, which afterwards compares guest
// memory, the interrupt line and Status with what the specification allows in that state.

import Virtio
import VirtioABI

/// A device type, with the functions that the host of the fuzzer needs.
protocol FuzzedDevice: VirtioDevice, ~Copyable {
    /// Creates a device from `options`, four bits of the input.
    static func make(_ options: UInt8) -> Self
    /// The data buffers of a request, and whether the backend fills them; nil for a request without data.
    static func buffers(of request: Request) -> (data: Segments, filled: Bool)?
    /// Makes a configuration change that a host can make.
    static func edit(_ configuration: inout Configuration, _ value: UInt8)
    /// Whether every buffer of queue `queue` is used at once or when the backend completes it.
    static func returnsEveryBuffer(queue: Int) -> Bool
}

/// The options of a transport, from one byte of the input.
struct Options {
    let dialect: SuspendDialect?
    let scope: FreezeScope
    let device: UInt8
    let torture: Torture?
    /// The version of virtio-mmio. Bit 3 makes it the third, under torture.
    let version: MMIOVersion

    init(_ byte: UInt8, _ torture: Torture? = nil) {
        self.torture = torture
        version = torture != nil && byte & 8 != 0 ? .three : .two
        dialect = [nil, .draft, .ratified, .ratified][Int(byte & 3)]
        scope = byte & 4 == 0 ? .wide : .narrow
        device = byte >> 4
    }
}

/// The host of one device, and a mirror of the registers that the driver wrote.
final class Rig<Device: FuzzedDevice & ~Copyable> {
    /// A request in flight, and the batch that keeps its segments valid.
    struct Pending {
        let token: Token
        let request: Device.Request
        fileprivate let owner: SharedBatch
    }

    /// A batch that is deallocated with its last request.
    fileprivate final class SharedBatch {
        var batch: Batch<Device.Request>
        init(_ batch: consuming Batch<Device.Request>) { self.batch = batch }
    }

    let options: Options
    let ram = GuestRAM()
    var transport: MMIOTransport<Device>
    /// Requests taken and not completed, oldest first.
    private(set) var pending: [Pending] = []
    /// Queues that the model's effects named and that are still to be served.
    private(set) var pendingQueues: QueueSet = []
    /// The queue registers as the driver wrote them, of writes that the model accepted.
    private(set) var queues: [QueueMirror]
    var driverFeatures: Features = []
    var queueSel: UInt32 = 0
    var driverFeaturesSel: UInt32 = 0

    init(_ options: Options) {
        self.options = options
        transport = Self.makeTransport(options, ram)
        queues = Array(repeating: QueueMirror(), count: transport.queueCount)
    }

    static func makeTransport(_ options: Options, _ ram: GuestRAM) -> MMIOTransport<Device> {
        MMIOTransport(
            device: Device.make(options.device), memory: ram.guest, suspend: options.dialect, freeze: options.scope,
            adding: [.ringPacked, .inOrder, .notificationData], version: options.version, torture: options.torture)
    }

    func editQueue(_ index: Int, _ edit: (inout QueueMirror) -> Void) { edit(&queues[index]) }

    // MARK: Calls into the model

    /// Calls into the model, and checks the state afterwards.
    @discardableResult
    func call(_ body: (inout MMIOTransport<Device>) -> Effects) -> Effects {
        let before = TransportState(transport)
        let effects = body(&transport)
        let after = TransportState(transport)
        track(before, after)
        pendingQueues.formUnion(effects.queues)
        require(
            effects.queues.rawValue >> UInt32(transport.queueCount) == 0, "effects name a queue that does not exist")
        if effects.events.contains(.quiesce) { pendingQueues = [] }
        checkMemory(before, after)
        checkStatusAndInterrupts(before, after)
        return effects
    }

    func read(_ register: Register) -> UInt32 { UInt32(read(at: UInt64(register.rawValue), width: 4)) }

    func read(at offset: UInt64, width: Int) -> UInt64 {
        var value: UInt64 = 0
        call {
            value = $0.read(at: offset, width: width)
            return Effects()
        }
        require(width >= 8 || value >> UInt64(8 * width) == 0, "a read wider than the access")
        return value
    }

    @discardableResult
    func write(_ register: Register, _ value: UInt32) -> Effects {
        write(at: UInt64(register.rawValue), width: 4, UInt64(value))
    }

    @discardableResult
    func write(at offset: UInt64, width: Int, _ value: UInt64) -> Effects {
        let before = TransportState(transport)
        let old = transport.lifecycle.status
        let effects = call { $0.write(at: offset, width: width, value: value) }
        let isRegister = width == 4 && offset < UInt64(Register.configuration) && offset % 4 == 0
        if isRegister, let register = Register(rawValue: UInt32(offset)) {
            let value = UInt32(truncatingIfNeeded: value)
            if accepts(register, value, before) { mirror(register, value) }
            if register == .status { checkStatusWrite(value, old) }
        }
        return effects
    }

    /// Takes requests from queue `index`, whether the model named it or not.
    func take(queue index: Int, capacity: Int = 64) {
        pendingQueues.remove(QueueSet(queue: index))
        markWritableBuffers(index)
        let owner = SharedBatch(Batch(capacity: capacity, longestChain: transport.longestChain))
        call { $0.take(queue: index, into: &owner.batch) }
        require(owner.batch.count <= capacity, "more requests than a batch holds")
        for index in 0..<owner.batch.count {
            let work = owner.batch[index]
            require(transport.isCurrent(work.token), "a request that is stale when it is taken")
            pending.append(Pending(token: work.token, request: work.request, owner: owner))
        }
        checkCount()
    }

    /// Takes from the queues that the model named, at most `limit` times.
    func serve(limit: Int = 256) {
        var left = limit
        while !pendingQueues.isEmpty, left > 0 {
            take(queue: pendingQueues.rawValue.trailingZeroBitCount)
            left -= 1
        }
    }

    /// Completes request `index` of `pending`: performs its I/O, if its token is still current, and reports it. `share`
    /// is the part of the data that a read gets, in 255ths.
    func finish(_ index: Int, _ result: Outcome.Result = .ok, share: UInt8 = 255) {
        let request = pending.remove(at: index)
        var written: UInt32 = 0
        if transport.isCurrent(request.token), result == .ok, let (data, filled) = Device.buffers(of: request.request) {
            // The segments live in the batch.
            written = withExtendedLifetime(request.owner) { move(data, filled, data.byteCount * Int(share) / 255) }
        }
        finish(request, Outcome(result, written: written))
    }

    /// Completes `request` without its I/O.
    func finish(_ request: Pending, _ outcome: Outcome) {
        call { $0.finish(request.token, outcome) }
        checkCount()
    }

    /// Removes request `index` from `pending`; the caller performs its I/O.
    func removePending(_ index: Int) -> Pending { pending.remove(at: index) }

    /// Reads or fills the first `limit` bytes of `data`.
    private func move(_ data: Segments, _ filled: Bool, _ limit: Int) -> UInt32 {
        var left = limit
        data.forEach { buffer in
            let start = ram.address(of: buffer)
            let count = min(buffer.count, left)
            left -= count
            if filled {
                require(
                    count == 0 || ram.isWritable(start) && ram.isWritable(start + UInt64(count) - 1),
                    "a buffer that no descriptor offered")
                ram.fill(0x3c, at: start, count: count)
            } else {
                _ = ram.bytes(at: start, count: count)
            }
        }
        return filled ? UInt32(limit) : 0
    }

    /// Takes a snapshot and restores it in another transport over the same memory.
    func migrate() {
        // What torture has put off is not in a snapshot, and reading registers goes on with it.
        if options.torture != nil { return }
        let idle = transport.requestsInFlight == 0
        guard let snapshot = transport.snapshot() else { return require(!idle, "an idle device refuses a snapshot") }
        require(idle, "a snapshot with requests in the backend")
        let registers = readable()
        let phase = transport.lifecycle.phase
        pending = []
        transport = Self.makeTransport(options, ram)
        do throws(QueueFault) { pendingQueues.formUnion(try transport.restore(snapshot).queues) } catch {
            fatalError("broken promise: restore refuses a snapshot of the same memory: \(error)")
        }
        require(ram.changes().isEmpty, "restoring a snapshot writes to memory")
        require(transport.lifecycle.phase == phase, "the restored phase differs")
        require(readable() == registers, "the restored registers differ")
    }

    /// The values of all registers and configuration fields that a driver may read.
    private func readable() -> [UInt64] {
        let registers = Register.allCases.filter { $0.direction != .write }
        return registers.map { UInt64(read($0)) } + (0..<24).map { read(at: 0x100 + 4 * UInt64($0), width: 4) }
    }
}

/// A queue's registers as the driver wrote them, and the areas of the live queue.
struct QueueMirror: Equatable {
    struct Areas: Equatable {
        var size: UInt32 = 0
        var descriptors: UInt64 = 0
        var driver: UInt64 = 0
        var device: UInt64 = 0
    }

    var areas = Areas()
    var live: Areas?
    var packed = false
    var resetting = false
    /// Split: the used index as the device last wrote it.
    var usedIndex: UInt16 = 0
}

/// The transport's state that is compared before and after a call.
struct TransportState {
    let phase: Lifecycle.Phase
    let status: DeviceStatus
    let interrupts: InterruptStatus
    let ready: QueueSet

    init<Device: VirtioDevice & ~Copyable>(_ transport: borrowing MMIOTransport<Device>) {
        phase = transport.lifecycle.phase
        status = transport.lifecycle.status
        interrupts = transport.interruptStatus
        ready = transport.readyQueues
        require(
            transport.interruptAsserted == !interrupts.isEmpty, "the interrupt line does not follow InterruptStatus")
    }

    var isFrozen: Bool { phase == .suspended || phase == .resuming }
    var isDead: Bool { if case .dead = phase { true } else { false } }
}

extension Conformance {
    /// The number of violations of all clauses.
    var sum: UInt64 {
        var sum: UInt64 = 0
        for check in Check.allCases { sum &+= self[check] }
        return sum
    }
}
