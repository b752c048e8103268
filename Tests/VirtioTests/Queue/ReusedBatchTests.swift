// A worker thread reuses one batch. An invalid chain must leave nothing in it that would reduce its room.

import Testing
import VirtioABI

@testable import Virtio

@Suite("Reused batch")
struct ReusedBatchTests {
    /// Chains of the maximum length that are invalid at their end.
    static let invalidChains: [(fault: QueueFault, parts: @Sendable (BlockDriver) -> [Part])] = [
        (.noRoomForStatus, { driver in (0..<256).map { _ in driver.readable([1]) } }),
        (
            .readableAfterWritable,
            { driver in (0..<255).map { _ in driver.writable(1) } + [driver.readable([1])] }
        ),
    ]

    @Test("A chain that breaks the queue leaves its batch as it was", arguments: invalidChains.indices)
    func broken(index: Int) {
        let driver = BlockDriver()
        driver.backend.servesAtOnce = false
        var batch = Batch<Block.Request>(longestChain: driver.backend.transport.longestChain)
        for _ in 0..<3 {
            driver.bringUp(queueSize: 256)
            driver.add(Self.invalidChains[index].parts(driver), to: 0)
            driver.backend.call { $0.take(queue: 0, into: &batch) }
            #expect(driver.backend.transport.lastFault == Self.invalidChains[index].fault)
            #expect(batch.count == 0)
        }
        driver.bringUp()
        driver.submit(BlockRequest.Kind.read, room: 512)
        let effects = driver.backend.call { $0.take(queue: 0, into: &batch) }
        #expect(batch.count == 1 && effects.queues.isEmpty, driver.state)
    }
}
