// A run's trace, on its way to a file: events come from under the locks of the devices, in batches of one access or report each, wait
// in a buffer of fixed size, and are formatted and written by a thread of their own, which has a second such buffer. Events for which
// there is no room are dropped, and a `dropped` event in their place says how many. The last line says that the trace is whole; a run
// that is killed, or whose disk is full, has none.

import Glibc
import Virtio

/// When and where an event was.
struct TraceStamp: Sendable {
    /// Since the trace began.
    let nanoseconds: UInt64
    /// The thread: `vcpu0`, `blk0`, ...; a vCPU's for what the guest did.
    let thread: String
    /// The device's index in the trace.
    let device: Int
}

/// Events that wait to be written, in calls of one device each.
private struct WaitingEvents {
    /// Most events: 10 MiB. At 250,000 requests a second they come in 38 ms.
    static let room = 1 << 18

    var events: [Event] = []
    /// When and where the events of each call were, and where in `events` they end.
    var calls: [(stamp: TraceStamp, end: Int)] = []

    init() {
        events.reserveCapacity(Self.room)
        calls.reserveCapacity(Self.room)
    }

    /// Whether there are so many that the writer has to begin.
    var isWorthWriting: Bool { events.count > Self.room / 4 }

    /// Adds a call of the events that `drain` passes on, after a `dropped` event for those `missing` before it. If there is no room
    /// adds nothing, counts the events in `missing`, and returns how many they were.
    mutating func add(_ stamp: TraceStamp, _ missing: inout UInt64, _ drain: ((Event) -> Void) -> Void) -> UInt64 {
        let before = events.count
        if missing > 0 { events.append(.dropped(missing)) }
        let start = events.count
        var rest: UInt64 = 0
        drain { if events.count < Self.room { events.append($0) } else { rest += 1 } }
        let added = events.count - start
        guard rest == 0, added > 0 else {
            // A call is in the trace as a whole or not at all.
            events.removeSubrange(before...)
            let lost = rest > 0 ? rest + UInt64(added) : 0
            missing += lost
            return lost
        }
        missing = 0
        calls.append((stamp, events.count))
        return 0
    }

    mutating func removeAll() {
        events.removeAll(keepingCapacity: true)
        calls.removeAll(keepingCapacity: true)
    }
}

/// Writes a trace.
final class TraceWriter: @unchecked Sendable {
    private let file: Int32
    private let path: String
    private let time: any TimeSource
    private let start: Instant
    private let lock = Lock()
    private var thread: Thread?

    // Under the lock:
    private var waiting = WaitingEvents()
    /// Events dropped since the last that found room, of each device.
    private var dropped: [UInt64] = []
    private var lost: UInt64 = 0
    /// Events are dropped, as a debugger wants.
    private var isOff = false
    private var isEnding = false

    // Of the thread, once there is one:
    /// Lines of the head.
    private var headLines = 0
    /// Nothing has kept a line from being written.
    private var isWhole = true

    /// Opens the file at `path`, or creates it. What is in it stays until `begin`.
    init(path: String, time: any TimeSource) throws(MachineError) {
        file = try HostFiles.openOutput(path, mode: 0o600) { .trace(path: path, errno: $0) }
        _ = fcntl(file, F_SETFL, 0)
        self.path = path
        self.time = time
        start = time.now
    }

    /// Truncates the file, writes what the trace begins with, and from now on takes events. Comes before anything has happened to the devices.
    func begin(_ devices: [TracedDevice], memory: UInt64) throws(MachineError) {
        _ = ftruncate(file, 0)
        var formatter = TraceFormatter(after: 0)
        var text = formatter.text(of: TraceLine(memory: memory))
        for device in devices { text += formatter.text(of: TraceLine(device)) }
        guard writeAll(text, to: file) else { throw .trace(path: path, errno: errno) }
        headLines = 1 + devices.count
        dropped = Array(repeating: 0, count: devices.count)
        thread = try Thread("trace", .trace) { [self] in serve() }
    }

