// A disk on the bus: the model, a backend, and the threads between them. A thread takes a batch under the lock, starts its I/O
// without it, and reports outcomes under it: all that are there at once, so that the driver is interrupted once.
//
//   take (locked) ---> start: at hand, or by io_uring ---> finish (locked)
//                        \---> slow lane: all that would keep the thread waiting --^

import Glibc
import KVM
import Virtio
import VirtioABI

/// How a disk's transfers are done.
public enum IOMode: String, CaseIterable, Sendable {
    /// By io_uring where the host lets us, by threads elsewhere.
    case auto
    /// By the disk's thread what the host has at hand, by a few more what it has not.
    case threads
    /// By io_uring.
    case uring
}

/// A block device with its backend.
final class BlockSlot: Slot<Block>, DeviceControl, @unchecked Sendable {
    /// Most batches that are with the backend at a time.
    private static let maximumBatches = 256

    let backend: any BlockBackend
    private let identity: [UInt8]
    let mode: IOMode
    private var blockingIO: BlockingIOPool?

    // Under the lock:
    /// All boxes ever made, by id, and the ids of those that are empty.
    private var batches: [RequestBatch] = []
    private var spareBatches: [Int] = []
    /// Queues wait for a batch.
    private var waitsForBatch = false
    /// Requests whose I/O may use guest pages, in each of two runs between resets, and the run that is on.
    private var active: [2 of Int] = [0, 0]
    private var run = 0
    /// Requests that were taken and wait for the test device.
    private var held: [BatchedRequest] = []
    /// While true, requests are not started.
    private var holding = false
    /// Held requests that may go on.
    private var released = 0
    /// How many requests are to fail without trying, and how.
    private var failures = (count: 0, outcome: Outcome.ioError)

    init(
        name: String, transport: consuming MMIOTransport<Block>, context: SlotContext, backend: any BlockBackend,
        identity: String, mode: IOMode, workers: Int
    ) throws(MachineError) {
        self.backend = backend
        self.identity = Array(identity.utf8)
        self.mode = mode
        try super.init(name: name, transport: transport, context: context, workers: workers)
        blockingIO = BlockingIOPool("\(name)-slow") { [unowned self] in performBlocking($0) }
    }

    override func stop() {
        super.stop()
        blockingIO?.stop()
        // A failure is the backend's to report.
        _ = backend.flush()
    }

    /// Reads the image's size again and tells the driver if it changed.
    override func hostChanged() {
        let capacity = backend.capacity
        withTransport { apply(transport.change { $0.capacity = capacity }) }
    }

    // MARK: The threads

    override func serve(_ worker: Worker) {
        let engine: String
        if mode != .threads, let file = backend as? FileDisk {
            do throws(RingRefusal) {
                var loop = RingLoop(self, worker, file, try Ring(size: 256))
                lock.locked { counts.engine = "io_uring" }
                return loop.run()
            } catch { engine = "threads, for the host refuses io_uring (\(reason(error.errno)))" }
        } else {
            engine = mode == .threads ? "threads, as asked for" : "in memory"
        }
        lock.locked { counts.engine = engine }
        while let sleep = sleepTime(of: worker) {
            var doorbells: [1 of pollfd] = [pollfd(fd: worker.eventFD.descriptor, events: Int16(POLLIN), revents: 0)]
            self.sleep(on: &doorbells, sleep)
            drainEventFD(of: worker, by: worker)
            checkDrainDeadline()
            startWork(for: worker, mayPoll: true) { request in
                guard let outcome = backend.performNow(request.work.request, identity: identity) else {
                    return handOver(request)
                }
                withTransport(by: worker) { finish(request, outcome) }
            }
        }
    }

    /// Milliseconds that `worker` may sleep, -1 for ever; nil if it is to end.
    func sleepTime(of worker: Worker) -> Int32? {
        lock.locked {
            stopping ? nil : workIsWaiting(for: worker) ? 0 : worker.index == 0 ? millisecondsToDrainDeadline : -1
        }
    }

    private func workIsWaiting(for worker: Worker) -> Bool {
        !waitsForBatch && mustServe(worker.queues) || released > 0 && worker.index == 0
    }

    override func step() -> Bool {
        checkDrainDeadline()
        for worker in workers {
            startWork(for: worker, mayPoll: false) { request in
                let outcome = backend.perform(request.work.request, identity: identity)
                withTransport { finish(request, outcome) }
            }
        }
        return lock.locked { workers.contains { workIsWaiting(for: $0) } }
    }

    /// Starts the requests that may go on, and those that the worker's queues have, one batch of them. A thread that `mayPoll` may
    /// find more to do soon where there is nothing now.
    func startWork(for worker: Worker, mayPoll: Bool, _ start: (BatchedRequest) -> Void) {
        while worker.index == 0, let request = lock.locked({ takeReleased() }) { start(request) }
        guard let batch = withTransport(by: worker, { take(for: worker, mayPoll) }) else { return }
        // A batch can be empty again as soon as its last request was started.
        for index in 0..<batch.open { start(BatchedRequest(batch: batch, index: index)) }
    }

