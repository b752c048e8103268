// A disk on the bus: the model, a backend, and the threads between them. A thread takes a batch under the lock, starts its I/O
// without it, and reports outcomes under it: all available ones together, so that the driver is interrupted once.
//
//   take (locked) ---> start: without blocking, or by io_uring ---> finish (locked)
//                        \---> blocking I/O pool: what would block the thread --^

import Glibc
import KVM
import Virtio
import VirtioABI

/// The I/O engine of a disk's transfers.
public enum IOMode: String, CaseIterable, Sendable {
    /// io_uring if the host allows it, else threads.
    case auto
    /// The disk's threads for transfers that do not block, a pool of threads for the others.
    case threads
    /// io_uring; an error if the host refuses it.
    case uring
}

/// A block device with its backend.
final class BlockSlot: Slot<Block>, DeviceControl, @unchecked Sendable {
    /// Most batches in flight.
    private static let maximumBatches = 256

    let backend: any BlockBackend
    private let identity: [UInt8]
    let mode: IOMode
    private var blockingIO: BlockingIOPool?

    // Under the lock:
    /// All batches, by id, and the ids of those that are free.
    private var batches: [RequestBatch] = []
    private var spareBatches: [Int] = []
    /// Queues wait for a free batch.
    private var waitsForBatch = false
    /// Requests whose I/O may use guest memory, by reset epoch, and the current epoch. Two epochs alternate: a reset waits for the
    /// requests of the one it ends.
    private var inFlight: [2 of Int] = [0, 0]
    private var epoch = 0
    /// Requests that were taken and wait for the test command `release`.
    private var held: [BatchedRequest] = []
    /// Number of requests to fail without trying, and their outcome: the test command `fail`.
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

    /// Reads the image's size again, and notifies the driver of a change. A size that a run cannot start with changes nothing.
    override func hostChanged() {
        if let problem = backend.sizeProblem {
            return Log.say("\(problem.description), and send SIGUSR1 again; \(name) keeps its capacity until then")
        }
        let capacity = backend.capacity
        withTransport { apply(transport.change { $0.capacity = capacity }) }
    }

    // MARK: The threads

    override func serve(_ worker: Worker) {
        let engine: String
        if mode != .threads, let file = backend as? FileDisk {
            do throws(RingError) {
                var loop = RingLoop(self, worker, file, try Ring(size: 256))
                Sandbox.confine(.disk)
                lock.locked { counts.engine = "io_uring" }
                return loop.run()
            } catch { engine = "threads, because the host refuses io_uring (\(reason(error.errno)))" }
        } else {
            engine = mode == .threads ? "threads, because of io=threads" : "memory"
        }
        Sandbox.confine(.disk)
        lock.locked { counts.engine = engine }
        while let sleep = sleepTime(of: worker) {
            var eventFDs: [1 of pollfd] = [pollfd(worker.eventFD.descriptor, POLLIN)]
            self.sleep(on: &eventFDs, sleep)
            drainEventFD(of: worker, by: worker)
            checkDeadlines()
            startWork(for: worker, mayPoll: true) { request in
                guard let outcome = backend.performNow(request.work.request, identity: identity) else {
                    return enqueueBlocking(request)
                }
                withTransport(by: worker) { finish(request, outcome) }
            }
        }
    }

    /// Milliseconds that `worker` may sleep, -1 without limit; nil if it is to end.
    func sleepTime(of worker: Worker) -> Int32? {
        lock.locked {
            stopping ? nil : workIsWaiting(for: worker) ? 0 : worker.index == 0 ? millisecondsToDeadline : -1
        }
    }

    private func workIsWaiting(for worker: Worker) -> Bool {
        !waitsForBatch && mustServe(worker.queues) || hold.released > 0 && worker.index == 0
    }

    override func step() -> Bool {
        checkDeadlines()
        for worker in workers {
            startWork(for: worker, mayPoll: false) { request in
                let outcome = backend.perform(request.work.request, identity: identity)
                withTransport { finish(request, outcome) }
            }
        }
        return lock.locked { workers.contains { workIsWaiting(for: $0) } }
    }

    /// Starts released requests, and one batch from the worker's queues. With `mayPoll` the worker may poll if they are empty.
    func startWork(for worker: Worker, mayPoll: Bool, _ start: (BatchedRequest) -> Void) {
        while worker.index == 0, let request = lock.locked({ takeReleased() }) {
            if let outcome = lock.locked({ takeFailure() }) {
                withTransport(by: worker) { finish(request, outcome) }
            } else {
                start(request)
            }
        }
        guard let batch = withTransport(by: worker, { take(for: worker, mayPoll) }) else { return }
        // `open` is read once: the batch may be free again as soon as its last request is started.
        for index in 0..<batch.open { start(BatchedRequest(batch: batch, index: index)) }
    }

