// A device under torture: each choice is made, from its seed, and what the specifications forbid does not happen.

import Testing
import Virtio
import VirtioABI

@testable import struct Virtio.Replay

extension Torture {
    init(seed: UInt64, _ choices: TortureChoice...) {
        self.init(seed: seed, choices: choices.reduce(0) { $0 | 1 << UInt32($1.rawValue) })
    }

    /// Choices that only put things off: once they are over, the device is as without torture.
    static func patient(_ seed: UInt64) -> Torture {
        Torture(seed: seed, choices: slow(seed).choices | Torture(seed: seed, .suppress, .partial).choices)
    }

    /// Those of them that put nothing off that the driver has made available.
    static func slow(_ seed: UInt64) -> Torture {
        Torture(
            seed: seed, .order, .late, .group, .slowReady, .slowQueueReset, .slowSuspend, .slowResume, .slowReset)
    }
}

@Suite("Torture")
struct TortureTests {
    /// A disk with `choices` and one read in flight; what it puts off goes on only by `passDelay`.
    private func disk(
        _ choices: TortureChoice..., seed: UInt64, dialect: SuspendDialect = .draft, version: MMIOVersion = .two,
        submits: Bool = true
    ) -> BlockDriver {
        let torture = Torture(seed: seed, choices: choices.reduce(0) { $0 | 1 << UInt32($1.rawValue) })
        let driver = TestedTorture.$torture.withValue(torture) { BlockDriver(suspend: dialect, version: version) }
        driver.backend.passesDelays = false
        driver.bringUp()
        if submits { driver.submitRead(0) }
        return driver
    }

    /// The steps until `condition` holds: 0 if it holds at once, nil if it does not hold after 100.
    private func steps(_ driver: BlockDriver, _ condition: () -> Bool) -> Int? {
        for step in 0..<100 {
            if condition() { return step }
            driver.backend.passDelay()
        }
        return nil
    }

    @Test("each choice has a name of its own, and a clause that is known", arguments: TortureChoice.allCases)
    func table(_ choice: TortureChoice) {
        #expect(TortureChoice.allCases.count { "\($0.name)" == "\(choice.name)" } == 1)
        #expect(Clause.named("\(choice.clause)") != nil, "\(choice.clause)")
    }

    @Test("the words of a choice do not depend on the others")
    func words() {
        let (one, all) = (Torture(seed: 7, .order), Torture(seed: 7))
        #expect((0..<100).allSatisfy { one.word(.order, $0) == all.word(.order, $0) })
        #expect(Torture(seed: 8).word(.order, 0) != all.word(.order, 0))
        #expect(all.word(.late, 0) != all.word(.order, 0))
    }

    @Test("what is no register reads as anything, no wider than the access", arguments: [1, 2, 4, 8])
    func unusedWidth(_ width: Int) {
        let driver = disk(.unused, seed: 1, submits: false)
        var seen: UInt64 = 0
        for offset in UInt64(0xb8)..<0xc8 { seen |= driver.backend.transport.read(at: offset, width: width) }
        #expect(seen != 0)
        #expect(width == 8 || seen >> UInt64(8 * width) == 0)
    }

