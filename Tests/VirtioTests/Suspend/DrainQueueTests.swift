// Queues that are enabled and reset during a drain.

import Testing
import Virtio
import VirtioABI

@Suite("Queues in a drain")
struct DrainQueueTests {
    @Test("A queue that is enabled with buffers in it, and not kicked, does not hold the drain up")
    func enabled() {
        let driver = FourQueuesDriver(suspend: .draft)
        driver.bringUp(to: .featuresOK)
        driver.setUp(queue: 0)
        driver.write(.status, 0x0f)
        driver.add([driver.writable(1)], to: 0)
        driver.write(.status, 0x1f)
        driver.setUp(queue: 1)
        driver.write(.queueReady, 0)
        _ = driver[queue: 1].add([driver.writable(1)])
        driver.configure(driver[queue: 1])
        driver.write(.queueReady, 1)
        #expect(driver.status.rawValue == 0x0f)
        driver.backend.complete()
        #expect(driver.status.rawValue == 0x1f && driver.takeUsed(1).count == 1, driver.state)
    }

    @Test("What a queue's reset drops is that queue's")
    func wanted() {
        let driver = FourQueuesDriver(suspend: nil)
        driver.bringUp()
        for queue in 0..<2 { driver.add([driver.writable(1)], to: queue) }
        let requests = driver.backend.requests
        #expect(requests.map { driver.backend.transport.isWanted($0.token) } == [true, true])
        driver.write(.queueSel, 1)
        #expect(driver.write(.queueReset, 1).events.contains(.cancel))
        #expect(requests.map { driver.backend.transport.isWanted($0.token) } == [true, false])
        #expect(requests.map { driver.backend.isCurrent($0) } == [true, true])
        driver.backend.complete(at: 1)
        #expect(driver.read(.queueReset) == 0 && driver.takeUsed(1).isEmpty)
        driver.backend.complete()
        #expect(driver.takeUsed(0).count == 1, driver.state)
    }
}
