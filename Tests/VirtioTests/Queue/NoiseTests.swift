// Random guests: rings with random contents and random register writes. The model must not trap, Status must stay a
// legal value, and the device must work after a reset. The seeds are fixed, so a failure is reproducible.

import Testing
import Virtio
import VirtioABI

@Suite("Noise")
struct NoiseTests {
    func expectWorksAfterReset(_ driver: BlockDriver) {
        driver.backend.fail()
        driver.bringUp(queueSize: 8)
        let chain = driver.submit(BlockRequest.Kind.read, sector: 3, room: 512)
        driver.backend.complete()
        #expect(driver.statusByte(chain) == 0, driver.state)
        #expect(driver.data(chain) == Array(driver.disk.bytes[1536..<2048]), driver.state)
    }

    @Test("Rings full of noise", arguments: UInt64(1)...8)
    func rings(seed: UInt64) {
        var noise = SplitMix64(seed: seed)
        let driver = BlockDriver()
        for _ in 0..<100 {
            driver.bringUp(accepting: [.version1], queueSize: 8)
            let queue = driver[queue: 0]
            for index in UInt16(0)..<8 {
                // Mostly valid values, so that chains get long before a fault.
                let flags = Descriptor.Flags(rawValue: UInt16.random(in: 0..<4, using: &noise))
                let length = Bool.random(using: &noise) ? UInt32.random(in: 0...2048, using: &noise) : 16
                let address = UInt64.random(in: 0x8_0000..<0xff800, using: &noise)
                queue.setDescriptor(
                    index,
                    Descriptor(address: address, length: length, flags: flags, next: .random(in: 0..<9, using: &noise)))
            }
            for _ in 0..<4 {
                driver[queue: 0].publish(.random(in: 0..<9, using: &noise))
                driver.kick(0)
                if Bool.random(using: &noise) { driver.backend.fail(1) }
            }
            #expect([0x0f, 0x4f].contains(driver.status.rawValue), driver.state)
        }
        expectWorksAfterReset(driver)
    }

    @Test("Registers written at random", arguments: UInt64(1)...8, [SuspendDialect?.none, .draft, .ratified])
    func registers(seed: UInt64, dialect: SuspendDialect?) {
        var noise = SplitMix64(seed: seed)
        let driver = BlockDriver(suspend: dialect)
        driver.bringUp(queueSize: 8)
        for _ in 0..<3000 {
            let value = Bool.random(using: &noise) ? UInt64.random(in: 0..<256, using: &noise) : noise.next()
            let width = [1, 2, 4, 4, 4, 4, 8].randomElement(using: &noise) ?? 4
            if let register = Register.allCases.randomElement(using: &noise), noise.next() % 4 != 0 {
                driver.write(at: UInt64(register.rawValue), width: width, value)
            } else {
                driver.write(at: .random(in: 0..<0x200, using: &noise), width: width, value)
                _ = driver.read(at: .random(in: 0..<0x1100, using: &noise), width: width)
            }
            if noise.next() % 16 == 0 { driver.backend.fail(1) }
            if noise.next() % 64 == 0 { driver.backend.change { $0.capacity = 64 } }
        }
        expectWorksAfterReset(driver)
    }
}
