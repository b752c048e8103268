// A driver that corrupts its rings: every QueueFault ends in DEVICE_NEEDS_RESET and a configuration change
// notification, the queues stop, no byte of guest memory changes, and the device works after a reset (VIRTIO 1.4,
// 2.1.2; traps 1, 2, 3, 16).

import Testing
import Virtio
import VirtioABI

@Suite("Hostile rings")
struct HostileRingTests {
    /// Fails unless the running device needs a reset because of `fault` and does nothing more.
    func expectNeedsReset(_ driver: BlockDriver, _ fault: QueueFault, unchangedSince memory: FakeMemory.Snapshot) {
        #expect(driver.backend.transport.lastFault == fault, driver.state)
        #expect(driver.status.rawValue == 0x4f, driver.state)
        #expect(driver.backend.requests.isEmpty, driver.state)
        driver.kick(0)
        driver.backend.take(queue: 0)
        #expect(driver.memory.changes(since: memory) == [], driver.state)
        #expect(driver.count(fault.check(isPacked: driver.accepted.contains(.ringPacked))) == 1, driver.state)
        #expect(driver.acknowledge() == .configurationChange, driver.state)
        #expect(driver.backend.line.risingEdges == 1 && !driver.backend.line.level, driver.state)
    }

    func expectWorksAfterReset(_ driver: BlockDriver) {
        driver.bringUp()
        #expect(driver.status.rawValue == 0x0f, driver.state)
        let chain = driver.submit(BlockRequest.Kind.read, sector: 3, room: 512)
        driver.backend.complete()
        #expect(driver.takeUsed(0) == [UsedElement(id: UInt32(chain.head), length: 513)], driver.state)
        #expect(driver.data(chain) == Array(driver.disk.bytes[1536..<2048]))
    }

    @Test(
        "Broken at run time: NEEDS_RESET, and a reset heals (traps 1, 2 and 3)",
        arguments: RingCorruption.ofRings + RingCorruption.ofTables)
    func broken(corruption: RingCorruption) {
        let driver = BlockDriver()
        driver.bringUp(accepting: [.version1, BlockFeature.flush], queueSize: 16)
        corruption.corrupt(driver)
        let memory = driver.memory.snapshot()
        driver.kick(0)
        expectNeedsReset(driver, corruption.fault, unchangedSince: memory)
        expectWorksAfterReset(driver)
    }

    @Test("A head that is in flight may not come again", arguments: [0, 1])
    func headInFlight(answered: Int) {
        let driver = BlockDriver()
        driver.bringUp(accepting: [.version1, BlockFeature.flush])
        let chain = driver.submit(BlockRequest.Kind.flush)
        for _ in 0..<answered {
            driver.backend.complete()
            driver[queue: 0].publish(chain.head)
            driver.kick(0)
            driver.acknowledge()
        }
        #expect(driver.backend.requests.count == 1 && driver.status.rawValue == 0x0f, driver.state)
        driver[queue: 0].publish(chain.head)
        driver.kick(0)
        #expect(driver.backend.transport.lastFault == .headInFlight && driver.status.rawValue == 0x4f, driver.state)
        expectLateCompletionsIgnored(driver)
        expectWorksAfterReset(driver)
    }

