// Violations of the clauses on split virtqueues.

import Testing
import Virtio
import VirtioABI

extension ViolationCase {
    /// A running disk with a split virtqueue of `size` entries and no indirect tables.
    static func split(_ form: Form = Form(eventIndex: false), size: UInt16 = 8) -> BlockDriver {
        let driver = BlockDriver(form: form)
        driver.bringUp(queueSize: size)
        return driver
    }

    /// Makes a flush available in descriptors `head` and `head` + 1 after `edit`, and notifies the device.
    static func flush(
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

    /// Configures queue 0 with these values and writes QueueReady = 1.
    static func ready(
        _ driver: BlockDriver, size: UInt32, descriptors: UInt64 = 0x1000, available: UInt64 = 0x2000,
        used: UInt64 = 0x3000
    ) {
        driver.memory.fill(0, at: available, count: 4)
        driver.configure(0, size: size, descriptors: descriptors, available: available, used: used)
        driver.write(.queueReady, 1)
    }

    /// Writes an indirect table of `parts` at an aligned address, and returns a descriptor that refers to it.
    static func table(_ driver: BlockDriver, _ parts: [Descriptor]) -> Descriptor {
        let address = driver.allocate(16 * parts.count, alignment: 16)
        for (index, part) in parts.enumerated() {
            driver.memory.store(part.address, at: address + UInt64(16 * index))
            driver.memory.store(part.high, at: address + UInt64(16 * index) + 8)
        }
        return Descriptor(address: address, length: UInt32(16 * parts.count), flags: .indirect)
    }

    /// Header and status of a flush, as a chain in an indirect table.
    static func tableOfFlush(_ driver: BlockDriver) -> [Descriptor] {
        let header = driver.readable(BlockDriver.header(BlockRequest.Kind.flush, sector: 0))
        return [
            Descriptor(address: header.address, length: 16, flags: .next, next: 1),
            Descriptor(address: driver.writable(1).address, length: 1, flags: .write),
        ]
    }

    /// Makes a flush with an indirect table available. `edit` changes the table, `reference` the descriptor that refers
    /// to it.
    static func flushByTable(
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

    /// A chain with an indirect table of 4 descriptors, or of 5, in a queue of 4 of a device with the QueueSizeMax.
    private static func longTable(_ check: Check, queueSize: UInt16) -> ViolationCase {
        ViolationCase(check, .chain(0)) { bad in
            let driver = BlockDriver(queueSize: queueSize, form: Form(eventIndex: false))
            driver.bringUp(queueSize: 4)
            flushByTable(
                driver,
                { parts in
                    // Empty buffers in the middle.
                    let count: UInt16 = bad ? 5 : 4
                    let last = parts[1]
                    parts = [parts[0]]
                    for index in 1..<(count - 1) {
                        parts.append(Descriptor(address: 0, length: 0, flags: .next, next: index + 1))
                    }
                    parts.append(last)
                })
            return driver
        }
    }

    static let rings: [ViolationCase] = [
        ViolationCase(.addressInMemory, Evidence(queue: 0), "a buffer") { bad in
            let driver = split()
            flush(driver) { _, last in if bad { last.address = 0xc000_0000 } }
            return driver
        },
        ViolationCase(.addressInMemory, Evidence(queue: 0), "a ring") { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .featuresOK)
            ready(driver, size: 8, used: bad ? 0xc000_0000 : 0x3000)
            return driver
        },
        ViolationCase(.bufferOutsideRings, .chain(0)) { bad in
            let driver = split()
            let ring = driver[queue: 0]
            // The status byte is the last byte of the descriptor table, or the first byte outside the rings.
            let end = ring.descriptors + SplitRing.descriptorBytes(size: 8)
            let free = driver.writable(1).address
            flush(driver) { _, last in last.address = bad ? end - 1 : free }
            return driver
        },
        ViolationCase(.splitSize, Evidence(queue: 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .featuresOK)
            ready(driver, size: bad ? 12 : 8)
            return driver
        },
        ViolationCase(.splitAlignment, Evidence(queue: 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .featuresOK)
            ready(driver, size: 8, descriptors: bad ? 0x1008 : 0x1010)
            return driver
        },
        ViolationCase(.splitWritableLast, Evidence(queue: 0)) { bad in
            let driver = split()
            flush(driver) { first, last in
                if bad { (first.flags, last.flags) = ([.next, .write], []) }
            }
            return driver
        },
        ViolationCase(.splitNoLoop, Evidence(queue: 0)) { bad in
            let driver = split()
            flush(driver) { _, last in
                if bad { (last.flags, last.next) = ([.write, .next], 1) } else { last.next = 1 }
            }
            return driver
        },
        ViolationCase(.splitNextInTable, Evidence(queue: 0)) { bad in
            let driver = split()
            flush(driver) { first, _ in if bad { first.next = 8 } }
            return driver
        },
        ViolationCase(.splitInOrder, .chain(1)) { bad in
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
        ViolationCase(.tableInOrder, .chain(0)) { bad in
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
        ViolationCase(.splitIndirectNegotiated, Evidence(queue: 0)) { bad in
            let driver = BlockDriver(
                form: Form(eventIndex: false), withholding: bad ? .indirectDescriptors : [])
            driver.bringUp(queueSize: 8)
            flushByTable(driver)
            return driver
        },
        ViolationCase(.splitOneTable, Evidence(queue: 0)) { bad in
            let driver = split()
            flushByTable(driver, { parts in if bad { parts[1].flags = .indirect } })
            return driver
        },
        longTable(.splitLength, queueSize: 4), longTable(.splitLengthOfQueue, queueSize: 8),
        ViolationCase(.splitTableEndsChain, Evidence(queue: 0)) { bad in
            let driver = split()
            flushByTable(driver, reference: { if bad { $0.flags = [.indirect, .next] } })
            return driver
        },
        ViolationCase(.tableWhole, Evidence(queue: 0)) { bad in
            let driver = split()
            flushByTable(driver, reference: { if bad { $0.length -= 1 } })
            return driver
        },
        ViolationCase(.availableIndexAdvances, Evidence(queue: 0), "a jump") { bad in
            let driver = split()
            driver[queue: 0].setAvailableIndex(bad ? 9 : 0)
            flushOrKick(driver, !bad)
            return driver
        },
        ViolationCase(.availableIndexAdvances, Evidence(queue: 0), "back") { bad in
            let driver = split()
            flush(driver)
            if bad { driver[queue: 0].setAvailableIndex(0) }
            driver.kick(0)
            return driver
        },
        ViolationCase(.headInTable, Evidence(queue: 0)) { bad in
            let driver = split()
            if bad { driver[queue: 0].publish(8) }
            flushOrKick(driver, !bad)
            return driver
        },
        ViolationCase(.headFree, Evidence(queue: 0)) { bad in
            let driver = split()
            driver.submit(BlockRequest.Kind.flush)
            let head: UInt16 = 0
            if !bad { driver.backend.complete() }
            driver[queue: 0].publish(head)
            driver.kick(0)
            return driver
        },
        ViolationCase(.availableFlags, .chain(0)) { bad in
            let driver = split()
            driver[queue: 0].setAvailableFlags(bad ? 2 : 1)
            flush(driver)
            return driver
        },
        ViolationCase(.availableFlagsZero, .chain(0)) { bad in
            let driver = split(Form())
            driver[queue: 0].setAvailableFlags(bad ? 1 : 0)
            flush(driver)
            return driver
        },
        ViolationCase(.splitDescriptorKept, .chain(0)) { bad in
            let driver = split()
            let chain = driver.submit(BlockRequest.Kind.flush)
            if bad { driver.memory.store(UInt32(2), at: driver[queue: 0].descriptors + 16 * UInt64(chain.head) + 8) }
            driver.backend.complete()
            if !bad { driver.memory.store(UInt32(2), at: driver[queue: 0].descriptors + 16 * UInt64(chain.head) + 8) }
            return driver
        },
    ]

    /// A flush, or only a notification.
    static func flushOrKick(_ driver: BlockDriver, _ flushes: Bool) {
        if flushes { flush(driver) } else { driver.kick(0) }
    }
}
