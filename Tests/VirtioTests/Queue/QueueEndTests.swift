// A driver that stops one queue by QueueReady = 0 (VIRTIO 1.4, 4.2.3.2; MM-5, MM-12) or by QueueReset (2.6.1; MM-6),
// with and without requests in flight. QueueReady and QueueReset read 1 until all requests have completed.

import Testing
import Virtio
import VirtioABI

@Suite("End of a queue")
struct QueueEndTests {
    /// The registers that stop a queue.
    static let ways: [Register] = [.queueReady, .queueReset]

    func driver(_ way: Register, queueSize: UInt16? = nil) -> BlockDriver {
        let driver = BlockDriver()
        driver.bringUp(queueSize: queueSize)
        driver.write(.queueSel, 0)
        return driver
    }

    @discardableResult
    func end(_ driver: BlockDriver, by way: Register) -> Effects { driver.write(way, way == .queueReady ? 0 : 1) }

    @Test("An idle queue stops at once", arguments: ways)
    func idle(way: Register) {
        let driver = driver(way)
        #expect(end(driver, by: way).events == [])
        #expect(driver.read(.queueReady) == 0 && driver.read(.queueReset) == 0, driver.state)
        driver.kick(0)
        #expect(driver.count(.notifiedQueueReady) == 1, driver.state)
    }

    @Test("With requests in flight it reads 1 until the last is back, and they are not used", arguments: ways)
    func inFlight(way: Register) {
        let driver = driver(way)
        let chains = (0..<3).map { _ in driver.submit(BlockRequest.Kind.flush) }
        driver.backend.complete(1)
        driver.acknowledge()
        #expect(end(driver, by: way).events == .cancel)
        let memory = driver.memory.snapshot()
        for left in [2, 1] {
            #expect(driver.read(.queueReady) == 1, "\(left) requests left")
            #expect(driver.read(.queueReset) == (way == .queueReset ? 1 : 0), "\(left) requests left")
            driver.backend.complete(1)
        }
        #expect(driver.read(.queueReady) == 0 && driver.read(.queueReset) == 0, driver.state)
        #expect(driver.memory.changes(since: memory) == [] && driver.interruptStatus == [], driver.state)
        #expect(chains.map { driver.statusByte($0) } == [0, FakeMemory.pattern, FakeMemory.pattern])
    }

    @Test("The device takes nothing more from a queue that is stopping", arguments: ways)
    func noMore(way: Register) {
        let driver = driver(way)
        driver.submit(BlockRequest.Kind.flush)
        end(driver, by: way)
        driver.submit(BlockRequest.Kind.flush)
        driver.backend.take(queue: 0)
        #expect(driver.backend.requests.count == 1, driver.state)
        driver.write(.queueReady, 1)
        driver.backend.complete()
        #expect(driver.read(.queueReady) == 0, "a queue that is stopping cannot be made ready")
        driver.backend.take(queue: 0)
        #expect(driver.backend.requests.isEmpty && driver.takeUsed(0) == [], driver.state)
    }

    @Test("What comes back twice, or after the queue is there again, has no effect", arguments: ways)
    func oldTokens(way: Register) throws {
        let driver = driver(way)
        driver.submit(BlockRequest.Kind.flush)
        let pending = try #require(driver.backend.requests.first)
        end(driver, by: way)
        driver.backend.complete()
        #expect(!driver.backend.isCurrent(pending))
        driver.setUp(queue: 0)
        let chain = driver.submit(BlockRequest.Kind.flush)
        let memory = driver.memory.snapshot()
        driver.backend.finish(pending, .ok())
        #expect(driver.memory.changes(since: memory) == [] && driver.interruptStatus == [], driver.state)
        driver.backend.complete()
        #expect(driver.takeUsed(0) == [UsedElement(id: UInt32(chain.head), length: 1)], driver.state)
    }

    @Test("A queue can come back smaller, larger and elsewhere, with its indices at 0", arguments: ways)
    func again(way: Register) {
        let driver = driver(way, queueSize: 8)
        for size in [UInt16(4), 64, 2, 256] {
            let chain = driver.submit(BlockRequest.Kind.flush)
            driver.backend.complete()
            #expect(driver.takeUsed(0) == [UsedElement(id: UInt32(chain.head), length: 1)], driver.state)
            end(driver, by: way)
            driver.setUp(queue: 0, size: size)
            #expect(driver.read(.queueReady) == 1 && driver.read(.queueReset) == 0, driver.state)
        }
    }

