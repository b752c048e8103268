// Used buffer notifications: suppression by the driver, and the interrupt line (VIRTIO 1.4, 2.7.7 and 4.2.3.4; traps 4
// and 11).

import Testing
import Virtio
import VirtioABI

@Suite("Used buffer notification")
struct UsedBufferInterruptTests {
    @Test("VIRTQ_AVAIL_F_NO_INTERRUPT suppresses it, and 0 brings it back (trap 4)")
    func suppression() {
        let driver = BlockDriver()
        driver.bringUp(accepting: [.version1, BlockFeature.flush])
        for wanted in [true, false, false, true] {
            driver[queue: 0].setAvailableFlags(wanted ? 0 : SplitRing.noInterrupt)
            driver.submit(BlockRequest.Kind.flush)
            driver.backend.complete()
            #expect(driver.takeUsed(0).count == 1, driver.state)
            #expect(driver.acknowledge() == (wanted ? .usedBuffer : []), driver.state)
        }
        #expect(driver.backend.line.risingEdges == 2)
    }

    @Test("The flag counts when the buffer is used, not when it is taken")
    func lateFlag() {
        let driver = BlockDriver()
        driver.bringUp(accepting: [.version1, BlockFeature.flush])
        driver.submit(BlockRequest.Kind.flush)
        driver[queue: 0].setAvailableFlags(SplitRing.noInterrupt)
        driver.backend.complete()
        #expect(driver.interruptStatus == [], driver.state)
        driver.submit(BlockRequest.Kind.flush)
        driver[queue: 0].setAvailableFlags(0)
        driver.backend.complete()
        #expect(driver.interruptStatus == .usedBuffer, driver.state)
    }

    @Test("Suppression does not touch a bit that is set, nor configuration changes")
    func suppressionIsNoMask() {
        let driver = BlockDriver()
        driver.bringUp(accepting: [.version1, BlockFeature.flush])
        driver.submit(BlockRequest.Kind.flush)
        driver.backend.complete()
        driver[queue: 0].setAvailableFlags(SplitRing.noInterrupt)
        driver.submit(BlockRequest.Kind.flush)
        driver.backend.complete()
        driver.backend.change { $0.capacity = 1 }
        #expect(driver.acknowledge() == [.usedBuffer, .configurationChange], driver.state)
    }

    @Test("A chain the device answers itself is notified and suppressed like any other", arguments: [true, false])
    func answeredAtOnce(wanted: Bool) {
        let driver = BlockDriver()
        driver.bringUp(accepting: [.version1])
        driver[queue: 0].setAvailableFlags(wanted ? 0 : SplitRing.noInterrupt)
        driver.submit(0xdead)
        #expect(driver.takeUsed(0).count == 1)
        #expect(driver.interruptStatus == (wanted ? .usedBuffer : []), driver.state)
    }

    @Test("The line stays up over completions, and rises again after each acknowledgement (trap 11)")
    func line() {
        let driver = BlockDriver()
        driver.bringUp(accepting: [.version1, BlockFeature.flush])
        for _ in 0..<4 { driver.submit(BlockRequest.Kind.flush) }
        driver.backend.complete(2)
        #expect(driver.backend.line.level && driver.backend.line.risingEdges == 1, driver.state)
        driver.acknowledge()
        #expect(!driver.backend.line.level)
        driver.backend.complete(1)
        #expect(driver.backend.line.level && driver.backend.line.risingEdges == 2, driver.state)
        driver.backend.complete(1)
        #expect(driver.acknowledge() == .usedBuffer)
        #expect(!driver.backend.line.level && driver.backend.line.risingEdges == 2, driver.state)
    }

    @Test("An event after the read of InterruptStatus survives the acknowledgement of another")
    func acknowledgeOnlyWhatWasSeen() {
        let driver = BlockDriver()
        driver.bringUp()
        driver.backend.change { $0.capacity = 1 }
        let status = driver.interruptStatus
        driver.submit(BlockRequest.Kind.flush)
        driver.backend.complete()
        driver.write(.interruptACK, status.rawValue)
        #expect(driver.interruptStatus == .usedBuffer && driver.backend.line.level, driver.state)
    }
}
