// The expected values of the registers that select, stop and reset queues, by the tables' rows "Sel registers",
// "QueueReady" and "QueueReset" (D-5, D-16): what the driver writes and reads, not how the model keeps it.

import Testing
import VirtioABI

@testable import Virtio

/// The expected registers of a device's queues.
struct QueueOracle {
    let scope: FreezeScope
    /// QueueSel.
    private(set) var selected = 0
    /// Whether each queue is live.
    private(set) var live: [Bool]
    /// The register by which the driver is stopping each queue; nil if it is not.
    private(set) var ending: [Register?]
    /// Whether the device was frozen after the last input. What ends with a drain is complete before the suspension.
    private var wasFrozen = false

    init(scope: FreezeScope, live: [Bool]) {
        (self.scope, self.live) = (scope, live)
        ending = live.map { _ in nil }
    }

    var count: Int { live.count }
    private var isSelected: Bool { selected < count }

    /// The values of QueueReady and QueueReset for the selected queue.
    var ready: UInt32 { isSelected && live[selected] ? 1 : 0 }
    var resetting: UInt32 { isSelected && ending[selected] == .queueReset ? 1 : 0 }

    mutating func select(_ queue: Int) { selected = queue }

    /// The driver made the selected queue ready.
    mutating func start() { live[selected] = true }

    /// The driver wrote QueueReady = 0 or QueueReset = 1. A reset outlasts a stop.
    mutating func end(by register: Register) {
        guard isSelected, ending[selected] != .queueReset else { return }
        if register == .queueReset || live[selected] { ending[selected] = register }
    }

    /// Completes what the driver is stopping, unless the wide scope defers it or requests are in flight.
    mutating func settle(isFrozen: Bool, inFlight: (Int) -> Int) {
        defer { wasFrozen = isFrozen }
        if isFrozen && wasFrozen && scope == .wide { return }
        for queue in 0..<count where ending[queue] != nil && inFlight(queue) == 0 {
            (live[queue], ending[queue]) = (false, nil)
        }
    }

    mutating func reset() { self = QueueOracle(scope: scope, live: live.map { _ in false }) }
}

extension FakeDriver where Device: ~Copyable {
    /// Completes in `oracle` what is complete, and returns how the registers of the selected queue differ from it.
    func difference(from oracle: inout QueueOracle) -> String? {
        oracle.settle(isFrozen: backend.transport.lifecycle.isFrozen) { backend.transport.queues[$0].inFlight }
        for queue in 0..<oracle.count where backend.transport.queues[queue].isReady != oracle.live[queue] {
            return "queue \(queue) is \(oracle.live[queue] ? "not " : "")live"
        }
        let maximum =
            oracle.selected < oracle.count ? backend.transport.queues[oracle.selected].configuration.sizeMax : 0
        let expected = [UInt32(maximum), oracle.ready, oracle.resetting]
        let found = [read(.queueSizeMax), read(.queueReady), read(.queueReset)]
        return found == expected
            ? nil : "QueueSizeMax, QueueReady, QueueReset of queue \(oracle.selected) read \(found), not \(expected)"
    }
}
