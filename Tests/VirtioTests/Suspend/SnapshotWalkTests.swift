// Devices moved at random points: a snapshot as bytes, restored in another transport over another memory, in every ring form and both
// dialects; and bytes that no device wrote.

import Glibc
import Testing
import Virtio
import VirtioABI

@Suite("Suspend: snapshots at random points")
struct SnapshotWalkTests {
    /// Points of all walks together; VMM_POINTS changes the number.
    private static let points = unsafe getenv("VMM_POINTS").flatMap { unsafe Int(String(cString: $0)) } ?? 10_000
    private static let pointsOfWalk = 10

    @Test("A disk that is moved completes each request once", arguments: Form.legal)
    func disk(_ form: Form) {
        let walks = max(1, Self.points / Self.pointsOfWalk / Form.legal.count / 2)
        var states: [Lifecycle.Phase: Int] = [:]
        for dialect in SuspendDialect.allCases {
            for seed in 1...UInt64(walks) { Walk(form, dialect, seed).run(Self.pointsOfWalk, &states) }
        }
        #expect(states[.running] != nil && states[.suspended] != nil && states[.resuming] != nil)
    }

    /// A disk, its driver, and the requests that it has not seen used.
    private final class Walk {
        private var driver: BlockDriver
        private let make: () -> BlockDriver
        private let (form, dialect): (Form, SuspendDialect)
        private var random: SplitMix64
        private var open: [UInt32: (chain: Chain, sector: UInt64)] = [:]
        private let label: String

        init(_ form: Form, _ dialect: SuspendDialect, _ seed: UInt64) {
            (self.form, self.dialect) = (form, dialect)
            make = {
                let driver = BlockDriver(
                    sectors: 8, suspend: dialect, form: form, memory: FakeMemory(low: 1 << 15, high: 4096), tracing: .on
                )
                driver.backend.resumesAtOnce = false
                return driver
            }
            (driver, random) = (make(), SplitMix64(seed: seed))
            label = "\(form.testDescription), \(dialect), seed \(seed)"
            driver.bringUp()
        }

        func run(_ points: Int, _ states: inout [Lifecycle.Phase: Int]) {
            var left = points
            while left > 0 {
                for _ in 0..<random.next() % 6 { step() }
                // What the host has, it finishes first.
                driver.backend.complete()
                states[driver.backend.transport.lifecycle.phase, default: 0] += 1
                let dump = driver.dump(selecting: false)
                checkTrace()
                left -= 1
                if left % 3 == 0 {
                    beginTraceAgain()
                    #expect(driver.dump(selecting: false) == dump, "\(label): \(driver.state)")
                    continue
                }
                let new = make()
                guard new.replace(driver) else { return _ = Issue.record("\(label): not restored; \(driver.state)") }
                // A device that runs may have used more meanwhile, as it may have before.
                if new.backend.transport.lifecycle.isFrozen {
                    #expect(new.dump(selecting: false) == dump, "\(label): \(new.state)")
                }
                new.disk.bytes = driver.disk.bytes
                driver = new
                takeUsed()
            }
            finish()
        }

        /// Replays the device's trace in another one, over empty memory: both have the same snapshot then.
        private func checkTrace() {
            let memory = FakeMemory(low: 1 << 15, high: 4096)
            defer { withExtendedLifetime(memory) {} }
            var replay = Replay(
                MMIOTransport(
                    device: Block(capacity: 8), memory: memory.guest, suspend: dialect, adding: form.adding,
                    withholding: form.withholding, tracing: .replay))
            let trace = driver.backend.trace
            var calls = trace.indices.filter { trace[$0].isInput }
            calls.append(trace.count)
            for (begin, end) in zip(calls, calls.dropFirst()) {
                if let divergence = replay.play(Array(trace[begin..<end])) {
                    return _ = Issue.record("\(label): event \(begin) of the trace: \(divergence)")
                }
            }
            let (replayed, real) = (replay.transport.snapshotBytes(), driver.backend.transport.snapshotBytes())
            #expect(replayed == real, "\(label): the replayed device has another snapshot; \(driver.state)")
        }

