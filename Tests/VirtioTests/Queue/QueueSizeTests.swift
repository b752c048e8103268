// Legal queue sizes, each for several laps of the ring, and illegal ones (VIRTIO 1.4, 2.7 and 2.8).

import Testing
import Virtio
import VirtioABI

@Suite("Queue sizes")
struct QueueSizeTests {
    static let splitSizes = (0...15).map { UInt16(1) << $0 }
    static let packedSizes: [UInt16] = [1, 2, 3, 5, 7, 100, 32767, 32768]

    /// Fills the ring with chains of one descriptor, three times.
    func serve(_ driver: ConsoleDriver, _ size: UInt16) {
        driver.bringUp(to: .featuresOK)
        driver.setUp(queue: 1, size: size)
        driver.write(.status, 0x0f)
        #expect(driver.isReady(1), driver.state)
        driver.backend.completesAtOnce = true
        driver.backend.batchCapacity = 4096
        let part = driver.readable([0x55])
        for lap in 1...3 {
            let chains = (0..<size).map { _ in driver.add([part], to: 1, kick: false) }
            #expect(driver.ring(1).room == 0)
            driver.kick(1)
            // Compared outside #expect: a failure would print the differences of 32768 elements.
            let isWhole = driver.takeUsed(1) == chains.map { UsedElement(id: UInt32($0.head), length: 0) }
            #expect(isWhole && driver.acknowledge() == .usedBuffer, "lap \(lap)\n\(driver.state)")
            if !isWhole { return }
        }
        #expect(driver.terminal.output.count == 3 * Int(size))
    }

    @Test("Split: every power of two", arguments: splitSizes)
    func split(size: UInt16) { serve(ConsoleDriver(queueSize: 32768, memory: FakeMemory(low: 2 << 20)), size) }

    @Test("Packed: any number", arguments: packedSizes)
    func packed(size: UInt16) {
        serve(ConsoleDriver(queueSize: 32768, form: Form(packed: true), memory: FakeMemory(low: 2 << 20)), size)
    }

    @Test("A ring of one entry serves chains of many descriptors, by tables", arguments: [false, true])
    func one(packed: Bool) {
        let driver = BlockDriver(form: Form(packed: packed, layout: .table(shift: 2)))
        driver.bringUp(queueSize: 1)
        for _ in 0..<20 { driver.expectWorks() }
    }

    @Test("Illegal sizes are refused with the largest possible QueueSizeMax", arguments: [false, true])
    func refused(packed: Bool) {
        let driver = ConsoleDriver(queueSize: 32768, form: Form(packed: packed), memory: FakeMemory(low: 2 << 20))
        let never: [UInt32] = [0, 32769, 33000, 0xffff, 0x1_0000, 0x1_0001, 0x8000_0000, .max]
        for size in never + (packed ? [] : [3, 5, 7, 100, 32767]) {
            driver.bringUp(to: .featuresOK)
            driver.configure(1, size: size, descriptors: 0, available: 0x10_0000, used: 0x18_0000)
            driver.write(.queueReady, 1)
            #expect(driver.read(.queueReady) == 0 && driver.status.rawValue == 0x4b, "size \(size)")
            #expect(driver.backend.transport.lastFault == .badSize, driver.state)
        }
    }
}
