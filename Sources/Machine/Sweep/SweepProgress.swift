// The progress of a sweep, on standard error: at a terminal a table of the running cells that is drawn anew, elsewhere a line for each
// cell that has ended.

import Glibc

/// Shows how far a sweep has come.
final class SweepProgress {
    private let total: Int
    private let isLive = isatty(2) == 1
    private let start = Instant.now
    private var (ended, failures, drawn) = (0, 0, 0)
    /// When the table is drawn anew at the earliest.
    private var next = Instant.now

    init(total: Int) { self.total = total }

    /// The time between two calls of `show`.
    var period: Duration { isLive ? .milliseconds(250) : .seconds(60) }

    /// A cell has ended. At a terminal only one that failed has a line of its own.
    func add(_ result: SweepResult) {
        ended += 1
        failures += result.passed ? 0 : 1
        if isLive && result.passed { return }
        draw(["\(ended) of \(total): \(result.id) \(result.reasons.first.map { "failed: \($0)" } ?? "passed")"])
        drawn = 0
    }

    /// These cells run, since these instants.
    func show(_ running: [(id: String, start: Instant)]) {
        guard isLive, .now >= next else { return }
        next = .now.advanced(by: .milliseconds(100))
        let (columns, rows) = ConsolePort.size(of: 2).map { (Int($0.columns), Int($0.rows)) } ?? (80, 25)
        let head = "\(ended) of \(total) cells, \(failures) failed, \(running.count) running, \(Self.seconds(start)) s"
        let table = running.prefix(max(0, rows - 2)).map { "  \(Self.seconds($0.start)) s  \($0.id)" }
        draw(([head] + table).map { String($0.prefix(columns - 1)) })
    }

    /// Removes the table.
    func end() { draw([]) }

    /// Replaces the table, if there is one.
    private func draw(_ lines: [String]) {
        var text = (drawn > 0 ? "\u{1b}[\(drawn)A\u{1b}[J" : "") + lines.map { $0 + "\n" }.joined()
        drawn = lines.count
        text.withUTF8 { _ = unsafe Glibc.write(2, $0.baseAddress, $0.count) }
    }

    private static func seconds(_ start: Instant) -> UInt64 {
        (Instant.now.nanoseconds - start.nanoseconds) / 1_000_000_000
    }
}
