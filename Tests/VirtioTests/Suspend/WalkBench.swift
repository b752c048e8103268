// A random walk's device and what must hold at each of its steps (suspend.md 0 and 2). The walk is a list of plain steps, so the same
// list can be walked again, and a shorter one tried; a step that has no meaning where it comes is skipped.

import Testing
import VirtioABI

@testable import Virtio

/// A generator of our own, so that a seed means the same walk everywhere: SplitMix64.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}

/// One step of a walk. `pick` chooses among what there is, whatever it is.
struct WalkStep {
    enum Kind: CaseIterable {
        case offer, offerMuch, kick, complete, completeMuch, fail, suspend, resume, abort, oddStatus, reset, bringUp, failedBit
        case ready, deadline, fatal, change, acknowledge, queueReset, queueStop, queueStart, worker, input, frozenWrite
    }

    let kind: Kind
    let pick: Int

    /// Steps that keep a device going come more often than steps that end it.
    private static let weighted: [Kind] =
        Kind.allCases.flatMap { kind in
            switch kind {
            case .fatal, .failedBit, .reset: [kind]
            case .offer, .complete, .suspend, .resume, .ready: Array(repeating: kind, count: 8)
            default: Array(repeating: kind, count: 3)
            }
        }

    static func random(_ generator: inout SplitMix64) -> WalkStep {
        let kind = weighted[Int(generator.next() % UInt64(weighted.count))]
        return WalkStep(kind: kind, pick: Int(generator.next() % 997))
    }
}

extension WalkStep: CustomStringConvertible {
    var description: String { "\(kind) \(pick)" }
}

/// A device under a walk, and the walk's own books of it.
class Walker<Device: VirtioDevice & ~Copyable> {
    let driver: FakeDriver<Device>
    let dialect: SuspendDialect
    /// Chains with the device, by queue and head.
    private(set) var owned: [Int: Set<UInt16>] = [:]
    /// The first thing that was wrong.
    private(set) var failure: String?
    private var frozen: Appearance?
    private let quiet: Quiet

    /// What no suspended device may change: what is seen, and the configuration the host has asked for last.
    private struct Quiet {
        let free: UInt64
    }

    init(_ driver: FakeDriver<Device>, _ dialect: SuspendDialect) {
        self.driver = driver
        self.dialect = dialect
        quiet = Quiet(free: 0)
    }
}
