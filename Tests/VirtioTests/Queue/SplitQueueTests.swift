// A split virtqueue with a conforming driver (VIRTIO 1.4, 2.7): order, wrap-around, sizes, and exactly which bytes of
// guest memory the device writes.

import Testing
import Virtio
import VirtioABI

@Suite("Split virtqueue")
struct SplitQueueTests {
    @Test("Chains are taken in the order of the available ring, whatever their heads")
    func order() {
        let driver = ConsoleDriver()
        driver.bringUp()
        let heads: [UInt16] = [5, 2, 7, 0, 15]
        for (position, head) in heads.enumerated() {
            let part = driver.readable([UInt8(position)])
            driver[queue: 1].setDescriptor(head, Descriptor(address: part.address, length: 1))
            driver[queue: 1].publish(head)
        }
        driver.kick(1)
        driver.backend.complete()
        #expect(driver.terminal.output == [0, 1, 2, 3, 4])
        #expect(driver.takeUsed(1).map(\.id) == heads.map(UInt32.init), driver.state)
    }

    @Test("The used ring holds the order of completion")
    func completionOrder() {
        let driver = BlockDriver()
        driver.bringUp()
        let chains = (0..<4).map { driver.submit(BlockRequest.Kind.read, sector: UInt64($0), room: 512 * $0) }
        for index in [2, 0, 1, 0] { driver.backend.complete(at: index) }
        let expected = [2, 0, 3, 1].map { UsedElement(id: UInt32(chains[$0].head), length: UInt32(512 * $0 + 1)) }
        #expect(driver.takeUsed(0) == expected, driver.state)
        for (sector, chain) in chains.enumerated() {
            #expect(driver.data(chain) == Array(driver.disk.bytes[(512 * sector)..<(1024 * sector)]))
        }
    }

    @Test("Every legal size works, past the end of the ring", arguments: (0...15).map { UInt16(1) << $0 })
    func sizes(size: UInt16) {
        let driver = ConsoleDriver(queueSize: 32768, memory: FakeMemory(low: 4 << 20))
        driver.bringUp(to: .featuresOK)
        driver.setUp(queue: 1, size: size)
        driver.write(.status, 0x0f)
        driver.backend.completesAtOnce = true
        driver.backend.batchCapacity = 1024
        let part = driver.readable([0x55])
        var used: [UsedElement] = []
        for round in 0..<3 {
            let count = round == 0 ? Int(size) : min(Int(size), 5)
            for _ in 0..<count { driver.add([part], to: 1, kick: false) }
            driver.kick(1)
            used += driver.takeUsed(1)
        }
        #expect(used.count == Int(size) + 2 * min(Int(size), 5), driver.state)
        #expect(Set(used.prefix(Int(size)).map(\.id)).count == Int(size))
        #expect(driver.terminal.output.count == used.count)
    }

    @Test("The indices wrap at 65536, not at the queue size")
    func wrap() {
        let driver = ConsoleDriver(queueSize: 256)
        driver.bringUp(queueSize: 256)
        driver.backend.completesAtOnce = true
        driver[queue: 1].setAvailableFlags(SplitRing.noInterrupt)
        let part = driver.readable([0x55])
        for round in 1...260 {
            for _ in 0..<255 { driver.add([part], to: 1, kick: false) }
            driver.kick(1)
            #expect(driver.takeUsed(1).count == 255, driver.state)
            #expect(driver[queue: 1].usedIndex == UInt16(truncatingIfNeeded: 255 * round))
        }
        #expect(driver.terminal.output.count == 255 * 260)
    }

    @Test("A full queue across the wrap is 65536 - 3 to 13 pending, and no jump")
    func fullAcrossWrap() {
        let driver = ConsoleDriver(queueSize: 16)
        driver.bringUp()
        let part = driver.readable([0x55])
        driver.backend.completesAtOnce = true
        for _ in 0..<4095 {
            for _ in 0..<16 { driver.add([part], to: 1, kick: false) }
            driver.kick(1)
            #expect(driver.takeUsed(1).count == 16)
        }
        for _ in 0..<13 { driver.add([part], to: 1) }
        #expect(driver.takeUsed(1).count == 13 && driver[queue: 1].nextAvailable == 65533)
        for _ in 0..<16 { driver.add([part], to: 1, kick: false) }
        driver.kick(1)
        #expect(driver.takeUsed(1).count == 16 && driver[queue: 1].usedIndex == 13, driver.state)
    }

