// Split and packed rings: what breaks their clauses.

import Testing
import Virtio
import VirtioABI

extension Offence {
    /// A running disk with a split ring of 8 entries, chains in its own descriptors.
    private static func split(_ form: Form = Form(eventIndex: false), size: UInt16 = 8) -> BlockDriver {
        let driver = BlockDriver(form: form)
        driver.bringUp(queueSize: size)
        return driver
    }

    /// A flush in descriptors `head` and `head` + 1, made available as it is after `edit`, and kicked.
    private static func flush(
        _ driver: BlockDriver, head: UInt16 = 0, _ edit: (inout Descriptor, inout Descriptor) -> Void = { _, _ in }
    ) {
        let header = driver.readable(BlockDriver.header(BlockRequest.Kind.flush, sector: 0))
        let status = driver.writable(1)
        var first = Descriptor(address: header.address, length: 16, flags: .next, next: head + 1)
        var last = Descriptor(address: status.address, length: 1, flags: .write)
        edit(&first, &last)
        driver[queue: 0].setDescriptor(head, first)
        driver[queue: 0].setDescriptor(head + 1, last)
        driver[queue: 0].publish(head)
        driver.kick(0)
        driver.backend.complete()
    }

    /// Makes a disk of queue 0 ready with these registers.
    private static func ready(
        _ driver: BlockDriver, size: UInt32, descriptors: UInt64 = 0x1000, available: UInt64 = 0x2000,
        used: UInt64 = 0x3000
    ) {
        driver.configure(0, size: size, descriptors: descriptors, available: available, used: used)
        driver.write(.queueReady, 1)
    }

    /// A descriptor for a table of `parts` at an aligned place, one behind the other in the table.
    private static func table(_ driver: BlockDriver, _ parts: [Descriptor]) -> Descriptor {
        let address = driver.allocate(16 * parts.count, alignment: 16)
        for (index, part) in parts.enumerated() {
            driver.memory.store(part.address, at: address + UInt64(16 * index))
            driver.memory.store(part.high, at: address + UInt64(16 * index) + 8)
        }
        return Descriptor(address: address, length: UInt32(16 * parts.count), flags: .indirect)
    }

    /// Header and status of a flush as a chain in a table.
    private static func tableOfFlush(_ driver: BlockDriver) -> [Descriptor] {
        let header = driver.readable(BlockDriver.header(BlockRequest.Kind.flush, sector: 0))
        return [
            Descriptor(address: header.address, length: 16, flags: .next, next: 1),
            Descriptor(address: driver.writable(1).address, length: 1, flags: .write),
        ]
    }

    /// A flush by a table that `edit` may change, and the descriptor that refers to it too.
    private static func flushByTable(
        _ driver: BlockDriver, _ edit: (inout [Descriptor]) -> Void = { _ in },
        reference: (inout Descriptor) -> Void = { _ in }
    ) {
        var parts = tableOfFlush(driver)
        edit(&parts)
        var descriptor = table(driver, parts)
        reference(&descriptor)
        driver[queue: 0].setDescriptor(0, descriptor)
        driver[queue: 0].publish(0)
        driver.kick(0)
        driver.backend.complete()
    }

