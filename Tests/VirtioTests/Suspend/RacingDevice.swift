// A multithreaded host of a device with four queues: one lock, four worker threads that take and complete requests, and
// a driver that accesses guest memory without the lock. The lock is a pthread mutex, which ThreadSanitizer supports.

import Glibc
import Synchronization
import VirtioABI

@testable import Virtio

/// A joinable thread.
struct Thread {
    private let handle: pthread_t

    init(_ body: @escaping @Sendable () -> Void) {
        let context = unsafe Unmanaged.passRetained(Body(run: body)).toOpaque()
        var handle = pthread_t()
        let error = unsafe pthread_create(&handle, nil, startThread, context)
        precondition(error == 0, "no thread")
        self.handle = handle
    }

    func join() { pthread_join(handle, nil) }

    fileprivate final class Body: Sendable {
        let run: @Sendable () -> Void
        init(run: @escaping @Sendable () -> Void) { self.run = run }
    }
}

private func startThread(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context = unsafe context else { return nil }
    unsafe Unmanaged<Thread.Body>.fromOpaque(context).takeRetainedValue().run()
    return nil
}

/// Deadline of a wait.
struct Deadline {
    private let end: Int

    init(seconds: Int = 20) { end = Deadline.now + seconds }

    private static var now: Int {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec
    }

    /// Yields the processor until `condition` holds; false if the deadline passes first.
    func wait(_ condition: () -> Bool) -> Bool {
        while !condition() {
            if Deadline.now > end { return false }
            sched_yield()
        }
        return true
    }
}

/// The device, its lock, and the state shared by its workers. Everything except `memory` is accessed under the lock.
@safe final class RacingDevice: @unchecked Sendable {
    static let queueSize: UInt16 = 16
    static let workers = 4

    private let memory: FakeMemory
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let wakeUp: UnsafeMutablePointer<pthread_cond_t>
    private var transport: MMIOTransport<FourQueues>
    private var batch: Batch<FourQueues.Request>
    private var owed: QueueSet = []
    private var requests: [Token] = []
    private var resumeRequested = false
    private var stopping = false
    private var threads: [Thread] = []
    private var _changed: UInt32 = 0
    private var _turn: UInt32 = 0
    private var line = InterruptLine()

    init(_ dialect: SuspendDialect) {
        memory = FakeMemory(low: 1 << 16, high: 4096)
        transport = MMIOTransport(device: FourQueues(), memory: memory.guest, suspend: dialect)
        batch = Batch(longestChain: 128)
        unsafe mutex = .allocate(capacity: 1)
        unsafe wakeUp = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(wakeUp, nil)
        bringUp(dialect)
        threads = (0..<Self.workers).map { _ in Thread { [unowned self] in work() } }
    }

    deinit {
        unsafe pthread_cond_destroy(wakeUp)
        unsafe pthread_mutex_destroy(mutex)
        unsafe wakeUp.deallocate()
        unsafe mutex.deallocate()
    }

    /// Stops the workers after they have completed all requests.
    func stop() {
        locked { stopping = true }
        for thread in threads { thread.join() }
    }

    // MARK: The host

    private func locked<Result>(_ body: () -> Result) -> Result {
        unsafe pthread_mutex_lock(mutex)
        let result = body()
        if stopping || resumeRequested || !owed.isEmpty || !requests.isEmpty { unsafe pthread_cond_broadcast(wakeUp) }
        unsafe pthread_mutex_unlock(mutex)
        return result
    }

    /// Handles the effects of a call into the model, under the lock.
    private func call(_ effects: Effects) {
        line.sample(transport.interruptAsserted)
        owed.formUnion(effects.queues)
        if effects.events.contains(.resumeRequested) { resumeRequested = true }
    }

    private func work() {
        unsafe pthread_mutex_lock(mutex)
        while !stopping || !requests.isEmpty {
            if !step() { unsafe pthread_cond_wait(wakeUp, mutex) }
        }
        unsafe pthread_mutex_unlock(mutex)
    }

