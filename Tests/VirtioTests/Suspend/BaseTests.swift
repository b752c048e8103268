// Requirements of the base text that no T-numbered test covers.

import Testing
import Virtio
import VirtioABI

@Suite("Suspend: base text")
struct SuspendBaseTests {
    @Test("magic value and version", .covers("MM-1"))
    func identity() {
        let driver = BlockDriver(sectors: 8)
        #expect(driver.read(.magicValue) == 0x7472_6976)
        #expect(driver.read(.version) == 2)
    }

    @Test("features that MMIO reserves are not offered", .covers("MM-16", "B-9"), arguments: SuspendDialect.allCases)
    func reservedFeatures(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        // SR_IOV, NOTIF_CONFIG_DATA and ADMIN_VQ are reserved for other transports.
        for bit in [37, 39, 41] { #expect(!driver.offered.contains(Features(bit: bit))) }
        for bit in 44..<50 { #expect(!driver.offered.contains(Features(bit: bit))) }
        driver.write(.deviceFeaturesSel, 2)
        #expect(driver.read(.deviceFeatures) == 0)
    }

    @Test("the configuration can be read before FEATURES_OK", .covers("B-13"))
    func earlyConfiguration() {
        let driver = BlockDriver(sectors: 8)
        driver.bringUp(to: .driver)
        #expect(driver.configuration(BlockConfiguration.capacity, width: 8) == 8)
    }

    @Test("before DRIVER_OK no buffer is used and nothing is told", .covers("B-5"), arguments: SuspendDialect.allCases)
    func beforeDriverOK(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.bringUp(to: .queues)
        let chain = driver.submitRead()
        let before = driver.memory.snapshot()
        driver.backend.take(queue: 0)
        driver.backend.change { $0.capacity = 9 }
        #expect(driver.backend.requests.isEmpty, driver.state)
        #expect(driver.interruptStatus == [])
        #expect(driver.memory.changes(since: before) == [])
        driver.write(.status, 0x0f)
        driver.backend.complete()
        driver.expectRead(chain)
    }

    @Test("kicks without a buffer behind them do no harm", .covers("B-18"), arguments: SuspendDialect.allCases)
    func spuriousKicks(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.bringUp()
        for index in UInt32(0)..<4 { driver.write(.queueNotify, index) }
        driver.requestSuspend()
        driver.kick(0)
        driver.resume()
        driver.kick(0)
        #expect(driver.backend.requests.isEmpty)
        #expect(driver.statusByte == 0x0f, driver.state)
        driver.expectWorks()
    }

    @Test("a queue that is not ready is not touched", .covers("MM-5"), arguments: SuspendDialect.allCases)
    func queueNotReady(_ dialect: SuspendDialect) {
        let (driver, chain) = BlockDriver.busy(dialect)
        driver.write(.queueReady, 0)
        #expect(driver.read(.queueReady) == 1, "a request is still in the backend")
        driver.backend.complete()
        #expect(driver.read(.queueReady) == 0, driver.state)
        #expect(driver.takeUsed(0) == [])
        #expect(driver.statusByte(chain) == FakeMemory.pattern)
        driver[queue: 0].setAvailableIndex(0x4000)
        driver.kick(0)
        driver.backend.take(queue: 0)
        driver.suspend()
        driver.resume()
        #expect(driver.interruptStatus == [], driver.state)
    }
}
