// Device reset (VIRTIO 1.4, 2.4; 4.2.2.1; MM-3, D-10): restores every register except ConfigGeneration, from every
// state, and no request from before the reset writes to guest memory.

import Testing
import Virtio
import VirtioABI

@Suite("Reset")
struct ResetTests {
    @Test("After a reset every register reads as at first, from every step", arguments: BlockDriver.Stage.allCases)
    func registers(stage: BlockDriver.Stage) {
        let driver = BlockDriver(suspend: .draft)
        let fresh = driver.dump()
        driver.bringUp(to: stage)
        for selector in [Register.deviceFeaturesSel, .driverFeaturesSel, .queueSel, .shmSel] {
            driver.write(selector, 1)
        }
        driver.write(.status, 0)
        #expect(driver.read(.deviceFeatures) == RegisterTests.features)
        #expect(driver.read(.queueSizeMax) == 256)
        #expect(driver.dump() == fresh, driver.state)
    }

    @Test("A reset clears the driver's features")
    func features() {
        let driver = BlockDriver()
        driver.bringUp(to: .features)
        driver.write(.status, 0)
        driver.write(.status, 0x03)
        driver.write(.status, 0x0b)
        #expect(driver.status.rawValue == 0x03, driver.state)
    }

    @Test("A reset clears the queues' registers")
    func queues() {
        let driver = BlockDriver()
        driver.bringUp()
        driver.write(.status, 0)
        driver.bringUp(to: .featuresOK)
        driver.write(.queueSel, 0)
        driver.write(.queueReady, 1)
        #expect(driver.backend.transport.lastFault == .badSize, driver.state)
    }

    @Test("A reset clears InterruptStatus and lowers the line")
    func interrupts() {
        let driver = BlockDriver()
        driver.bringUp()
        driver.submit(BlockRequest.Kind.flush)
        driver.backend.complete()
        driver.backend.change { $0.capacity = 1 }
        #expect(driver.backend.line.level)
        driver.write(.status, 0)
        #expect(driver.interruptStatus == [] && !driver.backend.line.level, driver.state)
    }

    @Test("A reset keeps ConfigGeneration and the configuration set by the host")
    func generation() {
        let driver = BlockDriver()
        driver.bringUp()
        driver.backend.change { $0.capacity = 1 }
        let generation = driver.read(.configGeneration)
        driver.write(.status, 0)
        #expect(driver.read(.configGeneration) == generation)
        #expect(driver.configuration(0, width: 8) == 1)
    }

    @Test("A reset always requests cancel and quiesce from the host")
    func cancel() {
        let driver = BlockDriver()
        for stage in BlockDriver.Stage.allCases {
            driver.bringUp(to: stage)
            #expect(driver.write(.status, 0).events == [.cancel, .quiesce], driver.state)
        }
    }

    @Test("A completion that comes after the reset touches nothing (trap 14, T58)", arguments: [true, false])
    func lateCompletion(initialisedAgain: Bool) {
        let driver = BlockDriver()
        driver.bringUp()
        let chain = driver.submit(BlockRequest.Kind.read, room: 512)
        driver.submit(BlockRequest.Kind.flush)
        driver.write(.status, 0)
        #expect(!driver.backend.isCurrent(driver.backend.requests[0]))
        if initialisedAgain { driver.bringUp() }
        let memory = driver.memory.snapshot()
        driver.backend.complete(1)
        driver.backend.fail(1)
        #expect(driver.memory.changes(since: memory) == [])
        #expect(driver.statusByte(chain) == FakeMemory.pattern)
        #expect(driver.interruptStatus == [] && !driver.backend.line.level, driver.state)
    }

    @Test("An old token does not answer the new request that has its head")
    func oldToken() throws {
        let driver = BlockDriver()
        driver.bringUp()
        let old = driver.submit(BlockRequest.Kind.flush)
        let pending = try #require(driver.backend.requests.first)
        driver.bringUp()
        let new = driver.submit(BlockRequest.Kind.flush)
        #expect(new.head == old.head)
        driver.backend.finish(pending, .ok())
        #expect(driver.takeUsed(0) == [], driver.state)
        #expect(driver.backend.transport.requestsInFlight == 1, driver.state)
        driver.backend.complete(at: 1)
        #expect(driver.takeUsed(0).count == 1, driver.state)
        driver.backend.finish(pending, .ok())
        #expect(driver.takeUsed(0) == [], driver.state)
    }

    @Test("A device with NEEDS_RESET works after a reset")
    func health() {
        let driver = BlockDriver()
        driver.bringUp()
        driver.backend.fatal()
        #expect(driver.status.contains(.needsReset), driver.state)
        driver.bringUp()
        #expect(driver.status.rawValue == 0x0f, driver.state)
        let chain = driver.submit(BlockRequest.Kind.flush)
        driver.backend.complete()
        #expect(driver.statusByte(chain) == 0, driver.state)
    }

    @Test("The same features are accepted again, many times over (T09, B-10)")
    func again() {
        let driver = BlockDriver(suspend: .ratified)
        for _ in 0..<50 {
            driver.bringUp()
            #expect(driver.status.rawValue == 0x0f, driver.state)
        }
    }
}
