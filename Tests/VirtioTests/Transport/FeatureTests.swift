// Feature by feature (VIRTIO 1.4, 2.2): a withheld feature is not offered, and a feature not accepted has no effect:
// its requests are unsupported, its fields read 0, its queues do not exist, its words in the rings are neither read nor
// written.

import Testing
import Virtio
import VirtioABI

@Suite("Features one by one")
struct FeatureTests {
    /// Why a driver has no feature: the host withholds it, or the driver does not accept it.
    enum MissingFeature: CaseIterable { case withheld, notAccepted }

    /// A feature of the disk, with its configuration fields and its request type.
    struct Disk: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let feature: Features
        var fields: Range<Int> = 0..<0
        var kind: UInt32?

        static let all = [
            Disk(testDescription: "SIZE_MAX", feature: BlockFeature.sizeMax, fields: 8..<12),
            Disk(testDescription: "SEG_MAX", feature: BlockFeature.segmentMax, fields: 12..<16),
            Disk(testDescription: "BLK_SIZE", feature: BlockFeature.blockSize, fields: 20..<24),
            Disk(testDescription: "FLUSH", feature: BlockFeature.flush, kind: BlockRequest.Kind.flush),
            Disk(testDescription: "TOPOLOGY", feature: BlockFeature.topology, fields: 24..<32),
            Disk(testDescription: "CONFIG_WCE", feature: BlockFeature.configWCE, fields: 32..<33),
            Disk(testDescription: "MQ", feature: BlockFeature.multiqueue, fields: 34..<36),
            Disk(
                testDescription: "DISCARD", feature: BlockFeature.discard, fields: 36..<48,
                kind: BlockRequest.Kind.discard),
            Disk(
                testDescription: "WRITE_ZEROES", feature: BlockFeature.writeZeroes, fields: 48..<60,
                kind: BlockRequest.Kind.writeZeroes),
        ]
    }

    /// A disk with all features except `feature`, which is missing as `lack` says.
    func disk(without feature: Features, _ lack: MissingFeature) -> BlockDriver {
        let adding: Features = BlockFeature.sizeMax.subtracting(feature)
        let driver =
            lack == .withheld
            ? BlockDriver(queues: 3, adding: adding, withholding: feature)
            : BlockDriver(queues: 3, adding: BlockFeature.sizeMax)
        #expect(driver.offered.isDisjoint(with: feature) == (lack == .withheld))
        driver.bringUp(accepting: driver.offered.subtracting(feature))
        #expect(driver.status.rawValue == 0x0f, driver.state)
        driver.backend.completesAtOnce = true
        return driver
    }

    @Test(
        "A missing feature of the disk leaves no field, request or queue", arguments: Disk.all,
        MissingFeature.allCases)
    func disk(feature: Disk, lack: MissingFeature) {
        let whole = BlockDriver(queues: 3, adding: BlockFeature.sizeMax)
        let driver = disk(without: feature.feature, lack)
        // Without FLUSH there is no CONFIG_WCE to offer, and where that is accepted alone writeback is 0 (5.2.5.2).
        let isFlush = feature.feature == BlockFeature.flush
        let gone = isFlush ? 32..<33 : feature.fields
        for offset in 0..<96 {
            let isGone = (lack == .withheld || isFlush) && gone.contains(offset)
            #expect(
                driver.configuration(offset, width: 1) == (isGone ? 0 : whole.configuration(offset, width: 1)),
                "offset \(offset)")
        }
        for kind in [BlockRequest.Kind.flush, BlockRequest.Kind.discard, BlockRequest.Kind.writeZeroes] {
            let range = UInt64(0).bytes + UInt32(1).bytes + UInt32(0).bytes
            let chain = driver.submit(kind, data: kind == BlockRequest.Kind.flush ? [] : range)
            #expect(driver.statusByte(chain) == (kind == feature.kind ? 2 : 0), driver.state)
        }
        #expect(driver.exists(1) == (feature.feature != BlockFeature.multiqueue), driver.state)
    }

    @Test("Accepting what is withheld is refused (trap 6)", arguments: Disk.all)
    func refused(feature: Disk) {
        let driver = disk(without: feature.feature, .withheld)
        driver.bringUp(to: .featuresOK, accepting: driver.offered.union(feature.feature))
        #expect(driver.status.rawValue == 0x03, driver.state)
    }

    @Test(
        "Queues above 0 do not exist without MQ: not to be set up, kicked or read", arguments: MissingFeature.allCases)
    func queuesWithoutMultiqueue(lack: MissingFeature) {
        let driver = disk(without: BlockFeature.multiqueue, lack)
        for index in 1..<4 { expectNoQueue(driver, index) }
        driver.expectWorks()
    }

    @Test("With MQ each queue works, and none exists after the last")
    func multiqueue() {
        let driver = BlockDriver(queues: 3)
        driver.bringUp()
        driver.backend.completesAtOnce = true
        for index in 0..<3 {
            let parts = driver.parts(BlockDriver.header(BlockRequest.Kind.read, sector: UInt64(index)), room: 513)
            let chain = driver.add(parts, to: index)
            #expect(driver.takeUsed(index).map(\.length) == [513], driver.state)
            driver.expectData(chain, sector: index)
        }
        expectNoQueue(driver, 3)
    }

    /// Fails if queue `index` can be set up, reset or notified.
    func expectNoQueue<Device: VirtioDevice & ~Copyable>(
        _ driver: FakeDriver<Device>, _ index: Int, _ location: SourceLocation = #_sourceLocation
    ) {
        let useless = driver.count(.notifiedQueueExists)
        driver.configure(index, size: 8, descriptors: 0x1000, available: 0x2000, used: 0x3000)
        driver.write(.queueReady, 1)
        #expect(!driver.exists(index) && !driver.isReady(index), driver.state, sourceLocation: location)
        driver.write(.queueReset, 1)
        #expect(driver.read(.queueReset) == 0, driver.state, sourceLocation: location)
        #expect(driver.write(.queueNotify, UInt32(index)) == Effects(), sourceLocation: location)
        #expect(driver.count(.notifiedQueueExists) == useless + 1, driver.state, sourceLocation: location)
        #expect(driver.status.rawValue == 0x0f, driver.state, sourceLocation: location)
    }

    // MARK: The console

    /// A console of three ports without `feature`.
    func console(without feature: Features, _ lack: MissingFeature) -> ConsoleDriver {
        let withheld: Features = lack == .withheld ? feature : []
        let driver = ConsoleDriver(ports: ["a", "b"], withholding: withheld)
        #expect(driver.offered.isDisjoint(with: feature) == (lack == .withheld))
        driver.bringUp(accepting: driver.offered.subtracting(feature))
        return driver
    }

    @Test(
        "Without SIZE no message reports the size, which reads 0 if withheld",
        arguments: MissingFeature.allCases)
    func size(lack: MissingFeature) {
        let driver = console(without: ConsoleFeature.size, lack)
        #expect(driver.configuration(0) == (lack == .withheld ? 0 : 80 | 25 << 16))
        let events = driver.announce().map(\.event)
        #expect(!events.isEmpty && !events.contains(.resize), "\(events)")
        driver.backend.change { $0.columns = 100 }
        #expect(driver.messages() == [], driver.state)
    }

    @Test("Without MULTIPORT there are two queues and no number of ports", arguments: MissingFeature.allCases)
    func multiport(lack: MissingFeature) {
        let driver = console(without: ConsoleFeature.multiport, lack)
        #expect(driver.configuration(ConsoleConfiguration.maximumPorts) == (lack == .withheld ? 0 : 3))
        for index in 2..<9 { expectNoQueue(driver, index) }
        // Input of port 0 does not wait for a control message; input of other ports is dropped.
        let chain = driver.post(4)
        driver.type([1, 2])
        driver.type([3], port: 1)
        #expect(driver.answer(chain).prefix(2) == [1, 2] && driver.takeUsed(0).count == 1, driver.state)
    }

    @Test("emerg_wr works if offered, accepted or not (5.3.4)", arguments: MissingFeature.allCases)
    func emergencyWrite(lack: MissingFeature) {
        let driver = console(without: ConsoleFeature.emergencyWrite, lack)
        driver.write(at: 0x108, width: 4, 0x41)
        #expect(driver.backend.emergency == (lack == .withheld ? [] : [0x41]), driver.state)
    }

    // MARK: The rings

    /// A disk that offers all ring features that are not withheld; the driver accepts all except `feature`.
    func ring(without feature: Features, _ lack: MissingFeature, packed: Bool = false) -> BlockDriver {
        let all: Features = [.ringPacked, .inOrder, .notificationData]
        let driver = BlockDriver(
            adding: all.subtracting(lack == .withheld ? feature : []), withholding: lack == .withheld ? feature : [])
        #expect(driver.offered.isDisjoint(with: feature) == (lack == .withheld))
        let format: Features = packed ? [] : .ringPacked
        driver.bringUp(accepting: driver.offered.subtracting(feature).subtracting(format))
        #expect(driver.status.rawValue == 0x0f, driver.state)
        return driver
    }

    static let rings: [(MissingFeature, Bool)] = MissingFeature.allCases.flatMap { lack in
        [(lack, false), (lack, true)]
    }

    @Test("Without INDIRECT_DESC a table is a fault", arguments: rings)
    func indirect(lack: MissingFeature, packed: Bool) {
        let driver = ring(without: .indirectDescriptors, lack, packed: packed)
        driver.layout = .table(shift: 0)
        driver.submitRead()
        #expect(driver.backend.transport.lastFault == .indirectNotNegotiated, driver.state)
        #expect(driver.status.rawValue == 0x4f, driver.state)
    }

    @Test("Without EVENT_IDX the flags decide, and the event words are not used (traps 4 and 18)", arguments: rings)
    func eventIndex(lack: MissingFeature, packed: Bool) {
        let driver = ring(without: .eventIndex, lack, packed: packed)
        for round in 0..<20 {
            // An event before the current position.
            if packed {
                driver[packed: 0].setDriverEvent(round % 2 == 0 ? 1 : 2, 0x8000)
            } else {
                driver[queue: 0].setAvailableFlags(round % 2 == 0 ? 1 : 0)
                driver[queue: 0].setUsedEvent(0)
            }
            driver.expectWorks()
            #expect(driver.acknowledge() == (round % 2 == 0 ? [] : .usedBuffer), driver.state)
        }
        if packed {
            #expect(driver.memory.load(UInt32.self, at: driver[packed: 0].deviceEvent) == 0)
        } else {
            #expect(driver[queue: 0].availEvent == 0 && driver[queue: 0].usedFlags == 0)
        }
    }

    @Test("Without RING_PACKED the ring is split", arguments: MissingFeature.allCases)
    func packed(lack: MissingFeature) {
        let driver = ring(without: .ringPacked, lack)
        for _ in 0..<20 { driver.expectWorks() }
        #expect(driver[queue: 0].usedIndex == 20, driver.state)
    }

    @Test("Without IN_ORDER requests are used in the order of completion", arguments: rings)
    func inOrder(lack: MissingFeature, packed: Bool) {
        let driver = ring(without: .inOrder, lack, packed: packed)
        let chains = (0..<3).map { driver.submitRead(UInt64($0)) }
        for index in [2, 0, 1] {
            driver.backend.complete(at: index == 1 ? 0 : index)
            #expect(driver.takeUsed(0).map(\.id) == [UInt32(chains[index].head)], driver.state)
        }
    }

    @Test("Without NOTIFICATION_DATA the whole value is the queue's index", arguments: rings)
    func notificationData(lack: MissingFeature, packed: Bool) {
        let driver = ring(without: .notificationData, lack, packed: packed)
        driver.submitRead(kick: false)
        driver.write(.queueNotify, 1 << 16)
        #expect(driver.backend.requests.isEmpty && driver.count(.notifiedQueueExists) == 1, driver.state)
    }

    @Test("Without RING_RESET a queue is not reset", arguments: rings)
    func ringReset(lack: MissingFeature, packed: Bool) {
        let driver = ring(without: .ringReset, lack, packed: packed)
        driver.write(.queueSel, 0)
        driver.write(.queueReset, 1)
        #expect(driver.isReady(0) && driver.read(.queueReset) == 0, driver.state)
        driver.expectWorks()
    }

    @Test("The features offered by default", arguments: [false, true])
    func offer(readOnly: Bool) {
        let ring: Features = [.indirectDescriptors, .eventIndex, .version1, .ringReset]
        let both: Features = [
            BlockFeature.segmentMax, BlockFeature.blockSize, BlockFeature.flush, BlockFeature.topology,
            BlockFeature.configWCE,
        ]
        let other: Features = readOnly ? BlockFeature.readOnly : [BlockFeature.discard, BlockFeature.writeZeroes]
        #expect(BlockDriver(readOnly: readOnly).offered == ring.union(both).union(other))
        let features: Features = [ConsoleFeature.size, ConsoleFeature.emergencyWrite]
        #expect(ConsoleDriver().offered == ring.union(features))
        #expect(ConsoleDriver(ports: ["a"]).offered == ring.union(features).union(ConsoleFeature.multiport))
    }
}
