// A place on the bus with a virtio device in it: one transport, one lock, one interrupt line. Under the lock the model is
// called, what it asks for is noted, and the line is set from InterruptStatus, so that no interrupt can come after a status
// the driver has read (the line outside the lock would let a worker's raise overtake an acknowledgement).

import Glibc
import KVM
import Virtio
import VirtioABI

/// Something on the memory bus. Offsets count from the start of its page.
protocol MMIORegion: AnyObject, Sendable {
    /// The guest reads `width` bytes, 1, 2, 4 or 8.
    func read(at offset: UInt64, width: Int) -> UInt64
    /// The guest writes `width` bytes, 1, 2, 4 or 8.
    func write(at offset: UInt64, width: Int, value: UInt64)
}

/// Where a device is plugged in, and how it is treated there.
struct SlotContext: Sendable {
    let line: any InterruptLine
    /// How long a drain may take.
    let drainDeadline: Duration
    /// Clauses that the driver breaks are printed.
    let reportsViolations: Bool
    /// Called under the device's lock, with its name, when something first has to wait for the end of a suspension.
    let onDeferredEvent: @Sendable (String) -> Void
    /// The clock that a drain's deadline is on.
    var time: any TimeSource = MonotonicTime()
    /// How kicks can come without an exit; nil where they cannot.
    var ioEventFDs: IOEventFDRegistrar?
    /// Where what happens to the device is written.
    var trace: DeviceTrace?
    /// What has to wait for the end of a suspension can wake the guest: the host's input is listened for, though not read.
    var wakesGuest = false
}

/// What all devices of the board have in common. A subclass brings the backend.
class Slot<Device: VirtioDevice & SendableMetatype & ~Copyable>: MMIORegion, @unchecked Sendable {
    let name: String
    let lock = Lock()
    /// The device's threads, one at least.
    let workers: [Worker]

    // Under the lock:
    /// How often the model was called.
    private var calls: UInt64 = 0
    var transport: MMIOTransport<Device>
    /// Queues the model wants served.
    var pending: QueueSet = []
    /// Queues that were served, and whose driver was not asked to notify: they are looked at once more before their worker sleeps.
    private var watched: QueueSet = []
    /// When the host's patience with a drain ends.
    private var currentDrainDeadline: Instant?
    /// The device's threads are to end.
    private(set) var stopping = false
    /// The test device withholds the backend after a resume.
    private var resumeIsHeld = false
    /// Workers to be woken once the lock is free, bit n for worker n.
    private var workersToWake: UInt32 = 0
    private var lineLevel = false
    /// Queues whose kicks ring a eventFD by themselves.
    private var ioEventFDQueues: QueueSet = []
    /// What the threads did.
    final var counts = DeviceStatistics()

    private let context: SlotContext

    /// A device with `workers` threads, which share its queues, and no more of them than it has queues.
    init(
        name: String, transport: consuming MMIOTransport<Device>, context: SlotContext, workers count: Int = 1
    ) throws(MachineError) {
        let count = max(1, min(count, transport.queueCount))
        var workers: [Worker] = []
        for index in 0..<count { workers.append(try Worker(index: index, of: count)) }
        self.workers = workers
        self.name = name
        self.transport = transport
        self.context = context
    }

    // MARK: The driver

    final func read(at offset: UInt64, width: Int) -> UInt64 {
        withTransport { transport.read(at: offset, width: width) }
    }

    final func write(at offset: UInt64, width: Int, value: UInt64) {
        // Kicks before a change of Status are to be known before it: they may come as events.
        if offset == UInt64(Register.status.rawValue) { for worker in workers { drainEventFD(of: worker, by: nil) } }
        withTransport { apply(transport.write(at: offset, width: width, value: value)) }
        if offset == UInt64(Register.queueNotify.rawValue), value < 32 { registerIOEventFD(ofQueue: Int(value)) }
    }

    /// A queue that was kicked will be again: from now on its kicks ring the worker's eventFD without an exit. That takes the host
    /// milliseconds to arrange, so it is not done for a queue that nobody uses. Values that name no queue still exit, and are counted.
    private func registerIOEventFD(ofQueue queue: Int) {
        let isNew = lock.locked {
            guard transport.readyQueues.contains(QueueSet(queue: queue)) else { return false }
            return ioEventFDQueues.insert(QueueSet(queue: queue)).inserted
        }
        guard isNew, let worker = workers.first(where: { $0.queues.contains(QueueSet(queue: queue)) }) else { return }
        context.ioEventFDs?.registerIOEventFD(queue, to: worker.eventFD)
    }