    /// Takes the events of a call of `device` that `drain` passes on; with the lock of the device held.
    func add(device: Int, _ drain: ((Event) -> Void) -> Void) {
        let stamp = stamp(device)
        lock.locked {
            if isOff { return drain { _ in dropped[device] += 1 } }
            lost += waiting.add(stamp, &dropped[device], drain)
            if waiting.isWorthWriting { lock.broadcast() }
        }
    }

    /// Writes events from now on, or leaves them out. A `dropped` event in their place says how many.
    func setOn(_ isOn: Bool) { lock.locked { isOff = !isOn } }

    /// Whether half of the buffer is free.
    var hasRoom: Bool { lock.locked { waiting.events.count < WaitingEvents.room / 2 } }

    /// Writes what is left and closes the file. Says it if events are missing in it. Returns how many those are.
    @discardableResult
    func close() -> UInt64 {
        lock.locked {
            for device in dropped.indices where dropped[device] > 0 {
                waiting.events.append(.dropped(dropped[device]))
                waiting.calls.append((stamp(device), waiting.events.count))
            }
            isEnding = true
            lock.broadcast()
        }
        thread.take()?.join()
        if Glibc.close(file) != 0 && isWhole { sayIncomplete(errno) }
        if lost > 0 {
            Log.say(
                "the trace \(path) lacks \(lost) events that came faster than they could be written; give vmm a processor of its own, or the trace a faster disk"
            )
        }
        return lost
    }

    /// Now, and the calling thread.
    private func stamp(_ device: Int) -> TraceStamp {
        TraceStamp(
            nanoseconds: time.now.nanoseconds - start.nanoseconds, thread: Thread.currentName, device: device)
    }

    private func serve() {
        var taken = WaitingEvents()
        var formatter = TraceFormatter(after: headLines)
        while true {
            let isEnd = lock.locked {
                // Few events wait a while for more: each write costs a system call.
                if !waiting.isWorthWriting && !isEnding { lock.wait(milliseconds: 100) }
                swap(&taken, &waiting)
                return isEnding && taken.events.isEmpty
            }
            if isEnd { break }
            write(taken, &formatter)
            taken.removeAll()
        }
        let end = formatter.text(of: .end)
        if isWhole && !writeAll(end, to: file) { stop() }
    }

    /// Writes all of `taken`.
    private func write(_ taken: borrowing WaitingEvents, _ formatter: inout TraceFormatter) {
        var index = 0
        for (stamp, end) in taken.calls where isWhole {
            formatter.begin(stamp)
            while index < end {
                if formatter.isFull { flush(&formatter) }
                formatter.append(taken.events[index])
                index += 1
            }
        }
        flush(&formatter)
    }

    private func flush(_ formatter: inout TraceFormatter) {
        if isWhole && !formatter.flush(to: file) { stop() }
    }

    /// Something could not be written: nothing more is, and the run goes on.
    private func stop() {
        isWhole = false
        sayIncomplete(errno)
    }

    private func sayIncomplete(_ number: Int32) {
        Log.say(
            "the trace \(path) is incomplete: the rest of the run cannot be written to it (\(reason(number))); check the disk it is on"
        )
    }
}

/// Writes all of `text` to `file`. Returns false, with `errno` set, if that cannot be done.
func writeAll(_ text: String, to file: Int32) -> Bool {
    unsafe Array(text.utf8).withUnsafeBytes { unsafe writeAll($0, to: file) }
}

/// Writes all of `bytes` to `file`. Returns false, with `errno` set, if that cannot be done.
func writeAll(_ bytes: UnsafeRawBufferPointer, to file: Int32) -> Bool {
    var rest = unsafe bytes[...]
    while unsafe !rest.isEmpty {
        let count = unsafe write(file, rest.base.baseAddress?.advanced(by: rest.startIndex), rest.count)
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { return false }
        unsafe rest = rest.dropFirst(count)
    }
    return true
}

/// Where a device writes its events.
struct DeviceTrace: Sendable {
    let writer: TraceWriter
    let device: Int
}
