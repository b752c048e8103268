// A run's trace, on its way to a file: events come from under the devices' locks, in batches of a call each, wait in a buffer of fixed
// size, and are written by a thread of their own. What finds no room is dropped, and the place is marked with how much that was.

import Glibc
import Virtio

/// What is known of an event beside itself.
struct TraceStamp: Sendable {
    /// Since the trace began.
    let nanoseconds: UInt64
    /// The thread: `vcpu0`, `blk0`, ...; a vCPU's for what the guest did.
    let thread: String
    /// The device's index in the trace.
    let device: Int
}

/// Writes a trace.
final class TraceWriter: @unchecked Sendable {
    /// Most events that wait to be written: some 10 MiB.
    private static let room = 1 << 17

    private let file: Int32
    private let path: String
    private let time: any TimeSource
    private let start: Instant
    private let lock = Lock()
    private var thread: Thread?

    // Under the lock:
    private var waiting: [(TraceStamp, Event)] = []
    /// Events dropped since the last that found room, by device.
    private var dropped: [Int: UInt64] = [:]
    private var lost: UInt64 = 0
    private var isEnding = false

    /// Cuts or makes the file at `path`.
    init(path: String, time: any TimeSource) throws(MachineError) {
        // A pipe that nobody reads is an error, and not a wait for ever.
        file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0o644)
        guard file >= 0 else { throw .trace(path: path, errno: errno) }
        _ = fcntl(file, F_SETFL, 0)
        self.path = path
        self.time = time
        start = time.now
    }

    /// Writes what the trace begins with, and from now on takes events. Nothing has happened to the devices.
    func begin(_ devices: [TracedDevice], memory: UInt64) throws(MachineError) {
        waiting.reserveCapacity(Self.room)
        var lines = [TraceLine(trace: TraceLine.version, memory: memory)]
        for device in devices { lines.append(TraceLine(device)) }
        guard write(lines.map { $0.json.text + "\n" }.joined()) else { throw .trace(path: path, errno: errno) }
        thread = try Thread("trace") { [self] in serve() }
    }

    /// Takes the events of a call; with the device's lock held.
    func add(_ events: [Event], device: Int) {
        let stamp = TraceStamp(
            nanoseconds: time.now.nanoseconds - start.nanoseconds, thread: Thread.currentName, device: device)
        lock.locked {
            guard waiting.count + events.count + 1 <= Self.room else {
                dropped[device, default: 0] += UInt64(events.count)
                lost += UInt64(events.count)
                return
            }
            if let count = dropped.removeValue(forKey: device) { waiting.append((stamp, .dropped(count))) }
            for event in events { waiting.append((stamp, event)) }
            if waiting.count > Self.room / 2 { lock.broadcast() }
        }
    }

    /// Writes what is left and closes the file. Says it if events were lost.
    func close() {
        lock.locked {
            isEnding = true
            lock.broadcast()
        }
        thread.take()?.join()
        Glibc.close(file)
        if lost > 0 { Log.say("the trace \(path) lacks \(lost) events that came faster than they could be written") }
    }

    private func serve() {
        var taken: [(TraceStamp, Event)] = []
        taken.reserveCapacity(Self.room)
        var isWriting = true
        while true {
            let isEnd = lock.locked {
                if waiting.isEmpty && !isEnding { lock.wait(milliseconds: 100) }
                swap(&taken, &waiting)
                return isEnding && taken.isEmpty
            }
            if isEnd { return }
            var text = ""
            for (stamp, event) in taken {
                text += TraceLine(stamp, event).json.text
                text += "\n"
                if text.utf8.count > 1 << 16 {
                    isWriting = isWriting && write(text)
                    text = ""
                }
            }
            isWriting = isWriting && write(text)
            taken.removeAll(keepingCapacity: true)
        }
    }

    /// Writes all of `text`, or says why that is the end of the trace.
    private func write(_ text: String) -> Bool {
        if writeAll(text, to: file) { return true }
        Log.say("the trace \(path) ends here: \(reason(errno))")
        return false
    }
}

/// Writes all of `text` to `file`; false, and `errno`, if that cannot be done.
func writeAll(_ text: String, to file: Int32) -> Bool {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes { unsafe write(file, $0.baseAddress, $0.count) }
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { return false }
        rest = rest.dropFirst(count)
    }
    return true
}

/// A device's way into the trace.
struct DeviceTrace: Sendable {
    let writer: TraceWriter
    let device: Int
}
