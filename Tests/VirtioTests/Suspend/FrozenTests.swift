// T37 to T42 and T45: the register file and the configuration space of a suspended device (D-5, D-15, D-16).

import Testing
import Virtio
import VirtioABI

@Suite("Suspend: frozen registers")
struct SuspendFrozenTests {
    @Test(
        "T37 a configuration write while suspended changes nothing, then or later",
        .covers("V5-DEV-5", "V14-DEV-2"), arguments: SuspendDialect.allCases)
    func T37_configurationWrite(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.bringUpSuspended()
        let before = driver.appearance
        for offset in stride(from: UInt64(0x100), to: 0x160, by: 4) {
            for width in [1, 2, 4, 8] { driver.write(at: offset, width: width, 0) }
        }
        driver.expectUntouched(since: before)
        #expect(driver.configuration(BlockConfiguration.writeback, width: 1) == 1, driver.state)
        let check = dialect == .draft ? Check.draftConfigurationLeftAlone : .ratifiedConfigurationKept
        #expect(driver.count(check) > 0, driver.state)
        driver.resume()
        #expect(driver.configuration(BlockConfiguration.writeback, width: 1) == 1, driver.state)
        driver.submit(BlockRequest.Kind.write, sector: 1, data: Array(repeating: 1, count: 512))
        driver.backend.complete()
        #expect(driver.disk.log.map(\.durable) == [false] && driver.takeUsed(0).count == 1, driver.state)
        driver.acknowledge()
        #expect(driver.configuration(BlockConfiguration.capacity) == 8)
        #expect(driver.interruptStatus == [])
        driver.expectWorks()
    }

    @Test("T38 the draft: emergency output is ignored while suspended", .covers("D-15", "V5-DEV-5"))
    func T38_emergencyIgnored() {
        let driver = ConsoleDriver(suspend: .draft)
        driver.bringUpSuspended()
        driver.write(at: 0x108, width: 4, 0x78)
        driver.backend.resumesAtOnce = false
        driver.requestResume()
        driver.write(at: 0x108, width: 4, 0x79)
        #expect(driver.backend.emergency == [])
        driver.backend.ready()
        #expect(driver.backend.emergency == [])
        driver.write(at: 0x108, width: 4, 0x7a)
        #expect(driver.backend.emergency == [0x7a])
    }

    @Test("T39 1.4: emergency output works while suspended", .covers("D-15"))
    func T39_emergencyHonoured() {
        let driver = ConsoleDriver(suspend: .ratified)
        driver.bringUpSuspended()
        let before = driver.appearance
        driver.write(at: 0x108, width: 4, 0x78)
        #expect(driver.backend.emergency == [0x78])
        driver.expectUntouched(since: before)
        driver.backend.resumesAtOnce = false
        driver.requestResume()
        driver.write(at: 0x108, width: 4, 0x79)
        #expect(driver.backend.emergency == [0x78, 0x79])
        #expect(driver.count(.ratifiedConfigurationKept) == 0, "what the device performs is no violation")
        #expect(driver.count(.ratifiedResumeAwaited) == 0, driver.state)
    }

    @Test(
        "T40 writes to frozen registers leave no trace", .covers("D-5", "V5-DEV-4", "V5-DEV-5", "V14-DEV-2"),
        arguments: SuspendDialect.allCases)
    func T40_frozenRegisters(_ dialect: SuspendDialect) {
        let driver = ConsoleDriver(suspend: dialect)
        driver.bringUp(to: .featuresOK)
        // Queue 1 is ready and queue 0 is not, so QueueReady shows which one is selected.
        driver.setUp(queue: 1)
        driver.write(.status, 0x0f)
        let running = driver.dump()
        let setUp = driver.backend.transport.inspect().queues.map(\.descriptorArea)
        driver.suspend()
        let (before, memory) = (driver.dump(), driver.memory.snapshot())
        let frozen: [Register] = [
            .driverFeatures, .queueSize, .queueDescLow, .queueDescHigh, .queueDriverLow, .queueDriverHigh,
            .queueDeviceLow, .queueDeviceHigh, .queueReady,
        ]
        for queue: UInt32 in [0, 1, 2] {
            driver.write(.queueSel, queue)
            for value: UInt32 in [0, 1, 7, .max] {
                for register in frozen where register != .queueReady || value & 1 != 0 { driver.write(register, value) }
            }
        }
        #expect(driver.dump() == before, driver.state)
        #expect(driver.memory.changes(since: memory) == [], driver.state)
        driver.resume()
        #expect(driver.dump() == running, driver.state)
        #expect(driver.backend.transport.inspect().queues.map(\.descriptorArea) == setUp)
        driver.backend.completesAtOnce = true
        driver.print([0x61])
        #expect(driver.terminal.output == [0x61], driver.state)
        driver.suspend()
    }

