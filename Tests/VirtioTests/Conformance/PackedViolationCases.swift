// Violations of the clauses on packed virtqueues.

import Testing
import Virtio
import VirtioABI

extension ViolationCase {
    /// A running disk with a packed virtqueue of 8 descriptors.
    static func packed(withholding: Features = []) -> BlockDriver {
        let driver = BlockDriver(form: .plainPacked, withholding: withholding)
        driver.bringUp(queueSize: 8)
        return driver
    }

    typealias Flags = FakePackedQueue

    /// Writes descriptor `slot` of queue 0, with the flags of the first lap; marks it available if `available`.
    static func describe(
        _ driver: BlockDriver, _ slot: UInt16, _ part: Part, flags: UInt16 = 0, id: UInt16 = 0, available: Bool = true
    ) {
        let address = driver[packed: 0].descriptors + 16 * UInt64(slot)
        driver.memory.store(part.address, at: address)
        driver.memory.store(part.length, at: address + 8)
        driver.memory.store(id, at: address + 12)
        let own = flags | (part.writable ? Flags.write : 0) | (available ? Flags.available : 0)
        driver.memory.store(own, at: address + 14)
    }

    /// Header and status of a flush in slots 0 and 1.
    static func packedFlush(_ driver: BlockDriver, _ edit: (inout Part, inout Part) -> Void = { _, _ in }) {
        var header = driver.readable(BlockDriver.header(BlockRequest.Kind.flush, sector: 0))
        var status = driver.writable(1)
        edit(&header, &status)
        describe(driver, 0, header, flags: Flags.next)
        describe(driver, 1, status)
        driver.kick(0)
        driver.backend.complete()
    }

    /// Writes the indirect table of a flush. Its descriptors have `flags` in addition to VIRTQ_DESC_F_WRITE.
    static func packedTable(_ driver: BlockDriver, flags: Descriptor.Flags = []) -> Part {
        packedTable(driver, tableOfFlush(driver), flags: flags)
    }

    /// Writes an indirect table in the packed layout, and returns it as a buffer.
    static func packedTable(_ driver: BlockDriver, _ parts: [Descriptor], flags: Descriptor.Flags = []) -> Part {
        let address = driver.allocate(16 * parts.count, alignment: 16)
        for (index, part) in parts.enumerated() {
            let own = part.flags.intersection(.write).union(flags)
            driver.memory.store(part.address, at: address + UInt64(16 * index))
            driver.memory.store(UInt64(part.length) | UInt64(own.rawValue) << 48, at: address + UInt64(16 * index) + 8)
        }
        return Part(address: address, length: UInt32(16 * parts.count), writable: false)
    }

    static let packedRings: [ViolationCase] = [
        ViolationCase(.packedAlignment, Evidence(queue: 0)) { bad in
            let driver = BlockDriver(form: .plainPacked)
            driver.bringUp(to: .featuresOK)
            ready(driver, size: 12, available: bad ? 0x2002 : 0x2004)
            return driver
        },
        ViolationCase(.queueSizeAllowed, Evidence(queue: 0), "a packed ring of none") { bad in
            let driver = BlockDriver(form: .plainPacked)
            driver.bringUp(to: .featuresOK)
            ready(driver, size: bad ? 0 : 1)
            return driver
        },
        ViolationCase(.packedDescriptorKept, .chain(0)) { bad in
            let driver = packed()
            let table = packedTable(driver)
            describe(driver, 0, table, flags: Flags.indirect)
            driver.kick(0)
            if bad { driver.memory.store(UInt8(0xff), at: table.address + 8) }
            driver.backend.complete()
            if !bad { driver.memory.store(UInt8(0xff), at: table.address + 8) }
            return driver
        },
        ViolationCase(.packedLength, Evidence(queue: 0)) { bad in
            let driver = packed()
            let parts = tableOfFlush(driver)
            var all = [parts[0]]
            for _ in 0..<(bad ? 255 : 254) { all.append(Descriptor(address: 0, length: 0)) }
            all.append(parts[1])
            describe(driver, 0, packedTable(driver, all), flags: Flags.indirect)
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
        ViolationCase(.packedNoLoop, Evidence(queue: 0)) { bad in
            let driver = packed()
            let header = driver.readable(BlockDriver.header(BlockRequest.Kind.flush, sector: 0))
            let (empty, status) = (Part(address: 0, length: 0, writable: false), driver.writable(1))
            for slot: UInt16 in 0..<8 {
                let isLast = slot == 7
                describe(
                    driver, slot, slot == 0 ? header : isLast ? status : empty, flags: isLast && !bad ? 0 : Flags.next)
            }
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
        longRead(.packedBytes, packed: true),
        ViolationCase(.packedWritableLast, Evidence(queue: 0)) { bad in
            let driver = packed()
            packedFlush(driver) { header, status in if bad { (header.writable, status.writable) = (true, false) } }
            return driver
        },
        ViolationCase(.packedRoom, Evidence(queue: 0)) { bad in
            let driver = packed()
            driver.submit(BlockRequest.Kind.flush, kick: true)
            // Two of eight descriptors are in use: a list of seven overlaps them.
            let empty = Part(address: 0, length: 0, writable: false)
            let header = driver.readable(BlockDriver.header(BlockRequest.Kind.flush, sector: 0))
            let status = driver.writable(1)
            for slot: UInt16 in 2..<8 {
                let isLast = slot == 7
                describe(
                    driver, slot, slot == 2 ? header : isLast && !bad ? status : empty,
                    flags: isLast && !bad ? 0 : Flags.next, id: 5)
            }
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
        ViolationCase(.packedWholeList, Evidence(queue: 0)) { bad in
            let driver = packed()
            let header = driver.readable(BlockDriver.header(BlockRequest.Kind.flush, sector: 0))
            let status = driver.writable(1)
            describe(driver, 1, status, available: !bad)
            describe(driver, 0, header, flags: Flags.next)
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
        ViolationCase(.packedIndirectNegotiated, Evidence(queue: 0)) { bad in
            let driver = packed(withholding: bad ? .indirectDescriptors : [])
            describe(driver, 0, packedTable(driver), flags: Flags.indirect)
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
        ViolationCase(.packedTableFlags, .chain(0)) { bad in
            let driver = packed()
            describe(driver, 0, packedTable(driver, flags: bad ? .next : []), flags: Flags.indirect)
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
        ViolationCase(.packedTableAlone, Evidence(queue: 0)) { bad in
            let driver = packed()
            let table = packedTable(driver)
            if bad {
                let header = driver.readable(BlockDriver.header(BlockRequest.Kind.flush, sector: 0))
                describe(driver, 1, table, flags: Flags.indirect)
                describe(driver, 0, header, flags: Flags.next)
            } else {
                describe(driver, 0, table, flags: Flags.indirect)
            }
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
    ]
}