    /// Performs one pending task; false if there is none. The lock is held before and after, not during the I/O.
    private func step() -> Bool {
        if let token = requests.popLast() {
            unsafe pthread_mutex_unlock(mutex)
            sched_yield()
            unsafe pthread_mutex_lock(mutex)
            call(transport.finish(token, .ok()))
        } else if let queue = (0..<4).first(where: { owed.contains(QueueSet(queue: $0)) }) {
            owed.remove(QueueSet(queue: queue))
            call(transport.take(queue: queue, into: &batch))
            for index in 0..<batch.count { requests.append(batch[index].token) }
            batch.removeAll()
            unsafe pthread_cond_broadcast(wakeUp)
        } else if resumeRequested {
            resumeRequested = false
            call(transport.backendReady())
        } else {
            return false
        }
        return true
    }

    /// Passes the drain deadline.
    func deadline() { locked { call(transport.drainDeadlinePassed()) } }
    /// The host changes the configuration.
    func change(to value: UInt32) {
        locked {
            call(transport.change { $0.value = value })
            _changed = value
        }
    }

    /// The value of the host's last change.
    var changed: UInt32 { locked { _changed } }
    /// The next change to make: the driver sets it, the host waits for it.
    var turn: UInt32 {
        get { locked { _turn } }
        set { locked { _turn = newValue } }
    }
    /// Number of requests in flight.
    var inFlight: Int { locked { transport.requestsInFlight } }
    /// Number of rising edges of the line.
    var risingEdges: Int { locked { line.risingEdges } }

    // MARK: The guest

    func read(_ register: Register) -> UInt32 { read(at: register.rawValue) }
    func read(at offset: UInt32) -> UInt32 { locked { UInt32(transport.read(at: UInt64(offset), width: 4)) } }

    func write(_ register: Register, _ value: UInt32) {
        locked { call(transport.write(at: UInt64(register.rawValue), width: 4, value: UInt64(value))) }
    }

    /// Addresses of the areas of queue `index`. Each descriptor refers to its own byte.
    private func table(_ index: Int) -> UInt64 { 0x1000 * UInt64(index + 1) }
    private func available(_ index: Int) -> UInt64 { table(index) + 0x400 }
    private func used(_ index: Int) -> UInt64 { table(index) + 0x800 }

    private func bringUp(_ dialect: SuspendDialect) {
        memory.fill(0, at: 0x1000, count: 0x4000)
        let setUp: [(Register, UInt32)] = [
            (.status, 3), (.driverFeaturesSel, 1), (.driverFeatures, Features.version1.union(dialect.feature).word(1)),
            (.status, 0x0b),
        ]
        for (register, value) in setUp { write(register, value) }
        for index in 0..<4 {
            for number in 0..<UInt64(Self.queueSize) {
                let descriptor = Descriptor(address: table(index) + 0xc00 + number, length: 1, flags: .write)
                memory.store(descriptor.address, at: table(index) + 16 * number)
                memory.store(descriptor.high, at: table(index) + 16 * number + 8)
            }
            let registers: [(Register, UInt32)] = [
                (.queueSel, UInt32(index)), (.queueSize, UInt32(Self.queueSize)),
                (.queueDescLow, UInt32(table(index))), (.queueDriverLow, UInt32(available(index))),
                (.queueDeviceLow, UInt32(used(index))), (.queueReady, 1),
            ]
            for (register, value) in registers { write(register, value) }
        }
        write(.status, 0x0f)
    }

    private func word(_ address: UInt64) -> UnsafePointer<Atomic<UInt16>> {
        guard let buffer = memory.guest.resolve(address, 2) else { preconditionFailure("outside of memory") }
        return unsafe UnsafePointer(buffer.base.assumingMemoryBound(to: Atomic<UInt16>.self))
    }

    /// Makes the next descriptor available: its previous chain, `queueSize` chains ago, has been used.
    func publish(_ index: Int, _ number: UInt16) {
        let slot = number % Self.queueSize
        unsafe word(available(index) + 4 + 2 * UInt64(slot)).pointee.store(slot, ordering: .relaxed)
        unsafe word(available(index) + 2).pointee.store(number &+ 1, ordering: .releasing)
    }

    /// The used index of each queue.
    var used: [UInt16] { (0..<4).map { unsafe word(used($0) + 2).pointee.load(ordering: .acquiring) } }
}
