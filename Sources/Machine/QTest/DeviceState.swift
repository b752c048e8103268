// A device's complete state for the qtest client: the model's inspection, the backend's state, and both as JSON. The names in
// the JSON are part of the interface (QTest.md).

import Virtio
import VirtioABI

/// The state of a device's backend and of its test commands.
struct BackendState: Equatable, Sendable {
    /// `x-hold` is on: new requests wait for `x-release`.
    var holding = false
    /// Requests that wait.
    var waiting = 0
    /// Requests that `x-fail` has yet to fail.
    var failing = 0
    /// Bytes of output not yet taken by the host, and of input not yet taken by the device.
    var output = 0
    var input = 0
    /// Frames that wait for receive buffers or for the resume.
    var frames = 0
}

/// The complete state of a device.
struct DeviceState: Sendable {
    let name: String
    let model: Inspection
    /// The level of the interrupt line.
    let line: Bool
    /// Whether no interrupt controller delivers the line; nil if that is unknown.
    var lineIsMasked: Bool?
    /// The driver's last register access; nil before the first.
    let lastAccess: RegisterAccess?
    /// `x-hold-resume` is on: a resume waits for `x-ready`.
    let resumeIsHeld: Bool
    /// The drain deadline; nil if no drain is under way.
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
            "input": .count(input), "frames": .count(frames),
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
    /// The clause, the number of violations, and the evidence of the last one.
    var json: JSON {
        [
            "clause": .string("\(check.clause.id)"), "count": .count(count),
            "queue": evidence.queue.map { .count($0) } ?? .null, "offset": evidence.offset.map { .count($0) } ?? .null,
            "value": evidence.value.map { .bits($0, digits: 1) } ?? .null,
        ]
    }
}