    @Test("QueueReady = 0 keeps the queue's registers, QueueReset clears them")
    func registers() {
        let driver = driver(.queueReady)
        driver.write(.queueReady, 0)
        driver.write(.queueReady, 1)
        #expect(driver.read(.queueReady) == 1, driver.state)
        driver.write(.queueReset, 1)
        driver.write(.queueReady, 1)
        #expect(driver.read(.queueReady) == 0 && driver.backend.transport.lastFault == .badSize, driver.state)
    }

    @Test("The other queue is not affected", arguments: ways)
    func otherQueue(way: Register) {
        let driver = ConsoleDriver()
        driver.bringUp()
        driver.print([1])
        driver.write(.queueSel, 0)
        driver.write(way, way == .queueReady ? 0 : 1)
        #expect(!driver.isReady(0) && driver.isReady(1), driver.state)
        driver.print([2])
        driver.backend.complete()
        #expect(driver.terminal.output == [1, 2] && driver.takeUsed(1).count == 2, driver.state)
    }

    @Test("Without a ready receive queue, input is held until the queue is ready again", arguments: ways)
    func input(way: Register) {
        let driver = ConsoleDriver()
        driver.bringUp()
        driver.post(4)
        driver.write(.queueSel, 0)
        driver.write(way, way == .queueReady ? 0 : 1)
        driver.type([7, 8])
        #expect(driver.takeUsed(0) == [], driver.state)
        driver.setUp(queue: 0)
        let chain = driver.post(4)
        #expect(driver.answer(chain).prefix(2) == [7, 8], driver.state)
    }

    @Test("A device reset completes the stop of a queue", arguments: ways)
    func reset(way: Register) {
        let driver = driver(way)
        driver.submit(BlockRequest.Kind.flush)
        end(driver, by: way)
        driver.bringUp(to: .featuresOK)
        #expect(!driver.isReady(0) && driver.read(.queueReset) == 0, driver.state)
        driver.bringUp()
        driver.backend.complete()
        driver.submit(BlockRequest.Kind.flush)
        driver.backend.complete()
        #expect(driver.takeUsed(0).count == 1, driver.state)
    }

    @Test("QueueReset has no effect without VIRTIO_F_RING_RESET, nor with another value than 1")
    func resetNotNegotiated() {
        let driver = BlockDriver()
        driver.bringUp(accepting: [.version1])
        driver.write(.queueSel, 0)
        driver.write(.queueReset, 1)
        #expect(driver.read(.queueReady) == 1 && driver.read(.queueReset) == 0, driver.state)
        driver.bringUp()
        driver.write(.queueSel, 0)
        driver.write(.queueReset, 0)
        #expect(driver.read(.queueReady) == 1 && driver.read(.queueReset) == 0, driver.state)
    }

    @Test(
        "In the narrow scope a suspended queue ends when its requests are back, not when the device resumes (D-5)",
        arguments: ways)
    func suspended(way: Register) {
        let driver = BlockDriver(suspend: .draft, freeze: .narrow)
        driver.bringUp()
        driver.submit(BlockRequest.Kind.flush)
        driver.write(.status, 0x1f)
        driver.backend.deadline()
        #expect(driver.status.rawValue == 0x1f, driver.state)
        driver.write(.queueSel, 0)
        end(driver, by: way)
        #expect(driver.read(.queueReady) == 1, driver.state)
        driver.backend.complete()
        #expect(driver.read(.queueReady) == 0 && driver.read(.queueReset) == 0, driver.state)
    }

    @Test("A queue may also start after DRIVER_OK")
    func lateStart() {
        let driver = BlockDriver()
        driver.bringUp(to: .featuresOK)
        driver.write(.status, 0x0f)
        driver.setUp(queue: 0)
        driver.submit(BlockRequest.Kind.flush)
        driver.backend.complete()
        #expect(driver.takeUsed(0).count == 1, driver.state)
    }
}
