// A device on a random walk, with a model of its state: after each step the device must agree with the model (the
// Suspend article of the documentation). The driver follows the rules of rings and violates those of SUSPEND.

import VirtioABI

@testable import Virtio

/// The functions of a device type that a walk needs.
struct WalkKind<Device: VirtioDevice & ~Copyable> {
    let make: (SuspendDialect, FreezeScope) -> FakeDriver<Device>
    /// A chain for a queue. All chains of a queue share their buffers.
    let parts: (FakeDriver<Device>, _ queue: Int) -> [Part]
    /// Where the backend writes even while the device is suspended: the data of retained reads.
    let data: (_ parts: [Part]) -> Range<UInt64>
    let change: (inout Device.Configuration, _ value: UInt16) -> Void
    /// The configuration value that `change` sets, as the driver reads it.
    let value: (FakeDriver<Device>) -> UInt64
    let initialValue: UInt16
    /// Types one byte, if the device takes input.
    let input: (FakeDriver<Device>) -> Void
    /// The queue whose buffers wait for input, if any.
    let receiveQueue: Int?
}

/// A random sequence of driver and host actions on one device, each compared with the oracle.
final class RandomWalk<Device: VirtioDevice & ~Copyable> {
    let kind: WalkKind<Device>
    let driver: FakeDriver<Device>
    let dialect: SuspendDialect
    /// The first failed expectation.
    private(set) var failure: String?
    /// Number of steps that ended in each state, of chains used, and of outcomes held at the ends of steps.
    private(set) var statistics = (states: [Oracle.Column: Int](), used: 0, held: 0)

    private let parts: [[Part]]
    private var areas: [FakeQueue] = []
    /// Chains in flight: by queue and head, the number of descriptors.
    private var owned: [[UInt16: Int]]
    /// Expected registers of the queues.
    private var registers: QueueOracle
    /// The configuration value visible to the driver, and the host's value.
    private var (visibleValue, hostValue): (UInt16, UInt16)
    private var generation: UInt32
    private var changed = false
    private var phase = Lifecycle.Phase.notLive
    private var interrupt: InterruptStatus = []
    /// Expected guest memory of a suspended device, updated with the driver's stores.
    private var suspendedMemory: FakeMemory.Snapshot?

    init(_ kind: WalkKind<Device>, _ dialect: SuspendDialect, _ scope: FreezeScope) {
        (self.kind, self.dialect) = (kind, dialect)
        let driver = kind.make(dialect, scope)
        self.driver = driver
        driver.backend.resumesAtOnce = false
        driver.bringUp(queueSize: 16)
        let count = driver.backend.transport.queueCount
        parts = (0..<count).map { kind.parts(driver, $0) }
        areas = (0..<count).map { driver[queue: $0] }
        owned = Array(repeating: [:], count: count)
        registers = QueueOracle(scope: scope, live: Array(repeating: true, count: count))
        driver.write(.queueSel, 0)
        (visibleValue, hostValue) = (kind.initialValue, kind.initialValue)
        generation = driver.read(.configGeneration)
        phase = driver.backend.transport.lifecycle.phase
    }

    private var count: Int { parts.count }
    private func isReady(_ queue: Int) -> Bool { driver.backend.transport.queues[queue].isReady }
    private func ending(_ queue: Int) -> QueueEnding { driver.backend.transport.queues[queue].ending }
    private var isFrozen: Bool { driver.backend.transport.lifecycle.isFrozen }

    /// Performs one step and checks the device.
    func make(_ step: WalkStep) {
        perform(step)
        check(after: step)
    }

    // MARK: Steps

    private func perform(_ step: WalkStep) {
        let (pick, queue) = (step.pick, step.pick % count)
        switch step.kind {
        case .offer: offer(queue)
        case .offerMuch: for queue in 0..<count { offer(queue) }
        case .kick: driver.write(.queueNotify, UInt32(pick % (count + 1)))
        case .suspend: driver.write(.status, 0x1f)
        case .resume: driver.write(.status, dialect.resume)
        case .abort: driver.write(.status, phase == .resuming ? 0x1f : 0x0f)
        case .oddStatus: driver.write(.status, [0x100, 0x20, 0x40, 0x1b, 0x10, 0x0b, 0xffff_ff1f][pick % 7])
        case .failedBit: driver.write(.status, 0x8f)
        case .reset: reset()
        case .bringUp: bringUp()
        case .acknowledge: driver.write(.interruptACK, UInt32(pick % 4))
        case .queueReset, .queueStop: end(queue, step.kind == .queueReset ? (.queueReset, 1) : (.queueReady, 0))
        case .queueStart: start(queue)
        case .select: select(pick)
        case .frozenWrite: frozenWrite(pick)
        case .complete: if let index = someRequest(pick) { driver.backend.complete(at: index) }
        case .completeAll: driver.backend.complete()
        case .fail: if let index = someRequest(pick) { driver.backend.complete(at: index, with: .ioError) }
        case .ready: driver.backend.ready()
        case .deadline: driver.backend.deadline()
        case .fatal: driver.backend.fatal()
        case .change: change(UInt16(pick))
        case .worker: driver.backend.take(queue: queue)
        case .input: kind.input(driver)
        }
    }

