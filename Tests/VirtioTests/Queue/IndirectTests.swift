// Valid and invalid tables of indirect descriptors (VIRTIO 1.4, 2.7.5.3 and 2.8.7).

import Testing
import Virtio
import VirtioABI

/// A table that a driver must not make available.
struct InvalidTable: Sendable, CustomTestStringConvertible {
    let fault: QueueFault
    let testDescription: String
    /// The ring formats in which it is invalid: false is split, true is packed.
    var rings = [false, true]
    var withholding: Features = []
    /// The ring's descriptors, for a queue of size 8 with QueueSizeMax 256.
    let parts: @Sendable (BlockDriver) -> [Part]

    /// A read of no sectors.
    static func request(_ driver: BlockDriver) -> [Part] {
        [driver.readable(BlockDriver.header(BlockRequest.Kind.read, sector: 0)), driver.writable(1)]
    }

    static func table(_ driver: BlockDriver, _ parts: [Part]? = nil) -> Part {
        driver.table(parts ?? request(driver), for: driver.ring(0))
    }

    /// A valid table, referred to by a descriptor that `change` modifies.
    static func reference(
        _ fault: QueueFault, _ name: String, _ change: @escaping @Sendable (inout Part) -> Void
    ) -> InvalidTable {
        InvalidTable(fault: fault, testDescription: name) { driver in
            var part = table(driver)
            change(&part)
            return [part]
        }
    }

    /// A split ring's table of two descriptors; `next` of descriptor 0 is as given.
    static func next(_ fault: QueueFault, _ next: UInt16) -> InvalidTable {
        InvalidTable(fault: fault, testDescription: "next is \(next) in a table of 2", rings: [false]) { driver in
            let part = table(driver)
            driver.memory.store(next, at: part.address + 14)
            return [part]
        }
    }

    static let end = UInt64(1 << 20)

    static let all: [InvalidTable] =
        [UInt32(0), 1, 8, 15, 17, 24, 31, 33].map { length in
            reference(.badIndirectTable, "\(length) bytes") { $0.length = length }
        } + [
            reference(.bufferOutsideMemory, "half in memory") { $0.address = end - 16 },
            reference(.bufferOutsideMemory, "in the hole") { $0.address = end },
            reference(.bufferOutsideMemory, "at the end of the number space") { $0.address = .max - 31 },
            reference(.bufferOutsideMemory, "over the end of the number space") { $0.address = .max - 15 },
            reference(.bufferOutsideMemory, "of all lengths") { $0.length = .max - 15 },
            InvalidTable(
                fault: .indirectNotNegotiated, testDescription: "without the feature",
                withholding: .indirectDescriptors
            ) { [table($0)] },
            InvalidTable(fault: .indirectMisplaced, testDescription: "with NEXT") { [table($0), $0.writable(1)] },
            InvalidTable(fault: .nestedTable, testDescription: "in a table", rings: [false]) { driver in
                [table(driver, [request(driver)[0], table(driver)])]
            },
            InvalidTable(
                fault: .indirectMisplaced, testDescription: "behind a direct descriptor", rings: [true]
            ) { driver in [request(driver)[0], table(driver, [driver.writable(1)])] },
            next(.nextOutOfRange, 2), next(.nextOutOfRange, 0xffff), next(.endlessChain, 0),
            InvalidTable(fault: .chainTooLong, testDescription: "of 257") { driver in
                [table(driver, Array(repeating: request(driver)[0], count: 256) + [driver.writable(1)])]
            },
            InvalidTable(fault: .chainTooLong, testDescription: "of 256 behind another", rings: [false]) { driver in
                let header = request(driver)[0]
                return [header, table(driver, Array(repeating: header, count: 255) + [driver.writable(1)])]
            },
            InvalidTable(fault: .readableAfterWritable, testDescription: "the wrong way round") { driver in
                [table(driver, request(driver).reversed())]
            },
            InvalidTable(
                fault: .readableAfterWritable, testDescription: "readable behind a writable one", rings: [false]
            ) { driver in [driver.writable(1), table(driver)] },
            InvalidTable(fault: .bufferOutsideMemory, testDescription: "of a buffer outside memory") { driver in
                [table(driver, [request(driver)[0], Part(address: end - 4, length: 8, writable: true)])]
            },
            InvalidTable(fault: .noRoomForStatus, testDescription: "of a header alone") { driver in
                [table(driver, [request(driver)[0]])]
            },
        ]

    /// Each table with each ring format in which it is invalid.
    static let inRings = all.flatMap { table in table.rings.map { (table, $0) } }
}

