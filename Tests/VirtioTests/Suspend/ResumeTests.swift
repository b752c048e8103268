// T46 to T55 and T57: from the resume request to a running device (D-4, D-7, D-17).

import Testing
import Virtio
import VirtioABI

@Suite("Suspend: resume")
struct SuspendResumeTests {
    @Test("T46 the draft: 0x1f until the backend is ready, then 0x0f", .covers("V5-DEV-1", "D-3"))
    func T46_draft() {
        let driver = BlockDriver(sectors: 8, suspend: .draft)
        driver.backend.resumesAtOnce = false
        driver.bringUpSuspended()
        #expect(driver.requestResume().events == .resumeRequested)
        for _ in 0..<10 { #expect(driver.statusByte == 0x1f) }
        driver.write(.status, 0x0f)
        driver.backend.ready()
        #expect(driver.statusByte == 0x0f, driver.state)
        #expect(driver.takeEvents() == [.suspended, .resumeRequested, .resumed])
        driver.expectWorks()
    }

    @Test(
        "T47 1.4: 0x1b until the backend is ready, then 0x0f",
        .covers("V14-INF-2", "V14-DEV-9", "D-3"), arguments: [UInt32(0x1f), 0x0f])
    func T47_ratified(_ word: UInt32) {
        let driver = BlockDriver(sectors: 8, suspend: .ratified)
        driver.backend.resumesAtOnce = false
        driver.bringUpSuspended()
        #expect(driver.write(.status, word).events == .resumeRequested)
        for _ in 0..<10 { #expect(driver.statusByte == 0x1b) }
        // 1.4 has no abort of a resume, and a repeated request has no effect.
        for repeated: UInt32 in [0x1b, 0x1f, 0x0b] {
            #expect(driver.write(.status, repeated).events == [])
            #expect(driver.statusByte == 0x1b, driver.state)
        }
        driver.backend.ready()
        #expect(driver.statusByte == 0x0f, driver.state)
        driver.expectWorks()
    }

    @Test(
        "T48 nothing is delivered before the resumed value can be read",
        .covers("D-4", "D-8", "V5-DEV-6", "V5-DEV-7", "V5-DEV-8", "V14-DEV-3", "V14-DEV-4", "V14-DEV-5", "V14-DEV-6"),
        arguments: SuspendDialect.allCases)
    func T48_nothingEarly(_ dialect: SuspendDialect) {
        let driver = ConsoleDriver(suspend: dialect)
        driver.backend.resumesAtOnce = false
        driver.bringUp()
        driver.post(8)
        driver.suspend()
        driver.print([1])
        driver.type([1, 2, 3])
        driver.backend.change { $0.columns = 100 }
        driver.requestResume()
        let before = driver.appearance
        driver.kick(ConsoleQueue.transmit)
        driver.backend.take(queue: ConsoleQueue.receive)
        driver.type([4])
        driver.backend.change { $0.columns = 101 }
        driver.expectUntouched(since: before)
        driver.backend.ready()
        #expect(driver.statusByte == 0x0f, driver.state)
        #expect(driver.configuration(0, width: 2) == 101)
        #expect(driver.takeUsed(ConsoleQueue.receive).map(\.length) == [4], driver.state)
        #expect(driver.backend.requests.count == 1)
        #expect(driver.interruptStatus == [.usedBuffer, .configurationChange])
    }

    @Test(
        "T49 buffers and kicks of the suspended time are served without another kick",
        .covers("D-7", "D-17"), arguments: SuspendDialect.allCases, [true, false])
    func T49_rescan(_ dialect: SuspendDialect, _ kick: Bool) {
        let driver = FourQueuesDriver(suspend: dialect)
        driver.bringUpSuspended()
        for index in 0..<4 { driver.offer(index, kick: kick) }
        driver.resume()
        #expect(driver.backend.requests.map(\.request.queue) == [0, 1, 2, 3], driver.state)
        driver.backend.complete()
        for index in 0..<4 { #expect(driver.takeUsed(index).count == 1, driver.state) }
    }

    @Test(
        "T50 a suspended device leaves avail_event alone, and asks for the next kick when it resumes",
        .covers("D-7", "D-17"), arguments: SuspendDialect.allCases)
    func T50_rearmed(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.bringUp()
        driver.expectWorks()
        driver.acknowledge()
        #expect(driver[queue: 0].availEvent == 1, driver.state)
        driver.suspend()
        let before = driver.appearance
        let chains = [driver.submitRead(2), driver.submitRead(3)]
        driver.memory.store(UInt16(0x7777), at: driver[queue: 0].used + SplitRing.availableEvent(size: 16))
        driver.kick(0)
        #expect(driver.appearance == before && driver[queue: 0].availEvent == 0x7777, driver.state)
        driver.resume()
        #expect(driver[queue: 0].availEvent == 3 && driver[queue: 0].usedFlags == 0, driver.state)
        driver.backend.complete()
        #expect(driver.takeUsed(0).map(\.id) == chains.map { UInt32($0.head) }, driver.state)
        driver.expectWorks()
        #expect(driver[queue: 0].availEvent == 4, driver.state)
    }

    @Test(
        "T50 without VIRTIO_F_EVENT_IDX nothing is ever written to turn kicks off or on",
        .covers("D-7", "D-17"), arguments: SuspendDialect.allCases)
    func T50_neverOff(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect, withholding: .eventIndex)
        driver.bringUp()
        driver.expectWorks()
        driver.suspend()
        driver.resume()
        #expect(driver[queue: 0].usedFlags == 0 && driver[queue: 0].availEvent == 0, driver.state)
        driver.expectWorks()
    }

    @Test(
        "T51 receive buffers posted before the suspension serve input after it", .covers("D-7", "D-12"),
        arguments: SuspendDialect.allCases)
    func T51_oldReceiveBuffers(_ dialect: SuspendDialect) {
        let driver = ConsoleDriver(suspend: dialect)
        driver.bringUp()
        let chain = driver.post(8)
        driver.suspend()
        driver.resume()
        driver.type([9, 8])
        #expect(driver.takeUsed(ConsoleQueue.receive) == [UsedElement(id: UInt32(chain.head), length: 2)], driver.state)
        #expect(driver.answer(chain).prefix(2) == [9, 8])
    }

    @Test("T52 the draft: a resume under way is aborted, and nothing was delivered", .covers("V5-DRV-6", "D-4"))
    func T52_abortResume() {
        let driver = ConsoleDriver(suspend: .draft)
        driver.backend.resumesAtOnce = false
        driver.bringUp()
        driver.post(8)
        driver.suspend()
        driver.type([1])
        driver.backend.change { $0.rows = 7 }
        let before = driver.appearance
        driver.requestResume()
        driver.write(.status, 0x1f)
        driver.expectUntouched(since: before)
        // The backend becomes ready for the aborted resume: no effect.
        driver.backend.ready()
        driver.expectUntouched(since: before)
        driver.requestResume()
        driver.backend.ready()
        #expect(driver.statusByte == 0x0f, driver.state)
        #expect(driver.takeUsed(ConsoleQueue.receive).map(\.length) == [1])
        #expect(driver.interruptStatus == [.usedBuffer, .configurationChange])
    }

    @Test("T53 a resume of a running device is nothing", .covers("D-2"), arguments: SuspendDialect.allCases)
    func T53_runningResume(_ dialect: SuspendDialect) {
        let (driver, chain) = BlockDriver.busy(dialect)
        let before = driver.appearance
        #expect(driver.write(.status, 0x0f) == Effects())
        driver.backend.ready()
        driver.expectUntouched(since: before)
        driver.backend.complete()
        driver.expectRead(chain)
    }

    @Test("T54 1.4: only DRIVER_OK resumes", .covers("V14-DEF-1", "D-2"))
    func T54_onlyDriverOK() {
        let driver = BlockDriver(sectors: 8, suspend: .ratified)
        driver.bringUpSuspended()
        for word: UInt32 in [0x0b, 0x1b, 0x10, 0x100, 0x20, 0x40] {
            #expect(driver.write(.status, word) == Effects())
            #expect(driver.statusByte == 0x1b, driver.state)
        }
    }

    @Test(
        "T55 a thousand cycles under a disk and a console: nothing lost, nothing twice",
        .covers("D-17", "V5-DEV-4"), arguments: SuspendDialect.allCases)
    func T55_cycles(_ dialect: SuspendDialect) throws {
        let disk = BlockDriver(sectors: 8, suspend: dialect)
        let console = ConsoleDriver(suspend: dialect)
        disk.bringUp()
        console.bringUp()
        console.backend.completesAtOnce = true
        let write = disk.parts(BlockDriver.header(1, sector: 3) + Array(repeating: 0, count: 512), room: 1)
        let read = disk.parts(BlockDriver.header(0, sector: 3), room: 513)
        let (output, input) = (console.parts([0], room: 0), console.parts([], room: 4))
        for round in 0..<1000 {
            let byte = UInt8(truncatingIfNeeded: round)
            disk.memory.fill(byte, at: write[0].address + 16, count: 512)
            console.memory.fill(byte, at: output[0].address, count: 1)
            // Alternates between a completion before and after the SUSPEND write.
            disk.add(write, to: 0)
            if round % 2 == 0 { disk.backend.complete() }
            disk.requestSuspend()
            disk.backend.complete()
            let chain = disk.add(read, to: 0)
            disk.resume()
            disk.backend.complete()
            try #require(disk.takeUsed(0).map(\.length) == [1, 513], disk.state)
            #expect(Set(disk.data(chain)) == [byte])

            console.add(input, to: ConsoleQueue.receive)
            console.suspend()
            console.add(output, to: ConsoleQueue.transmit)
            console.type([byte])
            console.resume()
            try #require(console.takeUsed(ConsoleQueue.receive).map(\.length) == [1], console.state)
            try #require(console.takeUsed(ConsoleQueue.transmit).count == 1)
        }
        #expect(console.terminal.output == (0..<1000).map { UInt8(truncatingIfNeeded: $0) })
    }

    @Test(
        "T57 four queues with held completions: all used, bit 0 once, the line up once",
        .covers("D-17", "D-8", "B-17", "V5-DEV-12"))
    func T57_fourQueues() {
        let driver = FourQueuesDriver(suspend: .draft)
        driver.bringUp()
        for index in 0..<4 {
            driver.offer(index)
            driver.offer(index)
        }
        driver.requestSuspend()
        driver.backend.deadline()
        // Completes in reverse order.
        while !driver.backend.requests.isEmpty { driver.backend.complete(at: driver.backend.requests.count - 1) }
        #expect(driver.backend.line.risingEdges == 0)
        driver.resume()
        for index in 0..<4 { #expect(driver.takeUsed(index).count == 2, driver.state) }
        #expect(driver.interruptStatus == .usedBuffer)
        #expect(driver.backend.line.risingEdges == 1)
    }

    @Test("a held completion whose driver wants no interrupt raises none", .covers("B-17", "D-17"))
    func suppressed() {
        let (driver, chain) = BlockDriver.busy(.draft, withholding: .eventIndex)
        driver.requestSuspend()
        driver.backend.deadline()
        driver[queue: 0].setAvailableFlags(SplitRing.noInterrupt)
        driver.backend.complete()
        driver.resume()
        driver.expectRead(chain)
        #expect(driver.interruptStatus == [], driver.state)
    }
}
