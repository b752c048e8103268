// A packed virtqueue (VIRTIO 1.4, 2.8) with a conforming driver and with a hostile one.

import Testing
import Virtio
import VirtioABI

@Suite("Packed virtqueue")
struct PackedQueueTests {
    // MARK: A conforming driver

    @Test("Buffers are taken in ring order, and used in the order of completion")
    func completionOrder() {
        let driver = BlockDriver(form: .plainPacked)
        driver.bringUp(queueSize: 19)
        for _ in 0..<20 {
            let chains = (0..<4).map {
                driver.submit(BlockRequest.Kind.read, sector: UInt64($0), rooms: Array(repeating: 512, count: $0))
            }
            #expect(driver.backend.requests.map(\.request.offset) == [0, 512, 1024, 1536], driver.state)
            for index in [2, 0, 1, 0] { driver.backend.complete(at: index) }
            let expected = [2, 0, 3, 1].map { UsedElement(id: UInt32(chains[$0].head), length: UInt32(512 * $0 + 1)) }
            #expect(driver.takeUsed(0) == expected, driver.state)
            for (sector, chain) in chains.enumerated() { driver.expectData(chain, sector: sector) }
        }
    }

    @Test("Any size, any length of buffer, any order of completion, many times round", arguments: UInt16(1)...16)
    func wraps(size: UInt16) {
        let driver = FourQueuesDriver(form: Form(packed: true))
        driver.bringUp(queueSize: size)
        var random = UInt32(size)
        func below(_ bound: Int) -> Int {
            random = random &* 1_664_525 &+ 1_013_904_223
            return Int(random >> 16) % bound
        }
        // Requests reach the backend in ring order, so `waiting` has the order of `backend.requests`.
        var waiting: [Chain] = []
        for _ in 0..<600 {
            let room = driver[packed: 0].room
            if room > 0, below(2) == 0 { waiting.append(driver.offer(descriptors: 1 + below(room))) }
            #expect(driver.backend.requests.count == waiting.count, driver.state)
            guard !waiting.isEmpty, driver.backend.requests.count == waiting.count, below(2) == 0 else { continue }
            let index = below(waiting.count)
            driver.backend.complete(at: index)
            let chain = waiting.remove(at: index)
            #expect(driver.takeUsed(0).map(\.id) == [UInt32(chain.head)], driver.state)
            #expect(driver.answer(chain).last == 0, driver.state)
        }
        #expect(driver.status.rawValue == 0x0f, driver.state)
    }

    @Test("Large rings, past their end", arguments: [UInt16(2), 255, 257, 1000, 32767, 32768])
    func large(size: UInt16) {
        let driver = BlockDriver(queueSize: 32768, form: Form(packed: true), memory: FakeMemory(low: 4 << 20))
        driver.bringUp(queueSize: size)
        driver.backend.completesAtOnce = true
        driver.backend.batchCapacity = 1024
        let parts = [driver.readable(BlockDriver.header(BlockRequest.Kind.read, sector: 0)), driver.writable(1)]
        for _ in 0..<3 {
            let chains = (0..<(Int(size) / 2)).map { _ in driver.add(parts, to: 0, kick: false) }
            driver.kick(0)
            // Compared outside #expect: a failure would print the differences of 16384 elements.
            let isWhole = driver.takeUsed(0) == chains.map { UsedElement(id: UInt32($0.head), length: 1) }
            #expect(isWhole, driver.state)
            if !isWhole { return }
        }
        #expect(driver.disk.log.count == 3 * (Int(size) / 2))
    }

