// Boundary cases of the clauses on virtqueues, and places not covered by SplitViolationCases and PackedViolationCases.

import Testing
import Virtio
import VirtioABI

extension ViolationCase {
    /// A running disk with a virtqueue of 8 entries and free memory between its areas.
    private static func spread(packed: Bool) -> BlockDriver {
        let driver = BlockDriver(form: Form(packed: packed))
        driver.bringUp(to: .featuresOK)
        let ring: any FakeRing =
            packed
            ? FakePackedQueue(
                index: 0, size: 8, descriptors: 0x1000, driverEvent: 0x2000, deviceEvent: 0x3000,
                features: driver.accepted, memory: driver.memory)
            : FakeQueue(
                index: 0, size: 8, descriptors: 0x1000, available: 0x2000, used: 0x3000, features: driver.accepted,
                memory: driver.memory)
        driver.configure(ring)
        driver.write(.queueReady, 1)
        driver.perform(.driverOK)
        driver.nextFree = 0x4000
        return driver
    }

    /// A buffer directly before or after each area of a virtqueue, or one byte inside it. The backend does not fill it.
    static let buffersAtRings: [ViolationCase] = [false, true].flatMap { packed in
        let sizes: [UInt64] =
            packed
            ? [8 * PackedRing.descriptorSize, PackedRing.eventSize, PackedRing.eventSize]
            : [SplitRing.descriptorBytes(size: 8), SplitRing.availableBytes(size: 8), SplitRing.usedBytes(size: 8)]
        return (0..<3).flatMap { area in
            [true, false].map { before in
                let name = "\(packed ? "packed" : "split"), \(before ? "before" : "after") area \(area)"
                return ViolationCase(.bufferOutsideRings, .chain(0), name) { bad in
                    let driver = spread(packed: packed)
                    let start = driver.ring(0).areas[area]
                    let legal = before ? start - 20 : start + sizes[area]
                    let address = !bad ? legal : before ? legal + 1 : legal - 1
                    let header = driver.readable(BlockDriver.header(BlockRequest.Kind.getID, sector: 0))
                    driver.add([header, Part(address: address, length: 20, writable: true), driver.writable(1)], to: 0)
                    return driver
                }
            }
        }
    }

    /// A read of 2^32 bytes of data, or of one sector less. The backend does not perform it.
    static func longRead(_ check: Check, packed: Bool) -> ViolationCase {
        ViolationCase(check, Evidence(queue: 0), "2^32 bytes") { bad in
            let driver = BlockDriver(
                queueSize: 8192, form: Form(packed: packed), memory: FakeMemory(low: 1 << 19, high: 1 << 20))
            driver.backend.change { $0.capacity = 1 << 24 }
            driver.bringUp(queueSize: 8192)
            var parts = [driver.readable(BlockDriver.header(BlockRequest.Kind.read, sector: 0))]
            for index in 0..<4096 {
                let length: UInt32 = index == 0 && !bad ? 1 << 20 - 512 : 1 << 20
                parts.append(Part(address: FakeMemory.highAddress, length: length, writable: true))
            }
            driver.add(parts + [driver.writable(1)], to: 0)
            return driver
        }
    }

    /// A virtqueue of twice QueueSizeMax, or of QueueSizeMax.
    private static func largeRing(packed: Bool) -> ViolationCase {
        ViolationCase(.queueSizeAllowed, Evidence(queue: 0), "\(packed ? "packed" : "split"), made ready") { bad in
            let driver = BlockDriver(form: Form(packed: packed))
            driver.bringUp(to: .featuresOK)
            ready(driver, size: bad ? 512 : 256)
            return driver
        }
    }

    /// A virtqueue with its areas at the addresses `bad`, or at `legal`.
    private static func ringAt(
        _ check: Check, _ name: String, packed: Bool, size: (bad: UInt32, legal: UInt32) = (8, 8),
        bad: (UInt64, UInt64, UInt64), legal: (UInt64, UInt64, UInt64)
    ) -> ViolationCase {
        ViolationCase(check, Evidence(queue: 0), name) { isBad in
            let driver = BlockDriver(form: Form(packed: packed))
            driver.bringUp(to: .featuresOK)
            let areas = isBad ? bad : legal
            ready(
                driver, size: isBad ? size.bad : size.legal, descriptors: areas.0, available: areas.1, used: areas.2)
            return driver
        }
    }

    static let ringPlaces: [ViolationCase] = [
        ringAt(
            .splitSize, "none", packed: false, size: (0, 1), bad: (0x1000, 0x2000, 0x3000),
            legal: (0x1000, 0x2000, 0x3000)),
        ringAt(
            .splitAlignment, "the available ring", packed: false, bad: (0x1000, 0x2001, 0x3000),
            legal: (0x1000, 0x2002, 0x3000)),
        ringAt(
            .splitAlignment, "the used ring", packed: false, bad: (0x1000, 0x2000, 0x3002),
            legal: (0x1000, 0x2000, 0x3004)),
        ringAt(
            .packedAlignment, "the descriptors", packed: true, bad: (0x1008, 0x2000, 0x3000),
            legal: (0x1010, 0x2000, 0x3000)),
        ringAt(
            .packedAlignment, "the device's event", packed: true, bad: (0x1000, 0x2000, 0x3002),
            legal: (0x1000, 0x2000, 0x3004)),
        ringAt(
            .addressInMemory, "a used ring that ends past the memory", packed: false,
            bad: (0x1000, 0x2000, 1 << 20 - 68), legal: (0x1000, 0x2000, 1 << 20 - 72)),
        ringAt(
            .addressInMemory, "packed descriptors that end past the memory", packed: true,
            bad: (1 << 20 - 112, 0x2000, 0x3000), legal: (1 << 20 - 128, 0x2000, 0x3000)),
        largeRing(packed: false), largeRing(packed: true), longRead(.splitNoLoop, packed: false),
    ]