    @Test("A read changes its data, its status byte, one used element and the used index; nothing else (trap 18)")
    func footprint() {
        let driver = BlockDriver()
        driver.bringUp(accepting: .version1)
        let queue = driver[queue: 0]
        driver.memory.fill(
            FakeMemory.pattern, at: queue.used + 4, count: Int(SplitRing.usedBytes(size: queue.size)) - 4)
        driver[queue: 0].setAvailableFlags(0)
        let chain = driver.submit(BlockRequest.Kind.read, sector: 1, room: 512, kick: false)
        let memory = driver.memory.snapshot()
        driver.kick(0)
        #expect(driver.memory.changes(since: memory) == [])
        driver.backend.complete()
        let data = chain.parts[1].address
        let allowed = [
            queue.used + 2..<queue.used + 4, queue.used + 4..<queue.used + 12, data..<data + 513,
        ]
        for run in driver.memory.changes(since: memory) {
            #expect(allowed.contains { $0.lowerBound <= run.lowerBound && run.upperBound <= $0.upperBound }, "\(run)")
        }
        #expect(queue.usedIndex == 1 && queue.usedFlags == 0 && queue.availEvent == 0xa5a5)
        #expect(queue.usedElement(at: 0) == UsedElement(id: UInt32(chain.head), length: 513))
    }

    @Test("used_event is ignored without VIRTIO_F_EVENT_IDX", arguments: [UInt16(0), 1, 0x7fff, 0xffff])
    func usedEvent(value: UInt16) {
        let driver = BlockDriver()
        driver.bringUp(accepting: [.version1, BlockFeature.flush])
        let queue = driver[queue: 0]
        driver.memory.store(value, at: queue.available + SplitRing.availableBytes(size: queue.size) - 2)
        for _ in 0..<3 {
            driver.submit(BlockRequest.Kind.flush)
            driver.backend.complete()
            #expect(driver.acknowledge() == .usedBuffer, driver.state)
        }
    }

    @Test("Rings and buffers above 4 GiB, up to the last byte of memory")
    func highMemory() {
        let driver = ConsoleDriver()
        driver.bringUp(to: .featuresOK)
        let end = FakeMemory.highAddress + UInt64(driver.memory.highSize)
        let used = end - (SplitRing.usedBytes(size: 8) + 3) / 4 * 4
        let available = used - (SplitRing.availableBytes(size: 8) + 1) / 2 * 2
        driver.configure(
            FakeQueue(
                index: 1, size: 8, descriptors: FakeMemory.highAddress, available: available, used: used,
                memory: driver.memory))
        driver.write(.queueReady, 1)
        driver.write(.status, 0x0f)
        let text = FakeMemory.highAddress + 0x400
        driver.memory.store(Array("high".utf8), at: text)
        driver.add([Part(address: text, length: 4, writable: false)], to: 1)
        driver.backend.complete()
        #expect(driver.terminal.output == Array("high".utf8), driver.state)
        #expect(driver.takeUsed(1).count == 1, driver.state)
    }

    @Test("Buffers of no bytes are legal anywhere in a chain, and need no memory behind them")
    func emptyBuffers() {
        let driver = BlockDriver()
        driver.bringUp()
        let nowhere = { (writable: Bool) in Part(address: .max, length: 0, writable: writable) }
        let header = driver.readable(BlockDriver.header(BlockRequest.Kind.read, sector: 2))
        let chain = driver.add(
            [
                nowhere(false), header, nowhere(false), nowhere(true), driver.writable(512), nowhere(true),
                driver.writable(1), nowhere(true),
            ],
            to: 0)
        driver.backend.complete()
        let whole = chain.parts.filter { $0.writable && $0.length > 0 }
        #expect(driver.memory.bytes(at: whole[0].address, count: 512) == Array(driver.disk.bytes[1024..<1536]))
        #expect(driver.memory.load(UInt8.self, at: whole[1].address) == 0, driver.state)
        #expect(driver.takeUsed(0) == [UsedElement(id: UInt32(chain.head), length: 513)])
    }

    @Test("The longest chain is as long as the queue")
    func longestChain() {
        let driver = ConsoleDriver()
        driver.bringUp()
        let bytes = Array("0123456789abcdef".utf8)
        driver.print(bytes, cuts: Array(0..<16))
        driver.backend.complete()
        #expect(driver.terminal.output == bytes, driver.state)
    }

    @Test("A descriptor is read once: what the driver changes after the kick is too late")
    func readOnce() {
        let driver = BlockDriver()
        driver.bringUp()
        let chain = driver.submit(BlockRequest.Kind.read, room: 512)
        let elsewhere = driver.writable(513)
        for index in UInt16(0)..<16 {
            driver[queue: 0].setDescriptor(index, Descriptor(address: elsewhere.address, length: 513, flags: .write))
        }
        driver.memory.fill(0xff, at: chain.parts[0].address, count: 16)
        driver.backend.complete()
        #expect(driver.data(chain) == Array(driver.disk.bytes[..<512]), driver.state)
        #expect(driver.memory.bytes(at: elsewhere.address, count: 513).allSatisfy { $0 == FakeMemory.pattern })
    }

