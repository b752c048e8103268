// VIRTIO_F_EVENT_IDX (VIRTIO 1.4, 2.7.7, 2.7.10 and 2.8.10): each side gives the ring position at which it wants a
// notification. Interrupts are compared with a walk of the ring, entry by entry; the driver notifies the device only
// where the device asked for it.

import Testing
import VirtioABI

@testable import Virtio

@Suite("Event indices")
struct EventIndexTests {
    /// A queue without a transport, whose positions a test sets.
    func queue(_ features: Features, size: UInt16, _ memory: FakeMemory) throws -> LiveQueue {
        memory.fill(0, at: 0, count: memory.lowSize)
        var configuration = QueueConfiguration(sizeMax: 16)
        (configuration.size, configuration.descriptors) = (UInt32(size), 0)
        (configuration.driver, configuration.device) = (1024, 2048)
        return try LiveQueue(configuration, features, in: memory.guest, checksDriver: true)
    }

    // MARK: Interrupts

    @Test("used_event: exactly when the entry it names was used, across the wrap of the index (2.7.7.2)")
    func usedEvent() throws {
        let memory = FakeMemory(low: 4096, high: 4096)
        var queue = try queue(.eventIndex, size: 4, memory)
        for start in [0, 1, 0x7ffe, 0x7fff, 0x8000, 0xfffb, 0xfffc, 0xfffd, 0xfffe, 0xffff] as [UInt16] {
            for count in 0..<9 {
                for event in -12..<12 {
                    queue.positions.used.count = start
                    queue.positions.notified = queue.positions.used
                    let wanted = start &+ UInt16(truncatingIfNeeded: event)
                    memory.store(wanted, at: 1024 + SplitRing.usedEvent(size: 4))
                    var passed = false
                    for _ in 0..<count {
                        if queue.positions.used.count == wanted { passed = true }
                        queue.put(0, slots: 1, written: UsedLength(0))
                    }
                    let interrupts = [queue.wantsInterrupt(), queue.wantsInterrupt()]
                    #expect(interrupts == [passed, false], "from \(start), \(count) used, event at \(event)")
                }
            }
        }
    }

    @Test("used_event over the whole range of the index, and NO_INTERRUPT means nothing beside it (2.7.10)")
    func everyIndex() throws {
        let memory = FakeMemory(low: 4096, high: 4096)
        var queue = try queue(.eventIndex, size: 4, memory)
        memory.store(SplitRing.noInterrupt, at: 1024)
        for event in stride(from: 0, through: 0xffff, by: 257) {
            memory.store(UInt16(event), at: 1024 + SplitRing.usedEvent(size: 4))
            queue.positions = RingPositions()
            var interrupts: [Int] = []
            for index in 0...0xffff {
                queue.positions.used.count = UInt16(truncatingIfNeeded: index + 1)
                if queue.wantsInterrupt() { interrupts.append(index) }
            }
            #expect(interrupts == [event])
        }
    }

    /// The contents of a driver event suppression structure.
    struct DriverEvent: Sendable {
        let flags: UInt16
        let position: FakePackedQueue.Position
    }

    @Test(
        "The driver event: always, never, or when the descriptor was used, in every place of two laps (2.8.10)",
        arguments: [UInt16(1), 2, 3, 8], [true, false])
    func driverEvent(size: UInt16, negotiated: Bool) throws {
        let memory = FakeMemory(low: 4096, high: 4096)
        var queue = try queue(negotiated ? [.ringPacked, .eventIndex] : .ringPacked, size: size, memory)
        for start in 0..<Int(2 * size) {
            for chains in Self.chains(upTo: Int(size)) {
                for event in Self.driverEvents(size) {
                    var position = RingPosition()
                    for _ in 0..<start { position.advance(by: 1, size: size) }
                    (queue.positions.used, queue.positions.notified) = (position, position)
                    memory.store(event.position.word, at: 1024)
                    memory.store(event.flags, at: 1026)
                    var here = FakePackedQueue.Position(slot: position.slot, wrap: position.wrap)
                    var passed = false
                    for slots in chains {
                        for _ in 0..<slots {
                            if here == event.position { passed = true }
                            here.advance(by: 1, size: size)
                        }
                        queue.put(0, slots: UInt16(slots), written: UsedLength(0))
                    }
                    let wanted =
                        switch event.flags & 3 {
                        case 1: false
                        case 2 where negotiated && event.position.slot < size: passed
                        default: true
                        }
                    let got = queue.wantsInterrupt()
                    #expect(got == wanted, "size \(size), from \(start), chains of \(chains), \(event)")
                }
            }
        }
    }

