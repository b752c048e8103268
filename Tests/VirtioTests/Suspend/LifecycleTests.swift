// Compares the lifecycle with the oracle: every input in every reachable state, which covers sequences of any length.
// Every sequence of a fixed length is tested as well, without the assumption that states are compared completely.

import Testing
import Virtio
import VirtioABI

extension Lifecycle {
    /// Applies one input; returns the action due, in the oracle's terms.
    mutating func apply(_ input: Oracle.Input, acceptable: Bool, features: Features) -> Oracle.Action {
        let phaseBefore = phase
        switch input {
        case .write(let word):
            let action = Oracle.Action(write(word, features: features, acceptable: acceptable))
            if action == .reset { reset() }
            return action
        case .drained: return drained() ? .acknowledge : .nothing
        case .deadline:
            let action = Oracle.Action(deadlinePassed())
            return phase == .suspended && phaseBefore == .suspending ? .acknowledge : action
        case .resetDone:
            guard phase == .resetting else { return .nothing }
            reset()
            return .reset
        case .ready: return resumed() ? .deliver : .nothing
        case .fail:
            let action = Oracle.Action(fail())
            return latchedError ? .latch : action
        }
    }

    /// The oracle's column for the phase.
    var column: Oracle.Column {
        switch phase {
        case .notLive: .notLive
        case .running: .running
        case .suspending: .suspending
        case .suspended: .suspended
        case .resuming: .resuming
        case .dead(suspended: false): .dead
        case .dead(suspended: true): .deadSuspended
        case .resetting: .resetting
        }
    }

    /// Whether all properties equal those of `oracle`.
    func agrees(with oracle: Oracle) -> Bool {
        status.rawValue == oracle.status && column == oracle.column && mayTake == oracle.pops && mayUse == oracle.uses
            && isFrozen == oracle.frozen && suspendNegotiated == oracle.negotiated && latchedError == oracle.latched
    }
}

extension Oracle.Action {
    init(_ action: Lifecycle.Action) {
        self =
            switch action {
            case .nothing: .nothing
            case .reset: .reset
            case .beginReset: .beginReset
            case .goLive: .live
            case .beginSuspend: .drain
            case .abortSuspend: .rescan
            case .beginResume: .resumeBackend
            case .abortResume: .cancelBackendResume
            case .die(notify: true): .notifiedDeath
            case .die(notify: false): .quietDeath
            }
    }
}

/// A device's dialect, and whether the driver accepts it.
struct Pairing: CustomTestStringConvertible, Sendable {
    let dialect: SuspendDialect?
    /// The driver accepted the dialect's bit.
    let accepts: Bool
    var version = MMIOVersion.two

    /// Each in both versions of virtio-mmio.
    static let all =
        ofVersionTwo + ofVersionTwo.map { Pairing(dialect: $0.dialect, accepts: $0.accepts, version: .three) }

    private static let ofVersionTwo = [
        Pairing(dialect: nil, accepts: false),
        Pairing(dialect: .draft, accepts: false), Pairing(dialect: .draft, accepts: true),
        Pairing(dialect: .ratified, accepts: false), Pairing(dialect: .ratified, accepts: true),
    ]

    var features: Features { accepts ? dialect?.feature ?? [] : [] }
    var testDescription: String {
        "\(dialect.map { "\($0)" } ?? "none"), \(accepts ? "" : "not ")negotiated, version \(version.rawValue)"
    }
}

@Suite("Suspend: lifecycle")
struct SuspendLifecycleTests {
    /// Every byte, and words with bits above the low byte.
    static let words =
        Array(UInt32(0)...255) + [0x100, 0x110, 0x180, 0xffff_ff00, 0xffff_ff0f, 0x0001_001f, 0xffff_ffff]

    @Test("every reachable state, every input", .covers("D-2", "D-3", "D-13", "D-14", "D-18"), arguments: Pairing.all)
    func everyState(_ pairing: Pairing) {
        let events: [Oracle.Input] = [.drained, .deadline, .ready, .fail, .resetDone]
        let inputs = Self.words.map { Oracle.Input.write($0) } + events
        let polls = pairing.version == .three
        let start = Oracle(dialect: pairing.dialect, pollsReset: polls)
        // Each oracle state must correspond to exactly one lifecycle state. Then sequences of any length agree.
        var known = [start: Lifecycle(dialect: pairing.dialect, pollsReset: polls)]
        var open = [start]
        var transitions = 0
        while let from = open.popLast(), let device = known[from] {
            for input in inputs {
                for acceptable in [true, false] {
                    var (oracle, next) = (from, device)
                    let expected = oracle.apply(input, acceptable: acceptable, accepts: pairing.accepts)
                    let action = next.apply(input, acceptable: acceptable, features: pairing.features)
                    transitions += 1
                    guard action == expected, next.agrees(with: oracle), known[oracle, default: next] == next else {
                        Issue.record(
                            "\(input) in \(from): \(action), \(next), but the tables say \(expected), \(oracle)")
                        return
                    }
                    if known.updateValue(next, forKey: oracle) == nil { open.append(oracle) }
                }
            }
        }
        print("lifecycle, \(pairing.testDescription): \(known.count) states, \(transitions) transitions")
        #expect(known.count > (pairing.accepts ? 30 : 10))
    }

    /// Status words that drivers of either dialect write, words that they must not write, and all events of the device.
    static let alphabet: [Oracle.Input] = [
        .write(0), .write(0x0b), .write(0x0f), .write(0x1f), .write(0x1b), .write(0x8f), .write(0x100),
        .drained, .deadline, .ready, .fail,
    ]
    static let length = 6

    @Test("every sequence of inputs", .covers("D-2", "D-3"), arguments: [SuspendDialect.draft, .ratified])
    func everySequence(_ dialect: SuspendDialect) {
        var (device, oracle) = (Lifecycle(dialect: dialect), Oracle(dialect: dialect))
        for word: UInt32 in [0x0b, 0x0f] {
            _ = device.apply(.write(word), acceptable: true, features: dialect.feature)
            _ = oracle.apply(.write(word))
        }
        var count = 0
        let failure = Self.follow(device, oracle, Self.length, &count)
        #expect(failure == nil)
        print("lifecycle, \(dialect): \(count) sequences of \(Self.length) inputs from a running device")
    }

    /// Tries every continuation of `length` inputs; returns the inputs that led to a difference, or nil.
    private static func follow(
        _ device: Lifecycle, _ oracle: Oracle, _ length: Int, _ count: inout Int
    ) -> [Oracle.Input]? {
        if length == 0 {
            count += 1
            return nil
        }
        for input in alphabet {
            var (nextDevice, nextOracle) = (device, oracle)
            let expected = nextOracle.apply(input)
            let action = nextDevice.apply(input, acceptable: true, features: device.dialect?.feature ?? [])
            guard action == expected, nextDevice.agrees(with: nextOracle) else { return [input] }
            if let rest = follow(nextDevice, nextOracle, length - 1, &count) { return [input] + rest }
        }
        return nil
    }
}
