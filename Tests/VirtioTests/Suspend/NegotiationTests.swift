// T01 to T07 and T09: the conditions for SUSPEND to have an effect (D-1, D-2, D-18).

import Testing
import Virtio
import VirtioABI

@Suite("Suspend: negotiation")
struct SuspendNegotiationTests {
    @Test("T01 without a dialect neither bit is offered", .covers("D-1", "B-9"))
    func T01_notOffered() {
        let driver = BlockDriver(sectors: 8)
        #expect(driver.offered.isDisjoint(with: [.suspendDraft, .suspend]))
    }

    @Test("T02 each dialect offers its own bit", .covers("D-1", "B-9", "V5-FEAT-1", "V14-FEAT-1"))
    func T02_ownBit() {
        let both: Features = [.suspendDraft, .suspend]
        #expect(BlockDriver(sectors: 8, suspend: .draft).offered.intersection(both) == Features(bit: 42))
        #expect(BlockDriver(sectors: 8, suspend: .ratified).offered.intersection(both) == Features(bit: 43))
    }

    @Test(
        "T03 the other dialect's bit is refused", .covers("D-1", "B-12"),
        arguments: SuspendDialect.allCases)
    func T03_otherBit(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        let other: Features = dialect == .draft ? .suspend : .suspendDraft
        driver.bringUp(to: .features, accepting: driver.offered.union(other))
        driver.write(.status, 0x0b)
        #expect(driver.statusByte == 0x03, driver.state)
        driver.write(.status, 0x0f)
        #expect(driver.statusByte == 0x03, driver.state)
    }

    @Test("T04 a network device with the draft's bit is not made", .covers("D-1"))
    func T04_network() async {
        await #expect(processExitsWith: .failure) {
            let memory = FakeMemory(low: 1 << 12, high: 1 << 12)
            let transport = MMIOTransport(device: Network(), memory: memory.guest, suspend: .draft)
            print(transport.offered)
        }
        let memory = FakeMemory(low: 1 << 12, high: 1 << 12)
        let transport = MMIOTransport(device: Network(), memory: memory.guest, suspend: .ratified)
        #expect(transport.offered.contains(.suspend))
    }

    @Test(
        "T05 not negotiated, SUSPEND is ignored (trap 7)",
        .covers("V5-DEV-2", "D-18"), arguments: SuspendDialect.allCases)
    func T05_notNegotiated(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.bringUp(accepting: driver.offered.subtracting(dialect.feature))
        driver.backend.events = []
        let chain = driver.submitRead()
        for word: UInt32 in [0x1f, 0x10, 0x1b, 0x0f] {
            driver.write(.status, word)
            #expect(driver.statusByte == 0x0f, driver.state)
        }
        driver.backend.complete()
        driver.expectRead(chain)
        #expect(driver.takeEvents() == [])
    }

    @Test(
        "T06 before DRIVER_OK SUSPEND is ignored",
        .covers("V5-DEV-3", "V14-DEV-1"), arguments: SuspendDialect.allCases)
    func T06_beforeDriverOK(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.bringUp(to: .queues)
        for word: UInt32 in [0x1b, 0x10] {
            driver.write(.status, word)
            #expect(driver.statusByte == 0x0b, driver.state)
        }
        driver.write(.status, 0x0f)
        #expect(driver.statusByte == 0x0f, driver.state)
        driver.expectWorks()
    }

    @Test(
        "T07 SUSPEND in the write that brings DRIVER_OK is ignored",
        .covers("D-2", "V5-DEV-3", "V14-DEV-1"), arguments: SuspendDialect.allCases)
    func T07_withDriverOK(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        driver.bringUp(to: .queues)
        driver.write(.status, 0x1f)
        #expect(driver.statusByte == 0x0f, driver.state)
        #expect(driver.takeEvents().isDisjoint(with: [.drainBegan, .suspended]))
        driver.expectWorks()
        #expect(driver.statusByte == 0x0f, driver.state)
    }

    @Test(
        "T09 a suspended device is reset: the same features are accepted",
        .covers("B-10", "B-1", "MM-3"), arguments: SuspendDialect.allCases)
    func T09_sameFeaturesAgain(_ dialect: SuspendDialect) {
        let driver = BlockDriver(sectors: 8, suspend: dialect)
        for _ in 0..<3 {
            driver.bringUp()
            #expect(driver.statusByte == 0x0f, driver.state)
            driver.suspend()
            driver.write(.status, 0)
            #expect(driver.statusByte == 0, driver.state)
            #expect(driver.interruptStatus == [])
            #expect(!driver.isReady(0))
        }
        driver.bringUp()
        driver.expectWorks()
    }
}

/// A minimal network device.
private struct Network: VirtioDevice, ~Copyable {
    struct Request: Sendable {}
    struct Configuration: Equatable, Sendable {}

    static var deviceID: UInt32 { DeviceID.network }
    func queueCount(_ features: Features) -> Int { 2 }
    func queueSizeMax(_ index: Int) -> UInt16 { 16 }
    var initialConfiguration: Configuration { Configuration() }
    func bytes(of configuration: Configuration) -> ConfigurationBytes { ConfigurationBytes(size: 0) }
    mutating func reset() {}
    func wantsBuffer(queue index: Int) -> Bool { true }
    mutating func take(
        _ chain: inout DescriptorChain, queue index: Int, _ configuration: Configuration
    ) -> TakeResult<Request> { .done(UsedLength()) }
    mutating func finish(_ outcome: Outcome, reply: Reply?) -> UsedLength { UsedLength() }
}
