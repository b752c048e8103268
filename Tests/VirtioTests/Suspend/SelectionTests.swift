// Queue selection in a suspended device: selectors act, and the stop or reset of a queue concerns the queue that is
// selected when it is written, whichever was selected when the device was suspended (4.2.2, QueueSel; D-5, D-16).

import Testing
import VirtioABI

@testable import Virtio

@Suite("Suspend: queue selection")
struct SuspendSelectionTests {
    /// The ways to end a queue.
    enum Way: CaseIterable {
        case stop, reset

        var write: (register: Register, value: UInt32) { self == .stop ? (.queueReady, 0) : (.queueReset, 1) }
    }

    /// A suspended device with four queues, with `before` selected when it was suspended.
    private func suspended(
        _ dialect: SuspendDialect, _ scope: FreezeScope = .wide, selecting before: Int
    ) -> FourQueuesDriver {
        let driver = FourQueuesDriver(suspend: dialect, freeze: scope)
        driver.bringUp()
        driver.write(.queueSel, UInt32(before))
        driver.suspend()
        return driver
    }

    private func end(_ queue: Int, _ way: Way, _ driver: FourQueuesDriver) {
        driver.write(.queueSel, UInt32(queue))
        driver.write(way.write.register, way.write.value)
    }

    @Test(
        "T42 a queue that ends while suspended is the one selected then, for every queue selected before",
        .covers("D-5", "D-16", "MM-6", "B-19"), arguments: SuspendDialect.allCases, Way.allCases)
    func everyQueue(_ dialect: SuspendDialect, _ way: Way) {
        for scope in [FreezeScope.wide, .narrow] {
            for before in 0...4 {
                for target in 0..<4 {
                    let driver = suspended(dialect, scope, selecting: before)
                    end(target, way, driver)
                    let waits: UInt32 = scope == .wide ? 1 : 0
                    #expect(driver.read(.queueReady) == waits, driver.state)
                    #expect(driver.read(.queueReset) == (way == .reset ? waits : 0), driver.state)
                    expectOthersLive(driver, except: target)
                    driver.resume()
                    expectOthersLive(driver, except: target)
                    driver.write(.queueSel, UInt32(target))
                    #expect(driver.read(.queueReady) == 0 && driver.read(.queueReset) == 0, driver.state)
                    expectReleased(driver, target)
                }
            }
        }
    }

    private func expectOthersLive(_ driver: FourQueuesDriver, except target: Int) {
        for queue in 0..<4 where queue != target {
            driver.write(.queueSel, UInt32(queue))
            #expect(driver.read(.queueReady) == 1 && driver.read(.queueReset) == 0, driver.state)
        }
    }

    /// Fails unless the device leaves the memory of queue `target` alone, and serves every other queue.
    private func expectReleased(_ driver: FourQueuesDriver, _ target: Int) {
        driver.offer(target, kick: false)
        let released = driver.memory.snapshot()
        driver.kick(target)
        driver.backend.take(queue: target)
        driver.backend.complete()
        #expect(driver.memory.changes(since: released) == [], driver.state)
        for queue in 0..<4 where queue != target {
            driver.offer(queue)
            driver.backend.complete()
            #expect(driver.takeUsed(queue).count == 1, driver.state)
        }
    }

    @Test("T40 selectors act while suspended", .covers("D-5"), arguments: SuspendDialect.allCases)
    func selectors(_ dialect: SuspendDialect) {
        let driver = suspended(dialect, selecting: 1)
        driver.write(.queueSel, 4)
        #expect(driver.read(.queueSizeMax) == 0 && driver.read(.queueReady) == 0, "there is no queue 4")
        for word: UInt32 in [0, 1, 2] {
            driver.write(.deviceFeaturesSel, word)
            #expect(driver.read(.deviceFeatures) == driver.backend.transport.offered.word(word), driver.state)
        }
        driver.write(.driverFeaturesSel, 7)
        driver.write(.shmSel, 8)
        driver.resume()
        let now = driver.backend.transport.inspect()
        #expect([now.queueSel, now.deviceFeaturesSel, now.driverFeaturesSel, now.shmSel] == [4, 2, 7, 8])
    }

    @Test(
        "D-16: QueueReady = 0 of a suspended device waits for the resume, and keeps the queue's registers",
        .covers("D-16", "MM-5"), arguments: SuspendDialect.allCases)
    func stopKeepsRegisters(_ dialect: SuspendDialect) {
        let driver = suspended(dialect, selecting: 0)
        end(2, .stop, driver)
        driver.write(.queueReady, 1)
        driver.resume()
        #expect(driver.read(.queueReady) == 0, "the driver reads QueueReady until it is 0")
        driver.write(.queueReady, 1)
        driver.offer(2)
        driver.backend.complete()
        #expect(driver.takeUsed(2).count == 1, driver.state)
    }