    @Test("Status shows the old value until a slow suspend is over", arguments: SuspendDialect.allCases)
    func slowSuspend(_ dialect: SuspendDialect) {
        let shown: UInt32 = dialect == .draft ? 0x1f : 0x1b
        let counts = (UInt64(1)...20).map { seed in
            let driver = disk(.slowSuspend, seed: seed, dialect: dialect, submits: false)
            driver.write(.status, 0x1f)
            return steps(driver) { driver.statusByte == shown }
        }
        #expect(
            counts.allSatisfy { $0 != nil } && counts.contains(0) && counts.contains { ($0 ?? 0) > 10 }, "\(counts)")
    }

    @Test("Status shows the old value until a slow resume is over", arguments: SuspendDialect.allCases)
    func slowResume(_ dialect: SuspendDialect) {
        let counts = (UInt64(1)...20).map { seed in
            let driver = disk(.slowResume, seed: seed, dialect: dialect, submits: false)
            driver.write(.status, 0x1f)
            driver.write(.status, dialect == .draft ? 0x0f : 0x1f)
            return steps(driver) { driver.statusByte == 0x0f }
        }
        #expect(
            counts.allSatisfy { $0 != nil } && counts.contains(0) && counts.contains { ($0 ?? 0) > 10 }, "\(counts)")
    }

    @Test("the draft aborts a slow resume, and a later one still comes")
    func abortedResume() {
        for seed in UInt64(1)...20 {
            let driver = disk(.slowResume, seed: seed, submits: false)
            driver.write(.status, 0x1f)
            driver.write(.status, 0x0f)
            guard driver.statusByte == 0x1f else { continue }
            driver.write(.status, 0x1f)
            #expect(steps(driver) { driver.statusByte == 0x0f } == nil, "the abort counts: seed \(seed)")
            driver.write(.status, 0x0f)
            #expect(steps(driver) { driver.statusByte == 0x0f } != nil, driver.state)
        }
    }

    @Test("registers of a queue that ends slowly read 1 until it has ended", arguments: [true, false])
    func slowQueue(resets: Bool) {
        let counts = (UInt64(1)...20).map { seed in
            let driver = disk(resets ? .slowQueueReset : .slowReady, seed: seed, submits: false)
            driver.write(.queueSel, 0)
            driver.write(resets ? .queueReset : .queueReady, resets ? 1 : 0)
            let register = resets ? Register.queueReset : .queueReady
            let count = steps(driver) { driver.read(register) == 0 }
            #expect(driver.read(.queueReady) == 0)
            return count
        }
        #expect(
            counts.allSatisfy { $0 != nil } && counts.contains(0) && counts.contains { ($0 ?? 0) > 10 }, "\(counts)")
    }

    @Test("requests are used late, in another order, and all of them", arguments: [TortureChoice.order, .late, .group])
    func late(_ choice: TortureChoice) {
        var orders: Set<[UInt32]> = []
        for seed in UInt64(1)...20 {
            let driver = disk(choice, seed: seed, submits: false)
            let heads = (0..<6).map { _ in UInt32(driver.submitRead(0).head) }
            driver.backend.complete()
            var used: [UInt32] = []
            #expect(
                steps(driver) {
                    used += driver.takeUsed(0).map(\.id)
                    return used.count == 6
                } != nil, driver.state)
            #expect(used.sorted() == heads.sorted())
            orders.insert(used)
        }
        #expect((orders.count > 1) == (choice == .order), "\(orders)")
    }

    @Test("a request that is held keeps a device from suspending", arguments: SuspendDialect.allCases)
    func heldAndSuspended(_ dialect: SuspendDialect) {
        var held = 0
        for seed in UInt64(1)...30 {
            let driver = disk(.late, seed: seed, dialect: dialect)
            driver.backend.complete()
            driver.write(.status, 0x1f)
            if driver[queue: 0].usedIndex == 0 {
                held += 1
                #expect(driver.statusByte == 0x0f, driver.state)
            }
            #expect(steps(driver) { driver.statusByte & 0x10 != 0 } != nil, driver.state)
            #expect(driver[queue: 0].usedIndex == 1 && driver.interruptStatus == .usedBuffer, driver.state)
        }
        #expect(held > 0)
    }

    @Test("a torn capacity has another ConfigGeneration, and a capacity that has not does not")
    func configuration() {
        var torn = 0
        for seed in UInt64(1)...40 {
            let driver = disk(.config, seed: seed, submits: false)
            let before = driver.read(.configGeneration)
            let (low, high) = (driver.configuration(0), driver.configuration(4))
            let isWhole = driver.read(.configGeneration) == before
            if low | high << 32 != 64 { torn += 1 }
            #expect(!isWhole || low | high << 32 == 64)
        }
        #expect(torn > 0)
    }

    @Test("the whole run of a device under torture is repeated by its trace", arguments: UInt64(1)...12)
    func replay(_ seed: UInt64) {
        func run(_ torture: Torture) -> [Event] {
            TestedTorture.$torture.withValue(torture) {
                let driver = BlockDriver(suspend: .ratified, tracing: .on)
                driver.bringUp()
                for round in 0..<12 {
                    for _ in 0..<3 where driver.statusByte == 0x0f { driver.submitRead(UInt64(round % 8)) }
                    driver.backend.complete()
                    _ = driver.takeUsed(0)
                    driver.write(.status, 0x1f)
                    driver.write(.status, 0x1f)
                    _ = driver.configuration(0)
                    _ = driver.read(.configGeneration)
                }
                return driver.backend.trace
            }
        }
        // A chain of this driver has three descriptors.
        let torture = Torture(seed: seed, choices: Torture.everyChoice & ~Torture(seed: seed, .sizes).choices)
        let trace = run(torture)
        #expect(trace == run(torture))
        #expect(trace.contains(.delayPassed))
        func differs(_ other: Torture?) -> Bool {
            let memory = FakeMemory()
            var replay = Replay(
                MMIOTransport(
                    device: Block(capacity: 64), memory: memory.guest, suspend: .ratified, tracing: .replay,
                    torture: other))
            var call: [Event] = []
            for event in trace {
                if event.isInput, !call.isEmpty {
                    if replay.play(call) != nil { return true }
                    call = []
                }
                call.append(event)
            }
            return replay.play(call, isLast: true) != nil
        }
        #expect(!differs(torture))
        #expect(differs(nil))
    }
}

