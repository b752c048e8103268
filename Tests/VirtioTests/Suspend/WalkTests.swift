// Random walks over the transport: queue stops and starts, requests in flight and held, changes, errors, resets and
// suspends. A walk that fails prints its seed and a shortened list of steps that still fails.

import Glibc
import Testing
import VirtioABI

@testable import Virtio

@Suite("Suspend: walks")
struct SuspendWalkTests {
    private static let length = 250
    /// Steps of all walks together; VMM_STEPS changes the number.
    private static let steps = unsafe getenv("VMM_STEPS").flatMap { unsafe Int(String(cString: $0)) } ?? 120_000
    private static var walks: Int { max(1, steps / length / 6) }

    @Test("walks of a disk", .covers("D-4", "D-8", "D-9", "D-10", "D-16", "D-17"), arguments: SuspendDialect.allCases)
    func disk(_ dialect: SuspendDialect) {
        walk(dialect) {
            WalkKind(
                make: {
                    BlockDriver(sectors: 4, suspend: $0, freeze: $1, memory: FakeMemory(low: 1 << 14, high: 4096))
                },
                parts: { driver, _ in driver.parts(BlockDriver.header(BlockRequest.Kind.read, sector: 1), room: 513) },
                data: { $0[1].address..<($0[1].address + 512) },
                change: { $0.capacity = UInt64($1) + 4 },
                value: { $0.configuration(BlockConfiguration.capacity) - 4 },
                initialValue: 0, input: { _ in }, receiveQueue: nil)
        }
    }

    @Test("walks of a disk under torture, once all that is put off is over", arguments: SuspendDialect.allCases)
    func tortured(_ dialect: SuspendDialect) {
        TestedTorture.$torture.withValue(.slow(7)) { disk(dialect) }
    }

    @Test(
        "walks of a console", .covers("D-4", "D-8", "D-9", "D-10", "D-16", "D-17"), arguments: SuspendDialect.allCases)
    func console(_ dialect: SuspendDialect) {
        walk(dialect) {
            WalkKind(
                make: { ConsoleDriver(suspend: $0, freeze: $1, memory: FakeMemory(low: 1 << 14, high: 4096)) },
                parts: { driver, queue in queue == 0 ? driver.parts([], room: 4) : driver.parts([1, 2], room: 0) },
                data: { _ in 0..<0 },
                change: { $0.columns = $1 },
                value: { $0.configuration(ConsoleConfiguration.columns, width: 2) },
                initialValue: 80, input: { ($0 as? ConsoleDriver)?.type([1]) }, receiveQueue: ConsoleQueue.receive)
        }
    }

    @Test(
        "walks of a device with four queues",
        .covers("D-4", "D-8", "D-9", "D-10", "D-16", "D-17"), arguments: SuspendDialect.allCases)
    func fourQueues(_ dialect: SuspendDialect) {
        walk(dialect) {
            WalkKind(
                make: { FourQueuesDriver(suspend: $0, freeze: $1, memory: FakeMemory(low: 1 << 14, high: 4096)) },
                parts: { driver, _ in [driver.writable(2)] },
                data: { _ in 0..<0 },
                change: { $0.value = UInt32($1) },
                value: { $0.configuration(0) },
                initialValue: 0, input: { _ in }, receiveQueue: nil)
        }
    }

    private func walk<Device: VirtioDevice & ~Copyable>(_ dialect: SuspendDialect, _ kind: () -> WalkKind<Device>) {
        let kind = kind()
        var statistics = (states: [Oracle.Column: Int](), used: 0, held: 0)
        for seed in 1...UInt64(Self.walks) {
            let scope: FreezeScope = seed % 3 == 0 ? .narrow : .wide
            let steps = WalkStep.walk(seed: seed, length: Self.length)
            let walk = RandomWalk(kind, dialect, scope)
            for step in steps where walk.failure == nil { walk.make(step) }
            statistics.states.merge(walk.statistics.states, uniquingKeysWith: +)
            statistics = (
                statistics.states, statistics.used + walk.statistics.used, statistics.held + walk.statistics.held
            )
            guard walk.failure != nil else { continue }
            let short = WalkStep.shrink(steps) { Self.failure(of: $0, kind, dialect, scope) != nil }
            let failure = Self.failure(of: short, kind, dialect, scope) ?? ""
            Issue.record("seed \(seed), \(dialect), \(scope): \(failure)\nafter \(short)")
            return
        }
        let states = statistics.states.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.key) \($0.value)" }
        print(
            "walks, \(Device.self), \(dialect): \(Self.walks) of \(Self.length) steps, \(states.joined(separator: ", ")); "
                + "\(statistics.used) chains used, \(statistics.held) seen held")
    }

    /// The failure of a walk, or nil.
    private static func failure<Device: VirtioDevice & ~Copyable>(
        of steps: [WalkStep], _ kind: WalkKind<Device>, _ dialect: SuspendDialect, _ scope: FreezeScope
    ) -> String? {
        let walk = RandomWalk(kind, dialect, scope)
        for step in steps {
            walk.make(step)
            if let failure = walk.failure { return "\(failure)\n\(walk.driver.state)" }
        }
        return nil
    }
}