    private func someRequest(_ pick: Int) -> Int? {
        driver.backend.requests.isEmpty ? nil : pick % driver.backend.requests.count
    }

    private func offer(_ queue: Int) {
        let room = 16 - owned[queue].values.reduce(0, +)
        guard isReady(queue), ending(queue) == .none, parts[queue].count <= room else { return }
        let chain = driver.add(parts[queue], to: queue, kick: false)
        owned[queue][chain.head] = parts[queue].count
        if suspendedMemory != nil { suspendedMemory = driver.memory.snapshot() }
    }

    private func reset() {
        driver.write(.status, 0)
        registers.reset()
        owned = Array(repeating: [:], count: count)
    }

    /// Initialises a device that was reset, failed or needs a reset.
    private func bringUp() {
        guard driver.statusByte & 0xc0 != 0 || phase == .notLive else { return }
        reset()
        driver.bringUp(to: .featuresOK)
        for queue in 0..<count { start(queue) }
        driver.write(.status, 0x0f)
    }

    /// Makes a queue ready, in the same memory as before.
    private func start(_ queue: Int) {
        let status = driver.statusByte
        guard !isReady(queue), !isFrozen, status & 0x48 == 0x08 else { return }
        let old = areas[queue]
        driver.configure(
            FakeQueue(
                index: queue, size: old.size, descriptors: old.descriptors, available: old.available, used: old.used,
                memory: driver.memory))
        driver.write(.queueReady, 1)
        registers.select(queue)
        registers.start()
    }

    private func end(_ queue: Int, _ register: (Register, UInt32)) {
        driver.write(.queueSel, UInt32(queue))
        driver.write(register.0, register.1)
        registers.select(queue)
        if driver.statusByte & 0x08 != 0 { registers.end(by: register.0) }
    }

    /// Selects a queue, or none, and a word of the features.
    private func select(_ pick: Int) {
        let (queue, word) = (pick % (count + 1), UInt32(pick % 3))
        driver.write(.queueSel, UInt32(queue))
        registers.select(queue)
        driver.write(.deviceFeaturesSel, word)
        expect(
            driver.read(.deviceFeatures) == driver.backend.transport.offered.word(word),
            "DeviceFeatures is not word \(word)")
    }

    private func frozenWrite(_ pick: Int) {
        let registers: [Register] = [
            .driverFeatures, .driverFeaturesSel, .queueSize, .queueDescLow, .queueDriverHigh, .queueDeviceLow, .shmSel,
        ]
        guard isFrozen else { return }
        driver.write(registers[pick % registers.count], UInt32(pick))
        driver.write(at: 0x100, width: 4, UInt64(pick))
    }

    private func change(_ value: UInt16) {
        driver.backend.change { kind.change(&$0, value) }
        // A change to the same value is no change.
        changed = changed || value != hostValue
        hostValue = value
    }

    // MARK: Checks

    private func check(after step: WalkStep) {
        let (before, now) = (phase, driver.backend.transport.lifecycle.phase)
        phase = now
        statistics.states[driver.backend.transport.lifecycle.column, default: 0] += 1
        checkStatus()
        checkConfiguration(before, now, wasReset: step.kind == .reset || step.kind == .bringUp)
        checkInterrupt(before, now)
        let difference = driver.difference(from: &registers)
        expect(difference == nil, difference ?? "")
        checkQueues(before)
        checkSuspendedMemory(before, now)
        expect(driver.backend.transport.lastFault == nil, "the device reports a fault of a valid ring")
    }

    private func expect(_ condition: Bool, _ what: String) {
        if !condition && failure == nil { failure = what }
    }