@Suite("Version 3: reset")
struct VersionThreeTests {
    private func disk(_ dialect: SuspendDialect? = .draft) -> BlockDriver {
        let driver = BlockDriver(suspend: dialect, version: .three)
        driver.bringUp()
        return driver
    }

    @Test("V3-DEV-1: Status shows the old value while a request is in flight, then 0; nothing older is used")
    func inFlight() {
        let driver = disk()
        driver.submitRead(0)
        let before = driver.memory.snapshot()
        driver.write(.status, 0)
        #expect(driver.statusByte == 0x0f && driver.read(.version) == 3, driver.state)
        driver.backend.complete(at: 0, with: .ioError)
        #expect(driver.statusByte == 0, driver.state)
        #expect(driver.memory.changes(since: before) == [])
        #expect(driver.interruptStatus == [])
    }

    @Test("V3-DEV-2: what is written during a reset is ignored", arguments: [UInt32(0), 0x1f, 0x0f, 0x8f])
    func ignored(_ value: UInt32) {
        let driver = disk()
        driver.submitRead(0)
        driver.write(.status, 0)
        driver.write(.status, value)
        driver.write(.queueSel, 0)
        driver.write(.queueReady, 0)
        #expect(driver.statusByte == 0x0f && driver.read(.queueReady) == 1, driver.state)
        driver.backend.complete()
        #expect(driver.statusByte == 0 && driver.read(.queueReady) == 0, driver.state)
        // The selector is that of the reset, not of a write that was ignored.
        driver.write(.status, 1)
        #expect(driver.statusByte == 1, driver.state)
    }

    @Test(
        "V3-DEV-1: a suspended device shows its suspended value until the reset is over",
        arguments: SuspendDialect.allCases)
    func suspended(_ dialect: SuspendDialect) {
        let driver = disk(dialect)
        driver.submitRead(0)
        driver.write(.status, 0x1f)
        if dialect == .draft { driver.backend.deadline() } else { driver.backend.complete() }
        let shown = driver.statusByte
        driver.write(.status, 0)
        // The draft has retained its request; 1.4 has none, and is reset at once.
        #expect(shown & 0x10 != 0 && driver.statusByte == (dialect == .draft ? shown : 0), driver.state)
        driver.backend.complete()
        #expect(driver.statusByte == 0, driver.state)
    }

    @Test("V3-DEV-3: a device that Status shows as reset is reset at once, and an idle one too")
    func atOnce() {
        let driver = disk()
        driver.write(.status, 0)
        #expect(driver.statusByte == 0)
        driver.write(.queueSel, 1)
        driver.write(.status, 0)
        #expect(driver.read(.queueSizeMax) == 256, "QueueSel is 0 again")
    }

    @Test(
        "V3-DEV-4 and -5: a notification is ignored, an interrupt can be acknowledged, and a change is shown afterwards"
    )
    func events() {
        let driver = disk()
        driver.submitRead(0)
        driver.submitRead(0)
        driver.backend.complete(1)
        #expect(driver.interruptStatus == .usedBuffer)
        driver.write(.status, 0)
        driver.write(.queueNotify, 0)
        driver.backend.change { $0.capacity = 99 }
        #expect(driver.interruptStatus == .usedBuffer && driver.configuration(0) == 64, driver.state)
        driver.write(.interruptACK, 1)
        #expect(driver.interruptStatus == [] && !driver.backend.line.level)
        driver.backend.fatal()
        driver.backend.complete()
        #expect(driver.statusByte == 0 && driver.configuration(0) == 99 && driver.interruptStatus == [], driver.state)
    }

    @Test("the host need not perform what is no longer wanted")
    func unwanted() {
        let driver = disk()
        driver.submitRead(0)
        driver.write(.status, 0)
        #expect(driver.backend.events.last == .cancel, "the write returns without waiting")
        let isWanted = driver.backend.transport.isWanted(driver.backend.requests[0].token)
        #expect(!isWanted)
    }
}