@Suite("Indirect descriptors")
struct IndirectTests {
    @Test(
        "Chains in tables, at any address, split ones behind direct descriptors too (2.7.5.3.2, 2.8.7)",
        arguments: Form.layouts)
    func served(form: Form) {
        let driver = BlockDriver(form: form)
        driver.bringUp(queueSize: form.packed ? 5 : 4)
        for round in 0..<30 {
            let read = driver.submit(BlockRequest.Kind.read, sector: UInt64(round), rooms: [100, 412])
            driver.backend.complete()
            driver.expectRead(read, sector: round)
            let data = Array(repeating: UInt8(round), count: 512)
            driver.submit(BlockRequest.Kind.write, sector: 40, data: data, rooms: [])
            driver.backend.complete()
            #expect(driver.takeUsed(0).map(\.length) == [1], driver.state)
            #expect(Array(driver.disk.bytes[(40 * 512)..<(41 * 512)]) == data)
        }
    }

    @Test("A table takes one descriptor of the ring: as many chains as entries", arguments: [false, true])
    func oneEntry(packed: Bool) {
        let driver = BlockDriver(form: Form(packed: packed, layout: .table(shift: 5)))
        driver.bringUp(queueSize: 4)
        for _ in 0..<5 {
            let chains = (0..<4).map { driver.submitRead(UInt64($0)) }
            #expect(driver.backend.requests.count == 4 && driver.ring(0).room == 0, driver.state)
            driver.backend.complete()
            #expect(driver.takeUsed(0).map(\.id) == chains.map { UInt32($0.head) }, driver.state)
            for (sector, chain) in chains.enumerated() { driver.expectData(chain, sector: sector) }
        }
    }

    @Test("A table may be longer than the ring, up to 128 descriptors or QueueSizeMax", arguments: [false, true])
    func longTable(packed: Bool) {
        for (sizeMax, longest) in [(UInt16(64), 128), (256, 256)] {
            let driver = ConsoleDriver(queueSize: sizeMax, form: Form(packed: packed, layout: .table(shift: 1)))
            driver.bringUp(queueSize: 1)
            driver.backend.completesAtOnce = true
            for count in [longest - 1, longest, longest] {
                let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
                driver.terminal.outputs = [:]
                driver.print(bytes, cuts: Array(0..<count))
                #expect(driver.terminal.output == bytes && driver.takeUsed(1).count == 1, driver.state)
            }
            driver.print(Array(repeating: 0, count: longest + 1), cuts: Array(0...longest))
            #expect(driver.backend.transport.lastFault == .chainTooLong, driver.state)
        }
    }

    @Test("Input into a table", arguments: [false, true])
    func input(packed: Bool) {
        let driver = ConsoleDriver(form: Form(packed: packed, layout: .table(shift: 9)))
        driver.bringUp(queueSize: 2)
        let chain = driver.post(10, cuts: [1, 4])
        driver.type(Array(1...10))
        #expect(driver.answer(chain) == Array(1...10) && driver.takeUsed(0).map(\.length) == [10], driver.state)
    }

    @Test("A table is read once: what the driver changes after the kick is too late", arguments: [false, true])
    func readOnce(packed: Bool) {
        let driver = BlockDriver(form: Form(packed: packed, layout: .table(shift: 4)))
        driver.bringUp()
        let first = driver.nextFree
        let chain = driver.submitRead(2)
        driver.memory.fill(0xff, at: first, count: 16)
        driver.memory.fill(0xff, at: driver.nextFree - 36, count: 36)
        driver.backend.complete()
        driver.expectRead(chain, sector: 2)
    }

    @Test("A broken one: NEEDS_RESET, not a byte of memory, and a reset heals (2.1.2)", arguments: InvalidTable.inRings)
    func broken(table: InvalidTable, packed: Bool) {
        let driver = BlockDriver(form: Form(packed: packed), withholding: table.withholding)
        driver.bringUp(queueSize: 8)
        _ = driver.ring(0).add(table.parts(driver))
        let memory = driver.memory.snapshot()
        driver.kick(0)
        #expect(driver.backend.transport.lastFault == table.fault, driver.state)
        #expect(driver.status.rawValue == 0x4f && driver.backend.requests.isEmpty, driver.state)
        #expect(driver.memory.changes(since: memory) == [], driver.state)
        #expect(driver.acknowledge() == .configurationChange, driver.state)
        driver.bringUp(queueSize: 8)
        driver.expectWorks()
    }
}
