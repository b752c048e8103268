// Whether a run passed: judged from its exit code and, as they come, from the lines of its console and of its standard error.

import FoundationEssentials

/// Judges a run.
struct SweepVerdict {
    /// Most reasons of a failure that are kept.
    private static let most = 8

    private let plan: SweepPlan
    private let texts: [WantedText]
    private var watches: [TextWatch]
    private var tap = TAPReader()
    private var consoleLines = LineBuffer(limit: 64 << 10)
    private var errorLines = LineBuffer(limit: 1 << 20)
    /// The last 64 KiB of the console's output.
    private(set) var tail = OutputBuffer(keepsNewest: true)
    /// The outcome that the run reported, and what it complained of.
    private var outcome: String?
    private var complaint: String?
    private var broken: [String] = []

    init(_ plan: SweepPlan) {
        self.plan = plan
        texts = plan.expect.map { WantedText($0) {} }
        watches = texts.map { TextWatch($0) }
    }

    /// Output of the console.
    mutating func readConsole(_ bytes: [UInt8]) {
        for byte in bytes {
            tail.append(byte)
            for index in watches.indices { watches[index].look(at: byte) }
        }
        guard plan.checksTAP else { return }
        consoleLines.append(bytes)
        while let entry = consoleLines.next() {
            guard case .line(let line) = entry else { continue }
            tap.read(String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line[...], as: UTF8.self))
        }
    }

    /// Output on standard error.
    mutating func readErrors(_ bytes: [UInt8]) {
        errorLines.append(bytes)
        while let entry = errorLines.next() {
            guard case .line(let line) = entry else { continue }
            let text = String(decoding: line, as: UTF8.self)
            if ["Error: ", "vmm: ", "Fatal error: "].contains(where: { text.contains($0) }) { complaint = text }
            guard let report = try? JSONDecoder().decode(Report.self, from: Data(line)) else { continue }
            outcome = report.outcome.split(separator: "\n").first.map(String.init)
            for violation in report.conformance.devices.flatMap(\.violations) where !broken.contains(violation.clause) {
                broken.append(violation.clause)
            }
        }
    }

    /// The line that `vmm run --json` ends with.
    private struct Report: Decodable {
        struct Violation: Decodable { let clause: String }
        struct Device: Decodable { let violations: [Violation] }
        struct Conformance: Decodable { let devices: [Device] }
        let outcome: String
        let conformance: Conformance
    }

    /// Why the run failed, which ended with this status of waitpid; empty if it passed. `isOverdue`: it was killed after its time.
    mutating func reasons(status: Int32, isOverdue: Bool) -> [String] {
        readConsole([UInt8(ascii: "\n")])
        readErrors([UInt8(ascii: "\n")])
        tap.finish()
        var reasons: [String] = []
        let (code, signal) = (status >> 8 & 0xff, status & 0x7f)
        if isOverdue || signal == 0 && code == 124 && plan.exit != 124 {
            reasons.append("timed out after \(plan.timeout.text)")
        } else if signal != 0 {
            reasons.append("vmm ended by signal \(signal): \(complaint ?? "it said nothing")")
        } else if code != plan.exit {
            reasons.append("exit code \(code): \(outcome ?? complaint ?? "vmm said nothing")")
        }
        if plan.checksTAP { reasons += tap.problems }
        for (text, wanted) in zip(plan.expect, texts) where !wanted.wasFound {
            reasons.append("the console did not print '\(text)'")
        }
        if plan.checksClauses, outcome == nil { reasons.append("the run did not report which clauses were broken") }
        if plan.checksClauses, !broken.isEmpty { reasons.append("broke \(broken.joined(separator: " "))") }
        return Array(reasons.prefix(Self.most))
    }
}
