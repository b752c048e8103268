// A disk's thread on io_uring: one system call submits new transfers and waits for a completion or an available buffer
// notification.

import Glibc
import KVM
import Virtio

/// The loop of a worker of a `FileDisk`.
struct RingLoop: ~Copyable {
    /// The `user_data` of the poll on the worker's eventfd.
    private static let eventFD = UInt64.max

    private let slot: BlockSlot
    private let worker: Worker
    private let file: FileDisk
    private var ring: Ring
    /// A poll on the worker's eventfd is in the ring.
    private var isWatching = false
    /// Completions to be reported; kept to reuse its memory.
    private var completions: [Ring.Completion] = []
    /// The parts of a batch of buffered transfers.
    private var parts = BatchParts()

    init(_ slot: BlockSlot, _ worker: Worker, _ file: FileDisk, _ ring: consuming Ring) {
        self.slot = slot
        self.worker = worker
        self.file = file
        self.ring = ring
    }

    mutating func run() {
        while let milliseconds = slot.sleepTime(of: worker) {
            wait(milliseconds)
            reap()
            slot.checkDeadlines()
            startWork()
        }
        // Transfers in flight use guest memory and the ring's.
        while slot.isBusy {
            ring.submit(waiting: 100)
            reap()
        }
    }

    private mutating func wait(_ milliseconds: Int32) {
        // Fails if the ring is full; the submission then makes room for the next call.
        if !isWatching { isWatching = ring.watch(worker.eventFD.descriptor, userData: Self.eventFD) }
        let milliseconds = isWatching ? milliseconds : 0
        guard milliseconds != 0 else { return ring.submit(waiting: 0) }
        slot.countingWakeUp(isReady: { ring.poll() }) { ring.submit(waiting: milliseconds) }
    }

    /// Reports all completions under one lock hold, and reads the eventfd if it was signalled. Returns the bytes transferred.
    @discardableResult
    private mutating func reap() -> Int {
        var signalled = false
        var bytes = 0
        while let completion = ring.next() {
            if completion.userData == Self.eventFD {
                signalled = true
            } else {
                completions.append(completion)
                bytes += max(0, Int(completion.result))
            }
        }
        if signalled {
            isWatching = false
            slot.drainEventFD(of: worker, by: worker)
        }
        guard !completions.isEmpty else { return 0 }
        slot.report(completions, of: file, by: worker)
        completions.removeAll(keepingCapacity: true)
        if !file.isDirect { parts.completed(at: .now) }
        return bytes
    }

    private mutating func startWork() {
        var isEmpty = true
        var waiting = 0
        slot.startWork(for: worker, mayPoll: true) { request in
            if isEmpty && !file.isDirect { parts.foundBuffers(at: .now) }
            isEmpty = false
            // Read before the start: afterwards the request may be finished and its batch reused.
            waiting += request.work.request.data.byteCount
            if !start(request) {
                // The ring may be full: submitting makes room.
                ring.submit(waiting: 0)
                if !start(request) { slot.enqueueBlocking(request) }
            }
            guard !file.isDirect, waiting >= parts.size else { return }
            submitPart()
            waiting = 0
        }
        if isEmpty { parts.foundNothing() }
    }

    /// Submits a part of a batch and completes what was copied during the submission.
    private mutating func submitPart() {
        let start = Instant.now
        ring.submit(waiting: 0)
        let end = Instant.now
        parts.copied(reap(), from: start, to: end)
    }

    /// Queues the request's transfer in the ring; false if the ring is full or the request is not a single transfer.
    private mutating func start(_ request: BatchedRequest) -> Bool {
        let work = request.work.request
        guard let transfer = file.transfer(of: work) else { return false }
        return unsafe work.data.withBuffers { buffers in
            unsafe buffers.withMemoryRebound(to: iovec.self) {
                unsafe ring.transfer(
                    writes: transfer.writes, transfer.descriptor, $0, at: work.offset, userData: request.userData)
            }
        }
    }
}

extension BlockSlot {
    /// Finishes the requests of `completions`. A transfer that was not done whole is done again by the blocking I/O pool, in as many
    /// calls as it takes.
    fileprivate func report(_ completions: [Ring.Completion], of file: FileDisk, by worker: Worker) {
        var incomplete: [BatchedRequest] = []
        withTransport(by: worker) {
            for completion in completions {
                let request = request(completion.userData)
                if let outcome = file.outcome(of: request.work.request, result: Int(completion.result)) {
                    finish(request, outcome)
                } else {
                    incomplete.append(request)
                }
            }
        }
        for request in incomplete { enqueueBlocking(request) }
    }
}
