// A device under fuzzing with its host: every call into the model goes through `call`, which looks at guest memory, at the
// interrupt line and at Status afterwards and holds them against what the specification allows in that moment.

import Virtio
import VirtioABI

/// A device type, and what a fuzzed host has to know of it.
protocol FuzzedDevice: VirtioDevice, ~Copyable {
    /// A device for a driver that will see it through `options`, four bits of the input.
    static func make(_ options: UInt8) -> Self
    /// The guest's buffers of a request, and whether the backend fills them; nil for a request without data.
    static func buffers(of request: Request) -> (data: Segments, filled: Bool)?
    /// A change of the configuration that a host can make.
    static func edit(_ configuration: inout Configuration, _ value: UInt8)
    /// Whether every buffer of queue `queue` is given back at once or when the backend is done with it.
    static func isAnswered(queue: Int) -> Bool
}

/// What a transport is made of, in as few bits as an input can afford.
struct Options {
    let dialect: SuspendDialect?
    let scope: FreezeScope
    let device: UInt8

    init(_ byte: UInt8) {
        dialect = [nil, .draft, .ratified, .ratified][Int(byte & 3)]
        scope = byte & 4 == 0 ? .wide : .narrow
        device = byte >> 4
    }
}

/// The host of one device, and its driver's registers as they have to be.
final class Rig<Device: FuzzedDevice & ~Copyable> {
    /// A request in the backend's hands, and the batch that keeps its segments valid.
    struct Pending {
        let token: Token
        let request: Device.Request
        fileprivate let owner: Owner
    }

    fileprivate final class Owner {
        var batch: Batch<Device.Request>
        init(_ batch: consuming Batch<Device.Request>) { self.batch = batch }
    }