    /// Runs `body`, which calls the model and applies what it asks for, under the lock. What the driver broke is printed
    /// after it. Workers that have something to do now are woken, but for `caller`, which is one and looks itself.
    @discardableResult
    final func withTransport<Result>(by caller: Worker? = nil, _ body: () -> Result) -> Result {
        let (result, reports, wakes) = lock.locked {
            let result = body()
            calls &+= 1
            if transport.mustRefuse { apply(transport.refuse()) }
            noteEvents()
            defer { workersToWake = 0 }
            return (result, takeReports(), workersToWake)
        }
        if wakes != 0 {
            for worker in workers where wakes & 1 << UInt32(worker.index) != 0 && worker !== caller {
                worker.signal()
            }
        }
        if context.reportsViolations { for report in reports { Log.say("\(name): \(report)") } }
        return result
    }

    /// Does what the model asks for; with the lock held.
    final func apply(_ asked: Effects) {
        var effects = asked
        if effects.events.contains(.resumeRequested), !resumeIsHeld { effects.merge(transport.backendReady()) }
        if effects.events.contains(.drainBegan) {
            currentDrainDeadline = context.time.now.advanced(by: context.drainDeadline)
        }
        if transport.lifecycle.phase != .suspending { currentDrainDeadline = nil }
        if effects.events.contains(.suspended) { counts.suspensions += 1 }
        if !effects.events.isDisjoint(with: [.suspended, .resumed]) { suspensionChanged() }
        if effects.events.contains(.deferred) { context.onDeferredEvent(name) }
        pending.formUnion(effects.queues)
        setLine()
        if let byte = effects.emergency { emergency(byte) }
        if !pending.isEmpty {
            for worker in workers where !pending.isDisjoint(with: worker.queues) { wake(worker) }
        }
        if effects.events.contains(.drainBegan) { wake(workers[0]) }
        if effects.events.contains(.cancel) { cancel() }
        if effects.events.contains(.quiesce) { quiesce() }
    }

    /// `worker` is to be woken once the lock is free.
    final func wake(_ worker: Worker) { workersToWake |= 1 << UInt32(worker.index) }

    private func setLine() {
        let level = transport.interruptAsserted
        guard level != lineLevel else { return }
        lineLevel = level
        context.line.set(level)
    }

    /// What the driver broke and nobody has been told; with the lock held, to be printed without it.
    private func takeReports() -> [String] {
        var reports: [String] = []
        while let violation = transport.conformance.nextReport() { reports.append(violation.sentence) }
        return reports
    }

    /// Hands what has happened to the trace; with the lock held.
    private func noteEvents() {
        guard let trace = context.trace else { return }
        var events: [Event] = []
        transport.drainEvents { events.append($0) }
        if !events.isEmpty { trace.writer.add(events, device: trace.device) }
    }

    // MARK: The device's threads

    final var statistics: DeviceStatistics { lock.locked { counts } }

    final var state: DeviceState {
        lock.locked {
            DeviceState(
                name: name, model: transport.inspect(), line: lineLevel, resumeIsHeld: resumeIsHeld,
                drainDeadline: currentDrainDeadline, backend: backendState)
        }
    }

    final var deviceID: UInt32 { Device.deviceID }

    final var activity: UInt64 { lock.locked { calls } }

    final var conformance: ConformanceReport { lock.locked { ConformanceReport(device: name, transport.conformance) } }

    final var traced: TracedDevice {
        lock.locked {
            TracedDevice(
                name: name, deviceID: Device.deviceID, offered: transport.offered, dialect: transport.lifecycle.dialect,
                freeze: transport.freezeScope, conform: transport.conformance.mode,
                configuration: Device.word(of: transport.configuration), queues: UInt16(transport.queueCount),
                queueSize: transport.queueSizeMax, ports: portNames.map { "0x" + $0.hexadecimal },
                writeZeroesMayUnmap: writeZeroesMayUnmap)
        }
    }

    /// The names of further ports, of a device that has such.
    var portNames: [[UInt8]] { [] }

    /// What write_zeroes_may_unmap reads, of a disk.
    var writeZeroesMayUnmap: Bool? { nil }

    /// Which suspension the device is in, if any; with the lock held.
    private var suspension: Int? { transport.lifecycle.phase == .suspended ? counts.suspensions : nil }

    /// Sleeps until one of `descriptors` is ready, `milliseconds` at most, -1 for ever.
    final func sleep<let n: Int>(on descriptors: inout [n of pollfd], _ milliseconds: Int32) {
        var span = descriptors.mutableSpan
        unsafe span.withUnsafeMutableBufferPointer { span in
            func ready(within limit: Int32) -> Bool { unsafe poll(span.baseAddress, nfds_t(n), limit) > 0 }
            guard milliseconds != 0 else { return _ = ready(within: 0) }
            countingWakeUp(isReady: { ready(within: 0) }) { _ = ready(within: milliseconds) }
        }
    }

