// Boundary cases of the clauses on device types, and places not covered by DeviceViolationCases.

import Testing
import Virtio
import VirtioABI

extension ViolationCase {
    /// A request of a type that depends on a feature, with the feature offered or withheld.
    private static func unknown(_ name: String, _ kind: UInt32, needs feature: Features) -> ViolationCase {
        ViolationCase(.requestNegotiated, .chain(0), name) { bad in
            let driver = disk(withholding: bad ? feature : [])
            driver.submit(kind, data: kind == BlockRequest.Kind.flush ? [] : range())
            return driver
        }
    }

    /// A request of a type that this device does not implement.
    private static func foreign(_ name: String, _ kind: UInt32) -> ViolationCase {
        ViolationCase(.requestNegotiated, .chain(0), name) { bad in
            let driver = disk()
            driver.submit(bad ? kind : BlockRequest.Kind.discard, data: range())
            return driver
        }
    }

    /// A request on the last sector of the disk, or on the sector after it.
    private static func atEnd(
        _ name: String, _ kind: UInt32, _ request: @escaping @Sendable (UInt64) -> (UInt64, [UInt8])
    ) -> ViolationCase {
        ViolationCase(.requestOnDisk, .chain(0), name) { bad in
            let driver = disk()
            let (sector, data) = request(bad ? 64 : 63)
            driver.submit(kind, sector: sector, data: data)
            return driver
        }
    }

    static let blockEdges: [ViolationCase] = [
        unknown("a flush", BlockRequest.Kind.flush, needs: BlockFeature.flush),
        unknown("write zeroes", BlockRequest.Kind.writeZeroes, needs: BlockFeature.writeZeroes),
        foreign("a secure erase", BlockRequest.Kind.secureErase), foreign("a lifetime", BlockRequest.Kind.getLifetime),
        foreign("a type that does not exist", 99),
        atEnd("a write", BlockRequest.Kind.write) { ($0, [UInt8](repeating: 1, count: 512)) },
        atEnd("write zeroes", BlockRequest.Kind.writeZeroes) { (0, range(sector: $0)) },
        ViolationCase(.requestOnDisk, .chain(0), "the largest sector number") { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.read, sector: bad ? .max : 63, room: 512)
            return driver
        },
        ViolationCase(.requestOnDisk, .chain(0), "a disk that shrank") { bad in
            let driver = disk()
            driver.backend.change { $0.capacity = bad ? 1 : 2 }
            driver.submit(BlockRequest.Kind.read, sector: 1, room: 512)
            return driver
        },
        ViolationCase(.wholeSectors, .chain(0), "of a write") { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.write, data: [UInt8](repeating: 1, count: bad ? 511 : 512))
            return driver
        },
        ViolationCase(.flushWithoutData, .chain(0), "room") { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.flush, room: bad ? 1 : 0)
            return driver
        },
        ViolationCase(.identityLength, .chain(0), "too few") { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.getID, room: bad ? 19 : 20)
            return driver
        },
        ViolationCase(.rangeGiven, .chain(0), also: [.dataDirection], "write zeroes, device-writable") { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.writeZeroes, data: bad ? [] : range(), room: bad ? 16 : 0)
            return driver
        },
        ViolationCase(.dataDirection, .chain(0), "a write") { bad in
            let driver = disk()
            let data = [UInt8](repeating: 0, count: bad ? 0 : 512)
            driver.submit(BlockRequest.Kind.write, data: data, room: 512 - data.count)
            return driver
        },
        ViolationCase(.dataDirection, .chain(0), "one byte of GET_ID") { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.getID, data: bad ? [0] : [], room: 20)
            return driver
        },
        ViolationCase(.requestReserved, .chain(0), "a flag of write zeroes") { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.writeZeroes, data: range(flags: bad ? 2 : 1))
            return driver
        },
        ViolationCase(.wholeRanges, .chain(0), "one and a half") { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.discard, data: bad ? range() + [UInt8](repeating: 0, count: 8) : range())
            return driver
        },
        ViolationCase(.rangeLength, .chain(0), "of a discard") { bad in
            let driver = BlockDriver()
            driver.bringUp()
            // The backend does not complete the request, so no memory of this size is needed.
            driver.backend.change { $0.capacity = 1 << 17 }
            driver.submit(BlockRequest.Kind.discard, data: range(count: bad ? (1 << 16) + 1 : 1 << 16))
            return driver
        },
        ViolationCase(.requestReserved, .chain(0), "a flag of a discard") { bad in
            let driver = disk()
            driver.submit(BlockRequest.Kind.discard, data: range(flags: bad ? 1 << 31 : 0))
            return driver
        },
    ]

    /// A console with one further port; the driver has opened it.
    private static func ports() -> ConsoleDriver {
        let driver = ConsoleDriver(ports: ["a"])
        driver.bringUp()
        driver.backend.completesAtOnce = true
        for event in [ConsoleControl.Event.deviceReady, .portReady, .portOpen] { driver.send(event, port: 1) }
        return driver
    }

    static let consoleEdges: [ViolationCase] = [
        ViolationCase(.receiveWritable, .chain(0, queue: 4), "of another port") { bad in
            let driver = ports()
            driver.type([1], port: 1)
            driver.add(driver.parts(bad ? [0] : [], room: 8), to: ConsoleQueue.receive(port: 1))
            return driver
        },
        ViolationCase(.receiveWritable, .chain(0, queue: 2), "for control messages") { bad in
            let driver = ports()
            driver.add(driver.parts(bad ? [0] : [], room: 80), to: ConsoleQueue.controlReceive)
            return driver
        },
        ViolationCase(.transmitReadable, .chain(0, queue: 5), "of another port") { bad in
            let driver = ports()
            driver.add(driver.parts([1], room: bad ? 1 : 0), to: ConsoleQueue.transmit(port: 1))
            return driver
        },
        ViolationCase(.controlMessageValid, .chain(0, queue: 3), "the device's own") { bad in
            let driver = ConsoleDriver(ports: ["a"])
            driver.bringUp()
            driver.send(bad ? .deviceAdd : .portReady, port: 1)
            return driver
        },
        ViolationCase(.controlMessageValid, .chain(0, queue: 3), "an event that does not exist") { bad in
            let driver = ConsoleDriver(ports: ["a"])
            driver.bringUp()
            driver.sendControl(UInt32(1).bytes + UInt16(bad ? 8 : 6).bytes + UInt16(1).bytes)
            return driver
        },
    ]
}