    private func checkStatus() {
        let status = driver.statusByte
        let (live, suspend, dead) = (status & 0x04 != 0, status & 0x10 != 0, status & 0x40 != 0)
        expect(status & 0x20 == 0, "a reserved bit is set")
        expect(!suspend || live == (dialect == .draft), "DRIVER_OK and SUSPEND do not go together: \(status)")
        expect(!(suspend && dead && dialect == .draft), "the draft shows SUSPEND in a dead device")
    }

    private func checkConfiguration(_ before: Lifecycle.Phase, _ now: Lifecycle.Phase, wasReset: Bool) {
        let old = generation
        generation = driver.read(.configGeneration)
        var dead = false
        if case .dead = now { dead = true }
        if isFrozen || dead && !wasReset {
            expect(generation == old, "the generation changed")
        } else if changed {
            // A reset, a bring-up and a change before DRIVER_OK commit without a notification.
            expect(generation == old + 1, "the change is missing, or came more than once")
            let silent = now == .notLive || wasReset
            expect(silent || driver.interruptStatus.contains(.configurationChange), "no notification of the change")
            (visibleValue, changed) = (hostValue, false)
        } else {
            expect(generation == old, "the generation changed by itself")
        }
        expect(
            kind.value(driver) == UInt64(visibleValue),
            "the configuration reads \(kind.value(driver)), not \(visibleValue)")
    }

    private func checkInterrupt(_ before: Lifecycle.Phase, _ now: Lifecycle.Phase) {
        let old = interrupt
        interrupt = driver.interruptStatus
        expect(driver.backend.line.level == !interrupt.isEmpty, "the line does not follow InterruptStatus")
        // No bit may rise between two steps in a state in which the device must not notify.
        let quiet = before == now && now != .running && now != .suspending
        expect(!quiet || old.isSuperset(of: interrupt), "a bit rose while \(now)")
    }

    /// Each chain is used once or dropped with its queue, and the device's counts match the driver's.
    private func checkQueues(_ before: Lifecycle.Phase) {
        var current = 0
        for pending in driver.backend.requests where driver.backend.transport.isCurrent(pending.token) { current += 1 }
        expect(driver.backend.transport.requestsInFlight == current, "requests in flight are miscounted")
        for queue in 0..<count where driver.rings[queue] != nil {
            guard isReady(queue) else {
                expect(driver[queue: queue].usedIndex == driver[queue: queue].nextUsed, "a dead queue used a chain")
                owned[queue] = [:]
                continue
            }
            for element in driver.takeUsed(queue) {
                let known = owned[queue].removeValue(forKey: UInt16(truncatingIfNeeded: element.id)) != nil
                statistics.used += 1
                expect(known, "queue \(queue) used chain \(element.id), which it does not have")
            }
            let waiting = driver[queue: queue].nextAvailable &- nextAvailable(queue)
            let held = driver.backend.transport.queues[queue].live?.value.parked.finished ?? 0
            let inFlight = driver.backend.transport.queues[queue].inFlight
            statistics.held += held
            if ending(queue) == .none && phase == .running || phase == .suspending || isFrozen {
                let sum = Int(waiting) + held + inFlight
                expect(ending(queue) != .none || sum == owned[queue].count, "queue \(queue) lost a chain")
            }
            if phase == .running && before != .running && queue != kind.receiveQueue && ending(queue) == .none {
                expect(waiting == 0, "queue \(queue) was not scanned when the device started to run")
            }
        }
        if phase == .suspending { expect(current > 0, "a drain without requests in flight does not end") }
        let retains = phase == .suspended && dialect == .ratified && current > 0
        expect(!retains, "1.4 is suspended with requests in flight")
    }

    private func nextAvailable(_ queue: Int) -> UInt16 {
        driver.backend.transport.queues[queue].live?.value.positions.available.count ?? 0
    }

    /// A suspended device writes no guest memory except the data of retained reads.
    private func checkSuspendedMemory(_ before: Lifecycle.Phase, _ now: Lifecycle.Phase) {
        guard isFrozen else {
            suspendedMemory = nil
            return
        }
        if let suspendedMemory {
            let allowed = parts.map(kind.data)
            let moved = driver.memory.changes(since: suspendedMemory).filter { run in
                !allowed.contains { $0.lowerBound <= run.lowerBound && run.upperBound <= $0.upperBound }
            }
            expect(moved.isEmpty, "a suspended device wrote to \(moved)")
        } else {
            suspendedMemory = driver.memory.snapshot()
        }
    }
}