    /// Calls `sleep`, and counts the wake-up that ends it. In a suspended device one that is due already is none: what rang was
    /// before the suspension.
    final func countingWakeUp(isReady: () -> Bool, _ sleep: () -> Void) {
        let before = lock.locked { suspension }
        if before != nil && isReady() { return }
        sleep()
        lock.locked {
            counts.wakeUps += 1
            if before != nil && before == suspension { counts.wakeUpsWhileSuspended += 1 }
        }
    }

    /// Whether one of `queues` may have something, or its driver has yet to be asked to notify; with the lock held.
    final func mustServe(_ queues: QueueSet) -> Bool { !pending.union(watched).isDisjoint(with: queues) }

    /// Has `take` look at those of `queues` that may have something, and say whether a queue had. Kicks are asked for only when
    /// there was nothing: a driver whose queue is being served need not notify. A worker that `mayPoll` may put even that off for
    /// a moment. With the lock held.
    final func serve(
        _ queues: QueueSet, by worker: Worker, mayPoll: Bool,
        _ take: (_ queue: Int, _ requestsNotification: Bool) -> Bool
    ) {
        let isIdle = pending.isDisjoint(with: queues)
        let served = (isIdle ? watched : pending).intersection(queues)
        let requestsNotification = isIdle && !(mayPoll && worker.polling.shouldPoll(at: .now))
        pending.subtract(served)
        if requestsNotification { watched.subtract(served) } else { watched.formUnion(served) }
        var found = false
        served.forEach { if take($0, requestsNotification) { found = true } }
        if found { worker.polling.end(at: .now) }
    }

    /// Finds out whether `worker` was rung for a kick that came as an event. It names no queue, so all of the worker's are looked at. If
    /// it is not the worker that asks, the worker is rung again.
    final func drainEventFD(of worker: Worker, by caller: Worker?) {
        withTransport(by: caller) {
            // Taken and told in one, or a kick from before a suspension would be told after it.
            let count = worker.eventFD.take()
            guard count > 0 else { return }
            pending.formUnion(transport.readyQueues.intersection(worker.queues))
            if worker.unreportedNotifications(of: count) > 0 {
                apply(transport.notified(ioEventFDQueues.intersection(worker.queues)))
            }
            wake(worker)
        }
    }

    final var drainDeadline: Instant? { lock.locked { currentDrainDeadline } }

    /// Tells the model if the drain deadline has passed.
    final func checkDrainDeadline() {
        withTransport {
            guard let deadline = currentDrainDeadline, deadline <= context.time.now else { return }
            currentDrainDeadline = nil
            apply(transport.drainDeadlinePassed())
        }
    }

    /// Milliseconds the device's first thread may sleep: until the drain deadline, or -1 for ever; with the lock held.
    final var millisecondsToDrainDeadline: Int32 { currentDrainDeadline?.milliseconds(from: context.time.now) ?? -1 }

    /// Starts the device's threads.
    func start() throws(MachineError) {
        for worker in workers {
            try worker.start(worker.index == 0 ? name : "\(name)-\(worker.index)") { [self] in serve(worker) }
        }
    }

    /// Ends the device's threads and waits for that.
    func stop() {
        lock.locked { stopping = true }
        for worker in workers { worker.signal() }
        for worker in workers { worker.join() }
    }

    // MARK: For subclasses

    /// What has to wait for the end of a suspension can wake the guest.
    final var wakesGuest: Bool { context.wakesGuest }

    /// Serves the device until it is stopped: the body of a thread.
    func serve(_ worker: Worker) {}

    /// Does what can be done now without sleeping, and says whether there is more to do at once: what a machine without threads
    /// does in place of all of them.
    func step() -> Bool {
        checkDrainDeadline()
        return false
    }

    /// Takes the output that waits for the host at `port`; nil where there is none.
    func takeOutput(port: Int) -> [UInt8]? { nil }

    /// Tells the driver if the host's terminal or file has another size than before.
    func hostChanged() {}

    /// What the backend is doing; with the lock held.
    var backendState: BackendState { BackendState() }

    /// The device was suspended or resumed: what its thread listens to may be other things now; with the lock held.
    func suspensionChanged() {}

    /// Drops the work that was not submitted, and reports it as finished; with the lock held.
    func cancel() {}

    /// Waits until no I/O uses guest memory; with the lock held.
    func quiesce() {}

    /// Shows a byte of emergency output; with the lock held.
    func emergency(_ byte: UInt8) {}

    /// Performs a test command that every device has; a subclass adds its own.
    func perform(_ command: TestCommand) throws(TestCommandError) {
        let isKnown = withTransport {
            switch command {
            case .holdResume: resumeIsHeld = true
            case .ready:
                resumeIsHeld = false
                apply(transport.backendReady())
            case .deadline: apply(transport.drainDeadlinePassed())
            case .fatal: apply(transport.fail())
            default: return false
            }
            return true
        }
        guard isKnown else { throw .unknown }
    }
}
