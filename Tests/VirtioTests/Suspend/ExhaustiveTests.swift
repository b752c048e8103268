// Compares a complete device with the oracle: every Status word in every state, idle and with a request in flight, and
// every sequence of inputs of a length. Unlike SuspendLifecycleTests, it also compares registers, interrupts and the
// used ring.

import Testing
import Virtio
import VirtioABI

/// A disk and its oracle, which receive the same inputs.
private final class MirroredDisk {
    let driver: BlockDriver
    private let accepts: Bool
    private var oracle: Oracle
    /// Expected state that the oracle does not model: the request, the used ring and InterruptStatus.
    private var busy = false
    private var held = false
    private var used: UInt16 = 0
    private var interrupt: InterruptStatus = []
    /// Whether FEATURES_OK can be set with the accepted features. False after a reset: the driver does not accept
    /// again.
    private var acceptable: Bool

    /// A disk at `stage` of its initialisation; at DRIVER_OK with a read in flight if `busy`.
    init(_ pairing: Pairing, at stage: FakeDriver<Block>.Stage, busy: Bool) {
        accepts = pairing.accepts
        acceptable = stage >= .features
        oracle = Oracle(dialect: pairing.dialect, pollsReset: pairing.version == .three)
        driver = BlockDriver(
            sectors: 1, suspend: pairing.dialect, memory: FakeMemory(low: 1 << 14, high: 4096), version: pairing.version
        )
        driver.backend.resumesAtOnce = false
        let features = driver.offered.subtracting([.suspend, .suspendDraft]).union(pairing.features)
        driver.bringUp(to: stage, accepting: features)
        if stage >= .features { _ = oracle.apply(.write(0x03)) }
        if stage >= .featuresOK { _ = oracle.apply(.write(0x0b), accepts: accepts) }
        if stage >= .driverOK { _ = oracle.apply(.write(0x0f)) }
        if busy && stage >= .driverOK {
            driver.submitRead(0)
            self.busy = true
        }
    }

    var column: Oracle.Column { oracle.column }

    /// Applies one input to both and returns whether they agree. `drained` completes the request in flight.
    func apply(_ input: Oracle.Input) -> Bool {
        switch input {
        case .write(let word): driver.write(.status, word)
        case .drained, .resetDone: driver.backend.complete()
        case .deadline: driver.backend.deadline()
        case .ready: driver.backend.ready()
        case .fail: driver.backend.fatal()
        }
        if input == .drained || input == .resetDone {
            complete()
        } else {
            settle(oracle.apply(input, acceptable: acceptable, accepts: accepts))
        }
        if !busy {
            settle(oracle.apply(.drained))
            settle(oracle.apply(.resetDone))
        }
        return agrees
    }

    private func complete() {
        if busy && oracle.uses { use() }
        if busy && oracle.frozen { held = true }
        busy = false
    }

    private func use() {
        used += 1
        interrupt.insert(.usedBuffer)
    }

    private func settle(_ action: Oracle.Action) {
        switch action {
        case .reset:
            (busy, held, acceptable, interrupt) = (false, false, false, [])
        case .deliver where held:
            held = false
            use()
        case .notifiedDeath: interrupt.insert(.configurationChange)
        default: break
        }
    }

    private var agrees: Bool {
        driver.backend.transport.lifecycle.agrees(with: oracle) && driver.statusByte == UInt32(oracle.status)
            && driver.interruptStatus == interrupt && driver.backend.line.level == !interrupt.isEmpty
            && (driver.rings.isEmpty || driver[queue: 0].usedIndex == used)
    }

    var difference: Comment {
        "the tables say \(oracle), interrupt status \(interrupt.rawValue), \(used) used\n\(driver.state)"
    }
}

@Suite("Suspend: exhaustive")
struct SuspendExhaustiveTests {
    /// A state to test: a stage of the initialisation, and the inputs after it.
    private struct InitialState {
        let stage: FakeDriver<Block>.Stage
        let inputs: [Oracle.Input]
    }