    @Test("A used descriptor tells what was written, from the start without a gap (2.8.5)")
    func usedLength() {
        let driver = BlockDriver(form: .plainPacked)
        driver.bringUp(queueSize: 7)
        driver.submit(BlockRequest.Kind.read, rooms: [512, 512])
        driver.backend.complete()
        #expect(driver.takeUsed(0).map(\.length) == [1025], driver.state)
        driver.submit(BlockRequest.Kind.write, data: Array(repeating: 7, count: 512))
        driver.backend.complete()
        #expect(driver.takeUsed(0).map(\.length) == [1], driver.state)
        #expect(driver.disk.bytes[..<512].allSatisfy { $0 == 7 })
        driver.submit(BlockRequest.Kind.read, rooms: [512])
        driver.backend.fail()
        #expect(driver.takeUsed(0).map(\.length) == [0], driver.state)
        driver.submit(0xdead)
        #expect(driver.takeUsed(0).map(\.length) == [1], driver.state)
    }

    @Test("A read changes its data, its status byte and half a descriptor; neither event structure", arguments: [0, 3])
    func footprint(laps: Int) {
        let driver = BlockDriver(form: .plainPacked)
        driver.bringUp(queueSize: 5)
        for _ in 0..<laps { driver.expectWorks() }
        let slot = driver[packed: 0].nextAvailable.slot
        let chain = driver.submit(BlockRequest.Kind.read, sector: 1, rooms: [512], kick: false)
        let memory = driver.memory.snapshot()
        driver.kick(0)
        #expect(driver.memory.changes(since: memory) == [], driver.state)
        driver.backend.complete()
        let element = driver[packed: 0].address(slot)
        let data = chain.parts[1].address
        let allowed = [element + 8..<element + 16, data..<data + 513]
        let changes = driver.memory.changes(since: memory)
        #expect(!changes.isEmpty)
        for run in changes {
            #expect(allowed.contains { $0.lowerBound <= run.lowerBound && run.upperBound <= $0.upperBound }, "\(run)")
        }
        driver.expectData(chain, sector: 1)
    }

    @Test("The driver event structure suppresses the interrupt, and is never written")
    func suppression() {
        let driver = BlockDriver(form: .plainPacked)
        driver.bringUp(queueSize: 5)
        for _ in 0..<7 {
            driver[packed: 0].setEventFlags(1)
            driver.memory.store(UInt16(0x8003), at: driver[packed: 0].driverEvent)
            driver.expectWorks()
            #expect(driver.interruptStatus == [] && !driver.backend.line.level, driver.state)
            #expect(driver.memory.load(UInt32.self, at: driver[packed: 0].driverEvent) == 0x0001_8003)
            driver[packed: 0].setEventFlags(0)
            driver.expectWorks()
            #expect(driver.acknowledge() == .usedBuffer, driver.state)
            #expect(driver.memory.load(UInt32.self, at: driver[packed: 0].driverEvent) == 0x0000_8003)
        }
        #expect(driver.memory.load(UInt32.self, at: driver[packed: 0].deviceEvent) == 0)
    }

    @Test("Kicks without buffers, and buffers not yet kicked")
    func uselessKick() {
        let driver = FourQueuesDriver(form: Form(packed: true))
        driver.bringUp(queueSize: 3)
        for _ in 0..<8 {
            let memory = driver.memory.snapshot()
            driver.kick(0)
            #expect(driver.backend.requests.isEmpty && driver.memory.changes(since: memory) == [], driver.state)
            for _ in 0..<2 { driver.offer(kick: false) }
            #expect(driver.backend.requests.isEmpty, driver.state)
            driver.kick(0)
            driver.backend.complete()
            #expect(driver.takeUsed(0).count == 2, driver.state)
        }
    }

    // MARK: A driver that corrupts the ring

    /// A buffer that a driver must not make available.
    struct InvalidBuffer: Sendable {
        let fault: QueueFault
        var parts: [Part] = [header, status]
        var id: UInt16 = 4
        var extra: UInt16 = 0

        static let header = Part(address: 0x800, length: 16, writable: false)
        static let status = Part(address: 0x900, length: 1, writable: true)
        static let end = Part(address: (1 << 20) - 8, length: 16, writable: true)

