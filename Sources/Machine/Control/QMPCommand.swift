// The commands of QEMU's machine protocol that apply to this machine, and its own, whose names begin with `x-vmm-`. Documentation:
// Control.md. What QEMU answers that has no meaning here is left out; a member that is there means what QEMU's schema says.

import Virtio
import VirtioABI

/// A command of a control client.
struct QMPCommand: Sendable {
    let name: String
    /// The names of its arguments.
    var parameters: [String] = []
    let perform: @Sendable (Machine, QMPRequest.Arguments) throws(QMPError) -> JSON

    static let all: [QMPCommand] = machine + devices + own

    // MARK: The machine

    private static let machine = [
        QMPCommand(name: "query-status") { machine, _ in
            let state = machine.runState
            return ["running": .bool(state == .running), "status": .string(state.rawValue)]
        },
        QMPCommand(name: "stop") { machine, _ throws(QMPError) in
            guard machine.pause() else {
                throw .generic("a processor serves an exit and did not stop within a second; try again")
            }
            return [:]
        },
        QMPCommand(name: "cont") { machine, _ throws(QMPError) in
            guard machine.resume() else { throw .generic("a debugger has stopped the guest; continue it there") }
            return [:]
        },
        QMPCommand(name: "system_powerdown") { _, _ throws(QMPError) in
            throw .generic("this machine has no power button; shut the guest down from within, or use quit")
        },
        QMPCommand(name: "inject-nmi") { machine, _ in
            machine.injectNMI()
            return [:]
        },
        QMPCommand(name: "query-cpus-fast") { machine, _ in
            .array(
                machine.threads.enumerated().map { index, thread in
                    [
                        "cpu-index": .count(index), "thread-id": .count(thread), "target": "x86_64",
                        "qom-path": .string("/machine/cpu[\(index)]"), "props": ["core-id": .count(index)],
                    ]
                })
        },
    ]

    // MARK: Devices

    private static let devices = [
        QMPCommand(name: "query-block") { machine, _ in
            .array(
                machine.disks.map { disk in
                    [
                        "device": .string(disk.name), "locked": .bool(false), "removable": .bool(false),
                        "type": "unknown",
                        "inserted": [
                            "file": .string(disk.path), "drv": "raw", "ro": .bool(disk.readOnly),
                            "image": [
                                "filename": .string(disk.path), "format": "raw", "virtual-size": .count(disk.bytes),
                            ],
                        ],
                    ]
                })
        },
        QMPCommand(name: "query-chardev") { machine, _ in
            .array(
                machine.streams.map { name, target in
                    ["label": .string(name), "filename": .string(target), "frontend-open": .bool(true)]
                })
        },
        QMPCommand(name: "x-query-virtio") { machine, _ in
            .array(machine.deviceStates.map { ["path": .string($0.path), "name": .string($0.typeName)] })
        },
        QMPCommand(name: "x-query-virtio-status", parameters: ["path"]) { machine, arguments throws(QMPError) in
            try machine.device(arguments).virtioStatus
        },
        QMPCommand(name: "x-query-virtio-queue-status", parameters: ["path", "queue"]) {
            machine, arguments throws(QMPError) in
            let state = try machine.device(arguments)
            let queues = state.model.queues
            return state.queueStatus(try arguments.integer("queue", in: 0...queues.count - 1))
        },
        QMPCommand(name: "x-query-virtio-queue-element", parameters: ["path", "queue", "index"]) {
            machine, arguments throws(QMPError) in
            let state = try machine.device(arguments)
            let queue = try arguments.integer("queue", in: 0...state.model.queues.count - 1)
            let index = try arguments.optional("index", in: 0...65535)
            guard !state.model.driverFeatures.contains(.ringPacked) else {
                throw .generic("the device has packed virtqueues, and this command shows split ones; see x-vmm-state")
            }
            let element = QueueElement { machine.vm.bytes(at: $0, count: $1) }
            return try element.json(of: state.model.queues[queue], at: index)
        },
    ]

    // MARK: This program's own

