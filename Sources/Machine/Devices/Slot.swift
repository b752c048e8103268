// A slot of the bus with a virtio device: one transport, one lock, one interrupt line. Under the lock the model is called, its
// effects are applied, and the line is set from InterruptStatus. Outside the lock a worker's raise of the line could overtake an
// acknowledgement, and come after a status that the driver has read.

import Glibc
import KVM
import Virtio
import VirtioABI

/// A region on the memory bus. Offsets are relative to the start of its page.
protocol MMIORegion: AnyObject, Sendable {
    /// The guest reads `width` bytes, 1, 2, 4 or 8.
    func read(at offset: UInt64, width: Int) -> UInt64
    /// The guest writes `width` bytes, 1, 2, 4 or 8.
    func write(at offset: UInt64, width: Int, value: UInt64)
}

/// The surroundings of a device in a slot: its interrupt line, clock and trace, and the machine's choices for it.
struct SlotContext: Sendable {
    let line: any InterruptLine
    /// The time from the start of a drain to its deadline.
    let drainDeadline: Duration
    /// Whether clauses that the driver breaks are printed.
    let reportsViolations: Bool
    /// Called under the device's lock, with its name, when it first defers an event to the end of a suspension.
    let onDeferredEvent: @Sendable (String) -> Void
    /// The clock of drain deadlines.
    var time: any TimeSource = MonotonicTime()
    /// Registers queues so that their notifications signal an eventfd instead of exiting; nil if that is not available.
    var ioEventFDs: IOEventFDRegistrar?
    /// The trace of the device's events; nil for none.
    var trace: DeviceTrace?
    /// Whether a deferred event can wake the guest. If so, the host's input is polled, but not read, during a suspension.
    var wakesGuest = false
    /// Called once, without the lock, when input of the host waits at the suspended device of that name; nil if nothing is done then.
    var onWaitingInput: (@Sendable (String) -> Void)?
}

/// The common part of all devices of the board. A subclass adds the backend.
class Slot<Device: VirtioDevice & SendableMetatype & ~Copyable>: MMIORegion, @unchecked Sendable {
    let name: String
    let lock = Lock()
    /// The device's threads, at least one.
    let workers: [Worker]

    // Under the lock:
    private var modelCalls: UInt64 = 0
    private var accesses = AccessHistory()
    var transport: MMIOTransport<Device>
    /// Queues to be served: they may have available buffers.
    private var queuesToServe: QueueSet = []
    /// Queues served with notifications suppressed: they are checked again before their worker sleeps.
    private var queuesToRecheck: QueueSet = []
    /// The drain deadline; nil if no drain is under way.
    private var currentDrainDeadline: Instant?
    /// When a device under torture goes on with what it has put off; nil if nothing is.
    private var delayDeadline: Instant?
    /// The device's threads are to end.
    private(set) var stopping = false
    /// A test command makes resumes wait for `ready`.
    private var resumeIsHeld = false
    /// The requests that a test holds back, of those that `backendState` says wait.
    final var hold = Hold()
    /// Workers to be woken once the lock is free, bit n for worker n.
    private var workersToWake: UInt32 = 0
    private var lineLevel = false
    /// Queues whose notifications signal an eventfd.
    private var ioEventFDQueues: QueueSet = []
    final var counts = DeviceStatistics()

    private let context: SlotContext
    /// Under the lock: the trace of the device's events; nil for none.
    private var trace: DeviceTrace?