        static let all = [
            InvalidBuffer(
                fault: .endlessChain, parts: [header] + Array(repeating: status, count: 4),
                extra: FakePackedQueue.next),
            InvalidBuffer(fault: .readableAfterWritable, parts: [status, header]),
            InvalidBuffer(fault: .readableAfterWritable, parts: [header, status, header]),
            InvalidBuffer(fault: .bufferOutsideMemory, parts: [header, end]),
            InvalidBuffer(
                fault: .bufferOutsideMemory,
                parts: [Part(address: .max - 3, length: 16, writable: false), status]),
            InvalidBuffer(fault: .indirectNotNegotiated, extra: FakePackedQueue.indirect),
            InvalidBuffer(fault: .noRoomForStatus, parts: [header]),
        ]
    }

    /// Fails unless `fault` sets DEVICE_NEEDS_RESET, sends a configuration change notification and has no other effect.
    func expectNeedsReset(_ driver: BlockDriver, _ fault: QueueFault, unchangedSince memory: FakeMemory.Snapshot) {
        #expect(driver.backend.transport.lastFault == fault, driver.state)
        #expect(driver.status.rawValue == 0x4f, driver.state)
        driver.kick(0)
        driver.backend.take(queue: 0)
        driver.backend.fail()
        #expect(driver.memory.changes(since: memory) == [], driver.state)
        #expect(driver.acknowledge() == .configurationChange, driver.state)
        driver.bringUp(queueSize: 5)
        for _ in 0..<5 { driver.expectWorks() }
    }

    @Test(
        "Broken at run time, in each place of two laps: NEEDS_RESET, and a reset heals", arguments: InvalidBuffer.all,
        0..<5)
    func broken(_ buffer: InvalidBuffer, _ laps: Int) {
        let driver = BlockDriver(form: .plainPacked, withholding: .indirectDescriptors)
        driver.bringUp(queueSize: 5)
        for _ in 0..<laps { driver.expectWorks() }
        driver.acknowledge()
        driver[packed: 0].publish(buffer.parts, id: buffer.id, extra: buffer.extra)
        let memory = driver.memory.snapshot()
        driver.kick(0)
        #expect(driver.backend.requests.isEmpty, driver.state)
        expectNeedsReset(driver, buffer.fault, unchangedSince: memory)
    }

    @Test("A descriptor that is in flight may not come again")
    func descriptorInFlight() {
        let driver = BlockDriver(form: .plainPacked)
        driver.bringUp(queueSize: 5)
        for _ in 0..<2 { driver.submit(BlockRequest.Kind.read, rooms: []) }
        #expect(driver.backend.requests.count == 2 && driver.status.rawValue == 0x0f, driver.state)
        // One descriptor is free, and two are marked available.
        driver[packed: 0].publish([InvalidBuffer.header, InvalidBuffer.status], id: 4)
        let memory = driver.memory.snapshot()
        driver.kick(0)
        expectNeedsReset(driver, .headInFlight, unchangedSince: memory)
    }

    @Test("A chain does not go on in a descriptor that is not available, used or never filled", arguments: [0, 1])
    func chainEndsNowhere(used: Int) {
        let driver = BlockDriver(form: .plainPacked)
        driver.bringUp(queueSize: 5)
        // After a read of three descriptors the descriptor after a chain of two is the used one.
        for _ in 0..<used { driver.expectWorks() }
        driver.acknowledge()
        driver[packed: 0].publish([InvalidBuffer.header, InvalidBuffer.status], id: 1, extra: FakePackedQueue.next)
        let memory = driver.memory.snapshot()
        driver.kick(0)
        expectNeedsReset(driver, .descriptorNotAvailable, unchangedSince: memory)
    }

    @Test(
        "A buffer id is whatever the driver likes, and two buffers may have the same (2.8.6)", arguments: [5, 0xffff])
    func anyID(id: UInt16) {
        let driver = BlockDriver(form: .plainPacked)
        driver.bringUp(queueSize: 5)
        for _ in 0..<2 { driver[packed: 0].publish([InvalidBuffer.header, InvalidBuffer.status], id: id) }
        driver.kick(0)
        for slot: UInt16 in [0, 2] {
            let used: UInt16 = driver.memory.load(at: driver[packed: 0].address(slot) + 12)
            #expect(used == id && driver[packed: 0].flags(slot) & 0x8080 == 0x8080, driver.state)
        }
    }

