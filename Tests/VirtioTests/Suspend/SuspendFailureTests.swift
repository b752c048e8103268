// T58 to T65: resets, errors and unusual Status words around a suspension (D-2, D-10, D-13, D-14).

import Testing
import Virtio
import VirtioABI

@Suite("Suspend: failure and reset")
struct SuspendFailureTests {
    /// Resets the device; fails unless the reset is complete when its Status write returns, and late completions have
    /// no effect.
    private func expectReset(_ driver: BlockDriver, _ location: SourceLocation = #_sourceLocation) {
        let edges = driver.backend.line.risingEdges
        driver.write(.status, 0)
        #expect(driver.statusByte == 0, driver.state, sourceLocation: location)
        let before = driver.memory.snapshot()
        driver.backend.complete()
        driver.backend.deadline()
        driver.backend.ready()
        #expect(driver.memory.changes(since: before) == [], driver.state, sourceLocation: location)
        #expect(driver.statusByte == 0 && driver.interruptStatus == [], driver.state, sourceLocation: location)
        #expect(!driver.isReady(0), driver.state, sourceLocation: location)
        #expect(driver.backend.line.risingEdges == edges, sourceLocation: location)
    }

    @Test(
        "T58 reset while suspending: a late completion touches nothing",
        .covers("D-10", "B-7", "MM-3"), arguments: SuspendDialect.allCases)
    func T58_suspending(_ dialect: SuspendDialect) {
        let (driver, _) = BlockDriver.busy(dialect)
        driver.requestSuspend()
        expectReset(driver)
        #expect(driver.takeEvents() == [.drainBegan, .cancel, .quiesce])
        driver.bringUp()
        driver.expectWorks()
    }

    @Test(
        "T58 a late completion means nothing to the device's next life either", .covers("D-10", "B-7"),
        arguments: SuspendDialect.allCases)
    func T58_nextLife(_ dialect: SuspendDialect) {
        let (driver, _) = BlockDriver.busy(dialect)
        driver.requestSuspend()
        driver.bringUp()
        // The same head in the next epoch: the completion of the previous epoch comes first.
        let chain = driver.submitRead()
        let used = driver[queue: 0].usedIndex
        driver.backend.complete(1)
        #expect(driver[queue: 0].usedIndex == used, driver.state)
        #expect(driver.interruptStatus == [])
        driver.backend.complete()
        driver.expectRead(chain)
    }

    @Test(
        "T59 reset of a suspended device: nothing deferred gets out; the new configuration is there",
        .covers("D-9", "D-10", "B-7"), arguments: SuspendDialect.allCases)
    func T59_suspended(_ dialect: SuspendDialect) {
        let (driver, _) = BlockDriver.busy(dialect)
        driver.requestSuspend()
        if dialect == .draft { driver.backend.deadline() }
        driver.backend.complete()
        driver.acknowledge()
        let generation = driver.read(.configGeneration)
        driver.backend.change { $0.capacity = 5 }
        driver.submitRead(2)
        expectReset(driver)
        driver.bringUp()
        #expect(driver.configuration(BlockConfiguration.capacity) == 5)
        #expect(driver.read(.configGeneration) == generation + 1)
        #expect(driver.interruptStatus == [], driver.state)
        driver.expectWorks()
    }

    @Test("T60 reset while resuming", .covers("D-9", "D-10", "B-7"), arguments: SuspendDialect.allCases)
    func T60_resuming(_ dialect: SuspendDialect) {
        let (driver, _) = BlockDriver.busy(dialect)
        driver.backend.resumesAtOnce = false
        driver.requestSuspend()
        if dialect == .draft { driver.backend.deadline() } else { driver.backend.complete() }
        driver.acknowledge()
        driver.backend.change { $0.capacity = 5 }
        driver.requestResume()
        expectReset(driver)
        driver.bringUp()
        #expect(driver.configuration(BlockConfiguration.capacity) == 5)
        driver.expectWorks()
        driver.suspend()
    }

