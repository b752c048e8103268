import Synchronization
import Testing

@testable import Machine
@testable import Virtio

@Suite("The blocking I/O pool") struct BlockingIOPoolTests {
    private struct State {
        var started = 0
        var isOpen = false
        /// The indices of the requests of each call.
        var calls: [[Int]] = []
    }

    @Test("All flushes that wait are performed together, and other requests alone, in order")
    func flushes() throws {
        let batch = RequestBatch(id: 0, longestChain: 1)
        let operations: [Block.Request.Operation] = [
            .identify, .identify, .identify, .identify, .flush, .identify, .flush, .flush, .identify,
        ]
        let buffers = SegmentedBuffer([])
        for (index, operation) in operations.enumerated() {
            batch.requests.append(
                Work(
                    token: Token(queue: 0, name: UInt16(index), epoch: 0),
                    request: Block.Request(
                        offset: 0, count: 0, data: buffers.segments, durable: false, operation: operation)))
        }
        let lock = Lock()
        let state = Mutex(State())
        let pool = BlockingIOPool("pool") { requests in
            state.withLock { $0.calls.append(requests.map(\.index)) }
            lock.locked {
                state.withLock { $0.started += 1 }
                lock.broadcast()
                while !state.withLock({ $0.isOpen }) { lock.wait() }
            }
        }
        // A request for each thread, which it holds.
        for index in 0..<4 { #expect(pool.add(BatchedRequest(batch: batch, index: index))) }
        lock.locked { while state.withLock({ $0.started }) < 4 { lock.wait() } }
        for index in 4..<operations.count { #expect(pool.add(BatchedRequest(batch: batch, index: index))) }
        lock.locked {
            state.withLock { $0.isOpen = true }
            lock.broadcast()
        }
        pool.stop()
        let calls = state.withLock { $0.calls }
        #expect(calls.prefix(4).map { $0.count } == [1, 1, 1, 1])
        #expect(calls.dropFirst(4).sorted { $0[0] < $1[0] } == [[4, 6, 7], [5], [8]])
    }
}
