// A driver that configures an invalid queue: size, alignment and address are checked once, when 1 is written to
// QueueReady (VIRTIO 1.4, 2.7; trap 12).

import Testing
import Virtio
import VirtioABI

@Suite("Hostile queue set-up")
struct HostileSetUpTests {
    struct Layout: Sendable {
        let fault: QueueFault
        var size: UInt32 = 16
        var descriptors: UInt64 = 0x1000
        var available: UInt64 = 0x2000
        var used: UInt64 = 0x3000
    }

    static let end = UInt64(1 << 20)
    static let layouts: [Layout] =
        [UInt32(0), 3, 15, 17, 255, 257, 512, 0x8000, 0x1_0000, 0x1_0010, 0x8000_0000, .max].map {
            Layout(fault: .badSize, size: $0)
        } + [
            Layout(fault: .misalignedRing, descriptors: 0x1008),
            Layout(fault: .misalignedRing, descriptors: 0x1001),
            Layout(fault: .misalignedRing, available: 0x2001),
            Layout(fault: .misalignedRing, used: 0x3002),
            Layout(fault: .misalignedRing, used: 0x3001),
            Layout(fault: .ringOutsideMemory, descriptors: end - 240),
            Layout(fault: .ringOutsideMemory, descriptors: end),
            Layout(fault: .ringOutsideMemory, available: end - 36),
            Layout(fault: .ringOutsideMemory, used: end - 132),
            Layout(fault: .ringOutsideMemory, used: FakeMemory.highAddress - 4),
            Layout(fault: .ringOutsideMemory, descriptors: .max - 15),
            Layout(fault: .ringOutsideMemory, available: .max - 1),
            Layout(fault: .ringOutsideMemory, used: .max - 3),
        ]

    @Test(
        "Checked when the queue goes live, before DRIVER_OK: NEEDS_RESET and no interrupt (trap 12)", arguments: layouts
    )
    func beforeDriverOK(layout: Layout) {
        let driver = BlockDriver()
        driver.bringUp(to: .featuresOK)
        let memory = driver.memory.snapshot()
        enable(layout, on: driver)
        #expect(driver.status.rawValue == 0x4b && driver.interruptStatus == [], driver.state)
        driver.write(.status, 0x0f)
        driver.kick(0)
        #expect(driver.memory.changes(since: memory) == [] && driver.status.rawValue == 0x4b, driver.state)
        driver.bringUp()
        #expect(driver.status.rawValue == 0x0f, driver.state)
    }

    @Test("Checked when the queue goes live, after DRIVER_OK: NEEDS_RESET with an interrupt", arguments: layouts)
    func afterDriverOK(layout: Layout) {
        let driver = BlockDriver()
        driver.bringUp(to: .featuresOK)
        driver.write(.status, 0x0f)
        enable(layout, on: driver)
        #expect(driver.status.rawValue == 0x4f && driver.acknowledge() == .configurationChange, driver.state)
    }

    func enable(_ layout: Layout, on driver: BlockDriver) {
        driver.configure(
            0, size: layout.size, descriptors: layout.descriptors, available: layout.available, used: layout.used)
        #expect(driver.status.rawValue & 0x40 == 0, "checked too early")
        driver.write(.queueReady, 1)
        #expect(driver.backend.transport.lastFault == layout.fault, driver.state)
        #expect(driver.read(.queueReady) == 0, driver.state)
    }

    @Test("Areas that just fit")
    func justFits() {
        let driver = BlockDriver()
        for (descriptors, available, used) in [
            (Self.end - 256, UInt64(0x2000), UInt64(0x3000)), (0x1000, Self.end - 38, 0x3000),
            (0x1000, 0x2000, Self.end - 136),
        ] {
            driver.bringUp(to: .featuresOK)
            driver.configure(0, size: 16, descriptors: descriptors, available: available, used: used)
            driver.write(.queueReady, 1)
            #expect(driver.read(.queueReady) == 1, driver.state)
        }
    }
}