    @Test(
        "T61 FAILED does not keep a device from suspending and resuming",
        .covers("D-14", "V14-DEV-8", "V14-DEV-9", "V5-DEV-1"), arguments: SuspendDialect.allCases)
    func T61_failedSuspends(_ dialect: SuspendDialect) {
        let (driver, chain) = BlockDriver.busy(dialect)
        driver.write(.status, 0x9f)
        #expect(driver.statusByte == 0x8f, driver.state)
        driver.backend.complete()
        #expect(driver.statusByte == dialect.suspended | 0x80, driver.state)
        driver.expectRead(chain)
        driver.write(.status, dialect.resume | 0x80)
        #expect(driver.statusByte == 0x8f, driver.state)
        driver.requestSuspend()
        #expect(driver.statusByte == dialect.suspended | 0x80, driver.state)
        #expect(driver.count(.resetAfterFailed) == 0, "a resume is no initialisation")
        driver.bringUp()
        driver.expectWorks()
    }

    @Test(
        "T62 FAILED added to the value that Status reads changes nothing else",
        .covers("D-14"), arguments: SuspendDialect.allCases)
    func T62_failedAdded(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.backend.resumesAtOnce = false
        driver.bringUpSuspended()
        driver.write(.status, dialect.suspended | 0x80)
        driver.backend.ready()
        #expect(driver.statusByte == dialect.suspended | 0x80, driver.state)
        driver.bringUp(to: .queues)
        driver.write(.status, 0x8f)
        #expect(driver.statusByte == 0x8b, "FAILED keeps a device from going live")
    }

    @Test(
        "D-14: FAILED during a transition leaves the transition to the rest of the word", .covers("D-14"),
        arguments: SuspendDialect.allCases)
    func failedInTransition(_ dialect: SuspendDialect) {
        let (driver, chain) = BlockDriver.busy(dialect)
        driver.backend.resumesAtOnce = false
        driver.requestSuspend()
        driver.write(.status, 0x9f)
        #expect(driver.statusByte == 0x8f, driver.state)
        driver.backend.complete()
        #expect(driver.statusByte == dialect.suspended | 0x80, driver.state)
        driver.expectRead(chain)

        let other = BlockDriver(sectors: 8, suspend: dialect)
        other.backend.resumesAtOnce = false
        other.bringUpSuspended()
        other.requestResume()
        other.write(.status, dialect.resume | 0x80)
        #expect(other.statusByte == dialect.suspended | 0x80, other.state)
        other.backend.ready()
        #expect(other.statusByte == 0x8f, other.state)
    }

    @Test(
        "T63 the draft: a fatal error while suspended shows at the resume",
        .covers("D-13", "V5-DEV-6", "V5-DEV-8", "B-6"))
    func T63_draft() {
        let driver = BlockDriver(sectors: 8, suspend: .draft)
        driver.bringUpSuspended()
        let before = driver.appearance
        driver.backend.fatal()
        driver.expectUntouched(since: before)
        driver.requestResume()
        #expect(driver.statusByte == 0x4f, driver.state)
        #expect(driver.interruptStatus == .configurationChange)
        driver.bringUp()
        driver.expectWorks()
        driver.suspend()
        driver.resume()
    }

