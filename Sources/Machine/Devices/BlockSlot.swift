// A disk on the bus: the model, a backend, and the thread between them. The thread takes a batch under the lock, does its I/O
// without it, and reports the outcomes under it.

import Glibc
import KVM
import Virtio
import VirtioABI

/// A block device with its backend.
final class BlockSlot: Slot<Block>, DeviceControl, @unchecked Sendable {
    private let backend: any BlockBackend
    private let identity: [UInt8]
    /// Room for the requests that are taken next. Of whoever steps.
    private var box: BatchBox

    // Under the lock:
    /// The thread's I/O uses guest pages right now.
    private var busy = false
    /// How many runs of requests the thread has done.
    private var runs = 0
    /// Requests that were taken and not given to the backend: they wait for the test device, or for the thread.
    private var held: [Held] = []
    /// While true, requests are not given to the backend.
    private var holding = false
    /// Held requests that may go on.
    private var released = 0
    /// How many requests are to fail without trying, and how.
    private var failures = (count: 0, outcome: Outcome.ioError)

    /// A request that waits, with the room its segments live in.
    private struct Held {
        let batch: BatchBox
        let index: Int
        var work: Work<Block.Request> { batch.batch[index] }
    }

    private final class BatchBox {
        var batch: Batch<Block.Request>
        init(longestChain: UInt16) { batch = Batch(longestChain: longestChain) }
    }

    init(
        name: String, transport: consuming MMIOTransport<Block>, place: Place, backend: any BlockBackend,
        identity: String
    ) throws(MachineError) {
        self.backend = backend
        self.identity = Array(identity.utf8)
        box = BatchBox(longestChain: transport.longestChain)
        try super.init(name: name, transport: transport, place: place)
    }

    override func stop() {
        super.stop()
        if backend.flush().result != .ok {
            Log.say("\(name): the last flush failed; what was written last may be lost")
        }
    }

    /// Reads the image's size again and tells the driver if it changed.
    func rereadCapacity() {
        let capacity = backend.capacity
        perform { apply(transport.change { $0.capacity = capacity }) }
    }

    // MARK: The thread

    override func serve() {
        while let sleep = lock.locked({ stopping ? nil : workIsWaiting ? 0 : patienceLeft }) {
            var doorbells: [1 of pollfd] = [pollfd(fd: doorbell.descriptor, events: Int16(POLLIN), revents: 0)]
            self.sleep(on: &doorbells, sleep)
            answerDoorbell()
            _ = step()
        }
    }

    override func step() -> Bool {
        checkPatience()
        while let entry = lock.locked({ takeReleased() }) { run(entry.batch, entry.index..<entry.index + 1) }
        switch perform({ take(into: box) }) {
        case .sleep: break
        case .run:
            run(box, 0..<box.batch.count)
            box.batch.removeAll()
        case .hold: box = BatchBox(longestChain: lock.locked { transport.longestChain })
        }
        return lock.locked { workIsWaiting }
    }

    private var workIsWaiting: Bool { !pending.isEmpty || released > 0 }

    private enum Next { case sleep, run, hold }

    /// Takes what the queues have, with the lock held. From here on the thread is busy, unless the requests are held.
    private func take(into box: BatchBox) -> Next {
        let queues = pending
        pending = []
        queues.forEach { apply(transport.take(queue: $0, into: &box.batch)) }
        guard box.batch.count > 0 else { return .sleep }
        if holding {
            held += (0..<box.batch.count).map { Held(batch: box, index: $0) }
            return .hold
        }
        busy = true
        return .run
    }

    /// Does the I/O of the requests in `range` without the lock, and reports their outcomes with it.
    private func run(_ box: BatchBox, _ range: Range<Int>) {
        for index in range {
            let work = box.batch[index]
            let (wanted, failure) = lock.locked {
                let wanted = transport.isCurrent(work.token) && !stopping
                return (wanted, wanted ? takeFailure() : nil)
            }
            guard wanted else { continue }
            let outcome = failure ?? backend.perform(work.request, identity: identity)
            perform { apply(transport.finish(work.token, outcome)) }
        }
        lock.locked {
            busy = false
            runs += 1
            lock.broadcast()
        }
    }

    /// How the next request is to fail, if it is.
    private func takeFailure() -> Outcome? {
        guard failures.count > 0 else { return nil }
        failures.count -= 1
        return failures.outcome
    }

    private func takeReleased() -> Held? {
        guard released > 0, !held.isEmpty else {
            released = 0
            return nil
        }
        released -= 1
        busy = true
        return held.removeFirst()
    }

    override func cancel() {
        let unsubmitted = held
        held = []
        released = 0
        for entry in unsubmitted { apply(transport.finish(entry.work.token, .ioError)) }
    }

    /// A reset waits for the run of requests that is under way, and not for one that another processor starts meanwhile.
    override func quiesce() {
        let run = runs
        while busy && runs == run { lock.wait() }
    }

    // MARK: Tests

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
        doorbell.signal()
    }
}