    @Test("A kick with nothing new changes nothing, and buffers without a kick are found by the next (B-18)")
    func spuriousKicks() {
        let driver = BlockDriver()
        driver.bringUp()
        let memory = driver.memory.snapshot()
        for _ in 0..<10 { driver.kick(0) }
        #expect(driver.memory.changes(since: memory) == [] && driver.interruptStatus == [], driver.state)
        for _ in 0..<3 { driver.submit(BlockRequest.Kind.flush, kick: false) }
        #expect(driver.backend.requests.isEmpty)
        driver.kick(0)
        #expect(driver.backend.requests.count == 3, driver.state)
    }

    @Test("A full batch leaves the rest in the ring, and the take reports the queue again", arguments: [1, 2, 3, 64])
    func batches(capacity: Int) {
        let driver = BlockDriver()
        driver.bringUp(queueSize: 32)
        driver.backend.servesAtOnce = false
        driver.backend.batchCapacity = capacity
        for _ in 0..<10 { driver.submit(BlockRequest.Kind.flush, kick: false) }
        driver.kick(0)
        #expect(driver.backend.owed == QueueSet(queue: 0))
        let first = driver.backend.take(queue: 0)
        #expect(driver.backend.requests.count == min(capacity, 10), driver.state)
        #expect(first.queues == (capacity < 10 ? QueueSet(queue: 0) : []))
        driver.backend.serve()
        #expect(driver.backend.requests.count == 10, driver.state)
        #expect(driver.backend.transport.requestsInFlight == 10)
        driver.backend.complete()
        #expect(driver.takeUsed(0).count == 10, driver.state)
    }

    @Test("A take is bounded also where the device answers at once: the driver could continue without end")
    func boundedTake() {
        let driver = BlockDriver()
        driver.bringUp()
        driver.backend.servesAtOnce = false
        driver.backend.batchCapacity = 4
        for _ in 0..<7 { driver.submit(99, kick: false) }
        for (used, left) in [(4, QueueSet(queue: 0)), (3, [])] {
            let effects = driver.backend.take(queue: 0)
            #expect(driver.takeUsed(0).count == used && effects.queues == left, driver.state)
        }
    }

    @Test("Chains the device answers at once take no room in a batch")
    func answeredChainsLeaveRoom() {
        let driver = BlockDriver(queueSize: 16)
        driver.bringUp()
        driver.backend.servesAtOnce = false
        let chain = driver.submit(99, kick: false)
        for _ in 1..<16 { driver[queue: 0].publish(chain.head) }
        #expect(driver.backend.take(queue: 0).queues == [] && driver[queue: 0].usedIndex == 16, driver.state)
    }

    @Test("Chains that share descriptors have more segments than a batch; they come in several")
    func overlappingChains() {
        let driver = ConsoleDriver(queueSize: 16)
        driver.bringUp()
        let bytes = driver.readable(Array(0..<16))
        for index in UInt16(0)..<16 {
            let flags: Descriptor.Flags = index < 15 ? .next : []
            let descriptor = Descriptor(
                address: bytes.address + UInt64(index), length: 1, flags: flags, next: index + 1)
            driver[queue: 1].setDescriptor(index, descriptor)
        }
        for head in UInt16(0)..<16 { driver[queue: 1].publish(head) }
        driver.kick(1)
        #expect(driver.backend.requests.count == 16, driver.state)
        driver.backend.complete()
        #expect(driver.terminal.output == (0..<16).flatMap { Array($0..<16) }, driver.state)
    }

    @Test("A batch takes the longest chains the queue can hold")
    func longChainsInBatch() {
        let driver = ConsoleDriver(queueSize: 16)
        driver.bringUp()
        for byte in UInt8(0)..<20 {
            driver.print(Array(repeating: byte, count: 16), cuts: Array(0..<16))
            driver.backend.complete()
            #expect(driver.takeUsed(1).count == 1, driver.state)
        }
        #expect(driver.terminal.output.count == 320)
    }

    @Test("A request is answered once, however often its completion is reported")
    func answeredOnce() throws {
        let driver = BlockDriver()
        driver.bringUp()
        driver.submit(BlockRequest.Kind.flush)
        let pending = try #require(driver.backend.requests.first)
        driver.backend.complete()
        driver.acknowledge()
        driver.backend.finish(pending, .ioError)
        #expect(driver.takeUsed(0).count == 1 && driver.interruptStatus == [], driver.state)
    }
}