        /// From here on the trace is another, of the same device.
        private func beginTraceAgain() {
            let hasEnded = driver.backend.transport.setTracing(false)
            driver.backend.trace = []
            let hasBegun = driver.backend.transport.setTracing(true)
            #expect(hasEnded && hasBegun, "\(label): \(driver.state)")
        }

        private func step() {
            switch random.next() % 8 {
            case 0..<3:
                guard open.count < 3 else { return takeUsed() }
                let sector = random.next() % 8
                let chain = driver.submitRead(sector, kick: random.next() % 4 != 0)
                open[UInt32(chain.head)] = (chain, sector)
            case 3:
                if !driver.backend.requests.isEmpty {
                    driver.backend.complete(at: Int(random.next() % UInt64(driver.backend.requests.count)))
                }
            case 4: takeUsed()
            case 5: driver.requestSuspend()
            case 6: driver.requestResume()
            default: driver.backend.ready()
            }
        }

        private func takeUsed() {
            for element in driver.takeUsed(0) {
                guard let (chain, sector) = open.removeValue(forKey: element.id) else {
                    return _ = Issue.record("\(label): chain \(element.id) was used twice; \(driver.state)")
                }
                #expect(element.length == 513, "\(label)")
                driver.expectData(chain, sector: Int(sector))
            }
        }

        /// Resumes, and waits for all requests.
        private func finish() {
            for _ in 0..<2 {
                driver.backend.complete()
                driver.backend.ready()
                // In 1.4 the same value suspends a device that runs.
                if driver.statusByte != 0x0f { driver.requestResume() }
            }
            driver.backend.ready()
            driver.backend.complete()
            driver.kick(0)
            driver.backend.complete()
            takeUsed()
            #expect(open.isEmpty && driver.statusByte == 0x0f, "\(label): \(driver.state)")
        }
    }

    @Test(
        "Bytes of which one is another, or that are cut, restore nothing or a device that works",
        arguments: [false, true])
    func anyBytes(packed: Bool) {
        var form = Form(packed: packed)
        form.inOrder = true
        // A finished chain is deferred, a change is staged, and a buffer is available.
        func make() -> BlockDriver {
            BlockDriver(
                sectors: 8, suspend: .draft, form: form, memory: FakeMemory(low: 1 << 15, high: 4096))
        }
        let old = make()
        old.bringUp()
        old.submitRead()
        old.requestSuspend()
        old.backend.deadline()
        old.backend.complete()
        old.backend.call { $0.change { $0.capacity = 4 } }
        old.submitRead(2)
        guard let bytes = old.backend.transport.snapshotBytes() else { return _ = Issue.record("no snapshot") }
        var restored = 0
        func look(at bytes: [UInt8]) {
            let new = make()
            new.memory.store(old.memory.bytes(at: 0, count: new.memory.lowSize), at: 0)
            var isRestored = false
            new.backend.call {
                do throws(QueueFault) {
                    guard let effects = try $0.restore(bytes: bytes) else { return Effects() }
                    isRestored = true
                    return effects
                } catch { return Effects() }
            }
            guard isRestored else { return }
            restored += 1
            new.requestResume()
            new.write(.queueNotify, 0)
            new.backend.complete()
            new.write(.status, 0)
            new.bringUp()
            // The capacity may be another now, but each request is answered.
            new.submitRead(0)
            new.backend.complete()
            #expect(new.takeUsed(0).count == 1, new.state)
        }
        for index in bytes.indices {
            for value in [bytes[index] ^ 1, bytes[index] ^ 0x80, 0xff] where value != bytes[index] {
                var changed = bytes
                changed[index] = value
                look(at: changed)
            }
            look(at: Array(bytes[..<index]))
        }
        look(at: bytes + [0])
        let before = restored
        look(at: bytes)
        #expect(restored == before + 1, "the bytes themselves are restored")
    }
}
