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
    private static let maximumBoxes = 256

    let backend: any BlockBackend
    private let identity: [UInt8]
    let mode: IOMode
    private var slowLane: SlowLane?

    // Under the lock:
    /// All boxes ever made, by id, and the ids of those that are empty.
    private var boxes: [RequestBox] = []
    private var spare: [Int] = []
    /// Queues wait for a box.
    private var starving = false
    /// Requests whose I/O may use guest pages, in each of two runs between resets, and the run that is on.
    private var active: [2 of Int] = [0, 0]
    private var run = 0
    /// Requests that were taken and wait for the test device.
    private var held: [BoxedRequest] = []
    /// While true, requests are not started.
    private var holding = false
    /// Held requests that may go on.
    private var released = 0
    /// How many requests are to fail without trying, and how.
    private var failures = (count: 0, outcome: Outcome.ioError)

    init(
        name: String, transport: consuming MMIOTransport<Block>, place: Place, backend: any BlockBackend,
        identity: String, mode: IOMode, workers: Int
    ) throws(MachineError) {
        self.backend = backend
        self.identity = Array(identity.utf8)
        self.mode = mode
        try super.init(name: name, transport: transport, place: place, workers: workers)
        slowLane = SlowLane("\(name)-slow") { [unowned self] in performSlowly($0) }
    }

    override func stop() {
        super.stop()
        slowLane?.stop()
        if backend.flush().result != .ok {
            Log.say("\(name): the last flush failed; what was written last may be lost")
        }
    }

    /// Reads the image's size again and tells the driver if it changed.
    func rereadCapacity() {
        let capacity = backend.capacity
        perform { apply(transport.change { $0.capacity = capacity }) }
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
            var doorbells: [1 of pollfd] = [pollfd(fd: worker.doorbell.descriptor, events: Int16(POLLIN), revents: 0)]
            self.sleep(on: &doorbells, sleep)
            answerDoorbell(of: worker, by: worker)
            checkPatience()
            startWork(for: worker, staysAwake: true) { request in
                guard let outcome = backend.performNow(request.work.request, identity: identity) else {
                    return handOver(request)
                }
                perform(by: worker) { finish(request, outcome) }
            }
        }
    }

    /// Milliseconds that `worker` may sleep, -1 for ever; nil if it is to end.
    func sleepTime(of worker: Worker) -> Int32? {
        lock.locked { stopping ? nil : workIsWaiting(for: worker) ? 0 : worker.index == 0 ? patienceLeft : -1 }
    }

    private func workIsWaiting(for worker: Worker) -> Bool {
        !starving && mustServe(worker.queues) || released > 0 && worker.index == 0
    }

    override func step() -> Bool {
        checkPatience()
        for worker in workers {
            startWork(for: worker, staysAwake: false) { request in
                let outcome = backend.perform(request.work.request, identity: identity)
                perform { finish(request, outcome) }
            }
        }
        return lock.locked { workers.contains { workIsWaiting(for: $0) } }
    }

    /// Starts the requests that may go on, and those that the worker's queues have, one batch of them. A thread that `staysAwake` may
    /// find more to do soon where there is nothing now.
    func startWork(for worker: Worker, staysAwake: Bool, _ start: (BoxedRequest) -> Void) {
        while worker.index == 0, let request = lock.locked({ takeReleased() }) { start(request) }
        guard let box = perform(by: worker, { take(for: worker, staysAwake) }) else { return }
        // A box can be empty again as soon as its last request was started.
        for index in 0..<box.open { start(BoxedRequest(box: box, index: index)) }
    }

    /// Takes what the worker's queues have, with the lock held; nil if there is nothing to start.
    private func take(for worker: Worker, _ staysAwake: Bool) -> RequestBox? {
        guard mustServe(worker.queues) else { return nil }
        guard let box = spare.popLast().map({ boxes[$0] }) ?? makeBox() else {
            starving = true
            return nil
        }
        serve(worker.queues, by: worker, staysAwake: staysAwake && active[run] == 0) { queue, asksForKick in
            apply(transport.take(queue: queue, into: &box.batch, asksForKick: asksForKick))
            return box.batch.count > 0
        }
        box.open = box.batch.count
        box.run = run
        active[run] += box.open
        guard box.open > 0 else {
            spare.append(box.id)
            return nil
        }
        guard holding || failures.count > 0 else { return box }
        for index in 0..<box.open {
            let request = BoxedRequest(box: box, index: index)
            if !holding, let outcome = takeFailure() {
                finish(request, outcome)
            } else {
                // What does not fail now goes on as if it had been held.
                hold(request)
            }
        }
        if !holding {
            released = held.count
            ring(workers[0])
        }
        return nil
    }

    /// A new box, if there may be one more: a driver cannot make this grow for ever.
    private func makeBox() -> RequestBox? {
        guard boxes.count < Self.maximumBoxes else { return nil }
        let box = RequestBox(id: boxes.count, longestChain: transport.longestChain)
        boxes.append(box)
        return box
    }

    /// The request that `BoxedRequest.name` named; with the lock held.
    func request(named name: UInt64) -> BoxedRequest {
        BoxedRequest(box: boxes[Int(name >> 32)], index: Int(name & 0xffff_ffff))
    }

    /// Reports a request's outcome and lets go of it; with the lock held.
    func finish(_ request: BoxedRequest, _ outcome: Outcome) {
        apply(transport.finish(request.work.token, outcome))
        active[request.box.run] -= 1
        if active[request.box.run] == 0 { lock.broadcast() }
        request.box.open -= 1
        guard request.box.open == 0 else { return }
        request.box.batch.removeAll()
        spare.append(request.box.id)
        guard starving else { return }
        starving = false
        for worker in workers { ring(worker) }
    }

    /// Leaves a request to the slow lane; without the lock.
    func handOver(_ request: BoxedRequest) {
        if slowLane?.add(request) != true { perform { finish(request, .ioError) } }
    }

    private func performSlowly(_ request: BoxedRequest) {
        let wanted = lock.locked { transport.isWanted(request.work.token) }
        let outcome = wanted ? backend.perform(request.work.request, identity: identity) : .ioError
        perform { finish(request, outcome) }
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

    private func hold(_ request: BoxedRequest) {
        held.append(request)
        active[request.box.run] -= 1
    }

    private func takeReleased() -> BoxedRequest? {
        guard released > 0, !held.isEmpty else {
            released = 0
            return nil
        }
        released -= 1
        let request = held.removeFirst()
        active[request.box.run] += 1
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
            active[request.box.run] += 1
            finish(request, .ioError)
        }
    }

    @discardableResult
    override func steer(_ command: DeviceCommand) -> Bool {
        switch command {
        case .hold: lock.locked { holding = true }
        case .release(let count): release(count)
        case .fail(let number, let count): lock.locked { failures = (count, Outcome(errno: number)) }
        case .capacity(let sectors): perform { apply(transport.change { $0.capacity = sectors }) }
        case .input, .open, .resize, .holdResume, .ready, .deadline, .fatal: return super.steer(command)
        }
        return true
    }

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
        workers[0].ring()
    }
}
