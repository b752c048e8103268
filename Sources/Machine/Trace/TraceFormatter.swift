// The lines of a trace as bytes (Trace.md has the schema). A run has some 27 events a request, so the lines of events are put
// together in a buffer of fixed size, without strings and without allocations; those of the head, which are few, as JSON values.

import Glibc
import Virtio
import VirtioABI

/// Formats the lines of a trace.
struct TraceFormatter: ~Copyable {
    /// More bytes than the line of an event has: literals of 200 bytes, ten numbers of 20, and three names.
    private static let longestLine = 1 << 10
    private static let capacity = 1 << 18

    private var text = ByteText(capacity: capacity)
    /// The number of the last line.
    private var number: UInt64
    /// Where and when the call was whose events follow.
    private var stamp = TraceStamp(nanoseconds: 0, thread: "", device: 0)
    /// The quoted name of the call's thread.
    private var thread = "\"\""
    /// What the next line has before the event: `{"n":43641,"t":0,"by":"vcpu0","dev":0,"ev":"`. Within a call only the number changes.
    private var start = ByteText(capacity: longestLine)
    /// Where in `start` the number's last digit is; nil if `start` has to be made again.
    private var lastDigit: Int?

    /// For the lines after the first `number`.
    init(after number: Int) { self.number = UInt64(number) }

    // MARK: Lines

    /// The next line, of the head or the end.
    mutating func text(of line: TraceLine) -> String {
        number += 1
        lastDigit = nil
        var line = line
        line.n = Int(number)
        return line.json.text + "\n"
    }

    /// Begins a call: the events that follow were then and there.
    mutating func begin(_ stamp: TraceStamp) {
        if stamp.thread != self.stamp.thread { thread = JSON.string(stamp.thread).text }
        self.stamp = stamp
        lastDigit = nil
    }

    /// Whether there is no room for another event's line.
    var isFull: Bool { text.room < Self.longestLine }

    /// Writes the lines to `file` and discards them. Returns false, with `errno` set, if that could not be done.
    mutating func flush(to file: Int32) -> Bool {
        defer { text.removeAll() }
        return unsafe text.withBytes { unsafe writeAll($0, to: file) }
    }

    /// Makes `start` that of the next line.
    private mutating func advance() {
        number += 1
        if let last = lastDigit, start[last] != UInt8(ascii: "9") { return start[last] += 1 }
        start.removeAll()
        start.append("{\"n\":")
        start.append(decimal: number)
        lastDigit = start.count - 1
        start.append(",\"t\":")
        start.append(decimal: stamp.nanoseconds)
        start.append(",\"by\":")
        start.append(string: thread)
        start.append(",\"dev\":")
        start.append(decimal: UInt64(stamp.device))
        start.append(",\"ev\":\"")
    }

    /// Appends the line of `event`; not when `isFull`. The order of the members is the one that a reader wants.
    mutating func append(_ event: Event) {
        advance()
        text.append(start)
        switch event {
        case .read(let offset, let width, let value): access("read\"", offset, width, value)
        case .write(let offset, let width, let value): access("write\"", offset, width, value)
        case .notified(let queues): put("kick\",\"queues\":", UInt64(queues.rawValue))
        case .take(let queue, let room, let segments, let requestsNotification):
            put("take\",\"queue\":", UInt64(queue))
            put(",\"room\":", UInt64(room))
            put(",\"segments\":", UInt64(segments))
            put(",\"asksForKick\":", requestsNotification)
        case .finish(let token, let outcome):
            put("finish\"", token)
            put(",\"result\":", outcome.result.traceName)
            put(",\"written\":", UInt64(outcome.written))
        case .backendReady: put("ready\"")
        case .deadlinePassed: put("deadline\"")
        case .delayPassed: put("delay\"")
        case .fail: put("fail\"")
        case .change(let word): put("change\",\"value\":", bits: word)
        case .input(let port, let count, let bytes):
            put("input\",\"value\":", bits: bytes)
            put(",\"port\":", UInt64(port))
            put(",\"count\":", UInt64(count))
        case .receive(let port): put("receive\",\"port\":", UInt64(port))
        case .open(let port, let isOpen):
            put("open\",\"port\":", UInt64(port))
            put(",\"isOpen\":", isOpen)
        case .refuse: put("refuse\"")
        case .restore: put("restore\"")
        case .load(let address, let width, let value):
            put("load\",\"address\":", bits: address)
            put(",\"width\":", UInt64(width))
            put(",\"value\":", bits: value)
        case .available(let queue, let id, let readable, let writable):
            put("available\",\"queue\":", UInt64(queue))
            put(",\"id\":", UInt64(id))
            put(",\"readable\":", UInt64(readable))
            put(",\"writable\":", UInt64(writable))
        case .request(let token, let summary):
            put("request\"", token)
            put(",\"kind\":", summary.kind.rawValue)
            put(",\"value\":", bits: summary.place)
            put(",\"count\":", summary.count)
        case .used(let queue, let id, let length):
            put("used\",\"queue\":", UInt64(queue))
            put(",\"id\":", UInt64(id))
            put(",\"length\":", UInt64(length))
        case .interrupt(let status): put("interrupt\",\"value\":", bits: UInt64(status))
        case .lifecycle(let status, let phase):
            put("lifecycle\",\"status\":", UInt64(status.rawValue))
            put(",\"phase\":", phase.name)
        case .ended(let queue, let epoch):
            put("ended\",\"queue\":", UInt64(queue))
            put(",\"epoch\":", UInt64(epoch))
        case .violation(let check, let evidence):
            put("violation\"")
            if let offset = evidence.offset { put(",\"offset\":", UInt64(offset)) }
            if let queue = evidence.queue { put(",\"queue\":", UInt64(queue)) }
            if let value = evidence.value { put(",\"value\":", bits: value) }
            put(",\"clause\":", "\(check.clause.id)")
        case .dropped(let count): put("dropped\",\"count\":", count)
        }
        put("}\n")
    }

    private mutating func access(_ what: StaticString, _ offset: UInt16, _ width: UInt8, _ value: UInt64) {
        put(what)
        if let name = Register.name(at: offset) { put(",\"reg\":", name) }
        put(",\"offset\":", UInt64(offset))
        put(",\"width\":", UInt64(width))
        put(",\"value\":", bits: value)
    }

    // MARK: Members. Names include the punctuation.

    @inline(__always)
    private mutating func put(_ text: StaticString) { self.text.append(text) }

    /// A number.
    @inline(__always)
    private mutating func put(_ name: StaticString, _ value: UInt64) {
        text.append(name)
        text.append(decimal: value)
    }

    /// A string, `0x...`.
    @inline(__always)
    private mutating func put(_ name: StaticString, bits value: UInt64) {
        text.append(name)
        text.append("\"0x")
        text.append(hexadecimal: value)
        text.append("\"")
    }

    private mutating func put(_ name: StaticString, _ value: Bool) {
        text.append(name)
        put(value ? "true" : "false")
    }

    /// One of the model's names, which need no escapes.
    private mutating func put(_ name: StaticString, _ value: String) {
        text.append(name)
        text.append("\"")
        text.append(string: value)
        text.append("\"")
    }

    private mutating func put(_ what: StaticString, _ token: Token) {
        text.append(what)
        put(",\"queue\":", UInt64(token.queue))
        put(",\"name\":", UInt64(token.name))
        put(",\"epoch\":", UInt64(token.epoch))
    }
}
