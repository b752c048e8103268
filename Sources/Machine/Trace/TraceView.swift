// A trace in the Trace Event format of Chrome, for timeline viewers: https://ui.perfetto.dev opens it. A device is a process; its
// rows, the threads, are its lifecycle, the accesses of its registers, and its interrupt. Requests are asynchronous slices, from the
// moment they go to the backend until they are used, or their queue is disabled or reset.

import Glibc
import Virtio
import VirtioABI

/// Writes timelines.
public enum TraceView {
    /// The rows of a device.
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

    /// Writes the trace at `path` as a timeline to the file `output`, to standard output if nil. Returns why it is not all of the
    /// run, as a sentence; nil if it is, as far as that can be told.
    public static func write(_ path: String, to output: String?) throws(MachineError) -> String? {
        var files = HostFiles()
        files.reads(path, as: "the trace")
        if let output {
            files.writes(output, as: "the timeline")
        } else {
            files.writes(descriptor: 1, as: "standard output")
        }
        try files.check()
        var reader = try TraceReader(path: path)
        let file = try output.map { (path) throws(MachineError) in
            let file = try HostFiles.openOutput(path) { .trace(path: path, errno: $0) }
            _ = fcntl(file, F_SETFL, 0)
            _ = ftruncate(file, 0)
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
        while let (stamp, event) = reader.next() {
            last = max(last, stamp.nanoseconds)
            for entry in devices[stamp.device].entries(of: event, stamp) { try writer.add(entry) }
        }
        for index in devices.indices {
            let stamp = TraceStamp(nanoseconds: last, thread: "", device: index)
            for entry in devices[index].end(stamp) { try writer.add(entry) }
        }
        try writer.end()
        return reader.damage
    }

    /// What of a device has begun and not ended.
    private struct Progress {
        private var phase: String?
        private var interrupt = false
        /// Requests that were not used, in the order in which they went to the backend. Few: a queue has room for no more.
        private var requests: [Request] = []
        private var lastChain: Chain?

        /// A chain, as `available` and `used` name it.
        private struct Chain: Equatable {
            let queue: UInt16
            let id: UInt16
        }

        private struct Request {
            let token: Token
            let chain: Chain?
            let kind: String
            /// The backend has done it.
            var isFinished = false
        }

        mutating func entries(of event: Event, _ stamp: TraceStamp) -> [JSON] {
            switch event {
            case .read(let offset, let width, let value): return [access("read", offset, width, value, stamp)]
            case .write(let offset, let width, let value): return [access("write", offset, width, value, stamp)]
            case .notified: return [instant("kick", .queues, stamp, [:])]
            case .available(let queue, let id, let readable, let writable):
                lastChain = Chain(queue: queue, id: id)
                return [
                    instant(
                        "available", .queues, stamp,
                        [
                            "queue": .count(queue), "id": .count(id), "readable": .count(readable),
                            "writable": .count(writable),
                        ])
                ]
            case .request(let token, let summary):
                // In a trace of version 1 a queue that was reset is known by the epoch of its next request only.
                let entries = endRequests(stamp, ["used": .bool(false)]) {
                    $0.queue == token.queue && ($0.epoch != token.epoch || $0.name == token.name)
                }
                requests.append(Request(token: token, chain: lastChain, kind: summary.kind.rawValue))
                return entries + [
                    slice(
                        "b", token, summary.kind.rawValue, stamp,
                        ["place": .bits(summary.place, digits: 1), "bytes": .count(summary.count)])
                ]
            case .finish(let token, let outcome):
                guard let index = requests.firstIndex(where: { $0.token == token }) else { return [] }
                requests[index].isFinished = true
                return [
                    slice(
                        "n", token, requests[index].kind, stamp,
                        ["backend": .string("\(outcome.result)"), "written": .count(outcome.written)])
                ]
            case .used(let queue, let id, let length):
                let used = instant(
                    "used", .queues, stamp, ["queue": .count(queue), "id": .count(id), "length": .count(length)])
                // A chain that was answered without the backend may have the id of one that is still there.
                let index = requests.firstIndex { $0.chain == Chain(queue: queue, id: id) && $0.isFinished }
                guard let request = index.map({ requests.remove(at: $0) }) else { return [used] }
                return [used, slice("e", request.token, request.kind, stamp, [:])]
            case .ended(let queue, let epoch):
                return endRequests(stamp, ["used": .bool(false)]) { $0.queue == queue && $0.epoch == epoch }
            case .interrupt(let status):
                defer { interrupt = status != 0 }
                if interrupt == (status != 0) { return [] }
                return [
                    entry(status != 0 ? "B" : "E", "interrupt", .interrupt, stamp, ["InterruptStatus": .count(status)])
                ]
            case .lifecycle(let status, let now):
                // The device was reset, and a trace of version 1 does not say that its queues ended by that.
                var entries = now == .notLive ? endRequests(stamp, ["used": .bool(false)]) { _ in true } : []
                if phase != now.name {
                    if let phase { entries.append(entry("E", phase, .lifecycle, stamp, [:])) }
                    entries.append(
                        entry("B", now.name, .lifecycle, stamp, ["Status": .bits(status.rawValue, digits: 2)]))
                    phase = now.name
                }
                return entries
            case .violation(let check, _): return [instant("breaks \(check.clause.id)", .registers, stamp, [:])]
            case .fail, .backendReady, .deadlinePassed, .change, .receive, .open, .refuse, .restore,
                .delayPassed:
                return [instant("\(event)", .lifecycle, stamp, [:])]
            case .dropped(let count):
                // What has ended in these events is not known.
                return end(stamp) + [instant("\(count) events lost", .lifecycle, stamp, [:])]
            case .take, .load, .input: return []
            }
        }

        /// Ends all that has begun: how it went on is not known.
        mutating func end(_ stamp: TraceStamp) -> [JSON] {
            var entries = endRequests(stamp, ["unfinished": .bool(true)]) { _ in true }
            if let phase { entries.append(entry("E", phase, .lifecycle, stamp, [:])) }
            if interrupt { entries.append(entry("E", "interrupt", .interrupt, stamp, [:])) }
            (phase, interrupt) = (nil, false)
            return entries
        }

        /// Ends the requests whose token `isOver`.
        private mutating func endRequests(
            _ stamp: TraceStamp, _ arguments: JSON, _ isOver: (Token) -> Bool
        ) -> [JSON] {
            defer { requests.removeAll { isOver($0.token) } }
            return requests.filter { isOver($0.token) }.map { slice("e", $0.token, $0.kind, stamp, arguments) }
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