    let options: Options
    let ram = GuestRAM()
    var transport: MMIOTransport<Device>
    /// Requests taken and not finished, oldest first.
    private(set) var pending: [Pending] = []
    /// Queues the model named and nobody served yet.
    private(set) var owed: QueueSet = []
    /// What the driver wrote to the queue registers, where the model took it.
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
            adding: [.ringPacked, .inOrder, .notificationData])
    }

    func editQueue(_ index: Int, _ edit: (inout QueueMirror) -> Void) { edit(&queues[index]) }

    // MARK: Calls into the model

    /// A call into the model that has effects.
    @discardableResult
    func call(_ body: (inout MMIOTransport<Device>) -> Effects) -> Effects {
        let before = Moment(transport)
        let effects = body(&transport)
        let after = Moment(transport)
        track(before, after)
        owed.formUnion(effects.queues)
        require(effects.queues.rawValue >> UInt32(transport.queueCount) == 0, "it names a queue it does not have")
        if effects.events.contains(.quiesce) { owed = [] }
        checkMemory(before, after)
        checkMoment(before, after)
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
        let before = Moment(transport)
        let old = transport.lifecycle.status
        let effects = call { $0.write(at: offset, width: width, value: value) }
        let isRegister = width == 4 && offset < UInt64(Register.configuration) && offset % 4 == 0
        if isRegister, let register = Register(rawValue: UInt32(offset)) {
            let value = UInt32(truncatingIfNeeded: value)
            if heeds(register, value, before) { mirror(register, value) }
            if register == .status { checkStatusWrite(value, old) }
        }
        return effects
    }

    /// Pops queue `index`, whether the model named it or not.
    func take(queue index: Int, capacity: Int = 64) {
        owed.remove(QueueSet(queue: index))
        nameBuffers(index)
        let owner = Owner(Batch(capacity: capacity, longestChain: transport.longestChain))
        call { $0.take(queue: index, into: &owner.batch) }
        require(owner.batch.count <= capacity, "more requests than a batch holds")
        for index in 0..<owner.batch.count {
            let work = owner.batch[index]
            require(transport.isCurrent(work.token), "a request that is stale when it is handed out")
            pending.append(Pending(token: work.token, request: work.request, owner: owner))
        }
        checkCount()
    }

    /// Takes from the queues the model named, at most so many times.
    func serve(limit: Int = 256) {
        var left = limit
        while !owed.isEmpty, left > 0 {
            take(queue: owed.rawValue.trailingZeroBitCount)
            left -= 1
        }
    }

    /// Finishes request `index` of `pending`: does its I/O, if it is wanted still, and reports it. A `share` of 255 is all of
    /// the data a read asks for.
    func finish(_ index: Int, _ result: Outcome.Result = .ok, share: UInt8 = 255) {
        let request = pending.remove(at: index)
        var written: UInt32 = 0
        if transport.isCurrent(request.token), result == .ok, let (data, filled) = Device.buffers(of: request.request) {
            // The segments live in the batch.
            written = withExtendedLifetime(request.owner) { move(data, filled, data.byteCount * Int(share) / 255) }
        }
        finish(request, Outcome(result, written: written))
    }

    /// Reports `request`, without its I/O.
    func finish(_ request: Pending, _ outcome: Outcome) {
        call { $0.finish(request.token, outcome) }
        checkCount()
    }

    /// Takes request `index` out of the backend's hands; whoever asks for it does its I/O.
    func withdraw(_ index: Int) -> Pending { pending.remove(at: index) }

    /// Reads or fills the first `limit` bytes of `data`.
    private func move(_ data: Segments, _ filled: Bool, _ limit: Int) -> UInt32 {
        var left = limit
        data.forEach { buffer in
            let start = ram.address(of: buffer)
            let count = min(buffer.count, left)
            left -= count
            if filled {
                require(
                    count == 0 || ram.isNamed(start) && ram.isNamed(start + UInt64(count) - 1), "room nobody offered")
                ram.fill(0x3c, at: start, count: count)
            } else {
                _ = ram.bytes(at: start, count: count)
            }
        }
        return filled ? UInt32(limit) : 0
    }

    /// Takes the device out as a value and goes on in another transport over the same memory.
    func migrate() {
        let idle = transport.requestsInFlight == 0
        guard let snapshot = transport.snapshot() else { return require(!idle, "an idle device has no snapshot") }
        require(idle, "a snapshot with requests in the backend")
        let registers = readable()
        let phase = transport.lifecycle.phase
        pending = []
        transport = Self.makeTransport(options, ram)
        do throws(QueueFault) { owed.formUnion(try transport.restore(snapshot).queues) } catch {
            fatalError("broken promise: the same memory refuses a snapshot: \(error)")
        }
        require(ram.changes().isEmpty, "a snapshot writes to memory")
        require(transport.lifecycle.phase == phase, "a snapshot in another phase")
        require(readable() == registers, "a snapshot reads otherwise")
    }

    /// All that a driver can read without a mistake.
    private func readable() -> [UInt64] {
        let registers = Register.allCases.filter { $0.direction != .write }
        return registers.map { UInt64(read($0)) } + (0..<24).map { read(at: 0x100 + 4 * UInt64($0), width: 4) }
    }
}

/// A queue's registers as the driver wrote them, and where the live queue is.
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

/// What is held against what happened before a call.
struct Moment {
    let phase: Lifecycle.Phase
    let status: DeviceStatus
    let interrupts: InterruptStatus
    let ready: QueueSet

    init<Device: VirtioDevice & ~Copyable>(_ transport: borrowing MMIOTransport<Device>) {
        phase = transport.lifecycle.phase
        status = transport.lifecycle.status
        interrupts = transport.interruptStatus
        ready = transport.readyQueues
        require(transport.interruptAsserted == !interrupts.isEmpty, "the line is not InterruptStatus")
    }

    var isFrozen: Bool { phase == .suspended || phase == .resuming }
    var isDead: Bool { if case .dead = phase { true } else { false } }
}

extension Conformance {
    /// How often the driver broke a clause.
    var sum: UInt64 {
        var sum: UInt64 = 0
        for check in Check.allCases { sum &+= self[check] }
        return sum
    }
}
