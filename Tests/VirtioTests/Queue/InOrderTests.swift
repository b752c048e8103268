// VIRTIO_F_IN_ORDER (VIRTIO 1.4, 2.7.9 and 2.8.13): buffers are used in the order in which they were made available,
// in any order of completion. `takeUsed` compares the order; these tests check when each buffer is used.

import Testing
import Virtio
import VirtioABI

@Suite("In-order use")
struct InOrderTests {
    /// All completion orders of `count` requests, each as indices into the requests left.
    static func permutations(_ count: Int) -> [[Int]] {
        if count == 0 { return [[]] }
        return (0..<count).flatMap { first in permutations(count - 1).map { [first] + $0 } }
    }

    /// A device that has used a few ring entries.
    func driver(_ form: Form, _ dialect: SuspendDialect? = nil) -> BlockDriver {
        let driver = BlockDriver(suspend: dialect, form: form)
        driver.bringUp(queueSize: form.packed ? 13 : 16)
        for _ in 0..<3 { driver.expectWorks() }
        driver.acknowledge()
        return driver
    }

    /// Reads of 0, 1, 2 ... sectors.
    func submit(_ driver: BlockDriver, _ count: Int) -> [Chain] {
        (0..<count).map { driver.submit(BlockRequest.Kind.read, sector: UInt64($0), room: 512 * $0) }
    }

    /// Number of requests that the device may have used: those before the first that is not done.
    func prefix(_ done: [Bool]) -> Int { done.firstIndex(of: false) ?? done.count }

    @Test(
        "Four requests ending in any order: each is used when all before it are", arguments: Form.inOrder,
        permutations(4))
    func anyOrder(form: Form, order: [Int]) {
        let driver = driver(form)
        let chains = submit(driver, 4)
        var left = Array(0..<4)
        var done = Array(repeating: false, count: 4)
        var used = 0
        for index in order {
            done[left.remove(at: index)] = true
            driver.backend.complete(at: index)
            let elements = driver.takeUsed(0)
            let expected = (used..<prefix(done)).map {
                UsedElement(id: UInt32(chains[$0].head), length: UInt32(512 * $0 + 1))
            }
            #expect(elements == expected, driver.state)
            #expect(driver.acknowledge() == (expected.isEmpty ? [] : .usedBuffer), driver.state)
            used += expected.count
        }
        for (sector, chain) in chains.enumerated() { driver.expectData(chain, sector: sector) }
        driver.expectWorks()
    }

    @Test(
        "Requests answered at once wait for those before them", arguments: Form.inOrder,
        // Bit n: the device completes request n at once.
        0..<16)
    func answeredAtOnce(form: Form, bad: Int) {
        for order in Self.permutations(4 - bad.nonzeroBitCount) {
            let driver = driver(form)
            var done = (0..<4).map { bad >> $0 & 1 == 1 }
            for isBad in done {
                if isBad { driver.submit(99, kick: false) } else { driver.submitRead(kick: false) }
            }
            driver.kick(0)
            var left = done.indices.filter { !done[$0] }
            var used = driver.takeUsed(0).count
            #expect(used == prefix(done), driver.state)
            for index in order {
                done[left.remove(at: index)] = true
                driver.backend.complete(at: index)
                used += driver.takeUsed(0).count
                #expect(used == prefix(done), driver.state)
            }
            driver.expectWorks()
        }
    }

    @Test(
        "The draft's retained requests: those held are used on resume as far as the order goes",
        arguments: Form.inOrder, permutations(3))
    func retained(form: Form, order: [Int]) {
        for before in 0...3 {
            let driver = driver(form, .draft)
            let chains = submit(driver, 3)
            driver.write(.status, 0x1f)
            driver.backend.deadline()
            #expect(driver.statusByte == 0x1f, driver.state)
            var left = [0, 1, 2]
            var done = [false, false, false]
            var used = 0
            for (step, index) in order.enumerated() {
                if step == before { used += resume(driver, done) }
                done[left.remove(at: index)] = true
                driver.backend.complete(at: index)
                let now = driver.takeUsed(0).count
                #expect(now == (step >= before ? prefix(done) - used : 0), driver.state)
                used += now
            }
            if before == 3 { used += resume(driver, done) }
            #expect(used == 3, driver.state)
            for (sector, chain) in chains.enumerated() { driver.expectData(chain, sector: sector) }
            driver.expectWorks()
        }
    }

    /// Resumes and returns the number of buffers used by that.
    func resume(_ driver: BlockDriver, _ done: [Bool]) -> Int {
        driver.resume()
        let used = driver.takeUsed(0).count
        #expect(used == prefix(done), driver.state)
        return used
    }

    @Test("A drain waits for the last, and all are used in it", arguments: Form.inOrder, SuspendDialect.allCases)
    func drain(form: Form, dialect: SuspendDialect) {
        let driver = driver(form, dialect)
        _ = submit(driver, 3)
        driver.submit(99)
        driver.write(.status, 0x1f)
        for index in [2, 1, 0] {
            #expect(driver.statusByte == 0x0f && driver.takeUsed(0).isEmpty, driver.state)
            driver.backend.complete(at: index)
        }
        #expect(driver.statusByte == dialect.suspended, driver.state)
        #expect(driver.takeUsed(0).count == 4, driver.state)
        driver.resume()
        driver.expectWorks()
    }

    @Test(
        "A queue that is reset takes along what waited in it", arguments: Form.inOrder,
        [Register.queueReady, .queueReset])
    func queueReset(form: Form, way: Register) {
        let driver = driver(form)
        let chains = submit(driver, 3)
        driver.submit(99)
        driver.backend.complete(at: 2)
        driver.backend.complete(at: 1)
        driver.write(.queueSel, 0)
        driver.write(way, way == .queueReady ? 0 : 1)
        #expect(driver.read(.queueReady) == 1, driver.state)
        driver.backend.complete()
        #expect(driver.read(.queueReady) == 0 && driver.takeUsed(0).isEmpty, driver.state)
        #expect(chains.map { driver.statusByte($0) } == Array(repeating: FakeMemory.pattern, count: 3))
        driver.setUp(queue: 0, size: 8)
        for _ in 0..<10 { driver.expectWorks() }
    }

    @Test("A snapshot keeps the order of what is held", arguments: Form.inOrder, permutations(3))
    func snapshot(form: Form, order: [Int]) {
        let old = driver(form, .draft)
        let chains = submit(old, 2)
        old.submit(99)
        let last = old.submitRead(5)
        old.write(.status, 0x1f)
        old.backend.deadline()
        for index in order { old.backend.complete(at: index) }
        let new = BlockDriver(suspend: .draft, form: form)
        #expect(new.replace(old), old.state)
        #expect(new.takeUsed(0).isEmpty, new.state)
        new.resume()
        #expect(new.takeUsed(0).map(\.length) == [1, 513, 1, 513], new.state)
        for (sector, chain) in chains.enumerated() { new.expectData(chain, sector: sector) }
        new.expectData(last, sector: 5)
        new.expectWorks()
    }

    @Test("A device that is reset with requests waiting their turn uses none of them", arguments: Form.inOrder)
    func reset(form: Form) {
        let driver = driver(form)
        let chains = submit(driver, 3)
        driver.backend.complete(at: 1)
        driver.bringUp()
        driver.backend.complete()
        #expect(chains.map { driver.statusByte($0) } == Array(repeating: FakeMemory.pattern, count: 3), driver.state)
        #expect(driver.takeUsed(0).isEmpty, driver.state)
        driver.expectWorks()
    }
}
