// Device initialisation from reset to DRIVER_OK (VIRTIO 1.4, 3.1.1; 2.1; 2.2): Status bits and feature negotiation.
// The tests of SUSPEND are in Suspend/.

import Testing
import Virtio
import VirtioABI

@Suite("Initialisation")
struct InitialisationTests {
    @Test("The steps of 3.1.1 show in Status one by one")
    func steps() {
        let driver = BlockDriver()
        let shown: [(BlockDriver.Stage, UInt8)] = [
            (.reset, 0), (.acknowledge, 1), (.driver, 3), (.features, 3), (.featuresOK, 0x0b), (.queues, 0x0b),
            (.driverOK, 0x0f),
        ]
        for (stage, status) in shown {
            driver.bringUp(to: stage)
            #expect(driver.status.rawValue == status, driver.state)
            #expect(driver.interruptStatus == [] && driver.backend.line.risingEdges == 0)
        }
    }

    @Test("Any set of features with VERSION_1 is accepted (B-12)")
    func subsets() {
        let driver = BlockDriver(suspend: .draft)
        let offered = driver.offered
        let optional = (0..<64).map { Features(bit: $0) }.filter { offered.contains($0) && $0 != .version1 }
        for choice in 0..<(1 << optional.count) {
            let features = optional.indices.filter { choice >> $0 & 1 == 1 }.reduce(Features.version1) {
                $0.union(optional[$1])
            }
            driver.bringUp(accepting: features)
            #expect(driver.status.rawValue == 0x0f, "\(features.rawValue)\n\(driver.state)")
        }
    }

    @Test(
        "FEATURES_OK reads back 0 if one bit was not offered, and a reset recovers (trap 6, B-10)",
        arguments: 0..<64)
    func unofferedBit(bit: Int) {
        let driver = BlockDriver(suspend: .ratified)
        let offered = driver.offered
        guard !offered.contains(Features(bit: bit)) else { return }
        driver.bringUp(to: .featuresOK, accepting: offered.union(Features(bit: bit)))
        #expect(driver.status.rawValue == 0x03, driver.state)
        #expect(driver.count(.featureOffered) == 1)
        driver.write(.status, 0x0f)
        #expect(driver.status.rawValue == 0x03, driver.state)
        driver.bringUp()
        #expect(driver.status.rawValue == 0x0f, driver.state)
    }

    @Test("VERSION_1 is not optional")
    func versionOne() {
        let driver = BlockDriver()
        driver.bringUp(to: .featuresOK, accepting: driver.offered.subtracting(.version1))
        #expect(driver.status.rawValue == 0x03, driver.state)
        driver.bringUp(to: .featuresOK, accepting: [])
        #expect(driver.status.rawValue == 0x03, driver.state)
        driver.bringUp(accepting: .version1)
        #expect(driver.status.rawValue == 0x0f, driver.state)
    }

    @Test(
        "A bit in word 2 or 3 is not offered either", arguments: [UInt32(2), 3], [UInt32(1), 1 << 31])
    func highWord(word: UInt32, value: UInt32) {
        let driver = BlockDriver()
        driver.bringUp(to: .features)
        driver.write(.driverFeaturesSel, word)
        driver.write(.driverFeatures, 0)
        driver.write(.driverFeatures, value)
        driver.write(.status, 0x0b)
        #expect(driver.status.rawValue == 0x03, driver.state)
        driver.bringUp(to: .features)
        driver.write(.driverFeaturesSel, word)
        driver.write(.driverFeatures, 0)
        driver.write(.status, 0x0b)
        #expect(driver.status.rawValue == 0x0b, driver.state)
    }

    @Test("The other dialect's suspend bit is refused (T03)", arguments: SuspendDialect.allCases)
    func otherDialect(dialect: SuspendDialect) {
        let other: Features = dialect == .draft ? .suspend : .suspendDraft
        let driver = BlockDriver(suspend: dialect)
        driver.bringUp(to: .featuresOK, accepting: driver.offered.union(other))
        #expect(driver.status.rawValue == 0x03, driver.state)
    }

    @Test("DriverFeatures may be rewritten, word by word, until FEATURES_OK")
    func rewrite() {
        let driver = BlockDriver()
        driver.bringUp(to: .driver)
        driver.accept(Features(rawValue: .max))
        driver.accept([.version1, BlockFeature.flush])
        driver.write(.status, 0x0b)
        #expect(driver.status.rawValue == 0x0b, driver.state)
    }

    @Test("A bit in word 2 may be taken back before FEATURES_OK like any other")
    func rewriteHighWord() {
        let driver = BlockDriver()
        driver.bringUp(to: .features)
        driver.write(.driverFeaturesSel, 2)
        driver.write(.driverFeatures, 1)
        driver.write(.driverFeatures, 0)
        driver.write(.status, 0x0b)
        #expect(driver.status.rawValue == 0x0b, driver.state)
    }

    @Test(
        "FEATURES_OK is refused while a bit from 64 on is accepted, and not after the driver takes it back",
        arguments: [2, 3, 4, 7, 0x1000, .max] as [UInt32])
    func highWords(word: UInt32) {
        let driver = BlockDriver()
        driver.bringUp(to: .features)
        driver.write(.driverFeaturesSel, word)
        driver.write(.driverFeatures, 1 << 31)
        driver.write(.status, 0x0b)
        #expect(driver.status.rawValue == 0x03 && driver.count(.featureOffered) == 1, driver.state)
        driver.write(.driverFeatures, 0)
        driver.write(.status, 0x0b)
        #expect(driver.status.rawValue == 0x0b && driver.count(.featureOffered) == 1, driver.state)
        driver.bringUp(to: .features)
        driver.write(.driverFeaturesSel, word)
        driver.write(.driverFeatures, 1)
        driver.bringUp()
        #expect(driver.status.rawValue == 0x0f, driver.state)
    }