    /// Takes a batch from the worker's queues; nil if there is nothing to start. With the lock held.
    private func take(for worker: Worker, _ mayPoll: Bool) -> RequestBatch? {
        guard mustServe(worker.queues) else { return nil }
        guard let batch = spareBatches.popLast().map({ batches[$0] }) ?? makeBatch() else {
            waitsForBatch = true
            return nil
        }
        serve(worker.queues, by: worker, mayPoll: mayPoll && inFlight[epoch] == 0) { queue, requestsNotification in
            apply(transport.take(queue: queue, into: &batch.requests, requestsNotification: requestsNotification))
            return batch.requests.count > 0
        }
        batch.open = batch.requests.count
        batch.epoch = epoch
        inFlight[epoch] += batch.open
        guard batch.open > 0 else {
            spareBatches.append(batch.id)
            return nil
        }
        guard hold.isOn || failures.count > 0 else { return batch }
        for index in 0..<batch.open {
            let request = BatchedRequest(batch: batch, index: index)
            if !hold.isOn, let outcome = takeFailure() {
                finish(request, outcome)
            } else {
                // Requests that do not fail are started as if they had been held.
                addToHeld(request)
            }
        }
        if !hold.isOn {
            hold.release(nil, of: held.count)
            wake(workers[0])
        }
        return nil
    }

    /// Allocates a batch; nil at the limit, which bounds memory against a hostile driver.
    private func makeBatch() -> RequestBatch? {
        guard batches.count < Self.maximumBatches else { return nil }
        let batch = RequestBatch(id: batches.count, longestChain: transport.longestChain)
        batches.append(batch)
        return batch
    }

    /// The request with this `BatchedRequest.userData`; with the lock held.
    func request(_ userData: UInt64) -> BatchedRequest {
        BatchedRequest(batch: batches[Int(userData >> 32)], index: Int(userData & 0xffff_ffff))
    }

    /// Completes a request, and frees its batch with the last one; with the lock held.
    func finish(_ request: BatchedRequest, _ outcome: Outcome) {
        apply(transport.finish(request.work.token, outcome))
        inFlight[request.batch.epoch] -= 1
        if inFlight[request.batch.epoch] == 0 { lock.broadcast() }
        request.batch.open -= 1
        guard request.batch.open == 0 else { return }
        request.batch.requests.removeAll()
        spareBatches.append(request.batch.id)
        guard waitsForBatch else { return }
        waitsForBatch = false
        for worker in workers { wake(worker) }
    }

    /// Passes a request to the blocking I/O pool; without the lock.
    func enqueueBlocking(_ request: BatchedRequest) {
        if blockingIO?.add(request) != true { withTransport { finish(request, .ioError) } }
    }

    /// Performs a request, or flushes by one flush.
    private func performBlocking(_ requests: [BatchedRequest]) {
        let wanted = lock.locked { requests.first { transport.isWanted($0.work.token) } }
        let outcome = wanted.map { backend.perform($0.work.request, identity: identity) } ?? .ioError
        withTransport { for request in requests { finish(request, outcome) } }
    }

    /// Whether requests are in flight at the host.
    var isBusy: Bool { lock.locked { inFlight[0] + inFlight[1] > 0 } }

    /// Waits for the I/O in flight, but not for I/O that another vCPU starts meanwhile. With the lock held.
    override func quiesce() {
        while inFlight[1 - epoch] > 0 { lock.wait() }
        let ended = epoch
        epoch = 1 - epoch
        while inFlight[ended] > 0 { lock.wait() }
    }

    // MARK: Tests

    private func addToHeld(_ request: BatchedRequest) {
        held.append(request)
        inFlight[request.batch.epoch] -= 1
    }

    private func takeReleased() -> BatchedRequest? {
        guard hold.released > 0, !held.isEmpty else { return nil }
        let request = held.removeFirst()
        hold.started()
        inFlight[request.batch.epoch] += 1
        return request
    }

    /// The outcome of the next request if it is to fail, else nil.
    private func takeFailure() -> Outcome? {
        guard failures.count > 0 else { return nil }
        failures.count -= 1
        return failures.outcome
    }

    override func cancel() {
        let unwanted = held.filter { !transport.isWanted($0.work.token) }
        held.removeAll { !transport.isWanted($0.work.token) }
        hold.limit(to: held.count)
        for request in unwanted {
            inFlight[request.batch.epoch] += 1
            finish(request, .ioError)
        }
    }

    override func perform(_ command: TestCommand) throws(TestCommandError) {
        switch command {
        case .fail(let number, let count): lock.locked { failures = (count, Outcome(errno: number)) }
        case .capacity(let sectors): withTransport { apply(transport.change { $0.capacity = sectors }) }
        default: try super.perform(command)
        }
    }

    override var writeZeroesMayUnmap: Bool? { transport.writeZeroesMayUnmap }
    override var blockSizes: BlockSizes? { transport.blockSizes }

    override var backendState: BackendState {
        BackendState(holding: hold.isOn, waiting: held.count, failing: failures.count)
    }

    // MARK: Snapshots

    override var usesGuestMemory: Bool { inFlight[0] + inFlight[1] > 0 }
    override func savedDisk() throws(MachineError) -> SavedDisk? {
        var disk = try backend.saved()
        disk?.identity = identity
        return disk
    }
    override var ownMemory: MemoryArea? { backend.memory }
    override func restoreMemory(from file: MappedFile) -> Int32 { backend.restore(from: file) }
}
