// Violations of the clauses on block and console.

import Testing
import Virtio
import VirtioABI

extension ViolationCase {
    static func disk(readOnly: Bool = false, withholding: Features = []) -> BlockDriver {
        let driver = BlockDriver(readOnly: readOnly, withholding: withholding)
        driver.bringUp()
        driver.backend.completesAtOnce = true
        return driver
    }

    /// The segment of a discard or write zeroes: `count` sectors from `sector` on.
    static func range(sector: UInt64 = 0, count: UInt32 = 1, flags: UInt32 = 0) -> [UInt8] {
        sector.bytes + count.bytes + flags.bytes
    }

    static let blocks: [ViolationCase] = [
        ViolationCase(.writebackAfterFeatures, .field(32)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: bad ? .driver : .featuresOK)
            _ = driver.configuration(BlockConfiguration.writeback, width: 1)
            return driver
        },
        ViolationCase(.requestFramed, .chain(0), "a short header") { bad in
            let driver = disk()
            let header = BlockDriver.header(BlockRequest.Kind.flush, sector: 0)
            driver.add(driver.parts(bad ? header.dropLast() : header, room: 1), to: 0)
            return driver
        },
        ViolationCase(.requestFramed, Evidence(queue: 0), "no status") { bad in
            let driver = disk()
            let header = BlockDriver.header(BlockRequest.Kind.flush, sector: 0)
            driver.add(driver.parts(header, room: bad ? 0 : 1), to: 0)
            return driver
        },
        ViolationCase(.requestReserved, .chain(0)) { bad in
            let driver = disk()
            var header = BlockDriver.header(BlockRequest.Kind.flush, sector: 0)
            // An I/O priority has 16 bits.
            header.replaceSubrange(4..<8, with: UInt32(bad ? 0x1_0000 : 0xffff).bytes)
            driver.add(driver.parts(header, room: 1), to: 0)
            return driver
        },
        ViolationCase(.dataDirection, .chain(0), "a read") { bad in
            let driver = disk()
            let data = [UInt8](repeating: 0, count: bad ? 512 : 0)
            driver.submit(BlockRequest.Kind.read, data: data, room: 512 - data.count)
            return driver
        },
        ViolationCase(.requestNegotiated, .chain(0)) { bad in
            let driver = disk(withholding: bad ? BlockFeature.discard : [])
            driver.submit(BlockRequest.Kind.discard, data: range())
            return driver
        },
        ViolationCase(.diskWritable, .chain(0)) { bad in
            let driver = disk(readOnly: bad)
            driver.submit(BlockRequest.Kind.write, data: [UInt8](repeating: 1, count: 512))
            return driver
        },
        ViolationCase(.requestOnDisk, .chain(0), "a read") { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.read, sector: bad ? 63 : 62, room: 1024)
            return driver
        },
        ViolationCase(.requestOnDisk, .chain(0), "a discard") { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.discard, data: range(sector: 60, count: bad ? 5 : 4))
            return driver
        },
        ViolationCase(.flushSectorZero, .chain(0)) { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.flush, sector: bad ? 1 : 0)
            return driver
        },
        ViolationCase(.flushWithoutData, .chain(0)) { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.flush, data: bad ? [0] : [])
            return driver
        },
        ViolationCase(.wholeSectors, .chain(0)) { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.read, room: bad ? 513 : 512)
            return driver
        },
        ViolationCase(.rangeGiven, .chain(0)) { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.discard, data: bad ? [] : range())
            return driver
        },
        ViolationCase(.wholeRanges, .chain(0)) { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.discard, data: bad ? range().dropLast() : range())
            return driver
        },
        ViolationCase(.identityLength, .chain(0)) { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.getID, room: bad ? 21 : 20)
            return driver
        },
        ViolationCase(.discardRanges, .chain(0)) { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.discard, data: bad ? range() + range() : range())
            return driver
        },
        ViolationCase(.writeZeroesRanges, .chain(0)) { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.writeZeroes, data: bad ? range() + range() : range())
            return driver
        },
        ViolationCase(.rangeLength, .chain(0)) { bad in
            let driver = BlockDriver()
            driver.bringUp()
            // The backend does not complete the request, so no memory of this size is needed.
            driver.backend.change { $0.capacity = 1 << 17 }
            driver.submit(BlockRequest.Kind.writeZeroes, data: range(count: bad ? (1 << 16) + 1 : 1 << 16))
            return driver
        },
        ViolationCase(.discardUnmapZero, .chain(0)) { bad in
            let driver = disk()
            driver.submit(bad ? BlockRequest.Kind.discard : BlockRequest.Kind.writeZeroes, data: range(flags: 1))
            if !bad { driver.submit(BlockRequest.Kind.discard, data: range()) }
            return driver
        },
    ]

    static let consoles: [ViolationCase] = [
        ViolationCase(.receiveWritable, .chain(0)) { bad in
            let driver = ConsoleDriver()
            driver.bringUp()
            driver.type([1])
            driver.add(driver.parts(bad ? [0] : [], room: 8), to: ConsoleQueue.receive)
            return driver
        },
        ViolationCase(.transmitReadable, .chain(0, queue: 1)) { bad in
            let driver = ConsoleDriver()
            driver.bringUp()
            driver.add(driver.parts([1], room: bad ? 1 : 0), to: ConsoleQueue.transmit)
            return driver
        },
        ViolationCase(.controlMessageValid, .chain(0, queue: 3), "no such port") { bad in
            let driver = ConsoleDriver(ports: ["a"])
            driver.bringUp()
            driver.send(.portOpen, port: bad ? 2 : 1)
            return driver
        },
        ViolationCase(.controlMessageValid, .chain(0, queue: 3), "a short one") { bad in
            let driver = ConsoleDriver(ports: ["a"])
            driver.bringUp()
            driver.sendControl([UInt8](repeating: 0, count: 3) + [0, 0, 0] + (bad ? [1] : [1, 0]))
            return driver
        },
    ]
}

extension ViolationCase {
    static let entropy = [
        ViolationCase(.entropyBufferWritable, .chain(0)) { bad in
            let driver = EntropyDriver()
            driver.bringUp()
            driver.backend.completesAtOnce = true
            driver.add(driver.parts(bad ? [1] : [], room: 8), to: 0)
            return driver
        }
    ]
}