    /// Makes a device with `workers` threads, but at most one for each queue. They share its queues.
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
        trace = context.trace
    }

    // MARK: The driver

    // The register path is compiled for each device type: generic, it costs thousands of instructions an exit.
    @_specialize(where Device == Console)
    @_specialize(where Device == Block)
    @_specialize(where Device == Entropy)
    @_specialize(where Device == Network)
    final func read(at offset: UInt64, width: Int) -> UInt64 {
        withTransport {
            let value = transport.read(at: offset, width: width)
            accesses.add(RegisterAccess(isWrite: false, offset: offset, value: value))
            return value
        }
    }

    @_specialize(where Device == Console)
    @_specialize(where Device == Block)
    @_specialize(where Device == Entropy)
    @_specialize(where Device == Network)
    final func write(at offset: UInt64, width: Int, value: UInt64) {
        // Notifications by eventfd that precede a change of Status have to be reported before it.
        if offset == UInt64(Register.status.rawValue) { for worker in workers { drainEventFD(of: worker, by: nil) } }
        withTransport {
            accesses.add(RegisterAccess(isWrite: true, offset: offset, value: value))
            apply(transport.write(at: offset, width: width, value: value))
        }
        if offset == UInt64(Register.queueNotify.rawValue), value < 32 { registerIOEventFD(ofQueue: Int(value)) }
    }

    /// Makes further notifications of `queue` signal its worker's eventfd without an exit. Registering takes the host milliseconds, so
    /// it is done at a queue's first notification. Values that name no queue still exit, and are counted.
    private func registerIOEventFD(ofQueue queue: Int) {
        let isNew = lock.locked {
            guard transport.readyQueues.contains(QueueSet(queue: queue)) else { return false }
            return ioEventFDQueues.insert(QueueSet(queue: queue)).inserted
        }
        guard isNew, let worker = workers.first(where: { $0.queues.contains(QueueSet(queue: queue)) }) else { return }
        context.ioEventFDs?.registerIOEventFD(queue, to: worker.eventFD)
    }

    /// Runs `body`, which calls the model and applies its effects, under the lock. Afterwards prints new violations and wakes the
    /// workers that have work, except `caller`, a worker that checks for work itself.
    @discardableResult
    final func withTransport<Result>(by caller: Worker? = nil, _ body: () -> Result) -> Result {
        // Variables, not a tuple of them as the result: generic code would look its metadata up in each call.
        var reports: [String] = []
        var wakes: UInt32 = 0
        let result = lock.locked {
            let result = body()
            modelCalls &+= 1
            if transport.mustRefuse { apply(transport.refuse()) }
            traceEvents()
            noteDelay()
            reports = takeReports()
            (wakes, workersToWake) = (workersToWake, 0)
            return result
        }
        if wakes != 0 {
            for worker in workers where wakes & 1 << UInt32(worker.index) != 0 && worker !== caller {
                worker.signal()
            }
        }
        if context.reportsViolations { for report in reports { Log.say("\(name): \(report)") } }
        return result
    }

    /// Sees to it that `passDelay` is called soon if the device has put something off; with the lock held.
    private func noteDelay() {
        guard transport.isDelayed else { return delayDeadline = nil }
        guard delayDeadline == nil else { return }
        delayDeadline = context.time.now.advanced(byNanoseconds: Self.delay)
        wake(workers[0])
    }

    /// Nanoseconds until what a device under torture has put off goes on, step by step.
    private static var delay: UInt64 { 500_000 }

    /// Lets a device under torture go on with what it has put off; false if that is nothing.
    @discardableResult
    final func passDelay() -> Bool {
        withTransport {
            guard transport.isDelayed else { return false }
            delayDeadline = nil
            apply(transport.delayPassed())
            return true
        }
    }

    /// Applies effects of the model; with the lock held.
    final func apply(_ requested: Effects) {
        var effects = requested
        if effects.events.contains(.resumeRequested), !resumeIsHeld { effects.merge(transport.backendReady()) }
        if effects.events.contains(.drainBegan) {
            currentDrainDeadline = context.time.now.advanced(by: context.drainDeadline)
        }
        if transport.lifecycle.phase != .suspending { currentDrainDeadline = nil }
        if effects.events.contains(.suspended) { counts.suspensions += 1 }
        if !effects.events.isDisjoint(with: [.suspended, .resumed]) { suspensionChanged() }
        if effects.events.contains(.deferred) { context.onDeferredEvent(name) }
        queuesToServe.formUnion(effects.queues)
        setLine()
        if let byte = effects.emergency { emergency(byte) }
        if !queuesToServe.isEmpty {
            for worker in workers where !queuesToServe.isDisjoint(with: worker.queues) { wake(worker) }
        }
        if effects.events.contains(.drainBegan) { wake(workers[0]) }
        if effects.events.contains(.cancel) { cancel() }
        if effects.events.contains(.quiesce) { quiesce() }
    }

    /// Marks `worker` to be woken once the lock is released.
    final func wake(_ worker: Worker) { workersToWake |= 1 << UInt32(worker.index) }

    private func setLine() {
        let level = transport.interruptAsserted
        guard level != lineLevel else { return }
        lineLevel = level
        context.line.set(level)
    }

    /// Takes the violations to be printed; with the lock held. They are printed without it.
    private func takeReports() -> [String] {
        var reports: [String] = []
        while let violation = transport.conformance.nextReport() { reports.append(violation.sentence) }
        return reports
    }

    /// Adds the model's events to the trace; with the lock held.
    private func traceEvents() {
        guard let trace else { return }
        trace.writer.add(device: trace.device) { transport.drainEvents($0) }
    }

    // MARK: The device's threads

    final var statistics: DeviceStatistics {
        lock.locked {
            var statistics = counts
            statistics.frames = frames
            return statistics
        }
    }

    final var state: DeviceState {
        let isMasked = context.line.isMasked
        return lock.locked {
            DeviceState(
                name: name, model: transport.inspect(), line: lineLevel, lineIsMasked: isMasked,
                lastAccess: accesses.last, resumeIsHeld: resumeIsHeld, drainDeadline: currentDrainDeadline,
                backend: backendState)
        }
    }

    final var deviceID: UInt32 { Device.deviceID }

    final var activity: UInt64 { lock.locked { modelCalls &- accesses.repeatedReads } }

    final var conformance: ConformanceReport { lock.locked { ConformanceReport(device: name, transport.conformance) } }

    final var traced: TracedDevice { lock.locked { description } }

    /// The device as a trace and a snapshot describe it; with the lock held.
    private var description: TracedDevice {
        TracedDevice(
            name: name, deviceID: Device.deviceID, offered: transport.offered, dialect: transport.lifecycle.dialect,
            freeze: transport.freezeScope, conform: transport.conformance.mode,
            configuration: Device.word(of: transport.configuration), version: transport.version,
            torture: transport.chosenTorture, queues: UInt16(transport.queueCount),
            queueSize: transport.queueSizeMax, ports: portNames.map { "0x" + $0.hexadecimal },
            writeZeroesMayUnmap: writeZeroesMayUnmap, blockSizes: blockSizes, network: network)
    }

    /// The names of further ports; empty for a device without ports.
    var portNames: [[UInt8]] { [] }

    /// What write_zeroes_may_unmap reads, of a disk.
    var writeZeroesMayUnmap: Bool? { nil }

    /// The frames of a network device so far; with the lock held.
    var frames: FrameCounts? { nil }

    /// The block sizes of a disk.
    var blockSizes: BlockSizes? { nil }

    /// What is fixed of a network device.
    var network: Network.Parameters? { nil }

    /// The number of the current suspension; nil if the device is not suspended. With the lock held.
    private var suspension: Int? { transport.lifecycle.phase == .suspended ? counts.suspensions : nil }

    /// Sleeps until one of `descriptors` is ready, `milliseconds` at most, -1 without limit.
    final func sleep<let n: Int>(on descriptors: inout [n of pollfd], _ milliseconds: Int32) {
        func wait(_ limit: Int32) -> Bool { descriptors.wait(limit) }
        guard milliseconds != 0 else { return _ = wait(0) }
        countingWakeUp(isReady: { wait(0) }) { _ = wait(milliseconds) }
    }

    /// Calls `sleep`, and counts the wake-up that ends it. If the device is suspended and `isReady`, returns at once and counts none:
    /// the signal is from before the suspension.
    final func countingWakeUp(isReady: () -> Bool, _ sleep: () -> Void) {
        let before = lock.locked { suspension }
        if before != nil && isReady() { return }
        sleep()
        lock.locked {
            counts.wakeUps += 1
            if before != nil && before == suspension { counts.wakeUpsWhileSuspended += 1 }
        }
    }

    /// Whether one of `queues` may have available buffers, or has notifications suppressed; with the lock held.
    final func mustServe(_ queues: QueueSet) -> Bool { !queuesToServe.union(queuesToRecheck).isDisjoint(with: queues) }

    final var isServing: Bool { lock.locked { mustServe(QueueSet(rawValue: .max)) } }

    /// Calls `take` for those of `queues` that may have available buffers; it returns whether the queue had one. Notifications are
    /// requested only from queues that were empty the last time, since a queue that is being served needs none. With `mayPoll` the
    /// worker may poll first. With the lock held.
    final func serve(
        _ queues: QueueSet, by worker: Worker, mayPoll: Bool,
        _ take: (_ queue: Int, _ requestsNotification: Bool) -> Bool
    ) {
        let isIdle = queuesToServe.isDisjoint(with: queues)
        let served = (isIdle ? queuesToRecheck : queuesToServe).intersection(queues)
        let requestsNotification = isIdle && !(mayPoll && worker.polling.shouldPoll(at: .now))
        queuesToServe.subtract(served)
        if requestsNotification { queuesToRecheck.subtract(served) } else { queuesToRecheck.formUnion(served) }
        var found = false
        served.forEach { if take($0, requestsNotification) { found = true } }
        if found { worker.polling.end(at: .now) }
    }

    /// Reads the eventfd of `worker`, and reports notifications that it signalled. An eventfd names no queue, so all of the worker's
    /// queues are to be served. The worker is woken again unless it is `caller`.
    final func drainEventFD(of worker: Worker, by caller: Worker?) {
        withTransport(by: caller) {
            // Read and report under one lock hold; otherwise a notification sent before a suspend could be reported after it.
            let count = worker.eventFD.take()
            guard count > 0 else { return }
            if worker.unreportedNotifications(of: count) > 0 {
                queuesToServe.formUnion(transport.readyQueues.intersection(worker.queues))
                apply(transport.notified(ioEventFDQueues.intersection(worker.queues)))
            }
            wake(worker)
        }
    }

    final var drainDeadline: Instant? { lock.locked { currentDrainDeadline } }

    /// Reports passed deadlines to the model.
    final func checkDeadlines() {
        if lock.locked({ delayDeadline.map { $0 <= context.time.now } ?? false }) { passDelay() }
        withTransport {
            guard let deadline = currentDrainDeadline, deadline <= context.time.now else { return }
            currentDrainDeadline = nil
            apply(transport.drainDeadlinePassed())
        }
    }

    /// Milliseconds until the next deadline, the longest sleep of worker 0; -1 if there is none. With the lock held.
    final var millisecondsToDeadline: Int32 {
        let next = [currentDrainDeadline, delayDeadline].compactMap(\.self).min()
        return next?.milliseconds(from: context.time.now) ?? -1
    }

    /// Starts the device's threads.
    func start() throws(MachineError) {
        for worker in workers {
            try worker.start(worker.index == 0 ? name : "\(name)-\(worker.index)", threadKind) { [self] in serve(worker)
            }
        }
    }

    /// Ends the device's threads and joins them.
    func stop() {
        lock.locked { stopping = true }
        for worker in workers { worker.signal() }
        for worker in workers { worker.join() }
    }

    // MARK: Snapshots

    /// Waits until no request is in flight and, if the threads get there before `deadline`, until all available buffers were taken: what
    /// they still wrote to a disk afterwards would make its image another than that of the snapshot. Then calls `body` with the device's
    /// state; until that returns, the device does not change and nothing of it uses guest memory. Throws if a request is still in flight
    /// at `deadline`. The vCPUs are stopped.
    final func whileQuiet(
        until deadline: Instant, _ body: (SavedDevice) throws(MachineError) -> Void
    ) throws(MachineError) {
        try onceQuiet(deadline, { transport.snapshotBytes() }) { (model) throws(MachineError) in
            try body(
                SavedDevice(description: description, model: model, backend: savedBackend, disk: try savedDisk()))
        }
    }

    /// Waits likewise. From then on the device's events go to `new`, the first of them with its state; nil for none. Returns the device's
    /// description.
    final func setTrace(_ new: DeviceTrace?, until deadline: Instant) throws(MachineError) -> TracedDevice {
        try onceQuiet(deadline, { transport.setTracing(new != nil) ? () : nil }) {
            trace = new
            traceEvents()
            return description
        }
    }

    /// Waits until `step`, which fails while requests are in flight, succeeds, and calls `body` with what it returned.
    private func onceQuiet<Value, Result>(
        _ deadline: Instant, _ step: () -> Value?, _ body: (Value) throws(MachineError) -> Result
    ) throws(MachineError) -> Result {
        try lock.locked { () throws(MachineError) in
            while true {
                let mayWait = deadline > .now
                if !usesGuestMemory, isIdle || !mayWait, let value = step() { return try body(value) }
                guard mayWait else {
                    throw .control(
                        "\(name) has requests in flight that its host side does not finish; x-vmm-state says more")
                }
                _ = lock.wait(until: min(deadline, Instant.now.advanced(byNanoseconds: 1_000_000)))
            }
        }
    }

    /// Whether the threads have nothing to serve; with the lock held.
    private var isIdle: Bool {
        queuesToServe.isEmpty && queuesToRecheck.isEmpty
            && !workers.contains { pollfd($0.eventFD.descriptor, POLLIN).isReady(within: 0) }
    }

    /// Continues the device of a snapshot: before `start`, in a device just made. Throws if it is not like that one.
    final func restore(_ saved: SavedDevice) throws(MachineError) {
        try lock.locked { () throws(MachineError) in
            guard description.snapshotText == saved.description.snapshotText else { throw .otherDevice(name) }
            guard let effects = try? transport.restore(bytes: saved.model) else { throw .otherDevice(name) }
            restoreBackend(saved.backend)
            apply(effects)
            workersToWake = 0
        }
    }

    // MARK: For subclasses

    /// Whether I/O that the model does not count may use guest memory; with the lock held.
    var usesGuestMemory: Bool { false }

    /// The state of the host side that a snapshot has; with the lock held.
    var savedBackend: [UInt8] { [] }

    /// Continues `savedBackend`; with the lock held.
    func restoreBackend(_ bytes: [UInt8]) {}

    /// A disk's image; with the lock held.
    func savedDisk() throws(MachineError) -> SavedDisk? { nil }

    /// The memory of a disk that is in memory.
    var ownMemory: MemoryArea? { nil }

    /// That memory is `file`'s from now on: 0 or an errno. Before `restore`.
    func restoreMemory(from file: MappedFile) -> Int32 { 0 }

    /// Whether a deferred event can wake the guest.
    final var wakesGuest: Bool { context.wakesGuest }

    /// Called when input of the host waits at the suspended device.
    final var onWaitingInput: (@Sendable (String) -> Void)? { context.onWaitingInput }

    /// The body of a worker's thread: serves its queues until the device is stopped.
    func serve(_ worker: Worker) {}

    /// What its threads are.
    var threadKind: ThreadKind { .disk }

    /// Does the work that needs no waiting, in place of the threads of a machine that has none; true if more can be done at once.
    func step() -> Bool {
        checkDeadlines()
        return false
    }

    /// Takes the pending output of `port`; nil for a port without output.
    func takeOutput(port: Int) -> [UInt8]? { nil }

    /// Reads the size of the host's terminal or file again, and notifies the driver of a change.
    func hostChanged() {}

    /// The state of the backend; with the lock held.
    var backendState: BackendState { BackendState() }

    /// Called when the device was suspended or resumed, which may change what its thread polls; with the lock held.
    func suspensionChanged() {}

    /// Finishes requests that were not submitted and that the model has cancelled, without performing them; with the lock held.
    func cancel() {}

    /// Waits until no I/O uses guest memory; with the lock held.
    func quiesce() {}

    /// Shows a byte of emergency output; with the lock held.
    func emergency(_ byte: UInt8) {}

    /// Performs the test commands that every device has; a subclass adds its own.
    func perform(_ command: TestCommand) throws(TestCommandError) {
        let isKnown = withTransport {
            switch command {
            case .hold: hold.begin()
            case .release(let count):
                hold.release(count, of: backendState.waiting)
                wake(workers[0])
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
