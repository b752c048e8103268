// The entropy device on the bus: the model, a source of random bytes, and the thread that fills one buffer after another without the
// device's lock.

import Glibc
import KVM
import Virtio

/// An entropy device with its source.
final class EntropySlot: Slot<Entropy>, DeviceControl, @unchecked Sendable {
    /// Used by one thread at a time: the worker, or the thread that calls `step`.
    private var source: EntropySource

    // Under the lock:
    /// Buffers that were popped; those before `next` are finished.
    private var batch: Batch<Entropy.Request>
    private var next = 0
    /// The buffer before `next` is being filled, and how many were before.
    private var isFilling = false
    private var filled: UInt64 = 0
    /// Requests that are to fail, and how.
    private var failures = (count: 0, outcome: Outcome.ioError)

    init(
        name: String, transport: consuming MMIOTransport<Entropy>, context: SlotContext, source: EntropySource
    ) throws(MachineError) {
        self.source = source
        batch = Batch(longestChain: transport.longestChain)
        try super.init(name: name, transport: transport, context: context)
    }

    // MARK: The thread

    override var threadKind: ThreadKind { .entropy }

    override func serve(_ worker: Worker) {
        while let milliseconds = lock.locked({ stopping ? nil : mayFill ? 0 : millisecondsToDeadline }) {
            var descriptors: [1 of pollfd] = [pollfd(worker.eventFD.descriptor, POLLIN)]
            sleep(on: &descriptors, milliseconds)
            drainEventFD(of: worker, by: worker)
            checkDeadlines()
            while !lock.locked({ stopping }), fillNext(mayPoll: true) {}
        }
    }

    override func step() -> Bool {
        checkDeadlines()
        return fillNext(mayPoll: false)
    }

    /// Fills the next buffer; false if there is none to fill now. A thread that `mayPoll` looks for more before it sleeps.
    private func fillNext(mayPoll: Bool) -> Bool {
        guard let work = withTransport(by: workers[0], { takeNext(mayPoll) }) else { return lock.locked { mayFill } }
        let outcome = source.fill(work.request.data)
        withTransport(by: workers[0]) {
            isFilling = false
            filled += 1
            lock.broadcast()
            apply(transport.finish(work.token, outcome))
        }
        return true
    }

    /// Whether a buffer may be popped or filled now; with the lock held.
    private var mayFill: Bool {
        next < batch.count ? hold.permitsNext : mustServe(transport.readyQueues)
    }

    /// The next buffer to fill; with the lock held.
    private func takeNext(_ mayPoll: Bool) -> Work<Entropy.Request>? {
        if next == batch.count {
            batch.removeAll()
            next = 0
            serve(transport.readyQueues, by: workers[0], mayPoll: mayPoll) { queue, requestsNotification in
                apply(transport.take(queue: queue, into: &batch, requestsNotification: requestsNotification))
                return batch.count > 0
            }
        }
        guard next < batch.count, hold.permitsNext else { return nil }
        let work = batch[next]
        next += 1
        hold.started()
        guard failures.count == 0, transport.isWanted(work.token) else {
            failures.count = max(0, failures.count - 1)
            apply(transport.finish(work.token, failures.outcome))
            return nil
        }
        isFilling = true
        return work
    }

    override func cancel() {
        for index in next..<batch.count where !transport.isWanted(batch[index].token) {
            apply(transport.finish(batch[index].token, .ioError))
        }
    }

    override func quiesce() {
        let current = filled
        while isFilling && filled == current { lock.wait() }
    }

    // MARK: Tests

    override func perform(_ command: TestCommand) throws(TestCommandError) {
        switch command {
        case .fail(let number, let count): lock.locked { failures = (count, Outcome(errno: number)) }
        default: try super.perform(command)
        }
    }

    // MARK: Snapshots

    /// The state of a fixed sequence; nothing for the host's random bytes.
    override var savedBackend: [UInt8] {
        guard case .sequence(let state) = source else { return [] }
        return (0..<8).map { UInt8(truncatingIfNeeded: state >> UInt64($0 * 8)) }
    }

    override func restoreBackend(_ bytes: [UInt8]) {
        if bytes.count == 8 { source = .sequence(bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }) }
    }

    override var backendState: BackendState {
        BackendState(holding: hold.isOn, waiting: batch.count - next, failing: failures.count)
    }
}
