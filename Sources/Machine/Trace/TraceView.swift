// A trace in the Trace Event format of Chrome, for timeline viewers: https://ui.perfetto.dev opens it. A device is a process; its
// rows, the threads, are what the device went through, what was done to its registers, and its interrupt. Requests are asynchronous
// slices, from the moment they are the backend's until they are used.

import Glibc
import Virtio
import VirtioABI

/// Writes timelines.
public enum TraceView {
    /// A device's rows.
    private enum Row: Int, CaseIterable {
        case lifecycle = 1, registers, interrupt, queues

        var name: String {
            switch self {
            case .lifecycle: "lifecycle"
            case .registers: "registers"
            case .interrupt: "interrupt"
            case .queues: "queues"
            }
        }
    }

    /// Writes the trace at `path` as a timeline to the file `output`, to standard output if nil.
    public static func write(_ path: String, to output: String?) throws(MachineError) {
        var reader = try TraceReader(path: path)
        let file = try output.map { (path) throws(MachineError) -> Int32 in
            let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
            guard file >= 0 else { throw .trace(path: path, errno: errno) }
            return file
        }
        defer { if let file { close(file) } }
        var writer = TimelineWriter(file: file ?? 1, path: output ?? "to standard output")
        for (index, device) in reader.devices.enumerated() {
            try writer.add([
                "ph": "M", "pid": .count(index + 1), "name": "process_name", "args": ["name": .string(device.name)],
            ])
            for row in Row.allCases {
                try writer.add([
                    "ph": "M", "pid": .count(index + 1), "tid": .count(row.rawValue), "name": "thread_name",
                    "args": ["name": .string(row.name)],
                ])
            }
        }
        var devices = reader.devices.map { _ in Progress() }
        var last: UInt64 = 0
        while let (stamp, event) = try reader.next() {
            last = max(last, stamp.nanoseconds)
            for entry in devices[stamp.device].entries(of: event, stamp) { try writer.add(entry) }
        }
        for index in devices.indices { for entry in devices[index].end(index, at: last) { try writer.add(entry) } }
        try writer.end()
    }

    /// What of a device has begun and not ended.
    private struct Progress {
        private var phase: String?
        private var interrupt = false
        /// Requests with their backend, by their names; and the chains that wait to be used, by queue and id.
        private var requests: [Token: String] = [:]
        private var pending: [Token: UInt16] = [:]
        private var chains: [UInt32: [Token]] = [:]
        private var lastChain: (queue: UInt16, id: UInt16)?

        mutating func entries(of event: Event, _ stamp: TraceStamp) -> [JSON] {
            switch event {
            case .read(let offset, let width, let value): return [access("read", offset, width, value, stamp)]
            case .write(let offset, let width, let value): return [access("write", offset, width, value, stamp)]
            case .notified: return [instant("kick", .queues, stamp, [:])]
            case .available(let queue, let id, let readable, let writable):
                lastChain = (queue, id)
                return [
                    instant(
                        "available", .queues, stamp,
                        [
                            "queue": .count(queue), "id": .count(id), "readable": .count(readable),
                            "writable": .count(writable),
                        ])
                ]
            case .request(let token, let summary):
                if let chain = lastChain {
                    chains[UInt32(chain.queue) << 16 | UInt32(chain.id), default: []].append(token)
                }
                requests[token] = summary.kind.rawValue
                return [
                    slice(
                        "b", token, summary.kind.rawValue, stamp,
                        ["place": .bits(summary.place, digits: 1), "bytes": .count(summary.count)])
                ]
            case .finish(let token, let outcome):
                guard let kind = requests[token] else { return [] }
                return [
                    slice(
                        "n", token, kind, stamp,
                        ["backend": .string("\(outcome.result)"), "written": .count(outcome.written)])
                ]
            case .used(let queue, let id, let length):
                var entries = [
                    instant(
                        "used", .queues, stamp, ["queue": .count(queue), "id": .count(id), "length": .count(length)])
                ]
                let key = UInt32(queue) << 16 | UInt32(id)
                if let token = chains[key]?.first, let kind = requests.removeValue(forKey: token) {
                    chains[key]?.removeFirst()
                    entries.append(slice("e", token, kind, stamp, [:]))
                }
                return entries
            case .interrupt(let status):
                defer { interrupt = status != 0 }
                if interrupt == (status != 0) { return [] }
                return [
                    entry(status != 0 ? "B" : "E", "interrupt", .interrupt, stamp, ["InterruptStatus": .count(status)])
                ]
            case .lifecycle(let status, let now):
                var entries: [JSON] = []
                if phase != now.name {
                    if let phase { entries.append(entry("E", phase, .lifecycle, stamp, [:])) }
                    entries.append(
                        entry("B", now.name, .lifecycle, stamp, ["Status": .bits(status.rawValue, digits: 2)]))
                    phase = now.name
                }
                return entries
            case .violation(let check, _): return [instant("breaks \(check.clause.id)", .registers, stamp, [:])]
            case .fail, .backendReady, .deadlinePassed, .change, .receive, .open, .refuse:
                return [instant("\(event)", .lifecycle, stamp, [:])]
            case .dropped(let count): return [instant("\(count) events lost", .lifecycle, stamp, [:])]
            case .take, .load, .input: return []
            }
        }

