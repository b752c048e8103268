// A line of a trace: JSON, one object a line (Trace.md has the schema). Written by hand, as all JSON here is, and read by Foundation's
// decoder, which is part of the toolchain and of swift-argument-parser already. What may have more than 53 bits is a string, `0x...`.

import FoundationEssentials
import Virtio
import VirtioABI

/// A device as the head of a trace describes it: enough to make another like it.
struct TracedDevice: Sendable {
    let name: String
    let deviceID: UInt32
    let offered: Features
    let dialect: SuspendDialect?
    let freeze: FreezeScope
    let conform: ConformanceMode
    /// Its configuration as a word (`VirtioDevice.word(of:)`).
    let configuration: UInt64
    /// What Version reads; 2 in traces that do not say it.
    var version = MMIOVersion.two
    /// The device's torture; nil for none.
    var torture: Torture?
    /// Its queues, and what QueueSizeMax reads in them.
    let queues: UInt16
    let queueSize: UInt16
    /// The names of a console's further ports, as `0x` and two digits a byte.
    let ports: [String]
    /// A disk's write_zeroes_may_unmap; nil in traces from before it depended on the backend, of disks where it read 1.
    let writeZeroesMayUnmap: Bool?
    /// A disk's block sizes; nil for 512 and 4096 in traces from before they depended on the backend.
    let blockSizes: BlockSizes?
    /// What is fixed of a network device, except its queues; nil for others.
    var network: Network.Parameters?
}

/// A line of a trace: its head, a device, an event, or its end. A member that does not apply is nil.
struct TraceLine: Decodable, Sendable {
    /// The version of the schema that is written here. All from 1 are read.
    static let version = 2
    /// The first version whose lines have numbers, and whose last line is `end`.
    static let numberedVersion = 2

    // The head.
    var trace: Int?
    var memory: String?
    /// The number of the line, from 1.
    var n: Int?
    // A device.
    var device: String?
    var type: UInt32?
    var offered: String?
    var dialect: String?
    var freeze: String?
    var conform: String?
    var configuration: String?
    var queues: UInt32?
    var queueSize: UInt16?
    var ports: [String]?
    var writeZeroesMayUnmap: Bool?
    var blockSize: UInt32?
    var physicalBlockSize: UInt32?
    var mac: String?
    var mtu: UInt16?
    var wake: String?
    var mmioVersion: UInt32?
    var torture: String?
    var tortureChoices: String?
    // An event: nanoseconds, thread, index of the device, what.
    var t: UInt64?
    var by: String?
    var dev: Int?
    var ev: String?
    // What belongs to it.
    var reg: String?
    var offset: UInt16?
    var width: UInt8?
    var value: String?
    var queue: UInt16?
    var room: UInt16?
    var segments: UInt32?
    /// Of `take`: the model asked its driver for available buffer notifications.
    var asksForKick: Bool?
    var name: UInt16?
    var epoch: UInt32?
    var result: String?
    var written: UInt32?
    var port: UInt8?
    var count: UInt64?
    var isOpen: Bool?
    var id: UInt16?
    var readable: UInt32?
    var writable: UInt32?
    var kind: String?
    var address: String?
    var length: UInt32?
    var status: UInt8?
    var phase: String?
    var clause: String?

    /// The head of a trace of a machine with `memory` bytes.
    init(memory: UInt64) {
        trace = Self.version
        self.memory = Self.bits(memory)
    }

    /// The end of a trace.
    static var end: TraceLine { TraceLine() }
    private init() { ev = "end" }

