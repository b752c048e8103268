// Messages of vmm to its user: one line each, to standard error. Standard output belongs to the guest's console.

import Glibc
import Synchronization
import Virtio

/// Messages to the user.
public enum Log {
    /// Standard error took nothing for a second.
    private static let isStuck = Atomic(false)
    /// Where messages go: standard error, without blocking where it is a terminal. Opened before the sandbox is entered.
    static let descriptor = Terminal.reopened(2, O_WRONLY) ?? 2
    /// Bytes written in one call: no more than a pipe takes at once when poll calls it writable.
    private static let chunk = 4096

    /// Writes "vmm: " and the message.
    public static func say(_ message: String) { write("vmm: \(message)\n") }

    /// Writes the outcome of a run, as JSON on one line; of a run without processors `unclaimed` is empty. Returns whether all of it was
    /// written.
    public static func report(
        _ outcome: Machine.Outcome, exitCode: Int32, after duration: Duration, _ conformance: [ConformanceReport],
        _ unclaimed: UnclaimedAccesses = UnclaimedAccesses()
    ) -> Bool {
        let (seconds, attoseconds) = duration.components
        let report: JSON = [
            "outcome": .string(outcome.sentence), "exitCode": .count(exitCode),
            "milliseconds": .count(seconds * 1000 + attoseconds / 1_000_000_000_000_000),
            "conformance": conformance.value, "unclaimed": unclaimed.json,
        ]
        return write(report.text + "\n")
    }

    /// Writes a line. What standard error does not take within a second is dropped: after Ctrl-S at a terminal, or with a reader that
    /// stopped, neither a signal nor --timeout could end vmm otherwise. Returns whether all of it was written.
    @discardableResult
    private static func write(_ line: String) -> Bool {
        var rest = Array(((StandardStreams.takeUnfinishedLine() ? "\n" : "") + line).utf8)[...]
        while !rest.isEmpty {
            var state = pollfd(descriptor, POLLOUT)
            let ready = unsafe poll(&state, 1, isStuck.load(ordering: .relaxed) ? 0 : 1000)
            if ready < 0 && errno == EINTR { continue }
            isStuck.store(ready <= 0, ordering: .relaxed)
            guard ready > 0 else { return false }
            let written = unsafe rest.prefix(chunk).withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { return false }
            rest.removeFirst(written)
        }
        return true
    }

    /// Reports the counts of a device's thread.
    public static func say(_ device: String, _ counts: DeviceStatistics) {
        say(
            "\(device): \(counts.suspensions) suspensions; its thread woke \(counts.wakeUps) times, "
                + "\(counts.wakeUpsWhileSuspended) of them while suspended"
                + (counts.engine.map { "; transfers: \($0)" } ?? "")
                + (counts.frames.map {
                    "; frames: \($0.received) received and \($0.droppedReceiving) dropped, \($0.transmitted) transmitted and "
                        + "\($0.droppedTransmitting) dropped"
                } ?? ""))
    }
}
