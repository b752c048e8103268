// A disk's thread on io_uring: one system call tells the kernel of new transfers and waits for what comes first, a completion or a
// kick.

import Glibc
import KVM
import Virtio

/// What a worker of a disk in a file does until it is to end.
struct RingLoop: ~Copyable {
    private static let eventFD = UInt64.max
    /// So much of a batch is given to the kernel at a time. What the page cache has is copied as it is submitted: the driver hears of
    /// the first of it, and comes for it, while the rest is copied.
    private static let earlyBytes = 32 << 10

    private let slot: BlockSlot
    private let worker: Worker
    private let file: FileDisk
    private var ring: Ring
    /// The kernel will tell of the next kick.
    private var listens = false
    /// Completions that were not reported yet; used again and again.
    private var completions: [Ring.Completion] = []

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
            slot.checkDrainDeadline()
            startWork()
        }
        // What is with the kernel uses guest memory, and the ring's.
        while slot.isBusy {
            ring.submit(waiting: 100)
            reap()
        }
    }

    private mutating func wait(_ milliseconds: Int32) {
        // A full ring is emptied by the submission, so that the next time there is room.
        if !listens { listens = ring.watch(worker.eventFD.descriptor, name: Self.eventFD) }
        let milliseconds = listens ? milliseconds : 0
        guard milliseconds != 0 else { return ring.submit(waiting: 0) }
        slot.countingWakeUp(isReady: { ring.look() }) { ring.submit(waiting: milliseconds) }
    }

    /// Reports what is done, all of it at once, and looks whether there was a kick.
    private mutating func reap() {
        var rang = false
        while let completion = ring.next() {
            if completion.name == Self.eventFD {
                rang = true
            } else {
                completions.append(completion)
            }
        }
        if rang {
            listens = false
            slot.drainEventFD(of: worker, by: worker)
        }
        guard !completions.isEmpty else { return }
        slot.report(completions, of: file, by: worker)
        completions.removeAll(keepingCapacity: true)
    }

    private mutating func startWork() {
        var (waiting, limit) = (0, Self.earlyBytes)
        slot.startWork(for: worker, mayPoll: true) { request in
            // Once started it can be done, and its box empty.
            waiting += request.work.request.data.byteCount
            if !start(request) {
                // The ring is full: what is in it goes to the kernel.
                ring.submit(waiting: 0)
                if !start(request) { slot.handOver(request) }
            }
            guard waiting >= limit, !file.isDirect else { return }
            ring.submit(waiting: 0)
            reap()
            (waiting, limit) = (0, limit << 2)
        }
    }

    /// Gives a transfer to the ring; false if it has no room or the request is none.
    private mutating func start(_ request: BatchedRequest) -> Bool {
        let work = request.work.request
        guard let direction = file.transfer(of: work) else { return false }
        return unsafe work.data.withBuffers { buffers in
            unsafe buffers.withMemoryRebound(to: iovec.self) {
                unsafe ring.transfer(
                    writes: direction == .write, file.fastDescriptor, $0, at: work.offset, name: request.name)
            }
        }
    }
}

extension BlockSlot {
    /// Reports what the kernel says of transfers. One that it did not do whole is done again by the slow lane, which does it piece by
    /// piece.
    fileprivate func report(_ completions: [Ring.Completion], of file: FileDisk, by worker: Worker) {
        var again: [BatchedRequest] = []
        withTransport(by: worker) {
            for completion in completions {
                let request = request(named: completion.name)
                if let outcome = file.outcome(of: request.work.request, result: Int(completion.result)) {
                    finish(request, outcome)
                } else {
                    again.append(request)
                }
            }
        }
        for request in again { handOver(request) }
    }
}
