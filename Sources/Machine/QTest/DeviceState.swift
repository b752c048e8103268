// A device's whole state for the qtest client: what the model says of itself, what its backend is doing, and both as JSON. The
// names in it are part of the interface (QTest.md).

import Virtio
import VirtioABI

/// What a device's backend does, and what a test made of it.
struct BackendState: Equatable, Sendable {
    /// Requests wait for a release.
    var holding = false
    /// How many wait.
    var waiting = 0
    /// How many are to fail.
    var failing = 0
    /// Bytes of output that nobody has taken, and of input that the device has not.
    var output = 0
    var input = 0
}

/// All there is to know of a device.
struct DeviceState: Sendable {
    let name: String
    let model: Inspection
    /// The interrupt line.
    let line: Bool
    /// A resume waits until the test says that the backend is ready.
    let resumeIsHeld: Bool
    /// When the host's patience with a drain ends.
    let drainDeadline: Instant?
    let backend: BackendState

    /// The state as JSON.
    var json: JSON {
        [
            "device": .string(name),
            "type": .count(model.deviceID),
            "phase": .string(model.lifecycle.phase.name),
            "reason": .string(reason),
            "status": .bits(model.lifecycle.status.rawValue, digits: 2),
            "dialect": model.lifecycle.dialect.map { .string($0 == .draft ? "draft" : "1.4") } ?? .null,
            "suspendNegotiated": .bool(model.lifecycle.suspendNegotiated),
            "latchedError": .bool(model.lifecycle.latchedError),
            "offeredFeatures": .bits(model.offered.rawValue, digits: 16),
            "driverFeatures": .bits(model.driverFeatures.rawValue, digits: 16),
            "interruptStatus": .count(model.interruptStatus.rawValue),
            "acknowledged": .count(model.acknowledged.rawValue), "acknowledgements": .count(model.acknowledgements),
            "line": .bool(line),
            "configGeneration": .count(model.generation),
            "configuration": .bytes(model.configuration.all),
            "stagedConfiguration": model.staged.map { .bytes($0.all) } ?? .null,
            "deviceState": .bytes(model.deviceState),
            "deferred": .bool(model.hasDeferred),
            "deviceFeaturesSel": .count(model.deviceFeaturesSel),
            "driverFeaturesSel": .count(model.driverFeaturesSel),
            "queueSel": .count(model.queueSel),
            "shmSel": .count(model.shmSel),
            "lastFault": model.lastFault.map { .string("\($0)") } ?? .null,
            "violations": .array(model.violations.map(\.json)),
            "drainDeadline": drainDeadline.map { .count($0.nanoseconds) } ?? .null,
            "resumeHeld": .bool(resumeIsHeld),
            "backend": backend.json,
            "queues": .array(model.queues.map(\.json)),
        ]
    }
}

extension BackendState {
    fileprivate var json: JSON {
        [
            "holding": .bool(holding), "waiting": .count(waiting), "failing": .count(failing), "output": .count(output),
            "input": .count(input),
        ]
    }
}

extension Inspection.Queue {
    fileprivate var json: JSON {
        [
            "sizeMax": .count(sizeMax), "size": .count(size), "desc": .bits(descriptorArea, digits: 16),
            "driver": .bits(driverArea, digits: 16), "device": .bits(deviceArea, digits: 16), "ready": .bool(isReady),
            "resetting": .bool(isResetting), "ending": .bool(isEnding),
            "waiting": waiting.map { .count($0) } ?? .null,
            "wanted": .bool(isWanted), "notifications": .count(notifications),
            "suppression": suppression.map { .bits($0, digits: 4) } ?? .null, "available": available?.json ?? .null,
            "used": used?.json ?? .null, "notified": notified?.json ?? .null, "inFlight": .count(inFlight),
            "held": .count(held),
            "drainLeft": drainLeft.map { .count($0) } ?? .null,
        ]
    }
}

extension Inspection.Position {
    fileprivate var json: JSON { ["count": .count(count), "slot": .count(slot), "wrap": .bool(wrap)] }
}

extension ConfigurationBytes {
    fileprivate var all: [UInt8] { (0..<size).map { UInt8(truncatingIfNeeded: load(at: $0, width: 1)) } }
}

extension Violation {
    /// What was broken, how often, and where the last time.
    var json: JSON {
        [
            "clause": .string("\(check.clause.id)"), "count": .count(count),
            "queue": evidence.queue.map { .count($0) } ?? .null, "offset": evidence.offset.map { .count($0) } ?? .null,
            "value": evidence.value.map { .bits($0, digits: 1) } ?? .null,
        ]
    }
}