    /// Lists of chain lengths that fill a ring of `size` in part or completely.
    static func chains(upTo size: Int) -> [[Int]] {
        (1...size).flatMap { total in [[total], Array(repeating: 1, count: total), [1, total - 1].filter { $0 > 0 }] }
    }

    static func driverEvents(_ size: UInt16) -> [DriverEvent] {
        [UInt16(0), 1, 2, 3, 0xfffe].flatMap { flags in
            (0...size).flatMap { slot in
                [true, false].map {
                    DriverEvent(flags: flags, position: FakePackedQueue.Position(slot: slot, wrap: $0))
                }
            }
        }
    }

    @Test("A driver that asks for the next used buffer gets one interrupt for each", arguments: [false, true])
    func oneByOne(packed: Bool) {
        let driver = BlockDriver(form: Form(packed: packed))
        driver.bringUp(queueSize: packed ? 5 : 4)
        for _ in 0..<30 {
            driver.expectWorks()
            #expect(driver.acknowledge() == .usedBuffer, driver.state)
        }
        #expect(driver.backend.line.risingEdges == 30)
    }

    @Test("A driver that asks for the third gets one interrupt for three", arguments: [false, true])
    func third(packed: Bool) {
        let driver = FourQueuesDriver(form: Form(packed: packed))
        driver.bringUp(queueSize: 4)
        driver.ring(0).followsUsed = false
        for round in 0..<40 {
            if packed {
                let third = FakePackedQueue.Position(
                    slot: UInt16((3 * round + 2) % 4), wrap: (3 * round + 2) / 4 % 2 == 0)
                driver[packed: 0].setDriverEvent(2, third.word)
            } else {
                driver[queue: 0].setUsedEvent(UInt16(3 * round + 2))
            }
            for step in 0..<3 {
                driver.offer()
                driver.backend.complete()
                #expect(driver.takeUsed(0).count == 1, driver.state)
                #expect(driver.acknowledge() == (step == 2 ? .usedBuffer : []), driver.state)
            }
        }
    }

    // MARK: Available buffer notifications

    /// The device's event: the position at which it wants the next notification.
    func event(_ driver: FakeDriver<Block>, packed: Bool) -> UInt32 {
        packed
            ? driver.memory.load(at: driver[packed: 0].deviceEvent) : UInt32(driver[queue: 0].availEvent)
    }

    @Test(
        "The event stands at the next buffer whenever the ring was found empty (2.7.10, 2.8.10)",
        arguments: [false, true])
    func armed(packed: Bool) {
        let driver = BlockDriver(form: Form(packed: packed))
        driver.bringUp(queueSize: packed ? 6 : 4)
        var position = FakePackedQueue.Position()
        for round in 0..<20 {
            let expected = packed ? 2 << 16 | UInt32(position.word) : UInt32(round)
            #expect(event(driver, packed: packed) == expected, driver.state)
            driver.expectWorks()
            position.advance(by: 2, size: 6)
        }
    }

    @Test("The event does not move while buffers are left to take", arguments: [false, true])
    func notArmedEarly(packed: Bool) {
        let driver = BlockDriver(form: Form(packed: packed))
        driver.bringUp()
        driver.backend.servesAtOnce = false
        driver.backend.batchCapacity = 1
        let before = event(driver, packed: packed)
        for _ in 0..<3 { driver.submitRead() }
        #expect(driver.kicks == 1, "one kick for three")
        for _ in 0..<3 {
            #expect(event(driver, packed: packed) == before, driver.state)
            driver.backend.take(queue: 0)
        }
        driver.backend.serve()
        #expect(driver.backend.requests.count == 3 && event(driver, packed: packed) != before, driver.state)
    }

    @Test("A take that requests no notification leaves the event unchanged", arguments: [false, true])
    func asksWhenItRests(packed: Bool) {
        let driver = BlockDriver(form: Form(packed: packed))
        driver.bringUp()
        driver.backend.servesAtOnce = false
        driver.submitRead()
        #expect(driver.kicks == 1)
        for _ in 0..<3 {
            driver.backend.take(queue: 0, requestsNotification: false)
            driver.submitRead()
        }
        #expect(driver.kicks == 1 && driver.backend.requests.count == 3, "a kick where the device will look anyway")
        driver.backend.take(queue: 0)
        driver.submitRead()
        #expect(driver.kicks == 2 && driver.backend.requests.count == 4, driver.state)
    }