    static let rings: [Offence] = [
        Offence(.addressInMemory, Evidence(queue: 0), "a buffer") { bad in
            let driver = split()
            flush(driver) { _, last in if bad { last.address = 0xc000_0000 } }
            return driver
        },
        Offence(.addressInMemory, Evidence(queue: 0), "a ring") { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .featuresOK)
            ready(driver, size: 8, used: bad ? 0xc000_0000 : 0x3000)
            return driver
        },
        Offence(.bufferOffRings, .chain(0)) { bad in
            let driver = split()
            let ring = driver[queue: 0]
            // The status byte is the last of the descriptor table, or the first behind it that is no ring.
            let end = ring.descriptors + SplitRing.descriptorBytes(size: 8)
            let free = driver.writable(1).address
            flush(driver) { _, last in last.address = bad ? end - 1 : free }
            return driver
        },
        Offence(.splitSize, Evidence(queue: 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .featuresOK)
            ready(driver, size: bad ? 12 : 8)
            return driver
        },
        Offence(.splitAlignment, Evidence(queue: 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .featuresOK)
            ready(driver, size: 8, descriptors: bad ? 0x1008 : 0x1010)
            return driver
        },
        Offence(.splitWritableLast, Evidence(queue: 0)) { bad in
            let driver = split()
            flush(driver) { first, last in
                if bad { (first.flags, last.flags) = ([.next, .write], []) }
            }
            return driver
        },
        Offence(.splitNoLoop, Evidence(queue: 0)) { bad in
            let driver = split()
            flush(driver) { _, last in
                if bad { (last.flags, last.next) = ([.write, .next], 1) } else { last.next = 1 }
            }
            return driver
        },
        Offence(.splitNextInTable, Evidence(queue: 0)) { bad in
            let driver = split()
            flush(driver) { first, _ in if bad { first.next = 8 } }
            return driver
        },
        Offence(.splitInOrder, .chain(1)) { bad in
            let driver = split(Form(eventIndex: false, inOrder: true))
            flush(driver, head: bad ? 1 : 0) { first, _ in
                if bad {
                    first.next = 3
                    driver[queue: 0].setDescriptor(
                        3, Descriptor(address: driver.writable(1).address, length: 1, flags: .write))
                }
            }
            return driver
        },
        Offence(.tableInOrder, .chain(0)) { bad in
            let driver = split(Form(eventIndex: false, inOrder: true))
            flushByTable(
                driver,
                { parts in
                    guard bad else { return }
                    parts.append(parts[1])
                    parts[0].next = 2
                })
            return driver
        },
        Offence(.splitIndirectNegotiated, Evidence(queue: 0)) { bad in
            let driver = BlockDriver(
                form: Form(eventIndex: false), withholding: bad ? .indirectDescriptors : [])
            driver.bringUp(queueSize: 8)
            flushByTable(driver)
            return driver
        },
        Offence(.splitOneTable, Evidence(queue: 0)) { bad in
            let driver = split()
            flushByTable(driver, { parts in if bad { parts[1].flags = .indirect } })
            return driver
        },
        Offence(.splitLength, .chain(0)) { bad in
            let driver = split(size: 4)
            flushByTable(
                driver,
                { parts in
                    // Empty buffers in the middle: 4 descriptors, or 5.
                    let count: UInt16 = bad ? 5 : 4
                    let last = parts[1]
                    parts = [parts[0]]
                    for index in 1..<(count - 1) {
                        parts.append(Descriptor(address: 0, length: 0, flags: .next, next: index + 1))
                    }
                    parts.append(last)
                })
            return driver
        },
        Offence(.splitTableEndsChain, Evidence(queue: 0)) { bad in
            let driver = split()
            flushByTable(driver, reference: { if bad { $0.flags = [.indirect, .next] } })
            return driver
        },
        Offence(.tableWhole, Evidence(queue: 0)) { bad in
            let driver = split()
            flushByTable(driver, reference: { if bad { $0.length -= 1 } })
            return driver
        },
        Offence(.availableIndexAdvances, Evidence(queue: 0), "a leap") { bad in
            let driver = split()
            driver[queue: 0].setAvailableIndex(bad ? 9 : 0)
            flushOrKick(driver, !bad)
            return driver
        },
        Offence(.availableIndexAdvances, Evidence(queue: 0), "back") { bad in
            let driver = split()
            flush(driver)
            if bad { driver[queue: 0].setAvailableIndex(0) }
            driver.kick(0)
            return driver
        },
        Offence(.headInTable, Evidence(queue: 0)) { bad in
            let driver = split()
            if bad { driver[queue: 0].publish(8) }
            flushOrKick(driver, !bad)
            return driver
        },
        Offence(.headFree, Evidence(queue: 0)) { bad in
            let driver = split()
            driver.submit(BlockRequest.Kind.flush)
            let head: UInt16 = 0
            if !bad { driver.backend.complete() }
            driver[queue: 0].publish(head)
            driver.kick(0)
            return driver
        },
        Offence(.availableFlags, .chain(0)) { bad in
            let driver = split()
            driver[queue: 0].setAvailableFlags(bad ? 2 : 1)
            flush(driver)
            return driver
        },
        Offence(.availableFlagsZero, .chain(0)) { bad in
            let driver = split(Form())
            driver[queue: 0].setAvailableFlags(bad ? 1 : 0)
            flush(driver)
            return driver
        },
        Offence(.splitDescriptorKept, .chain(0)) { bad in
            let driver = split()
            let chain = driver.submit(BlockRequest.Kind.flush)
            if bad { driver.memory.store(UInt32(2), at: driver[queue: 0].descriptors + 16 * UInt64(chain.head) + 8) }
            driver.backend.complete()
            if !bad { driver.memory.store(UInt32(2), at: driver[queue: 0].descriptors + 16 * UInt64(chain.head) + 8) }
            return driver
        },
    ]

    /// A flush, or a kick alone.
    private static func flushOrKick(_ driver: BlockDriver, _ flushes: Bool) {
        if flushes { flush(driver) } else { driver.kick(0) }
    }

    // MARK: Packed

    /// A running disk with a packed ring of 8 descriptors.
    private static func packed(withholding: Features = []) -> BlockDriver {
        let driver = BlockDriver(form: .plainPacked, withholding: withholding)
        driver.bringUp(queueSize: 8)
        return driver
    }

    private typealias Flags = FakePackedQueue

    /// Writes descriptor `slot` of queue 0 and makes it available in the ring's first lap, if it is to be.
    private static func describe(
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
    private static func packedFlush(_ driver: BlockDriver, _ edit: (inout Part, inout Part) -> Void = { _, _ in }) {
        var header = driver.readable(BlockDriver.header(BlockRequest.Kind.flush, sector: 0))
        var status = driver.writable(1)
        edit(&header, &status)
        describe(driver, 0, header, flags: Flags.next)
        describe(driver, 1, status)
        driver.kick(0)
        driver.backend.complete()
    }

    /// A flush by a table, whose descriptors have `flags` beside VIRTQ_DESC_F_WRITE.
    private static func packedTable(_ driver: BlockDriver, flags: Descriptor.Flags = []) -> Part {
        packedTable(driver, tableOfFlush(driver), flags: flags)
    }

    /// Any table, in a packed ring's layout.
    private static func packedTable(_ driver: BlockDriver, _ parts: [Descriptor], flags: Descriptor.Flags = []) -> Part
    {
        let address = driver.allocate(16 * parts.count, alignment: 16)
        for (index, part) in parts.enumerated() {
            let own = part.flags.intersection(.write).union(flags)
            driver.memory.store(part.address, at: address + UInt64(16 * index))
            driver.memory.store(UInt64(part.length) | UInt64(own.rawValue) << 48, at: address + UInt64(16 * index) + 8)
        }
        return Part(address: address, length: UInt32(16 * parts.count), writable: false)
    }

    static let packedRings: [Offence] = [
        Offence(.packedAlignment, Evidence(queue: 0)) { bad in
            let driver = BlockDriver(form: .plainPacked)
            driver.bringUp(to: .featuresOK)
            ready(driver, size: 12, available: bad ? 0x2002 : 0x2004)
            return driver
        },
        Offence(.queueSizeAllowed, Evidence(queue: 0), "a packed ring of none") { bad in
            let driver = BlockDriver(form: .plainPacked)
            driver.bringUp(to: .featuresOK)
            ready(driver, size: bad ? 0 : 1)
            return driver
        },
        Offence(.packedDescriptorKept, .chain(0)) { bad in
            let driver = packed()
            let table = packedTable(driver)
            describe(driver, 0, table, flags: Flags.indirect)
            driver.kick(0)
            if bad { driver.memory.store(UInt8(0xff), at: table.address + 8) }
            driver.backend.complete()
            if !bad { driver.memory.store(UInt8(0xff), at: table.address + 8) }
            return driver
        },
        Offence(.packedLength, Evidence(queue: 0)) { bad in
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
        Offence(.packedNoLoop, Evidence(queue: 0)) { bad in
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
        Offence(.packedWritableLast, Evidence(queue: 0)) { bad in
            let driver = packed()
            packedFlush(driver) { header, status in if bad { (header.writable, status.writable) = (true, false) } }
            return driver
        },
        Offence(.packedRoom, Evidence(queue: 0)) { bad in
            let driver = packed()
            driver.submit(BlockRequest.Kind.flush, kick: true)
            // Two of eight descriptors are taken: a list of seven goes over them.
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
        Offence(.packedWholeList, Evidence(queue: 0)) { bad in
            let driver = packed()
            let header = driver.readable(BlockDriver.header(BlockRequest.Kind.flush, sector: 0))
            let status = driver.writable(1)
            describe(driver, 1, status, available: !bad)
            describe(driver, 0, header, flags: Flags.next)
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
        Offence(.packedIndirectNegotiated, Evidence(queue: 0)) { bad in
            let driver = packed(withholding: bad ? .indirectDescriptors : [])
            describe(driver, 0, packedTable(driver), flags: Flags.indirect)
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
        Offence(.packedTableFlags, .chain(0)) { bad in
            let driver = packed()
            describe(driver, 0, packedTable(driver, flags: bad ? .next : []), flags: Flags.indirect)
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
        Offence(.packedTableAlone, Evidence(queue: 0)) { bad in
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