    /// Requests taken before the fault are never used.
    func expectLateCompletionsIgnored(_ driver: BlockDriver) {
        let memory = driver.memory.snapshot()
        driver.backend.fail()
        #expect(
            driver.memory.changes(since: memory) == [] && driver.interruptStatus == .configurationChange, driver.state)
    }

    /// A read of 2^32 + `excess` bytes in all, header and status byte included.
    func longRead(_ driver: BlockDriver, excess: UInt32) {
        driver.bringUp(accepting: [.version1], queueSize: 8192)
        let header = driver.readable(BlockDriver.header(BlockRequest.Kind.read, sector: 0))
        let queue = driver[queue: 0]
        queue.setDescriptor(0, Descriptor(address: header.address, length: 16, flags: .next, next: 1))
        for index in UInt16(1)..<4096 {
            queue.setDescriptor(
                index, Descriptor(address: 0, length: 1 << 20, flags: [.write, .next], next: index + 1))
        }
        queue.setDescriptor(4096, Descriptor(address: 0, length: 1 << 20 - 16 + excess, flags: .write))
        queue.publish(0)
    }

    @Test("A chain of more than 2^32 bytes (2.7.5.2)")
    func chainTooLarge() {
        let driver = BlockDriver(queueSize: 8192)
        longRead(driver, excess: 1)
        let memory = driver.memory.snapshot()
        driver.kick(0)
        expectNeedsReset(driver, .chainTooLarge, unchangedSince: memory)
    }

    @Test("A chain of 2^32 bytes is legal")
    func longestChain() {
        let driver = BlockDriver(queueSize: 8192)
        longRead(driver, excess: 0)
        driver.kick(0)
        #expect(driver.status.rawValue == 0x0f && driver[queue: 0].usedIndex == 1, driver.state)
        #expect(driver.memory.load(UInt8.self, at: 1 << 20 - 17) == 1, "the status byte: too many sectors")
    }

    @Test("The lists contain every fault")
    func complete() {
        let elsewhere: [QueueFault] = [
            .badSize, .misalignedRing, .ringOutsideMemory, .headInFlight, .chainTooLarge, .descriptorNotAvailable,
        ]
        let here = (RingCorruption.ofRings + RingCorruption.ofTables).map(\.fault) + InvalidTable.all.map(\.fault)
        #expect(Set(here + elsewhere) == Set(QueueFault.allCases))
    }

    @Test("Chains before the broken one are not used after the fault")
    func goodChainsFirst() {
        let driver = BlockDriver()
        driver.bringUp(accepting: [.version1, BlockFeature.flush])
        driver.submit(BlockRequest.Kind.flush, kick: false)
        driver.submit(BlockRequest.Kind.flush, kick: false)
        driver[queue: 0].publish(0xffff)
        driver.kick(0)
        #expect(driver.status.rawValue == 0x4f && driver.backend.requests.count == 2, driver.state)
        expectLateCompletionsIgnored(driver)
        #expect(driver.takeUsed(0) == [], driver.state)
    }

    @Test("Chains that were used before the broken one are notified")
    func answeredChainsFirst() {
        let driver = BlockDriver()
        driver.bringUp(accepting: [.version1])
        driver.submit(0xdead, kick: false)
        driver[queue: 0].publish(0xffff)
        driver.kick(0)
        #expect(driver.takeUsed(0).count == 1 && driver.status.rawValue == 0x4f, driver.state)
        #expect(driver.interruptStatus == [.usedBuffer, .configurationChange], driver.state)
    }

    @Test("Two queues over the same rings are the driver's loss, not ours (trap 16)")
    func sharedRings() {
        let driver = ConsoleDriver()
        driver.bringUp(to: .queues)
        let shared = driver[queue: 0]
        driver.bringUp(to: .featuresOK)
        for index in 0..<2 {
            driver.configure(
                index, size: 16, descriptors: shared.descriptors, available: shared.available, used: shared.used)
            driver.write(.queueReady, 1)
        }
        driver.write(.status, 0x0f)
        driver.configure(shared)
        for round in 0..<40 {
            driver.type([UInt8(round)])
            let part = round % 2 == 0 ? driver.writable(4) : driver.readable([1])
            driver[queue: 0].setDescriptor(
                UInt16(round % 16),
                Descriptor(address: part.address, length: part.length, flags: part.writable ? .write : []))
            driver[queue: 0].publish(UInt16(round % 16))
            driver.kick(round % 2)
            driver.backend.complete()
        }
        #expect(driver.status.isSuperset(of: .running), driver.state)
        driver.bringUp()
        #expect(driver.status.rawValue == 0x0f, driver.state)
    }
}
