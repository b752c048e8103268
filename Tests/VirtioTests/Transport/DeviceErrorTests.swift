// Fatal backend errors, and the counting of the driver's violations (VIRTIO 1.4, 2.1.2; traps 1 and 15).

import Testing
import VirtioABI

@testable import Virtio

@Suite("Device errors")
struct DeviceErrorTests {
    @Test("Running: NEEDS_RESET is shown with a configuration change notification (B-6)")
    func running() {
        let driver = BlockDriver()
        driver.bringUp()
        driver.backend.fatal()
        #expect(driver.status.rawValue == 0x4f, driver.state)
        #expect(driver.acknowledge() == .configurationChange)
        driver.backend.fatal()
        #expect(driver.interruptStatus == [] && driver.backend.line.risingEdges == 1, driver.state)
    }

    @Test(
        "Before DRIVER_OK: NEEDS_RESET is shown without a notification (2.1.2)",
        arguments: BlockDriver.Stage.beforeDriverOK)
    func notLive(stage: BlockDriver.Stage) {
        let driver = BlockDriver()
        driver.bringUp(to: stage)
        let before = driver.status
        driver.backend.fatal()
        #expect(driver.status == before.union(.needsReset), driver.state)
        driver.write(.status, 0x0f)
        #expect(!driver.status.contains(.driverOK), driver.state)
        #expect(driver.backend.line.risingEdges == 0, driver.state)
    }

    @Test("The queues of a dead device do not move on notifications, set-up or completions")
    func dead() {
        let driver = BlockDriver()
        driver.bringUp()
        driver.submit(BlockRequest.Kind.read, room: 512)
        driver.backend.fatal()
        driver.submit(BlockRequest.Kind.flush, kick: false)
        let memory = driver.memory.snapshot()
        driver.kick(0)
        driver.backend.take(queue: 0)
        driver.write(.queueReady, 0)
        driver.write(.queueReady, 1)
        driver.backend.fail()
        #expect(driver.backend.requests.isEmpty, driver.state)
        #expect(driver.memory.changes(since: memory) == [])
        #expect(driver.acknowledge() == .configurationChange)
        #expect(!driver.backend.line.level, driver.state)
    }

    @Test("The first, second, fourth, eighth ... violation of a clause is due, each once (trap 15)")
    func violations() {
        let driver = BlockDriver()
        var reported: [UInt64] = []
        for _ in 0..<1000 {
            _ = driver.read(.queueNotify)
            while let due = driver.backend.transport.conformance.nextReport() {
                #expect(due.check == .registerReadable && due.evidence == Evidence(offset: 0x50))
                reported.append(due.count)
            }
        }
        #expect(reported == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512])
        #expect(driver.count(.registerReadable) == 1000 && driver.count(.registerDefined) == 0)
    }
}