    private static let own = [
        QMPCommand(name: "x-vmm-state", parameters: ["path"]) { machine, arguments throws(QMPError) in
            try machine.device(arguments).json
        },
        QMPCommand(name: "x-vmm-suspend-state") { machine, _ in
            .array(
                machine.deviceStates.map { state in
                    [
                        "device": .string(state.name), "phase": .string(state.model.lifecycle.phase.name),
                        "status": .bits(state.model.lifecycle.status.rawValue, digits: 2),
                        "deferred": .bool(state.model.hasDeferred),
                    ]
                })
        },
        QMPCommand(name: "x-vmm-conformance") { machine, _ in machine.conformance.value },
        QMPCommand(name: "x-vmm-statistics") { machine, _ in
            .array(
                machine.statistics.map { device, counts in
                    [
                        "device": .string(device), "suspensions": .count(counts.suspensions),
                        "wakeUps": .count(counts.wakeUps),
                        "wakeUpsWhileSuspended": .count(counts.wakeUpsWhileSuspended),
                        "frames": counts.frames.map {
                            [
                                "received": .count($0.received), "droppedReceiving": .count($0.droppedReceiving),
                                "transmitted": .count($0.transmitted),
                                "droppedTransmitting": .count($0.droppedTransmitting),
                            ]
                        } ?? .null,
                    ]
                })
        },
        QMPCommand(name: "set_link", parameters: ["name", "up"]) { machine, arguments throws(QMPError) in
            let (name, isUp) = (try arguments.string("name"), try arguments.bool("up"))
            guard machine.setLink(name, isUp) else {
                throw .generic("there is no network device '\(name)'; x-query-virtio lists the devices")
            }
            return [:]
        },
        QMPCommand(name: "x-vmm-snapshot", parameters: ["dir"]) { machine, arguments throws(QMPError) in
            let folder = try arguments.string("dir")
            do throws(MachineError) {
                let report = try machine.snapshot(to: folder)
                return [
                    "bytes": .count(report.bytes), "stopped-ms": .count(report.stopped.milliseconds),
                    "total-ms": .count(report.total.milliseconds),
                ]
            } catch { throw .generic(error.description) }
        },
        QMPCommand(name: "x-vmm-trace-start", parameters: ["file"]) { machine, arguments throws(QMPError) in
            let file = try arguments.string("file")
            do throws(MachineError) { try machine.startTrace(to: file) } catch { throw .generic(error.description) }
            return [:]
        },
        QMPCommand(name: "x-vmm-trace-stop") { machine, _ throws(QMPError) in
            do throws(MachineError) { return ["lost-events": .count(try machine.stopTrace())] } catch {
                throw .generic(error.description)
            }
        },
        QMPCommand(name: "x-vmm-disk-resize") { machine, _ in
            machine.hostChanged()
            return [:]
        },
        QMPCommand(name: "x-vmm-console-resize", parameters: ["columns", "rows"]) {
            machine, arguments throws(QMPError) in
            let columns = UInt16(try arguments.integer("columns", in: 0...65535))
            let rows = UInt16(try arguments.integer("rows", in: 0...65535))
            machine.resizeConsole(columns: columns, rows: rows)
            return [:]
        },
    ]
}

extension Machine {
    /// The state of the device that `path` names.
    fileprivate func device(_ arguments: QMPRequest.Arguments) throws(QMPError) -> DeviceState {
        let path = try arguments.string("path")
        guard let state = deviceStates.first(where: { $0.path == path || $0.name == path }) else {
            throw .generic("there is no virtio device '\(path)'; x-query-virtio lists those there are")
        }
        return state
    }
}

extension DeviceState {
    fileprivate var path: String { "/machine/\(name)" }

    fileprivate var typeName: String {
        switch model.deviceID {
        case DeviceID.console: "virtio-serial"
        case DeviceID.block: "virtio-blk"
        default: "virtio-\(DeviceKind.all.first { $0.id == model.deviceID }?.name ?? "device")"
        }
    }

    /// QEMU's VirtioStatus. Features and status are numbers, which QEMU turns into sentences.
    fileprivate var virtioStatus: JSON {
        [
            "name": .string(typeName), "device-id": .count(model.deviceID), "vm-running": .bool(true),
            "host-features": .bits(model.offered.rawValue, digits: 16),
            "guest-features": .bits(model.driverFeatures.rawValue, digits: 16),
            "status": .bits(model.lifecycle.status.rawValue, digits: 2), "isr": .count(model.interruptStatus.rawValue),
            "queue-sel": .count(model.queueSel), "num-vqs": .count(model.queues.count),
            "broken": .bool(model.lifecycle.status.contains(.needsReset)),
            "started": .bool(model.lifecycle.status.contains(.driverOK)), "endianness": "little",
        ]
    }

    /// QEMU's VirtQueueStatus.
    fileprivate func queueStatus(_ index: Int) -> JSON {
        let queue = model.queues[index]
        return [
            "name": .string(typeName), "queue-index": .count(index), "inuse": .count(queue.inFlight),
            "vring-num": .count(queue.size), "vring-num-default": .count(queue.sizeMax),
            "vring-desc": .count(queue.descriptorArea), "vring-avail": .count(queue.driverArea),
            "vring-used": .count(queue.deviceArea), "last-avail-idx": .count(queue.available?.count ?? 0),
            "used-idx": .count(queue.used?.count ?? 0), "signalled-used": .count(queue.notified?.count ?? 0),
            "x-vmm-ready": .bool(queue.isReady), "x-vmm-waiting": queue.waiting.map { .count($0) } ?? .null,
        ]
    }
}