    @Test(
        "Without the feature neither event is ever written, nor the used ring's flags (trap 18)",
        arguments: [false, true])
    func neverWritten(packed: Bool) {
        let driver = BlockDriver(form: Form(packed: packed, eventIndex: false))
        driver.bringUp()
        let areas = driver.ring(0).areas
        let places = packed ? [areas[1], areas[2]] : [areas[2] + SplitRing.availableEvent(size: 16)]
        for place in places { driver.memory.store(packed ? 0 : UInt16(0xa5a5), at: place) }
        for _ in 0..<40 { driver.expectWorks() }
        for place in places {
            #expect(driver.memory.load(UInt16.self, at: place) == (packed ? 0 : 0xa5a5), driver.state)
        }
        if packed {
            #expect(driver[packed: 0].deviceEventWords.flags == 0)
        } else {
            #expect(driver[queue: 0].usedFlags == 0)
        }
    }

    @Test("With the feature the driver's half of the suppression is never written (trap 18)", arguments: [false, true])
    func driverAreaIsReadOnly(packed: Bool) {
        let driver = BlockDriver(form: Form(packed: packed))
        driver.bringUp()
        driver.ring(0).followsUsed = false
        let area = driver.ring(0).areas[1]
        let place = packed ? area : area + SplitRing.usedEvent(size: 16)
        driver.memory.store(UInt16(3), at: place)
        let flags: UInt16 = driver.memory.load(at: packed ? area + 2 : area)
        for _ in 0..<40 { driver.expectWorks() }
        #expect(driver.memory.load(UInt16.self, at: place) == 3)
        #expect(driver.memory.load(UInt16.self, at: packed ? area + 2 : area) == flags)
    }

    @Test(
        "A driver that notifies only when asked has every buffer used, in any order of events", arguments: Form.rings)
    func neverStuck(form: Form) {
        var noise = SplitMix64(seed: 5)
        let driver = FourQueuesDriver(form: form)
        driver.bringUp(queueSize: form.packed ? 7 : 8)
        var waiting = 0
        var offered = 0
        for _ in 0..<20_000 {
            switch Int.random(in: 0..<5, using: &noise) {
            case 0, 1:
                guard driver.ring(0).room > 1 else { continue }
                driver.offer(descriptors: Int.random(in: 1...2, using: &noise))
                (waiting, offered) = (waiting + 1, offered + 1)
            case 2:
                // The device serves the queue later.
                driver.backend.servesAtOnce.toggle()
                driver.backend.serve()
            default:
                guard let index = driver.backend.requests.indices.randomElement(using: &noise) else { continue }
                driver.backend.complete(at: index)
                waiting -= driver.takeUsed(0).count
            }
            if driver.backend.servesAtOnce { #expect(driver.backend.requests.count == waiting, driver.state) }
        }
        #expect(form.eventIndex ? driver.kicks < offered : driver.kicks == offered)
    }

    @Test(
        "What a driver adds just before the device asks for kicks is found without one (2.7.13.4.1, 2.8.21.4)",
        .serialized, arguments: [false, true])
    func lostWakeUp(packed: Bool) {
        let driver = FourQueuesDriver(form: Form(packed: packed))
        driver.bringUp(to: .featuresOK)
        // The device area is on its own page.
        let (size, rings, page) = (UInt16(8), UInt64(0x8000), UInt64(0x9000))
        let ring: any FakeRing =
            packed
            ? FakePackedQueue(
                index: 0, size: size, descriptors: rings, driverEvent: rings + 256, deviceEvent: page,
                features: driver.accepted, memory: driver.memory)
            : FakeQueue(
                index: 0, size: size, descriptors: rings, available: rings + 256, used: page,
                features: driver.accepted, memory: driver.memory)
        driver.configure(ring)
        driver.write(.queueReady, 1)
        driver.write(.status, 0x0f)
        var asked: Bool?
        let parts = [driver.writable(1)]
        let caught = driver.memory.catchStore(at: page) {
            // The device has found the ring empty and has not written its event yet.
            _ = ring.add(parts)
            asked = ring.prepareKick()
        } in: {
            driver.offer()
        }
        #expect(caught && asked == false, "the driver was asked for a kick too early")
        #expect(driver.backend.requests.count == 2, driver.state)
        driver.backend.complete()
        #expect(driver.takeUsed(0).count == 2, driver.state)
    }
}