    @Test(
        "D-16: of a stop and a reset of the same queue while suspended, the reset is performed", .covers("D-16"),
        arguments: SuspendDialect.allCases, [[Way.stop, .reset], [.reset, .stop], [.reset, .reset]])
    func resetOutlastsStop(_ dialect: SuspendDialect, _ ways: [Way]) {
        let driver = suspended(dialect, selecting: 0)
        for way in ways { end(1, way, driver) }
        #expect(driver.read(.queueReady) == 1 && driver.read(.queueReset) == 1, driver.state)
        driver.resume()
        #expect(driver.read(.queueReady) == 0 && driver.read(.queueReset) == 0, driver.state)
        #expect(driver.backend.transport.inspect().queues[1].descriptorArea == 0, "the registers are reset")
    }

    @Test("D-16: QueueReady = 0 of a queue that is not ready has no effect", .covers("D-16"))
    func stopOfNothing() {
        let driver = FourQueuesDriver(suspend: .draft)
        driver.bringUp(to: .featuresOK)
        driver.write(.status, 0x0f)
        driver.suspend()
        end(3, .stop, driver)
        #expect(driver.read(.queueReady) == 0 && !driver.backend.transport.inspect().queues[3].isEnding, driver.state)
    }

    @Test("D-16: the stop of a queue travels in a snapshot, and is performed by a device that dies", .covers("D-16"))
    func stopTravels() {
        let old = suspended(.draft, selecting: 0)
        end(3, .stop, old)
        let new = FourQueuesDriver(suspend: .draft)
        #expect(new.replace(old), old.state)
        #expect(new.read(.queueReady) == 1, new.state)
        new.backend.fatal()
        new.requestResume()
        #expect(new.statusByte == 0x4f && new.read(.queueReady) == 0, new.state)
        end(1, .stop, new)
        #expect(new.read(.queueReady) == 0, "a driver that stops a queue of a dead device reads 0")
    }

    // MARK: Every sequence

    /// An input of `everySequence`.
    private enum Input: CaseIterable {
        case selectFirst, selectSecond, selectNone, stop, reset, suspend, resume, complete
    }

    @Test(
        "every sequence of selections, stops, resets, suspends and resumes", .covers("D-5", "D-16"),
        arguments: SuspendDialect.allCases, [FreezeScope.wide, .narrow])
    func everySequence(_ dialect: SuspendDialect, _ scope: FreezeScope) {
        let inputs = Input.allCases
        let length = 4
        let count = (0..<length).reduce(1) { product, _ in product * inputs.count }
        for number in 0..<count {
            let driver = FourQueuesDriver(suspend: dialect, freeze: scope, memory: FakeMemory(low: 1 << 14, high: 4096))
            driver.bringUp()
            var oracle = QueueOracle(scope: scope, live: [true, true, true, true])
            oracle.select(3)
            // The draft retains a request of queue 1.
            if dialect == .draft { driver.offer(1) }
            driver.requestSuspend()
            driver.backend.deadline()
            #expect(driver.difference(from: &oracle) == nil, driver.state)
            var (rest, done) = (number, [Input]())
            for _ in 0..<length {
                done.append(inputs[rest % inputs.count])
                rest /= inputs.count
                perform(done[done.count - 1], driver, &oracle)
                if let difference = driver.difference(from: &oracle) {
                    Issue.record("\(done): \(difference)\n\(driver.state)")
                    return
                }
            }
        }
        print("queues, \(dialect), \(scope): \(count) sequences of \(length) inputs from a suspended device")
    }

    private func perform(_ input: Input, _ driver: FourQueuesDriver, _ oracle: inout QueueOracle) {
        func select(_ queue: Int) {
            driver.write(.queueSel, UInt32(queue))
            oracle.select(queue)
        }
        func end(_ way: Way) {
            driver.write(way.write.register, way.write.value)
            oracle.end(by: way.write.register)
        }
        switch input {
        case .selectFirst: select(0)
        case .selectSecond: select(1)
        case .selectNone: select(4)
        case .stop: end(.stop)
        case .reset: end(.reset)
        case .suspend: driver.requestSuspend()
        case .resume: driver.requestResume()
        case .complete: driver.backend.complete()
        }
    }
}