        /// Ends what has no end.
        mutating func end(_ device: Int, at time: UInt64) -> [JSON] {
            let stamp = TraceStamp(nanoseconds: time, thread: "", device: device)
            var entries: [JSON] = []
            if let phase { entries.append(entry("E", phase, .lifecycle, stamp, [:])) }
            if interrupt { entries.append(entry("E", "interrupt", .interrupt, stamp, [:])) }
            for (token, kind) in requests {
                entries.append(slice("e", token, kind, stamp, ["unfinished": .bool(true)]))
            }
            return entries
        }

        private func access(_ what: String, _ offset: UInt16, _ width: UInt8, _ value: UInt64, _ stamp: TraceStamp)
            -> JSON
        {
            let name = Register.name(at: offset) ?? "0x\(hex(UInt64(offset), digits: 3))"
            return instant(
                "\(what) \(name) 0x\(hex(value, digits: 1))", .registers, stamp,
                ["by": .string(stamp.thread), "width": .count(width)])
        }

        private func instant(_ name: String, _ row: Row, _ stamp: TraceStamp, _ arguments: JSON) -> JSON {
            entry("i", name, row, stamp, arguments)
        }

        private func entry(_ kind: String, _ name: String, _ row: Row, _ stamp: TraceStamp, _ arguments: JSON) -> JSON {
            var members: [JSON.Member] = [
                .init(name: "ph", value: .string(kind)), .init(name: "name", value: .string(name)),
                .init(name: "pid", value: .count(stamp.device + 1)), .init(name: "tid", value: .count(row.rawValue)),
                .init(name: "ts", value: .microseconds(stamp.nanoseconds)),
            ]
            if kind == "i" { members.append(.init(name: "s", value: "t")) }
            members.append(.init(name: "args", value: arguments))
            return .object(members)
        }

        private func slice(_ kind: String, _ token: Token, _ name: String, _ stamp: TraceStamp, _ arguments: JSON)
            -> JSON
        {
            [
                "ph": .string(kind), "cat": "request", "name": .string(name),
                "id": .string("\(stamp.device).\(token.queue).\(token.epoch).\(token.name)"),
                "pid": .count(stamp.device + 1),
                "tid": .count(Row.queues.rawValue), "ts": .microseconds(stamp.nanoseconds), "args": arguments,
            ]
        }
    }
}

/// Writes a timeline's entries.
private struct TimelineWriter {
    let file: Int32
    let path: String
    private var text = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
    private var isFirst = true

    init(file: Int32, path: String) {
        self.file = file
        self.path = path
    }

    mutating func add(_ entry: JSON) throws(MachineError) {
        if !isFirst { text += ",\n" }
        isFirst = false
        text += entry.text
        if text.utf8.count > 1 << 16 { try flush() }
    }

    mutating func end() throws(MachineError) {
        text += "\n]}\n"
        try flush()
    }

    private mutating func flush() throws(MachineError) {
        guard writeAll(text, to: file) else { throw .trace(path: path, errno: errno) }
        text = ""
    }
}
