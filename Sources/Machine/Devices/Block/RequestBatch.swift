// Disk requests in flight between the model and the backend. Batches are reused once their last request is finished, so serving a
// request allocates nothing.

import Virtio

/// A batch of requests in flight.
final class RequestBatch {
    let id: Int
    var requests: Batch<Block.Request>
    /// Requests of the batch that are not finished.
    var open = 0
    /// The reset epoch of the requests, 0 or 1 (`BlockSlot.epoch`).
    var epoch = 0

    init(id: Int, longestChain: UInt16) {
        self.id = id
        requests = Batch(longestChain: longestChain)
    }
}

/// One request of a batch.
struct BatchedRequest {
    let batch: RequestBatch
    let index: Int

    var work: Work<Block.Request> { batch.requests[index] }
    var isFlush: Bool { if case .flush = work.request.operation { true } else { false } }
    /// The request's number, which identifies its completion in a ring.
    var userData: UInt64 { UInt64(batch.id) << 32 | UInt64(index) }
}