    private func initialStates(_ dialect: SuspendDialect?) -> [InitialState] {
        let resume = Oracle.Input.write(dialect == .draft ? 0x0f : 0x1f)
        let suspended: [Oracle.Input] = [.write(0x1f), .drained]
        let running: [[Oracle.Input]] = [
            [], [.write(0x1f)], suspended, [.write(0x1f), .deadline], suspended + [resume],
            [.write(0x1f), .deadline, resume], [.fail], suspended + [.fail], suspended + [resume, .fail],
        ]
        let early = [
            InitialState(stage: .reset, inputs: []), InitialState(stage: .features, inputs: []),
            InitialState(stage: .queues, inputs: []), InitialState(stage: .queues, inputs: [.fail]),
        ]
        let plain = early + running.map { InitialState(stage: .driverOK, inputs: $0) }
        return plain + plain.map { InitialState(stage: $0.stage, inputs: $0.inputs + [.write(0x80)]) }
    }

    @Test(
        "every state with every Status word, idle and in flight",
        .covers("D-2", "D-3", "D-13", "D-14", "D-18", "V5-DEV-2", "V5-DEV-3", "V14-DEV-1"), arguments: Pairing.all)
    func everyWord(_ pairing: Pairing) {
        var columns: [Oracle.Column: Int] = [:]
        for initial in initialStates(pairing.dialect) {
            for busy in initial.stage == .driverOK ? [false, true] : [false] {
                for word in SuspendLifecycleTests.words {
                    let device = MirroredDisk(pairing, at: initial.stage, busy: busy)
                    let reached = initial.inputs.allSatisfy { device.apply($0) }
                    columns[device.column, default: 0] += 1
                    // Further inputs show the effects of the word that are not visible yet.
                    guard reached, device.apply(.write(word)), device.apply(.drained), device.apply(.ready) else {
                        Issue.record("\(initial), busy \(busy), word \(word): \(device.difference)")
                        return
                    }
                }
            }
        }
        let total = columns.values.reduce(0, +)
        print("transport, \(pairing.testDescription): \(total) words in \(columns.count) states, idle and in flight")
        let expected = pairing.accepts ? (pairing.dialect == .draft ? 6 : 7) : 3
        #expect(columns.count == expected)
    }

    @Test("the same under torture, once all that is put off is over", arguments: Pairing.all.filter(\.accepts))
    func everyWordUnderTorture(_ pairing: Pairing) {
        TestedTorture.$torture.withValue(.patient(UInt64(pairing.version.rawValue))) { everyWord(pairing) }
    }

    private static let alphabet: [Oracle.Input] = [
        .write(0), .write(0x0f), .write(0x1f), .write(0x1b), .write(0x8f), .drained, .deadline, .ready, .fail,
    ]
    private static let length = 4

    @Test(
        "every sequence of inputs, idle and in flight", .covers("D-2", "D-4", "D-10", "D-13"),
        arguments: Pairing.all.filter(\.accepts), [false, true])
    func everySequence(_ pairing: Pairing, _ busy: Bool) {
        let alphabet = Self.alphabet
        let count = (0..<Self.length).reduce(1) { product, _ in product * alphabet.count }
        for number in 0..<count {
            let device = MirroredDisk(pairing, at: .driverOK, busy: busy)
            var (rest, inputs) = (number, [Oracle.Input]())
            for _ in 0..<Self.length {
                inputs.append(alphabet[rest % alphabet.count])
                rest /= alphabet.count
                guard device.apply(inputs[inputs.count - 1]) else {
                    Issue.record("\(inputs): \(device.difference)")
                    return
                }
            }
        }
        print(
            "transport, \(pairing.testDescription), busy \(busy): \(count) sequences of \(Self.length) inputs from a running device"
        )
    }
}