    @Test(
        "T63 1.4: a fatal error while suspended shows at once and raises nothing",
        .covers("D-13", "V14-DEV-6", "V14-DEV-9", "B-6"))
    func T63_ratified() {
        let driver = BlockDriver(sectors: 8, suspend: .ratified)
        driver.bringUpSuspended()
        driver.backend.fatal()
        #expect(driver.statusByte == 0x5b, driver.state)
        #expect(driver.interruptStatus == [])
        for word: UInt32 in [0x1f, 0x0f] { #expect(driver.write(.status, word) == Effects()) }
        driver.backend.ready()
        #expect(driver.statusByte == 0x5b, driver.state)
        #expect(driver.backend.line.risingEdges == 0)
        driver.bringUp()
        driver.expectWorks()
    }

    @Test("T64 the backend cannot resume", .covers("D-13", "V14-DEV-9", "B-6"), arguments: SuspendDialect.allCases)
    func T64_resumeFails(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.backend.resumesAtOnce = false
        driver.bringUpSuspended()
        driver.requestResume()
        driver.backend.fatal()
        #expect(driver.statusByte == (dialect == .draft ? 0x4f : 0x5b), driver.state)
        #expect(driver.interruptStatus == (dialect == .draft ? .configurationChange : []), driver.state)
        driver.backend.ready()
        driver.submitRead()
        #expect(driver.backend.requests.isEmpty, driver.state)
    }

    @Test(
        "a fatal error while suspending: SUSPEND is never shown", .covers("D-13", "V14-DEV-8", "B-6", "B-16"),
        arguments: SuspendDialect.allCases)
    func suspendFails(_ dialect: SuspendDialect) {
        let (driver, _) = BlockDriver.busy(dialect)
        driver.requestSuspend()
        driver.backend.fatal()
        #expect(driver.statusByte == 0x4f, driver.state)
        #expect(driver.interruptStatus == .configurationChange, driver.state)
        driver.backend.complete()
        driver.requestSuspend()
        #expect(driver.statusByte == 0x4f, driver.state)
        #expect(driver.takeUsed(0) == [])
    }

    @Test(
        "a broken ring ends a drain too", .covers("D-13", "V14-DEV-8"), arguments: SuspendDialect.allCases)
    func ringBreaksWhileSuspending(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.bringUp()
        driver[queue: 0].setAvailableIndex(0x4000)
        driver.requestSuspend()
        // 1.4 does not read the ring while suspending, so it finds the fault after the resume.
        if dialect == .ratified {
            #expect(driver.statusByte == 0x1b, driver.state)
            driver.requestResume()
        }
        #expect(driver.statusByte == 0x4f, driver.state)
        #expect(driver.interruptStatus == .configurationChange, driver.state)
    }

    @Test(
        "QueueReset of a device that needs a reset: the queue's state is reset, and QueueReset does not stay 1",
        .covers("MM-6", "B-19"), arguments: SuspendDialect.allCases)
    func queueResetWhenDead(_ dialect: SuspendDialect) {
        let (driver, _) = BlockDriver.busy(dialect)
        driver.backend.fatal()
        driver.write(.queueReset, 1)
        #expect(driver.read(.queueReset) == 1, "a request is still in the backend")
        driver.backend.complete()
        #expect(driver.read(.queueReset) == 0, driver.state)
        #expect(driver.read(.queueReady) == 0, driver.state)
    }

    @Test(
        "a pended QueueReset is over when the device dies instead of resuming",
        .covers("D-16", "MM-6"), arguments: SuspendDialect.allCases)
    func pendedQueueResetWhenDead(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.bringUpSuspended()
        driver.write(.queueReset, 1)
        #expect(driver.read(.queueReset) == 1)
        driver.backend.fatal()
        driver.requestResume()
        #expect(driver.statusByte & 0x40 != 0, driver.state)
        #expect(driver.read(.queueReset) == 0, driver.state)
        #expect(driver.read(.queueReady) == 0, driver.state)
    }

    @Test("QueueReady = 0 does not cut a queue reset short", .covers("MM-6"))
    func queueReadyDuringQueueReset() {
        let (driver, _) = BlockDriver.busy(.draft)
        driver.write(.queueReset, 1)
        driver.write(.queueReady, 0)
        #expect(driver.read(.queueReset) == 1, "a request is still in the backend")
        driver.backend.complete()
        #expect(driver.read(.queueReset) == 0, driver.state)
        #expect(driver.read(.queueReady) == 0, driver.state)
    }

    @Test(
        "T65 words that are no reset store nothing and clear nothing", .covers("D-2", "B-2"),
        arguments: SuspendDialect.allCases)
    func T65_oddWords(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.bringUp()
        for word: UInt32 in [0x100, 0xffff_ff00, 0x20, 0x40, 0x60, 0x01, 0x0b, 0x04] {
            driver.write(.status, word)
            #expect(driver.statusByte == 0x0f, driver.state)
        }
        // The register has 32 bits: higher bits of the access are ignored.
        driver.write(at: 0x70, width: 4, 0x1_0000_000f)
        #expect(driver.statusByte == 0x0f, driver.state)
        for width in [1, 2, 8] { driver.write(at: 0x70, width: width, 0) }
        #expect(driver.statusByte == 0x0f, driver.state)
        driver.expectWorks()
    }
}