    /// A device.
    init(_ device: TracedDevice) {
        self.device = device.name
        type = device.deviceID
        offered = Self.bits(device.offered.rawValue)
        dialect = device.dialect.map { $0 == .draft ? "draft" : "1.4" }
        freeze = device.freeze == .wide ? "wide" : "narrow"
        conform = device.conform.rawValue
        configuration = Self.bits(device.configuration)
        queues = UInt32(device.queues)
        queueSize = device.queueSize
        ports = device.ports
        writeZeroesMayUnmap = device.writeZeroesMayUnmap
        blockSize = device.blockSizes?.logical
        physicalBlockSize = device.blockSizes?.physical
        mac = device.network.map { Self.bits($0.mac) }
        mtu = device.network?.mtu
        wake = device.network?.wake.rawValue
        mmioVersion = device.version == .two ? nil : device.version.rawValue
        torture = device.torture.map { Self.bits($0.seed) }
        tortureChoices = device.torture.map { Self.bits(UInt64($0.choices)) }
    }

    private static func bits(_ value: UInt64) -> String { "0x" + hex(value, digits: 1) }

    /// The number that `text` gives as `0x...`.
    static func number(_ text: String?) -> UInt64? {
        guard let text, text.hasPrefix("0x") else { return nil }
        return UInt64(text.dropFirst(2), radix: 16)
    }

    // MARK: Writing

    /// The head, a device or the end as JSON; members in the order in which a reader wants them. `TraceFormatter` writes events.
    var json: JSON {
        var members: [JSON.Member] = []
        func add(_ name: String, _ value: JSON?) {
            if let value { members.append(JSON.Member(name: name, value: value)) }
        }
        func number(_ name: String, _ value: (some BinaryInteger)?) { add(name, value.map { .count($0) }) }
        func text(_ name: String, _ value: String?) { add(name, value.map { .string($0) }) }
        number("trace", trace)
        text("memory", memory)
        number("n", n)
        text("device", device)
        number("type", type)
        text("offered", offered)
        text("dialect", dialect)
        text("freeze", freeze)
        text("conform", conform)
        text("configuration", configuration)
        text("ev", ev)
        number("queues", queues)
        number("queueSize", queueSize)
        add("ports", ports.map { .array($0.map { .string($0) }) })
        add("writeZeroesMayUnmap", writeZeroesMayUnmap.map { .bool($0) })
        number("blockSize", blockSize)
        number("physicalBlockSize", physicalBlockSize)
        text("mac", mac)
        number("mtu", mtu)
        text("wake", wake)
        number("mmioVersion", mmioVersion)
        text("torture", torture)
        text("tortureChoices", tortureChoices)
        return .object(members)
    }

    // MARK: Reading

    /// The event that the line is; nil if it is none, lacks a member, or is the violation of a clause that is not checked here.
    var event: Event? {
        switch ev {
        case "read": access.map { .read(offset: $0.0, width: $0.1, value: $0.2) }
        case "write": access.map { .write(offset: $0.0, width: $0.1, value: $0.2) }
        case "kick": queues.map { .notified(QueueSet(rawValue: $0)) }
        case "take":
            if let queue, let room, let segments, let asksForKick {
                .take(queue: queue, room: room, segments: segments, requestsNotification: asksForKick)
            } else {
                nil
            }
        case "finish":
            if let token, let result = Outcome.Result(traceName: result), let written {
                .finish(token, Outcome(result, written: written))
            } else {
                nil
            }
        case "ready": .backendReady
        case "deadline": .deadlinePassed
        case "delay": .delayPassed
        case "fail": .fail
        case "change": word.map { .change($0) }
        case "input":
            if let port, let count, count <= 8, let word {
                .input(port: port, count: UInt8(count), bytes: word)
            } else {
                nil
            }
        case "receive": port.map { .receive(port: $0) }
        case "open": if let port, let isOpen { .open(port: port, isOpen: isOpen) } else { nil }
        case "refuse": .refuse
        case "restore": .restore
        case "load":
            if let address = Self.number(address), let width, let word {
                .load(address: address, width: width, value: word)
            } else {
                nil
            }
        case "available":
            if let queue, let id, let readable, let writable {
                .available(queue: queue, id: id, readable: readable, writable: writable)
            } else {
                nil
            }
        case "request":
            if let token, let kind = kind.flatMap({ RequestKind(rawValue: $0) }), let word, let count {
                .request(token, RequestSummary(kind, place: word, count: count))
            } else {
                nil
            }
        case "used": if let queue, let id, let length { .used(queue: queue, id: id, length: length) } else { nil }
        case "interrupt": word.map { .interrupt(UInt32(truncatingIfNeeded: $0)) }
        case "lifecycle":
            if let status, let phase = Lifecycle.Phase(name: phase) {
                .lifecycle(DeviceStatus(rawValue: status), phase)
            } else {
                nil
            }
        case "ended": if let queue, let epoch { .ended(queue: queue, epoch: epoch) } else { nil }
        case "violation":
            // The model finds them itself. Which clause it was matters only to a viewer.
            Check.allCases.first { "\($0.clause.id)" == clause }.map { .violation($0, Evidence(queue: nil)) }
        case "dropped": count.map { .dropped($0) }
        default: nil
        }
    }

