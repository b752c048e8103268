// A run's trace, on its way to a file: events come from under the locks of the devices, in batches of one access or report each, wait
// in a buffer of fixed size, and are written by a thread of their own. Events for which there is no room are dropped, and a `dropped`
// event in their place says how many. The last line says that the trace is whole; a run that is killed, or whose disk is full, has none.

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

    // Of the thread, once there is one:
    /// Lines written.
    private var lines = 0
    /// Nothing has kept a line from being written.
    private var isWhole = true

    /// Opens the file at `path`, or creates it. What is in it stays until `begin`.
    init(path: String, time: any TimeSource) throws(MachineError) {
        file = try HostFiles.openOutput(path) { .trace(path: path, errno: $0) }
        _ = fcntl(file, F_SETFL, 0)
        self.path = path
        self.time = time
        start = time.now
    }

    /// Truncates the file, writes what the trace begins with, and from now on takes events. Comes before anything has happened to the devices.
    func begin(_ devices: [TracedDevice], memory: UInt64) throws(MachineError) {
        _ = ftruncate(file, 0)
        waiting.reserveCapacity(Self.room)
        var text = text(of: TraceLine(memory: memory))
        for device in devices { text += self.text(of: TraceLine(device)) }
        guard writeAll(text, to: file) else { throw .trace(path: path, errno: errno) }
        thread = try Thread("trace") { [self] in serve() }
    }

    /// Takes events of `device`; with the lock of the device held.
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

    /// Writes what is left and closes the file. Says it if events are missing in it.
    func close() {
        let stamp = (time.now.nanoseconds - start.nanoseconds, Thread.currentName)
        lock.locked {
            for (device, count) in dropped.sorted(by: { $0.key < $1.key }) {
                waiting.append((TraceStamp(nanoseconds: stamp.0, thread: stamp.1, device: device), .dropped(count)))
            }
            dropped = [:]
            isEnding = true
            lock.broadcast()
        }
        thread.take()?.join()
        if Glibc.close(file) != 0 && isWhole { sayIncomplete(errno) }
        if lost > 0 {
            Log.say(
                "the trace \(path) lacks \(lost) events that came faster than they could be written; write it to a faster disk"
            )
        }
    }

    private func serve() {
        var taken: [(TraceStamp, Event)] = []
        taken.reserveCapacity(Self.room)
        while true {
            let isEnd = lock.locked {
                if waiting.isEmpty && !isEnding { lock.wait(milliseconds: 100) }
                swap(&taken, &waiting)
                return isEnding && taken.isEmpty
            }
            if isEnd { return write(text(of: .end)) }
            var text = ""
            for (stamp, event) in taken where isWhole {
                text += self.text(of: TraceLine(stamp, event))
                if text.utf8.count > 1 << 16 {
                    write(text)
                    text = ""
                }
            }
            write(text)
            taken.removeAll(keepingCapacity: true)
        }
    }

    /// The next line, with its number.
    private func text(of line: TraceLine) -> String {
        lines += 1
        var line = line
        line.n = lines
        return line.json.text + "\n"
    }

    /// Writes all of `text`. Once that could not be done nothing more is written, and the run goes on.
    private func write(_ text: String) {
        guard isWhole, !writeAll(text, to: file) else { return }
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
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes { unsafe write(file, $0.baseAddress, $0.count) }
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { return false }
        rest = rest.dropFirst(count)
    }
    return true
}

/// Where a device writes its events.
struct DeviceTrace: Sendable {
    let writer: TraceWriter
    let device: Int
}
