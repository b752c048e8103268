// Messages of vmm to its user: one line each, to standard error. Standard output belongs to the guest's console.

import Glibc

/// Messages to the user.
public enum Log {
    /// Writes "vmm: " and the message, in one call. A failure, as of a closed standard error, is ignored.
    public static func say(_ message: String) {
        let line = Array("vmm: \(message)\n".utf8)
        unsafe line.withUnsafeBytes { _ = unsafe write(2, $0.baseAddress, $0.count) }
    }

    /// Writes the outcome of a run, as JSON on one line.
    public static func report(
        _ outcome: Machine.Outcome, exitCode: Int32, after duration: Duration, _ conformance: [ConformanceReport]
    ) {
        let (seconds, attoseconds) = duration.components
        let report: JSON = [
            "outcome": .string(outcome.sentence), "exitCode": .count(exitCode),
            "milliseconds": .count(seconds * 1000 + attoseconds / 1_000_000_000_000_000),
            "conformance": conformance.value,
        ]
        let line = Array((report.text + "\n").utf8)
        unsafe line.withUnsafeBytes { _ = unsafe write(2, $0.baseAddress, $0.count) }
    }

    /// Reports the counts of a device's thread.
    public static func say(_ device: String, _ counts: DeviceStatistics) {
        say(
            "\(device): \(counts.suspensions) suspensions; its thread woke \(counts.wakeUps) times, "
                + "\(counts.wakeUpsWhileSuspended) of them while suspended"
                + (counts.engine.map { "; transfers: \($0)" } ?? ""))
    }
}
