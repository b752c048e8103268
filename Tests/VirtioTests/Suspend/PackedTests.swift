// T56: T20, T21 and T49 with packed rings, for every position of the wrap between the SUSPEND write and the first
// buffers after the resume.

import Testing
import Virtio
import VirtioABI

@Suite("Suspend: packed ring")
struct SuspendPackedTests {
    /// A ring's size, its position when the test begins, and the descriptors per buffer.
    struct Ring: Sendable, CustomTestStringConvertible {
        let size: UInt16
        let position: Int
        let count: Int

        var testDescription: String { "\(size) descriptors, from \(position), \(count) a buffer" }

        /// Every position of two laps: both values of the wrap counter.
        static func all(_ size: UInt16, _ count: Int) -> [Ring] {
            (0..<(2 * Int(size))).map { Ring(size: size, position: $0, count: count) }
        }
    }

    /// Three buffers fill the ring.
    static let full = Ring.all(3, 1) + Ring.all(6, 2)
    /// Three buffers leave room for a fourth.
    static let roomy = Ring.all(4, 1) + Ring.all(5, 1) + Ring.all(8, 1) + Ring.all(8, 2)

    /// A running device with its ring at `ring.position`.
    func driver(_ dialect: SuspendDialect, _ ring: Ring) -> FourQueuesDriver {
        let driver = FourQueuesDriver(suspend: dialect, form: Form(packed: true))
        driver.bringUp(queueSize: ring.size)
        driver.advance(by: ring.position)
        return driver
    }

    func ids(_ chains: [Chain]) -> [UInt32] { chains.map { UInt32($0.head) } }

    /// Resumes; fails unless `chains` are used in this order without another notification.
    func expectServed(_ driver: FourQueuesDriver, _ dialect: SuspendDialect, _ chains: [Chain]) {
        driver.write(.status, dialect.resume)
        #expect(driver.status.rawValue == 0x0f, driver.state)
        #expect(driver.backend.requests.count == chains.count, driver.state)
        driver.backend.complete()
        #expect(driver.takeUsed(0).map(\.id) == ids(chains), driver.state)
        for chain in chains { #expect(driver.answer(chain).last == 0, driver.state) }
        driver.advance(by: 2 * Int(driver[packed: 0].size))
    }

    @Test(
        "T56 packed ring: the draft finishes what was available, and no more", .covers("V5-DEV-11", "D-11"),
        arguments: roomy)
    func T56_draftFinishesTheAvailable(_ ring: Ring) {
        let driver = driver(.draft, ring)
        driver.backend.servesAtOnce = false
        let chains = (0..<3).map { _ in driver.offer(descriptors: ring.count, kick: false) }
        driver.write(.status, 0x1f)
        let late = driver.offer(descriptors: ring.count)
        driver.backend.servesAtOnce = true
        driver.backend.serve()
        #expect(driver.backend.requests.count == 3, driver.state)
        for _ in chains {
            #expect(driver.status.rawValue == 0x0f, driver.state)
            driver.backend.complete(1)
        }
        #expect(driver.status.rawValue == 0x1f, driver.state)
        #expect(driver.interruptStatus == .usedBuffer, driver.state)
        #expect(driver.takeUsed(0).map(\.id) == ids(chains), driver.state)
        #expect(driver.backend.requests.isEmpty && driver.answer(late).last == FakeMemory.pattern, driver.state)
        expectServed(driver, .draft, [late])
    }

    @Test(
        "T56 packed ring: full at SUSPEND, and a buffer made available in a used place is not taken",
        .covers("V5-DEV-11", "D-11"), arguments: full)
    func T56_draftFullRing(_ ring: Ring) throws {
        let driver = driver(.draft, ring)
        driver.backend.servesAtOnce = false
        driver.backend.batchCapacity = 1
        let chains = (0..<3).map { _ in driver.offer(descriptors: ring.count, kick: false) }
        driver.write(.status, 0x1f)
        driver.backend.take(queue: 0)
        driver.backend.complete()
        try #require(driver.takeUsed(0).map(\.id) == ids([chains[0]]), driver.state)
        let late = driver.offer(descriptors: ring.count)
        driver.backend.servesAtOnce = true
        driver.backend.serve()
        #expect(driver.backend.requests.count == 2 && driver.status.rawValue == 0x0f, driver.state)
        driver.backend.complete()
        #expect(driver.status.rawValue == 0x1f, driver.state)
        #expect(driver.takeUsed(0).map(\.id) == ids([chains[1], chains[2]]), driver.state)
        expectServed(driver, .draft, [late])
    }

    @Test(
        "T56 packed ring: 1.4 pops nothing more; what is left is served after the resume without a kick",
        .covers("V14-DEV-10", "V14-DEV-11", "D-7", "D-11"), arguments: full + roomy)
    func T56_ratifiedPopsNothing(_ ring: Ring) {
        let driver = driver(.ratified, ring)
        let first = driver.offer(descriptors: ring.count)
        let left = [
            driver.offer(descriptors: ring.count, kick: false), driver.offer(descriptors: ring.count, kick: false),
        ]
        driver.write(.status, 0x1f)
        driver.kick(0)
        #expect(driver.backend.requests.count == 1 && driver.status.rawValue == 0x0f, driver.state)
        driver.backend.complete()
        #expect(driver.status.rawValue == 0x1b, driver.state)
        #expect(driver.takeUsed(0).map(\.id) == ids([first]), driver.state)
        #expect(driver.backend.requests.isEmpty, driver.state)
        let memory = driver.memory.snapshot()
        driver.kick(0)
        driver.backend.take(queue: 0)
        #expect(driver.backend.requests.isEmpty && driver.memory.changes(since: memory) == [], driver.state)
        expectServed(driver, .ratified, left)
    }

    @Test(
        "T56 packed ring: buffers and kicks of the suspended time are served without another kick",
        .covers("D-7", "D-17"), arguments: SuspendDialect.allCases, full + roomy)
    func T56_rescan(_ dialect: SuspendDialect, _ ring: Ring) {
        let driver = driver(dialect, ring)
        driver.write(.status, 0x1f)
        #expect(driver.statusByte == dialect.suspended, driver.state)
        let chains = (0..<3).map { driver.offer(descriptors: ring.count, kick: $0 != 1) }
        #expect(driver.backend.requests.isEmpty, driver.state)
        expectServed(driver, dialect, chains)
    }

    @Test(
        "T56 packed ring: outcomes held in the suspension are used once, after the resume",
        .covers("D-8", "D-17"), arguments: full + roomy)
    func T56_held(_ ring: Ring) {
        let driver = driver(.draft, ring)
        let chains = (0..<3).map { _ in driver.offer(descriptors: ring.count) }
        driver.write(.status, 0x1f)
        driver.backend.deadline()
        #expect(driver.status.rawValue == 0x1f, driver.state)
        let memory = driver.memory.snapshot()
        driver.backend.complete()
        #expect(driver.memory.changes(since: memory) == [] && driver.interruptStatus == [], driver.state)
        driver.write(.status, 0x0f)
        #expect(Set(driver.takeUsed(0).map(\.id)) == Set(ids(chains)), driver.state)
        #expect(driver.acknowledge() == .usedBuffer, driver.state)
        driver.advance(by: 2 * Int(ring.size))
    }
}