    static let splitEdges: [ViolationCase] = [
        ViolationCase(.addressInMemory, Evidence(queue: 0), "a buffer's last byte") { bad in
            let driver = split()
            flush(driver) { _, last in last.address = bad ? 1 << 20 : 1 << 20 - 1 }
            return driver
        },
        ViolationCase(.addressInMemory, Evidence(queue: 0), "a table's last descriptor") { bad in
            let driver = split()
            let parts = tableOfFlush(driver)
            let table: UInt64 = 1 << 20 - 32
            for (index, part) in parts.enumerated() {
                driver.memory.store(part.address, at: table + UInt64(16 * index))
                driver.memory.store(part.high, at: table + UInt64(16 * index) + 8)
            }
            let descriptor = Descriptor(address: bad ? table + 16 : table, length: 32, flags: .indirect)
            driver[queue: 0].setDescriptor(0, descriptor)
            driver[queue: 0].publish(0)
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
        ViolationCase(.splitWritableLast, Evidence(queue: 0), "in a table") { bad in
            let driver = split()
            flushByTable(
                driver, { if bad { ($0[0].flags, $0[1].flags) = ([.next, .write], []) } })
            return driver
        },
        ViolationCase(.splitNextInTable, Evidence(queue: 0), "of two") { bad in
            let driver = split()
            flushByTable(driver, { $0[0].next = bad ? 2 : 1 })
            return driver
        },
        ViolationCase(.splitNoLoop, Evidence(queue: 0), "from the last descriptor to the first") { bad in
            let driver = split()
            let queue = driver[queue: 0]
            let header = driver.readable(BlockDriver.header(BlockRequest.Kind.flush, sector: 0))
            queue.setDescriptor(0, Descriptor(address: header.address, length: 16, flags: .next, next: 1))
            for index: UInt16 in 1..<7 {
                queue.setDescriptor(index, Descriptor(address: 0, length: 0, flags: .next, next: index + 1))
            }
            let status = driver.writable(1).address
            queue.setDescriptor(7, Descriptor(address: status, length: 1, flags: bad ? [.write, .next] : .write))
            queue.publish(0)
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
        ViolationCase(.splitInOrder, .chain(7), "around the end of the table") { bad in
            let driver = split(Form(eventIndex: false, inOrder: true))
            let queue = driver[queue: 0]
            let header = driver.readable(BlockDriver.header(BlockRequest.Kind.flush, sector: 0))
            let next: UInt16 = bad ? 1 : 0
            queue.setDescriptor(7, Descriptor(address: header.address, length: 16, flags: .next, next: next))
            queue.setDescriptor(next, Descriptor(address: driver.writable(1).address, length: 1, flags: .write))
            queue.publish(7)
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
        ViolationCase(.splitLength, Evidence(queue: 0), "more than any queue of the device may have") { bad in
            let driver = split(size: 256)
            flushByTable(
                driver,
                { parts in
                    let last = parts[1]
                    parts.removeLast()
                    for index: UInt16 in 1..<(bad ? 256 : 255) {
                        parts.append(Descriptor(address: 0, length: 0, flags: .next, next: index + 1))
                    }
                    parts.append(last)
                })
            return driver
        },
        ViolationCase(.tableWhole, Evidence(queue: 0), "of nothing") { bad in
            let driver = split()
            flushByTable(driver, reference: { if bad { $0.length = 0 } })
            return driver
        },
        ViolationCase(.availableIndexAdvances, Evidence(queue: 0), "one more than fits") { bad in
            let driver = split()
            driver.layout = .table(shift: 0)
            for _ in 0..<8 { driver.submit(BlockRequest.Kind.flush, kick: false) }
            if bad { driver[queue: 0].setAvailableIndex(9) }
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
        ViolationCase(.headInTable, Evidence(queue: 0), "the last") { bad in
            let driver = split()
            driver[queue: 0].setDescriptor(7, table(driver, tableOfFlush(driver)))
            driver[queue: 0].publish(bad ? 8 : 7)
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
        ViolationCase(.splitDescriptorKept, .chain(0), "of a table") { bad in
            let driver = split()
            driver.layout = .table(shift: 0)
            driver.submit(BlockRequest.Kind.flush)
            // The table was allocated last: this is the length of its second descriptor.
            let length = driver.nextFree - 8
            if bad { driver.memory.store(UInt32(2), at: length) }
            driver.backend.complete()
            if !bad { driver.memory.store(UInt32(2), at: length) }
            return driver
        },
    ]

    static let packedEdges: [ViolationCase] = [
        ViolationCase(.addressInMemory, Evidence(queue: 0), "a packed buffer's last byte") { bad in
            let driver = packed()
            packedFlush(driver) { _, status in status.address = bad ? 1 << 20 : 1 << 20 - 1 }
            return driver
        },
        ViolationCase(.tableWhole, Evidence(queue: 0), "packed") { bad in
            let driver = packed()
            var table = packedTable(driver)
            if bad { table.length -= 1 }
            describe(driver, 0, table, flags: Flags.indirect)
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
        ViolationCase(.packedWritableLast, Evidence(queue: 0), "in a table") { bad in
            let driver = packed()
            var parts = tableOfFlush(driver)
            if bad { (parts[0].flags, parts[1].flags) = (.write, []) }
            describe(driver, 0, packedTable(driver, parts), flags: Flags.indirect)
            driver.kick(0)
            driver.backend.complete()
            return driver
        },
    ]
}
