// T10 to T23 and T43: from the SUSPEND write to the acknowledgement (D-3, D-4, D-11, D-12).

import Testing
import Virtio
import VirtioABI

@Suite("Suspend: drain")
struct SuspendDrainTests {
    @Test("T10 the draft shows 0x1f, DRIVER_OK all the while", .covers("V5-DEF-1", "V5-DEV-1", "V5-DEV-10", "D-3"))
    func T10_draftAcknowledges() {
        let (driver, chain) = BlockDriver.busy(.draft)
        driver.requestSuspend()
        #expect(driver.statusByte == 0x0f, driver.state)
        driver.backend.complete()
        #expect(driver.statusByte == 0x1f, driver.state)
        driver.expectRead(chain)
        driver.resume()
        // Idle: the drain is immediate, and the next read shows it.
        driver.suspend()
    }

    @Test("T11 1.4 shows 0x1b and never 0x1f", .covers("V14-DEF-1", "V14-INF-1", "V14-DEV-8", "D-3"))
    func T11_ratifiedAcknowledges() {
        let (driver, chain) = BlockDriver.busy(.ratified)
        driver.requestSuspend()
        #expect(driver.statusByte == 0x0f, driver.state)
        driver.backend.complete()
        #expect(driver.statusByte == 0x1b, driver.state)
        driver.expectRead(chain)
        driver.resume()
        driver.suspend()
    }