    private var word: UInt64? { Self.number(value) }
    private var access: (UInt16, UInt8, UInt64)? {
        if let offset, let width, let word { (offset, width, word) } else { nil }
    }
    private var token: Token? {
        if let queue, let name, let epoch { Token(queue: queue, name: name, epoch: epoch) } else { nil }
    }

    /// The device that the line describes; nil if it describes none.
    var tracedDevice: TracedDevice? {
        guard let device, let type, let offered = Self.number(offered), let word = Self.number(configuration),
            let mode = conform.flatMap({ ConformanceMode(rawValue: $0) }), let queues, let queueSize
        else { return nil }
        return TracedDevice(
            name: device, deviceID: type, offered: Features(rawValue: offered),
            dialect: dialect.map { $0 == "draft" ? .draft : .ratified }, freeze: freeze == "narrow" ? .narrow : .wide,
            conform: mode, configuration: word, version: mmioVersion.flatMap { MMIOVersion(rawValue: $0) } ?? .two,
            torture: Self.number(torture).map {
                Torture(seed: $0, choices: UInt32(truncatingIfNeeded: Self.number(tortureChoices) ?? 0))
            }, queues: UInt16(clamping: queues), queueSize: queueSize,
            ports: ports ?? [], writeZeroesMayUnmap: writeZeroesMayUnmap,
            blockSizes: blockSize.flatMap { logical in
                physicalBlockSize.flatMap { BlockSizes(logical: logical, physical: $0) }
            },
            network: Self.number(mac).map {
                var parameters = Network.Parameters(mac: $0, mtu: mtu)
                parameters.wake = wake.flatMap { Network.Wake(rawValue: $0) } ?? .any
                return parameters
            })
    }
}

extension Outcome.Result {
    /// The name of the result.
    var traceName: String {
        switch self {
        case .ok: "ok"
        case .ioError: "ioError"
        case .unsupported: "unsupported"
        }
    }

    fileprivate init?(traceName: String?) {
        switch traceName {
        case "ok": self = .ok
        case "ioError": self = .ioError
        case "unsupported": self = .unsupported
        default: return nil
        }
    }
}

extension Lifecycle.Phase {
    /// The name of the phase.
    var name: String {
        switch self {
        case .notLive: "not live"
        case .running: "running"
        case .suspending: "suspending"
        case .suspended: "suspended"
        case .resuming: "resuming"
        case .dead(let suspended): suspended ? "dead, suspended" : "dead"
        case .resetting: "resetting"
        }
    }

    /// The phase of that name.
    init?(name: String?) {
        let all: [Lifecycle.Phase] = [
            .notLive, .running, .suspending, .suspended, .resuming, .dead(suspended: true), .dead(suspended: false),
            .resetting,
        ]
        guard let phase = all.first(where: { $0.name == name }) else { return nil }
        self = phase
    }
}
