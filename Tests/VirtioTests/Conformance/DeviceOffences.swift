// Block and console: what breaks their clauses.

import Testing
import Virtio
import VirtioABI

extension Offence {
    static func disk(readOnly: Bool = false, withholding: Features = []) -> BlockDriver {
        let driver = BlockDriver(readOnly: readOnly, withholding: withholding)
        driver.bringUp()
        driver.backend.completesAtOnce = true
        return driver
    }

    /// A range of `count` sectors from `sector` on, as discard and write zeroes have it.
    static func range(sector: UInt64 = 0, count: UInt32 = 1, flags: UInt32 = 0) -> [UInt8] {
        sector.bytes + count.bytes + flags.bytes
    }

    static let blocks: [Offence] = [
        Offence(.writebackAfterFeatures, .field(32)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: bad ? .driver : .featuresOK)
            _ = driver.configuration(BlockConfiguration.writeback, width: 1)
            return driver
        },
        Offence(.requestFramed, .chain(0), "a short header") { bad in
            let driver = disk()
            let header = BlockDriver.header(BlockRequest.Kind.flush, sector: 0)
            driver.add(driver.parts(bad ? header.dropLast() : header, room: 1), to: 0)
            return driver
        },
        Offence(.requestFramed, Evidence(queue: 0), "no status") { bad in
            let driver = disk()
            let header = BlockDriver.header(BlockRequest.Kind.flush, sector: 0)
            driver.add(driver.parts(header, room: bad ? 0 : 1), to: 0)
            return driver
        },
        Offence(.requestNegotiated, .chain(0)) { bad in
            let driver = disk(withholding: bad ? BlockFeature.discard : [])
            driver.submit(BlockRequest.Kind.discard, data: range())
            return driver
        },
        Offence(.diskWritable, .chain(0)) { bad in
            let driver = disk(readOnly: bad)
            driver.submit(BlockRequest.Kind.write, data: [UInt8](repeating: 1, count: 512))
            return driver
        },
        Offence(.requestOnDisk, .chain(0), "a read") { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.read, sector: bad ? 63 : 62, room: 1024)
            return driver
        },
        Offence(.requestOnDisk, .chain(0), "a discard") { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.discard, data: range(sector: 60, count: bad ? 5 : 4))
            return driver
        },
        Offence(.flushSectorZero, .chain(0)) { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.flush, sector: bad ? 1 : 0)
            return driver
        },
        Offence(.flushWithoutData, .chain(0)) { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.flush, data: bad ? [0] : [])
            return driver
        },
        Offence(.wholeSectors, .chain(0)) { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.read, room: bad ? 513 : 512)
            return driver
        },
        Offence(.wholeRanges, .chain(0)) { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.discard, data: bad ? range().dropLast() : range())
            return driver
        },
        Offence(.identityLength, .chain(0)) { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.getID, room: bad ? 21 : 20)
            return driver
        },
        Offence(.discardRanges, .chain(0)) { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.discard, data: bad ? range() + range() : range())
            return driver
        },
        Offence(.writeZeroesRanges, .chain(0)) { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.writeZeroes, data: bad ? range() + range() : range())
            return driver
        },
        Offence(.rangeLength, .chain(0)) { bad in
            let driver = BlockDriver()
            driver.bringUp()
            // Large enough; nobody does the request.
            driver.backend.change { $0.capacity = 1 << 17 }
            driver.submit(BlockRequest.Kind.writeZeroes, data: range(count: bad ? (1 << 16) + 1 : 1 << 16))
            return driver
        },
        Offence(.discardUnmapZero, .chain(0)) { bad in
            let driver = disk()
            driver.submit(bad ? BlockRequest.Kind.discard : BlockRequest.Kind.writeZeroes, data: range(flags: 1))
            if !bad { driver.submit(BlockRequest.Kind.discard, data: range()) }
            return driver
        },
    ]

    static let consoles: [Offence] = [
        Offence(.receiveWritable, .chain(0)) { bad in
            let driver = ConsoleDriver()
            driver.bringUp()
            driver.type([1])
            driver.add(driver.parts(bad ? [0] : [], room: 8), to: ConsoleQueue.receive)
            return driver
        },
        Offence(.transmitReadable, .chain(0, queue: 1)) { bad in
            let driver = ConsoleDriver()
            driver.bringUp()
            driver.add(driver.parts([1], room: bad ? 1 : 0), to: ConsoleQueue.transmit)
            return driver
        },
        Offence(.controlMessageMeansSomething, .chain(0, queue: 3), "no such port") { bad in
            let driver = ConsoleDriver(ports: ["a"])
            driver.bringUp()
            driver.send(.portOpen, port: bad ? 2 : 1)
            return driver
        },
        Offence(.controlMessageMeansSomething, .chain(0, queue: 3), "a short one") { bad in
            let driver = ConsoleDriver(ports: ["a"])
            driver.bringUp()
            driver.sendControl([UInt8](repeating: 0, count: 3) + [0, 0, 0] + (bad ? [1] : [1, 0]))
            return driver
        },
    ]
}
