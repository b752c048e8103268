// The device-specific configuration space and ConfigGeneration (VIRTIO 1.4, 2.5 and 4.2.2.2).

import Testing
import Virtio
import VirtioABI

@Suite("Configuration space")
struct ConfigurationSpaceTests {
    static let columns: [BlockDriver.Stage] = [.reset, .driverOK]
    /// A capacity whose bytes all differ.
    static let capacity: UInt64 = 0x0807_0605_0403_0201

    /// The expected configuration space of the block device (5.2.4).
    static var bytes: [UInt8] {
        let defined: [UInt8] = [
            1, 2, 3, 4, 5, 6, 7, 8,  // capacity
            0, 0, 0, 0, 254, 0, 0, 0,  // size_max, seg_max
            0, 0, 0, 0, 0, 2, 0, 0,  // geometry, blk_size
            3, 0, 8, 0, 0, 0, 0, 0,  // topology: 8 sectors per physical block, minimum I/O size 8
            1, 0, 0, 0,  // writeback, unused, num_queues
            0, 0, 1, 0, 1, 0, 0, 0, 8, 0, 0, 0,  // discard: 65536 sectors, one segment, aligned to 8 sectors
            0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0,  // write zeroes: 65536 sectors, one segment, may unmap
        ]
        return defined + Array(repeating: 0, count: 0xf00 - defined.count)
    }

    static func value(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    func driver(_ stage: BlockDriver.Stage) -> BlockDriver {
        let driver = BlockDriver()
        driver.backend.change { $0.capacity = Self.capacity }
        driver.bringUp(to: stage)
        return driver
    }

    @Test("Every field reads by 1, 2 and 4 bytes, and by 8 as two halves (trap 8)", arguments: columns)
    func widths(stage: BlockDriver.Stage) {
        let driver = driver(stage)
        for width in [1, 2, 4, 8] {
            for offset in stride(from: 0, through: 96, by: min(width, 4)) {
                #expect(
                    driver.configuration(offset, width: width) == Self.value(Self.bytes[offset..<(offset + width)]),
                    "offset \(offset), width \(width)")
            }
        }
    }

    @Test("Misaligned accesses and odd widths read 0, change nothing and are counted")
    func misaligned() {
        let driver = driver(.driverOK)
        var count: UInt64 = 0
        let bad = [(1, 2), (1, 4), (2, 4), (3, 4), (1, 8), (2, 8), (3, 2), (0, 3), (0, 5), (0, 6), (0, 7), (0, 16)]
        for (offset, width) in bad {
            #expect(driver.configuration(offset, width: width) == 0, "offset \(offset), width \(width)")
            driver.write(at: UInt64(0x100 + offset), width: width, .max)
            count += 2
            #expect(driver.count(.fieldWidth) == count, "offset \(offset), width \(width)")
        }
        #expect(driver.configuration(0, width: 8) == Self.capacity)
    }

    @Test("What lies behind the last field reads 0, to the end of the window and over it")
    func end() {
        let driver = ConsoleDriver()
        driver.bringUp()
        #expect(driver.configuration(8, width: 8) == 0)
        for offset in stride(from: 12, to: 0xf00, by: 4) { #expect(driver.configuration(offset) == 0) }
        #expect(driver.configuration(0xeff, width: 1) == 0)
        #expect(driver.configuration(0xefc, width: 8) == 0)
        let count = driver.count(.fieldWidth)
        let outside: [UInt64] = [0x1000, 0x1_0000_0000, 0x1_0000_0070, .max - 7]
        for offset in outside {
            #expect(driver.read(at: offset, width: 4) == 0)
            #expect(driver.write(at: offset, width: 4, 0) == Effects())
        }
        #expect(driver.status.rawValue == 0x0f, driver.state)
        #expect(driver.count(.fieldWidth) == count + 8)
    }

    @Test("The block device's fields cannot be written, but for writeback", arguments: [1, 2, 4, 8])
    func writes(width: Int) {
        let driver = driver(.driverOK)
        let before = driver.dump()
        for offset in stride(from: 0, to: 96, by: width) where offset != BlockConfiguration.writeback {
            #expect(driver.write(at: UInt64(0x100 + offset), width: width, .max) == Effects())
        }
        #expect(driver.dump() == before, driver.state)
    }

    @Test("Every change moves the generation with the bytes and raises one interrupt (trap 17, MM-4)")
    func change() {
        let driver = driver(.driverOK)
        driver.acknowledge()
        var generation = driver.read(.configGeneration)
        for sectors in [UInt64(1), 2, 1 << 40] {
            let edges = driver.backend.line.risingEdges
            driver.backend.change { $0.capacity = sectors }
            #expect(driver.configuration(0, width: 8) == sectors)
            #expect(driver.read(.configGeneration) != generation)
            generation = driver.read(.configGeneration)
            #expect(driver.acknowledge() == .configurationChange)
            #expect(driver.backend.line.risingEdges == edges + 1, driver.state)
            #expect(!driver.backend.line.level)
        }
    }

    @Test("An edit that changes nothing is no change")
    func noChange() {
        let driver = driver(.driverOK)
        let generation = driver.read(.configGeneration)
        driver.backend.change { $0.capacity = Self.capacity }
        #expect(driver.read(.configGeneration) == generation && driver.interruptStatus == [], driver.state)
    }

    @Test("A change before DRIVER_OK is visible without an interrupt", arguments: BlockDriver.Stage.beforeDriverOK)
    func changeBeforeDriver(stage: BlockDriver.Stage) {
        let driver = BlockDriver()
        driver.bringUp(to: stage)
        let generation = driver.read(.configGeneration)
        driver.backend.change { $0.capacity = 7 }
        #expect(driver.configuration(0, width: 8) == 7)
        #expect(driver.read(.configGeneration) != generation)
        #expect(driver.interruptStatus == [] && driver.backend.line.risingEdges == 0, driver.state)
    }

    @Test("A dead device keeps its configuration until the reset, which commits the last change")
    func changeAfterDeath() {
        let driver = BlockDriver(sectors: 64)
        driver.bringUp()
        driver.backend.fatal()
        driver.acknowledge()
        let generation = driver.read(.configGeneration)
        driver.backend.change { $0.capacity = 7 }
        driver.backend.change { $0.capacity = 9 }
        #expect(driver.configuration(0, width: 8) == 64)
        #expect(driver.read(.configGeneration) == generation)
        driver.bringUp()
        #expect(driver.configuration(0, width: 8) == 9)
        #expect(driver.read(.configGeneration) != generation)
        #expect(driver.interruptStatus == [], driver.state)
    }
}