    @Test(
        "T40 a queue is not made ready while suspended", .covers("D-5", "V5-DEV-7", "V14-DEV-4"),
        arguments: SuspendDialect.allCases)
    func T40_noNewQueue(_ dialect: SuspendDialect) {
        let driver = ConsoleDriver(suspend: dialect)
        driver.bringUp()
        driver.write(.queueSel, 0)
        driver.write(.queueReady, 0)
        #expect(driver.read(.queueReady) == 0)
        driver.suspend()
        driver.write(.queueReady, 1)
        #expect(driver.read(.queueReady) == 0, driver.state)
        driver.resume()
        #expect(driver.read(.queueReady) == 0, driver.state)
    }

    @Test(
        "T41 nothing happened: every register of every queue reads as before",
        .covers("V5-DEV-4", "D-5"), arguments: SuspendDialect.allCases)
    func T41_sameDump(_ dialect: SuspendDialect) {
        let disk = BlockDriver(sectors: 8, suspend: dialect)
        disk.bringUp()
        disk.expectWorks()
        let console = ConsoleDriver(suspend: dialect)
        console.bringUp()
        let (diskBefore, consoleBefore) = (disk.dump(), console.dump())
        disk.suspend()
        console.suspend()
        disk.resume()
        console.resume()
        #expect(disk.dump() == diskBefore)
        #expect(console.dump() == consoleBefore)
    }

    @Test(
        "T42 QueueReset of a suspended device waits for the resume, and comes first",
        .covers("D-16", "D-17", "MM-6", "B-19", "V5-DEV-7", "V14-DEV-4"), arguments: SuspendDialect.allCases)
    func T42_queueReset(_ dialect: SuspendDialect) {
        let driver = FourQueuesDriver(suspend: dialect)
        driver.bringUp()
        let selected = 2
        driver.write(.queueSel, UInt32(selected))
        driver.suspend()
        driver.offer(selected, kick: false)
        let before = driver.memory.snapshot()
        driver.write(.queueReset, 1)
        #expect(driver.read(.queueReset) == 1, driver.state)
        #expect(driver.read(.queueReady) == 1, driver.state)
        driver.resume()
        #expect(driver.read(.queueReset) == 0, driver.state)
        #expect(driver.read(.queueReady) == 0, driver.state)
        driver.kick(selected)
        driver.backend.take(queue: selected)
        #expect(driver.backend.requests.isEmpty, driver.state)
        #expect(driver.memory.changes(since: before) == [])
        driver.setUp(queue: selected)
        driver.offer(selected)
        driver.backend.complete()
        #expect(driver.takeUsed(selected).count == 1, driver.state)
    }

    @Test(
        "T42 the draft: what was retained or held of the queue goes with it",
        .covers("D-16", "B-19", "MM-6"), arguments: [true, false], SuspendSelectionTests.Way.allCases)
    func T42_queueEndsWithRequests(_ heldBeforeResume: Bool, _ way: SuspendSelectionTests.Way) {
        let (driver, chain) = BlockDriver.busy(.draft)
        driver.requestSuspend()
        driver.backend.deadline()
        driver.write(way.write.register, way.write.value)
        if heldBeforeResume { driver.backend.complete() }
        #expect(driver.read(.queueReady) == 1, driver.state)
        driver.resume()
        if !heldBeforeResume {
            #expect(driver.read(way.write.register) == 1, "a request is still in the backend")
            #expect(driver.takeEvents().contains(.cancel))
            driver.backend.complete()
        }
        #expect(driver.read(.queueReset) == 0, driver.state)
        #expect(driver.read(.queueReady) == 0, driver.state)
        #expect(driver.takeUsed(0) == [])
        #expect(driver.statusByte(chain) == FakeMemory.pattern)
        #expect(driver.interruptStatus == [])
    }

