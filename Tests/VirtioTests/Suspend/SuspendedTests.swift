// T24 to T29, T32 to T36: what a suspended device must not do, and what it keeps (D-6 to D-9, D-20). T31 does not apply
// because there is no vhost, nor does the edge variant of T35 because the line is level.

import Testing
import Virtio
import VirtioABI

@Suite("Suspend: suspended")
struct SuspendedTests {
    @Test(
        "T24 kicks and buffers of a suspended device touch nothing",
        .covers("V5-DEV-7", "V14-DEV-4", "D-7", "D-5"), arguments: SuspendDialect.allCases)
    func T24_kicks(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.bringUpSuspended()
        let chains = (0..<3).map { driver.submitRead(UInt64($0), kick: false) }
        // A device that reads this index reports a fault.
        let queue = driver[queue: 0]
        queue.setAvailableIndex(0x4000)
        let before = driver.appearance
        for index in UInt32(0)..<3 {
            #expect(driver.write(.queueNotify, index).queues == [])
        }
        // The worker serves the queue without a QueueNotify write.
        driver.backend.take(queue: 0)
        driver.expectUntouched(since: before)
        #expect(driver.backend.requests.isEmpty)
        queue.setAvailableIndex(3)
        driver.resume()
        driver.backend.complete()
        #expect(driver.takeUsed(0).map(\.id) == chains.map { UInt32($0.head) }, driver.state)
    }