    @Test("Buffers that were used before the broken one are notified")
    func answeredFirst() {
        let driver = BlockDriver(form: .plainPacked)
        driver.bringUp(queueSize: 5)
        driver.submit(0xdead, kick: false)
        driver[packed: 0].publish([InvalidBuffer.status, InvalidBuffer.header], id: 0xffff)
        driver.kick(0)
        #expect(driver.takeUsed(0).count == 1 && driver.status.rawValue == 0x4f, driver.state)
        #expect(driver.interruptStatus == [.usedBuffer, .configurationChange], driver.state)
    }

    // MARK: A driver that configures an invalid queue

    struct Layout: Sendable {
        var fault: QueueFault?
        var size: UInt32 = 5
        var descriptors: UInt64 = 0x1000
        var driver: UInt64 = 0x2000
        var device: UInt64 = 0x3000

        static let end = UInt64(1 << 20)
        static let refused: [Layout] =
            [UInt32(0), 257, 512, 0x8000, 0x8001, 0x1_0000, 0x1_0005, .max].map { Layout(fault: .badSize, size: $0) }
            + [
                Layout(fault: .misalignedRing, descriptors: 0x1008),
                Layout(fault: .misalignedRing, descriptors: 0x1001),
                Layout(fault: .misalignedRing, driver: 0x2002),
                Layout(fault: .misalignedRing, driver: 0x2001),
                Layout(fault: .misalignedRing, device: 0x3002),
                Layout(fault: .misalignedRing, device: 0x3001),
                Layout(fault: .ringOutsideMemory, descriptors: end - 64),
                Layout(fault: .ringOutsideMemory, descriptors: .max - 15),
                Layout(fault: .ringOutsideMemory, driver: end),
                Layout(fault: .ringOutsideMemory, driver: .max - 3),
                Layout(fault: .ringOutsideMemory, device: end),
                Layout(fault: .ringOutsideMemory, device: FakeMemory.highAddress - 4),
            ]
        static let accepted: [Layout] =
            [UInt32(1), 2, 3, 255, 256].map { Layout(size: $0) } + [
                Layout(descriptors: end - 80), Layout(driver: end - 4), Layout(device: end - 4),
            ]
    }

    func enable(_ layout: Layout, on driver: BlockDriver) {
        driver.bringUp(to: .featuresOK)
        driver.configure(
            0, size: layout.size, descriptors: layout.descriptors, available: layout.driver, used: layout.device)
        #expect(driver.status.rawValue == 0x0b, "checked too early")
        driver.write(.queueReady, 1)
    }

    @Test("A queue that cannot be: NEEDS_RESET when it goes live, and a reset heals", arguments: Layout.refused)
    func refused(layout: Layout) {
        let driver = BlockDriver(form: .plainPacked)
        let memory = driver.memory.snapshot()
        enable(layout, on: driver)
        #expect(driver.backend.transport.lastFault == layout.fault && driver.read(.queueReady) == 0, driver.state)
        #expect(driver.status.rawValue == 0x4b && driver.interruptStatus == [], driver.state)
        #expect(driver.memory.changes(since: memory) == [], driver.state)
        driver.bringUp(queueSize: 5)
        driver.expectWorks()
    }

    @Test("Areas that just fit, and sizes that are no power of two", arguments: Layout.accepted)
    func accepted(layout: Layout) {
        let driver = BlockDriver(form: .plainPacked)
        enable(layout, on: driver)
        #expect(driver.read(.queueReady) == 1 && driver.status.rawValue == 0x0b, driver.state)
        #expect(driver.backend.transport.lastFault == nil, driver.state)
    }

    @Test("A device is offered with split rings unless its host says otherwise")
    func notByDefault() {
        let driver = BlockDriver()
        #expect(!driver.offered.contains(.ringPacked), "offered without being asked for")
    }
}