    @Test(
        "T12 a request in flight: the old value until it is used",
        .covers("V5-DEV-11", "V14-DEV-11", "D-3", "D-11"), arguments: SuspendDialect.allCases)
    func T12_oldValueWhileInFlight(_ dialect: SuspendDialect) {
        let (driver, chain) = BlockDriver.busy(dialect)
        driver.requestSuspend()
        for _ in 0..<1000 { #expect(driver.statusByte == 0x0f) }
        #expect(driver.takeEvents() == .drainBegan)
        driver.backend.complete()
        #expect(driver.statusByte == dialect.suspended, driver.state)
        #expect(driver.takeEvents() == .suspended)
        driver.expectRead(chain)
    }

    @Test(
        "T13 the used entry and its interrupt are there when the acknowledgement is",
        .covers("D-4", "V5-DEV-11", "V14-DEV-12", "B-17"), arguments: SuspendDialect.allCases)
    func T13_notifiedBeforeAcknowledged(_ dialect: SuspendDialect) {
        let (driver, chain) = BlockDriver.busy(dialect)
        driver.requestSuspend()
        driver.backend.complete()
        #expect(driver.statusByte == dialect.suspended, driver.state)
        #expect(driver.interruptStatus == .usedBuffer, driver.state)
        #expect(driver.backend.line.level)
        driver.expectRead(chain)
    }

    @Test(
        "T14 a stuck backend holds neither the Status write nor any register",
        .covers("D-11"), arguments: SuspendDialect.allCases)
    func T14_neverBlocks(_ dialect: SuspendDialect) {
        let (driver, _) = BlockDriver.busy(dialect)
        let before = driver.dump()
        let effects = driver.requestSuspend()
        #expect(effects.events == .drainBegan)
        #expect(driver.dump() == before, driver.state)
        #expect(driver.configuration(BlockConfiguration.capacity) == 8)
    }

    @Test("T15 the draft: a suspend under way is aborted", .covers("V5-DRV-6"))
    func T15_abort() {
        let (driver, first) = BlockDriver.busy(.draft)
        driver.requestSuspend()
        let second = driver.submitRead(2, kick: false)
        driver.write(.status, 0x0f)
        #expect(driver.statusByte == 0x0f, driver.state)
        // The abort rescans every queue: the second request needs no notification.
        #expect(driver.backend.requests.count == 2, driver.state)
        driver.backend.complete(1)
        driver.expectRead(first)
        driver.backend.complete()
        driver.expectRead(second, sector: 2)
        driver.expectWorks()
        #expect(driver.statusByte == 0x0f, driver.state)
        #expect(driver.takeEvents() == .drainBegan)
    }

    @Test("T16 1.4: there is no abort", .covers("V14-DEV-8"), arguments: [UInt32(0x0f), 0x0b, 0x1f, 0x1b])
    func T16_noAbort(_ word: UInt32) {
        let (driver, chain) = BlockDriver.busy(.ratified)
        driver.requestSuspend()
        #expect(driver.write(.status, word) == Effects())
        #expect(driver.statusByte == 0x0f, driver.state)
        let second = driver.submitRead(2)
        #expect(driver.backend.requests.count == 1, driver.state)
        driver.backend.complete()
        #expect(driver.statusByte == 0x1b, driver.state)
        driver.expectRead(chain)
        driver.resume()
        driver.backend.complete()
        driver.expectRead(second, sector: 2)
    }

    @Test(
        "T17 suspending twice is suspending once", .covers("D-2", "H-1"),
        arguments: SuspendDialect.allCases)
    func T17_twice(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.bringUpSuspended()
        #expect(driver.takeEvents() == .suspended)
        let before = driver.appearance
        for _ in 0..<3 {
            driver.write(.status, dialect.suspended)
            #expect(driver.statusByte == dialect.suspended, driver.state)
        }
        driver.expectUntouched(since: before)
        #expect(driver.takeEvents() == [])
    }

    @Test("T18 1.4: the byte that suspended resumes", .covers("H-1", "V14-INF-2"))
    func T18_sameByteResumes() {
        let driver = BlockDriver(sectors: 8, suspend: .ratified)
        driver.bringUpSuspended()
        driver.write(.status, 0x1f)
        #expect(driver.statusByte == 0x0f, driver.state)
        driver.expectWorks()
    }

    @Test(
        "T19 empty receive buffers are not work", .covers("D-12", "V5-DEV-12"),
        arguments: SuspendDialect.allCases)
    func T19_emptyReceiveBuffers(_ dialect: SuspendDialect) {
        let driver = ConsoleDriver(suspend: dialect)
        driver.bringUp()
        for _ in 0..<16 { driver.post(8) }
        driver.suspend()
        #expect(driver.takeUsed(ConsoleQueue.receive) == [])
        driver.resume()
        driver.type([1, 2, 3])
        #expect(driver.takeUsed(ConsoleQueue.receive).map(\.length) == [3], driver.state)
    }

    @Test("T20 the draft finishes what was available, and no more", .covers("V5-DEV-11", "D-11"))
    func T20_draftFinishesTheAvailable() {
        let driver = BlockDriver(sectors: 8, suspend: .draft)
        driver.bringUp()
        let chains = (0..<3).map { driver.submitRead(UInt64($0), kick: false) }
        driver.requestSuspend()
        #expect(driver.backend.requests.count == 3, driver.state)
        let late = driver.submitRead(3)
        #expect(driver.backend.requests.count == 3, driver.state)
        for _ in chains {
            #expect(driver.statusByte == 0x0f, driver.state)
            driver.backend.complete(1)
        }
        #expect(driver.statusByte == 0x1f, driver.state)
        #expect(driver.takeUsed(0).map(\.id) == chains.map { UInt32($0.head) })
        driver.resume()
        driver.backend.complete()
        driver.expectRead(late, sector: 3)
    }

    @Test(
        "T21 1.4 pops nothing more; what is left is served after the resume without a kick",
        .covers("V14-DEV-10", "V14-DEV-11", "D-7", "D-11"))
    func T21_ratifiedPopsNothing() {
        let (driver, first) = BlockDriver.busy(.ratified)
        let left = [driver.submitRead(2, kick: false), driver.submitRead(3, kick: false)]
        driver.requestSuspend()
        driver.kick(0)
        #expect(driver.backend.requests.count == 1, driver.state)
        driver.backend.complete()
        #expect(driver.statusByte == 0x1b, driver.state)
        driver.expectRead(first)
        #expect(driver.backend.requests.isEmpty)
        driver.resume()
        #expect(driver.backend.requests.count == 2, driver.state)
        driver.backend.complete()
        #expect(driver.takeUsed(0).map(\.id) == left.map { UInt32($0.head) })
    }

    @Test(
        "T22 the draft: past the deadline the rest is retained and delivered once, after the resume",
        .covers("V5-DEV-12", "D-8", "D-11"))
    func T22_draftRetains() {
        let (driver, chain) = BlockDriver.busy(.draft)
        driver.requestSuspend()
        driver.backend.deadline()
        #expect(driver.statusByte == 0x1f, driver.state)
        let before = driver.appearance
        driver.backend.complete()
        #expect(driver.appearance == before, driver.state)
        // The request's data may be written; its status byte, the used entry and InterruptStatus are deferred.
        let data = chain.writable[0].address
        let outside = driver.memory.changes(since: before.memory).filter { run in
            run.lowerBound < data || run.upperBound > data + 512
        }
        #expect(outside == [], driver.state)
        #expect(driver.takeUsed(0) == [])
        driver.resume()
        driver.expectRead(chain)
        #expect(driver.interruptStatus == .usedBuffer)
        driver.acknowledge()
        driver.suspend()
        driver.resume()
        #expect(driver.takeUsed(0) == [])
        #expect(driver.interruptStatus == [])
    }

    @Test(
        "T23 1.4: past the deadline the device needs a reset",
        .covers("V14-DEV-8", "D-11", "D-13", "B-6", "B-16"))
    func T23_ratifiedFails() {
        let (driver, chain) = BlockDriver.busy(.ratified)
        driver.requestSuspend()
        driver.backend.deadline()
        #expect(driver.statusByte == 0x4f, driver.state)
        #expect(driver.interruptStatus == .configurationChange, driver.state)
        driver.backend.complete()
        #expect(driver.statusByte == 0x4f, driver.state)
        #expect(driver.takeUsed(0) == [])
        #expect(driver.statusByte(chain) == FakeMemory.pattern)
        driver.bringUp()
        driver.expectWorks()
        driver.suspend()
    }

    @Test(
        "a deadline that comes too late means nothing", .covers("D-11"),
        arguments: SuspendDialect.allCases)
    func staleDeadline(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.backend.deadline()
        driver.bringUp()
        driver.backend.deadline()
        #expect(driver.statusByte == 0x0f, driver.state)
        driver.suspend()
        driver.backend.deadline()
        #expect(driver.statusByte == dialect.suspended, driver.state)
        #expect(driver.interruptStatus == [])
    }

    @Test(
        "T43 while suspending, a configuration write takes effect",
        .covers("V5-DEV-9"), arguments: SuspendDialect.allCases)
    func T43_configurationWriteWhileSuspending(_ dialect: SuspendDialect) {
        let driver = ConsoleDriver(suspend: dialect)
        driver.bringUp()
        driver.print([1])
        driver.requestSuspend()
        #expect(driver.statusByte == 0x0f, driver.state)
        driver.write(at: 0x108, width: 4, 0x78)
        #expect(driver.backend.emergency == [0x78])
    }

    @Test(
        "while suspending, a configuration change is told before the acknowledgement",
        .covers("V5-DEV-9", "D-4", "MM-4"), arguments: SuspendDialect.allCases)
    func changeWhileSuspending(_ dialect: SuspendDialect) {
        let (driver, _) = BlockDriver.busy(dialect)
        driver.requestSuspend()
        let generation = driver.read(.configGeneration)
        driver.backend.change { $0.capacity = 5 }
        #expect(driver.configuration(BlockConfiguration.capacity) == 5)
        #expect(driver.read(.configGeneration) != generation)
        #expect(driver.interruptStatus == .configurationChange, driver.state)
        driver.backend.complete()
        #expect(driver.statusByte == dialect.suspended, driver.state)
    }

    @Test("the draft: a queue that comes while suspending has nothing in the drain", .covers("D-11"))
    func queueEnabledWhileSuspending() {
        let driver = FourQueuesDriver(suspend: .draft)
        driver.bringUp(to: .featuresOK)
        driver.setUp(queue: 0)
        driver.write(.status, 0x0f)
        driver.offer(0)
        driver.requestSuspend()
        driver.setUp(queue: 1)
        driver.offer(1)
        #expect(driver.backend.requests.map(\.request.queue) == [0], driver.state)
        driver.backend.complete()
        #expect(driver.statusByte == 0x1f, driver.state)
        driver.resume()
        #expect(driver.backend.requests.map(\.request.queue) == [1], driver.state)
    }

    @Test("the draft: input that was there enters the drain, the receive buffers it leaves do not", .covers("D-12"))
    func inputBeforeSuspend() {
        let driver = ConsoleDriver(suspend: .draft)
        driver.bringUp()
        driver.type([1, 2, 3])
        let chain = driver.post(8, kick: false)
        driver.post(8, kick: false)
        driver.suspend()
        #expect(driver.takeUsed(ConsoleQueue.receive) == [UsedElement(id: UInt32(chain.head), length: 3)], driver.state)
    }

    @Test(
        "input waits from the SUSPEND write on", .covers("D-12"),
        arguments: SuspendDialect.allCases)
    func inputWhileSuspending(_ dialect: SuspendDialect) {
        let driver = ConsoleDriver(suspend: dialect)
        driver.bringUp()
        for _ in 0..<4 { driver.post(8) }
        driver.print([1])
        driver.requestSuspend()
        driver.type([1, 2, 3])
        #expect(driver.takeUsed(ConsoleQueue.receive) == [], driver.state)
        driver.backend.complete()
        #expect(driver.statusByte == dialect.suspended, driver.state)
        driver.resume()
        #expect(driver.takeUsed(ConsoleQueue.receive).map(\.length) == [3], driver.state)
    }
}