    @Test(
        "T24 guest memory is not even read while suspended", .covers("V5-DEV-7", "V14-DEV-4"))
    func T24_sealed() async {
        await #expect(processExitsWith: .success) {
            for dialect in SuspendDialect.allCases { SuspendedTests.provokeSealed(dialect) }
        }
    }

    /// All events of a suspended device, with guest memory inaccessible: an access crashes the process.
    private static func provokeSealed(_ dialect: SuspendDialect) {
        let driver = ConsoleDriver(suspend: dialect)
        driver.bringUp()
        for _ in 0..<4 { driver.post(4) }
        driver.print([1, 2])
        driver.requestSuspend()
        dialect == .draft ? driver.backend.deadline() : driver.backend.complete()
        driver.backend.resumesAtOnce = false
        driver.memory.sealed {
            for _ in 0..<2 {
                for queue in 0..<2 {
                    driver.kick(queue)
                    driver.backend.take(queue: queue)
                }
                driver.type([7, 8, 9])
                driver.backend.change { $0.columns += 1 }
                if dialect == .draft, let held = driver.backend.requests.first { driver.backend.finish(held, .ok()) }
                driver.write(.interruptACK, 3)
                _ = driver.dump()
                driver.requestResume()
            }
        }
        driver.backend.ready()
        #expect(driver.statusByte == 0x0f)
        #expect(driver.takeUsed(ConsoleQueue.receive).map(\.length) == [4, 2])
    }

    @Test(
        "T25 input while suspended: nothing is delivered, and then each byte once, in order",
        .covers("V5-DEV-7", "V14-DEV-4", "D-8", "D-17"), arguments: SuspendDialect.allCases)
    func T25_input(_ dialect: SuspendDialect) {
        let driver = ConsoleDriver(suspend: dialect)
        driver.bringUp()
        let posted = (0..<8).map { _ in driver.post(100) }
        driver.suspend()
        let before = driver.appearance
        let input = (0..<10_240).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        var sent = 0
        while case let accepted = driver.type(Array(input[sent..<min(sent + 1000, input.count)])), accepted > 0 {
            sent += accepted
        }
        #expect(sent < input.count, "what does not fit stays with the host")
        #expect(driver.backend.transport.inputRoom() == 0)
        driver.expectUntouched(since: before)
        driver.resume()
        let byHead = Dictionary(uniqueKeysWithValues: posted.map { (UInt32($0.head), $0) })
        #expect(driver.collect(input, sent: sent, in: byHead) == input, driver.state)
    }

    @Test(
        "T26 a configuration change while suspended changes nothing the driver can see",
        .covers("V5-DEV-6", "V5-DEV-8", "V14-DEV-5", "V14-DEV-6", "D-9"), arguments: SuspendDialect.allCases)
    func T26_change(_ dialect: SuspendDialect) {
        let disk = BlockDriver(sectors: 8, suspend: dialect)
        disk.bringUpSuspended()
        let console = ConsoleDriver(suspend: dialect)
        console.bringUpSuspended()
        let (diskBefore, consoleBefore) = (disk.appearance, console.appearance)
        disk.backend.change { $0.capacity = 5 }
        console.backend.change { ($0.columns, $0.rows) = (132, 50) }
        disk.expectUntouched(since: diskBefore)
        console.expectUntouched(since: consoleBefore)
    }

    @Test(
        "T27 five changes: the last value, a new generation, one notification",
        .covers("V14-DEV-7", "D-9", "MM-4"), arguments: SuspendDialect.allCases)
    func T27_changes(_ dialect: SuspendDialect) {
        let driver = ConsoleDriver(suspend: dialect)
        driver.bringUpSuspended()
        let (generation, edges) = (driver.read(.configGeneration), driver.backend.line.risingEdges)
        for columns in UInt16(101)...105 { driver.backend.change { $0.columns = columns } }
        driver.resume()
        #expect(driver.configuration(ConsoleConfiguration.columns, width: 2) == 105)
        #expect(driver.read(.configGeneration) == generation + 1)
        #expect(driver.acknowledge() == .configurationChange, driver.state)
        #expect(driver.backend.line.risingEdges == edges + 1)
        driver.suspend()
        driver.resume()
        #expect(driver.interruptStatus == [], "one notification, not one for each resume")
    }

    @Test(
        "T28 changed and changed back: still one notification",
        .covers("D-9", "V14-DEV-7"), arguments: SuspendDialect.allCases)
    func T28_changedBack(_ dialect: SuspendDialect) {
        let driver = ConsoleDriver(suspend: dialect)
        driver.bringUpSuspended()
        driver.backend.change { $0.columns = 1 }
        driver.backend.change { $0.columns = 80 }
        driver.resume()
        #expect(driver.interruptStatus == .configurationChange, driver.state)
        #expect(driver.configuration(ConsoleConfiguration.columns, width: 2) == 80)
    }

    @Test(
        "T29 ten thousand events: no edge, bounded memory, one word to the host",
        .covers("V5-DEV-6", "V5-DEV-13", "V14-DEV-3", "D-8", "D-20"), arguments: SuspendDialect.allCases)
    func T29_manyEvents(_ dialect: SuspendDialect) {
        let driver = ConsoleDriver(suspend: dialect)
        driver.bringUp()
        for _ in 0..<4 { driver.post(8) }
        driver.suspend()
        let before = driver.appearance
        driver.backend.events = []
        var accepted = 0
        for round in 0..<10_000 {
            switch round % 4 {
            case 0: accepted += driver.type([UInt8(truncatingIfNeeded: round)])
            case 1: driver.backend.change { $0.columns &+= 1 }
            case 2: driver.kick(ConsoleQueue.transmit)
            default: driver.backend.take(queue: ConsoleQueue.receive)
            }
        }
        driver.expectUntouched(since: before)
        #expect(accepted <= 4096)
        #expect(driver.backend.owed == [], "a suspended device asks for no work")
        #expect(driver.backend.events == [.deferred])
    }

    @Test(
        "D-20: each suspension tells the host of its first deferred event, of whatever kind",
        .covers("D-20"), arguments: SuspendDialect.allCases)
    func firstDeferredEvent(_ dialect: SuspendDialect) {
        let driver = ConsoleDriver(suspend: dialect)
        driver.bringUp()
        for _ in 0..<2 {
            driver.suspend()
            driver.backend.events = []
            driver.type([1])
            driver.backend.change { $0.rows += 1 }
            #expect(driver.backend.events == [.deferred])
            driver.resume()
        }
        driver.print([1])
        driver.requestSuspend()
        guard dialect == .draft else { return }
        driver.backend.deadline()
        driver.backend.events = []
        driver.backend.complete()
        #expect(driver.backend.events == [.deferred], driver.state)
    }

    @Test("D-20: an error that the draft latches is a deferred event as well", .covers("D-20", "D-8"))
    func latchedErrorIsDeferred() {
        let driver = BlockDriver(sectors: 8, suspend: .draft)
        driver.bringUpSuspended()
        driver.backend.events = []
        driver.backend.fatal()
        #expect(driver.backend.events == [.deferred])
    }

    // MARK: InterruptStatus

    /// A suspended disk that has left InterruptStatus bit 0 unacknowledged.
    private func pending(_ dialect: SuspendDialect) -> BlockDriver {
        let (driver, _) = BlockDriver.busy(dialect)
        driver.backend.complete()
        #expect(driver.interruptStatus == .usedBuffer)
        driver.suspend()
        return driver
    }

    @Test(
        "T32 the acknowledgement waits for no InterruptACK, and changes neither value nor line",
        .covers("D-6", "H-4", "MM-2", "MM-15", "V5-DEV-4"), arguments: SuspendDialect.allCases)
    func T32_pendingStays(_ dialect: SuspendDialect) {
        let driver = pending(dialect)
        #expect(driver.interruptStatus == .usedBuffer, driver.state)
        #expect(driver.backend.line.level)
        #expect(driver.backend.line.risingEdges == 1)
    }

    @Test(
        "T33 InterruptACK works while suspended (trap 5)", .covers("D-6", "H-3", "MM-2", "MM-15"),
        arguments: SuspendDialect.allCases)
    func T33_acknowledged(_ dialect: SuspendDialect) {
        let driver = pending(dialect)
        driver.write(.interruptACK, 1)
        #expect(driver.interruptStatus == [], driver.state)
        #expect(!driver.backend.line.level)
    }

    @Test(
        "T34 nothing happened: the resume raises nothing", .covers("D-17", "MM-2"), arguments: SuspendDialect.allCases)
    func T34_nothingSpurious(_ dialect: SuspendDialect) {
        let driver = pending(dialect)
        driver.write(.interruptACK, 1)
        driver.resume()
        #expect(driver.interruptStatus == [], driver.state)
        #expect(driver.backend.line.risingEdges == 1)
    }

    @Test(
        "T35 never acknowledged: bit and line are still up after the resume",
        .covers("D-6"), arguments: SuspendDialect.allCases)
    func T35_neverAcknowledged(_ dialect: SuspendDialect) {
        let driver = pending(dialect)
        driver.resume()
        #expect(driver.interruptStatus == .usedBuffer, driver.state)
        #expect(driver.backend.line.level)
    }

    @Test(
        "T36 InterruptACK cancels nothing that is deferred", .covers("D-8", "D-9"), arguments: SuspendDialect.allCases)
    func T36_acknowledgeDeferred(_ dialect: SuspendDialect) {
        let driver = pending(dialect)
        driver.backend.change { $0.capacity = 5 }
        driver.write(.interruptACK, 3)
        #expect(driver.interruptStatus == [], driver.state)
        driver.resume()
        #expect(driver.interruptStatus == .configurationChange, driver.state)
    }
}

extension ConsoleDriver {
    /// Types the rest of `input` and posts buffers until all of it has arrived. `posted` are the buffers in flight, by
    /// head. Returns the bytes received.
    fileprivate func collect(_ input: [UInt8], sent: Int, in posted: [UInt32: Chain]) -> [UInt8] {
        var (sent, received, posted) = (sent, [UInt8](), posted)
        for _ in 0..<200 where received.count < input.count {
            let used = takeUsed(ConsoleQueue.receive)
            for element in used {
                guard let chain = posted.removeValue(forKey: element.id) else { continue }
                received += answer(chain).prefix(Int(element.length))
            }
            for _ in used {
                let chain = post(100)
                posted[UInt32(chain.head)] = chain
            }
            sent += type(Array(input[sent..<min(sent + 100, input.count)]))
        }
        return received
    }
}
