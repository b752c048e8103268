// Disk requests on their way between the model and the file. They are taken in batches; a batch's memory is used again when its
// last request is finished, so that serving one allocates nothing.

import Virtio

/// A batch of requests with the backend.
final class RequestBatch {
    let id: Int
    var requests: Batch<Block.Request>
    /// Requests that are not finished.
    var open = 0
    /// Of the two runs between resets that can overlap, the one they belong to.
    var run = 0

    init(id: Int, longestChain: UInt16) {
        self.id = id
        requests = Batch(longestChain: longestChain)
    }
}

/// One request of a box.
struct BatchedRequest {
    let batch: RequestBatch
    let index: Int

    var work: Work<Block.Request> { batch.requests[index] }
    /// The request as a number, for a kernel that gives it back.
    var name: UInt64 { UInt64(batch.id) << 32 | UInt64(index) }
}