    @Test(
        "T45 configuration and generation read true and stable while suspended",
        .covers("V5-DEV-8", "V14-DEV-5"), arguments: SuspendDialect.allCases)
    func T45_configurationReads(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.bringUp()
        let generation = driver.read(.configGeneration)
        driver.suspend()
        for _ in 0..<3 {
            #expect(driver.configuration(BlockConfiguration.capacity, width: 8) == 8)
            #expect(driver.configuration(BlockConfiguration.blockSize) == 512)
            #expect(driver.read(.configGeneration) == generation)
            driver.backend.change { $0.capacity += 1 }
        }
    }

    @Test(
        "D-19: there is no shared memory region, suspended or not", .covers("D-19"),
        arguments: SuspendDialect.allCases)
    func noSharedMemory(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.bringUpSuspended()
        for register: Register in [.shmLenLow, .shmLenHigh, .shmBaseLow, .shmBaseHigh] {
            #expect(driver.read(register) == .max)
        }
    }

    // MARK: The narrow scope

    @Test(
        "narrow: selectors and the end of a queue act at once, the rest is frozen", .covers("D-5"),
        arguments: SuspendDialect.allCases)
    func narrow(_ dialect: SuspendDialect) {
        let driver = ConsoleDriver(suspend: dialect, freeze: .narrow)
        driver.bringUp()
        driver.suspend()
        driver.write(.deviceFeaturesSel, 1)
        #expect(driver.read(.deviceFeatures) == driver.backend.transport.offered.word(1))
        driver.write(.queueSel, 9)
        #expect(driver.read(.queueSizeMax) == 0)
        driver.write(.queueSel, 1)
        #expect(driver.read(.queueSizeMax) == 64)
        driver.write(.queueReady, 0)
        #expect(driver.read(.queueReady) == 0, driver.state)
        driver.write(.queueReady, 1)
        #expect(driver.read(.queueReady) == 0, driver.state)
        driver.write(.queueSel, 0)
        driver.write(.queueReset, 1)
        #expect(driver.read(.queueReset) == 0, driver.state)
        #expect(driver.read(.queueReady) == 0, driver.state)
        #expect(driver.statusByte == dialect.suspended)
        driver.write(at: 0x108, width: 4, 0x78)
        #expect(driver.backend.emergency == (dialect == .draft ? [] : [0x78]))
        driver.resume()
        #expect(!driver.isReady(0) && !driver.isReady(1))
    }

    @Test(
        "narrow: a queue that ends takes what was held of it along",
        .covers("D-5"), arguments: [Register.queueReady, .queueReset])
    func narrowDiscardsHeld(_ register: Register) {
        let driver = BlockDriver(sectors: 8, suspend: .draft, freeze: .narrow)
        driver.bringUp()
        let chains = [driver.submitRead(1), driver.submitRead(2)]
        driver.requestSuspend()
        driver.backend.deadline()
        driver.backend.complete(1)
        driver.write(register, register == .queueReady ? 0 : 1)
        #expect(driver.read(.queueReady) == 1, "a request is still in the backend")
        driver.backend.complete()
        #expect(driver.read(.queueReady) == 0, driver.state)
        #expect(driver.read(.queueReset) == 0, driver.state)
        driver.resume()
        #expect(driver.takeUsed(0) == [])
        #expect(chains.map { driver.statusByte($0) } == [FakeMemory.pattern, FakeMemory.pattern])
        #expect(driver.interruptStatus == [])
    }
}