    @Test("After bits in more words than the device records, FEATURES_OK is refused until the reset")
    func manyHighWords() {
        let driver = BlockDriver()
        driver.bringUp(to: .features)
        for value: UInt32 in [1, 0] {
            for word: UInt32 in 100..<1100 {
                driver.write(.driverFeaturesSel, word)
                driver.write(.driverFeatures, value)
            }
        }
        driver.write(.status, 0x0b)
        #expect(driver.status.rawValue == 0x03, driver.state)
        driver.bringUp()
        driver.expectWorks()
    }

    @Test("DriverFeatures before DRIVER has no effect", arguments: [BlockDriver.Stage.reset, .acknowledge])
    func tooEarly(stage: BlockDriver.Stage) {
        let driver = BlockDriver()
        driver.bringUp(to: stage)
        driver.accept(.version1)
        #expect(driver.count(.statusShowsSteps) == 2)
        driver.write(.status, 0x03)
        driver.write(.status, 0x0b)
        #expect(driver.status.rawValue == 0x03, driver.state)
    }

    @Test("DriverFeatures after FEATURES_OK has no effect", arguments: [BlockDriver.Stage.queues, .driverOK])
    func tooLate(stage: BlockDriver.Stage) {
        let driver = BlockDriver()
        driver.bringUp(to: stage)
        driver.accept([])
        #expect(driver.count(.featuresRewritten) == 2 && driver.count(.featuresFinal) == 0)
        driver.write(.status, 0x0f)
        driver.submit(BlockRequest.Kind.flush)
        #expect(driver.backend.requests.count == 1, driver.state)
    }

    @Test(
        "Status bits are sticky: no write but 0 clears one (D-2)",
        arguments: [UInt32(1), 2, 4, 8, 0x10, 0x40, 0xa0, 0x300])
    func sticky(value: UInt32) {
        let driver = BlockDriver()
        driver.bringUp()
        driver.write(.status, value)
        let failed = value & 0x80 != 0 ? DeviceStatus.failed : []
        #expect(driver.status == DeviceStatus.running.union(failed), driver.state)
    }

    @Test("Only the whole word 0 is a reset (T65)", arguments: [UInt32(0x100), 0x8000_0000, 0xffff_ff00])
    func notAReset(value: UInt32) {
        let driver = BlockDriver()
        driver.bringUp()
        #expect(driver.write(.status, value) == Effects())
        #expect(driver.status.rawValue == 0x0f && driver.isReady(0), driver.state)
    }

    @Test(
        "NEEDS_RESET, the reserved bit and SUSPEND are the device's, in every step",
        arguments: BlockDriver.Stage.allCases)
    func deviceOwned(stage: BlockDriver.Stage) {
        let driver = BlockDriver()
        driver.bringUp(to: stage)
        let before = driver.status
        driver.write(.status, UInt32(before.rawValue) | 0x70)
        #expect(driver.status == before, driver.state)
    }

    @Test("DRIVER_OK needs FEATURES_OK", arguments: [UInt32(4), 5, 7])
    func driverOKTooEarly(value: UInt32) {
        let driver = BlockDriver()
        driver.bringUp(to: .driver)
        driver.write(.status, value)
        #expect(driver.status.rawValue == 0x03, driver.state)
    }

    @Test("FEATURES_OK and DRIVER_OK may come in one write")
    func oneWrite() {
        let driver = BlockDriver()
        driver.bringUp(to: .features)
        driver.write(.status, 0x0f)
        #expect(driver.status.rawValue == 0x0f, driver.state)
        driver.setUp(queue: 0)
        driver.submit(BlockRequest.Kind.flush)
        #expect(driver.backend.requests.count == 1, driver.state)
    }

    @Test("FAILED stays, and DRIVER_OK after it starts nothing, until the reset (B-3)")
    func failed() {
        let driver = BlockDriver()
        driver.bringUp(to: .queues)
        driver.write(.status, 0x8b)
        driver.write(.status, 0x0f)
        #expect(driver.status.rawValue == 0x8b, driver.state)
        driver.submit(BlockRequest.Kind.flush)
        #expect(driver.backend.requests.isEmpty, driver.state)
        driver.bringUp()
        #expect(driver.status.rawValue == 0x0f, driver.state)
    }

    @Test("QueueReady needs FEATURES_OK")
    func queueTooEarly() {
        let driver = BlockDriver()
        driver.bringUp(to: .features)
        driver.setUp(queue: 0)
        #expect(!driver.isReady(0), driver.state)
        driver.write(.status, 0x0b)
        driver.write(.queueReady, 1)
        #expect(driver.isReady(0), driver.state)
    }

    @Test("No buffer is used before DRIVER_OK, and then without another notification (B-5)")
    func buffersBeforeDriverOK() {
        let driver = BlockDriver()
        driver.bringUp(to: .queues)
        let memory = driver.memory.snapshot()
        driver.submit(BlockRequest.Kind.flush, kick: false)
        let added = driver.memory.changes(since: memory)
        #expect(driver.kick(0) == Effects() && driver.count(.notificationAfterDriverOK) == 1, driver.state)
        driver.backend.take(queue: 0)
        #expect(driver.backend.requests.isEmpty, driver.state)
        #expect(driver.memory.changes(since: memory) == added)
        driver.write(.status, 0x0f)
        #expect(driver.backend.requests.count == 1, driver.state)
        driver.backend.complete()
        #expect(driver.takeUsed(0).count == 1, driver.state)
    }
}