    /// Takes what the worker's queues have, with the lock held; nil if there is nothing to start.
    private func take(for worker: Worker, _ mayPoll: Bool) -> RequestBatch? {
        guard mustServe(worker.queues) else { return nil }
        guard let batch = spareBatches.popLast().map({ batches[$0] }) ?? makeBatch() else {
            waitsForBatch = true
            return nil
        }
        serve(worker.queues, by: worker, mayPoll: mayPoll && active[run] == 0) { queue, requestsNotification in
            apply(transport.take(queue: queue, into: &batch.requests, requestsNotification: requestsNotification))
            return batch.requests.count > 0
        }
        batch.open = batch.requests.count
        batch.run = run
        active[run] += batch.open
        guard batch.open > 0 else {
            spareBatches.append(batch.id)
            return nil
        }
        guard holding || failures.count > 0 else { return batch }
        for index in 0..<batch.open {
            let request = BatchedRequest(batch: batch, index: index)
            if !holding, let outcome = takeFailure() {
                finish(request, outcome)
            } else {
                // What does not fail now goes on as if it had been held.
                hold(request)
            }
        }
        if !holding {
            released = held.count
            wake(workers[0])
        }
        return nil
    }

    /// A new batch, if there may be one more: a driver cannot make this grow for ever.
    private func makeBatch() -> RequestBatch? {
        guard batches.count < Self.maximumBatches else { return nil }
        let batch = RequestBatch(id: batches.count, longestChain: transport.longestChain)
        batches.append(batch)
        return batch
    }

    /// The request that `BatchedRequest.name` named; with the lock held.
    func request(named name: UInt64) -> BatchedRequest {
        BatchedRequest(batch: batches[Int(name >> 32)], index: Int(name & 0xffff_ffff))
    }

    /// Reports a request's outcome and lets go of it; with the lock held.
    func finish(_ request: BatchedRequest, _ outcome: Outcome) {
        apply(transport.finish(request.work.token, outcome))
        active[request.batch.run] -= 1
        if active[request.batch.run] == 0 { lock.broadcast() }
        request.batch.open -= 1
        guard request.batch.open == 0 else { return }
        request.batch.requests.removeAll()
        spareBatches.append(request.batch.id)
        guard waitsForBatch else { return }
        waitsForBatch = false
        for worker in workers { wake(worker) }
    }

    /// Leaves a request to the slow lane; without the lock.
    func handOver(_ request: BatchedRequest) {
        if blockingIO?.add(request) != true { withTransport { finish(request, .ioError) } }
    }

    private func performBlocking(_ request: BatchedRequest) {
        let wanted = lock.locked { transport.isWanted(request.work.token) }
        let outcome = wanted ? backend.perform(request.work.request, identity: identity) : .ioError
        withTransport { finish(request, outcome) }
    }

    /// Requests are with the host.
    var isBusy: Bool { lock.locked { active[0] + active[1] > 0 } }

    /// A reset waits for the I/O that is under way, and not for what another processor starts meanwhile. With the lock held.
    override func quiesce() {
        while active[1 - run] > 0 { lock.wait() }
        let ended = run
        run = 1 - run
        while active[ended] > 0 { lock.wait() }
    }

    // MARK: Tests

    private func hold(_ request: BatchedRequest) {
        held.append(request)
        active[request.batch.run] -= 1
    }

    private func takeReleased() -> BatchedRequest? {
        guard released > 0, !held.isEmpty else {
            released = 0
            return nil
        }
        released -= 1
        let request = held.removeFirst()
        active[request.batch.run] += 1
        return request
    }

    /// How the next request is to fail, if it is.
    private func takeFailure() -> Outcome? {
        guard failures.count > 0 else { return nil }
        failures.count -= 1
        return failures.outcome
    }

    override func cancel() {
        let unwanted = held.filter { !transport.isWanted($0.work.token) }
        held.removeAll { !transport.isWanted($0.work.token) }
        released = min(released, held.count)
        for request in unwanted {
            active[request.batch.run] += 1
            finish(request, .ioError)
        }
    }

    override func perform(_ command: TestCommand) throws(TestCommandError) {
        switch command {
        case .hold: lock.locked { holding = true }
        case .release(let count): release(count)
        case .fail(let number, let count): lock.locked { failures = (count, Outcome(errno: number)) }
        case .capacity(let sectors): withTransport { apply(transport.change { $0.capacity = sectors }) }
        default: try super.perform(command)
        }
    }

    override var writeZeroesMayUnmap: Bool? { transport.writeZeroesMayUnmap }

    override var backendState: BackendState {
        BackendState(holding: holding, waiting: held.count, failing: failures.count)
    }

    private func release(_ count: Int?) {
        lock.locked {
            if let count {
                released = min(held.count, released + count)
            } else {
                holding = false
                released = held.count
            }
        }
        workers[0].signal()
    }
}
