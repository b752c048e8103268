// The results as a text table and as JSON.

/// The results of a run of the benchmarks.
struct Report {
    let host: Host
    var rows: [Row] = []

    /// The number with three significant digits, or with all digits before the point if it is large.
    static func number(_ value: Double) -> String {
        guard value.isFinite else { return "-" }
        let size = abs(value)
        let digits = size >= 100 || size == 0 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3
        return fixed(value, digits)
    }

    static func fixed(_ value: Double, _ digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let whole = Int((abs(value) * scale).rounded())
        let text = String(whole)
        guard digits > 0 else { return (value < 0 ? "-" : "") + text }
        let padded = String(repeating: "0", count: max(0, digits + 1 - text.count)) + text
        return (value < 0 ? "-" : "") + padded.dropLast(digits) + "." + padded.suffix(digits)
    }

    static let head =
        pad("row", 24) + pad("candidate", 18) + pad("n", 4) + left("median", 10) + left("p95", 10) + "  "
        + pad("unit", 12) + left("CPU us", 8) + left("ratio", 7) + "  " + pad("budget", 18) + "met"

    /// The lines of one row: one for each candidate.
    static func lines(_ row: Row) -> [String] {
        var lines: [String] = []
        for (index, candidate) in row.candidates.enumerated() {
            let start = pad(index == 0 ? row.name : "", 24) + pad(candidate.name, 18)
            if let missing = candidate.missing {
                lines.append(start + missing)
                continue
            }
            let ratio = index == 0 ? nil : row.ratio(to: candidate.name)
            let verdict = index == 0 ? row.isMet.map { $0 ? "yes" : "NO" } ?? "" : ""
            lines.append(
                start + pad("\(candidate.samples.count)", 4) + left(number(candidate.samples.median), 10)
                    + left(number(candidate.samples.p95(smallIsBad: row.moreIsBetter)), 10) + "  " + pad(row.unit, 12)
                    + left(candidate.processorSamples.isEmpty ? "" : number(candidate.processorSamples.median), 8)
                    + left(ratio.map { fixed($0, 2) + "x" } ?? "", 7) + "  "
                    + pad(index == 0 ? row.budgetText : "", 18) + verdict)
        }
        for candidate in row.candidates {
            if let bytes = row.operationBytes, let line = candidate.bytesLine(bytes) {
                lines.append(pad("", 24) + line)
            }
        }
        for note in row.notes where note.name == "note" {
            if case .string(let text) = note.value { lines.append(pad("", 24) + text) }
        }
        return lines.map { line in String(line.reversed().drop { $0 == " " }.reversed()) }
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
    private static func left(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    var json: JSON {
        .members([("host", host.json), ("rows", .array(rows.map(Self.json)))])
    }

    private static func json(_ row: Row) -> JSON {
        .members([
            ("row", .string(row.name)), ("what", .string(row.what)), ("unit", .string(row.unit)),
            ("moreIsBetter", .bool(row.moreIsBetter)), ("budget", .string(row.budgetText)),
            ("met", row.isMet.map { .bool($0) } ?? .null),
            ("contestants", .array(row.candidates.map { json($0, in: row) })),
            ("notes", .members(row.notes.map { ($0.name, $0.value) })),
        ])
    }

    private static func json(_ candidate: Candidate, in row: Row) -> JSON {
        var members: [(String, JSON)] = [("name", .string(candidate.name))]
        if !candidate.command.isEmpty {
            members.append(("command", .string(candidate.command.joined(separator: " "))))
        }
        if let missing = candidate.missing {
            members.append(("missing", .string(missing)))
            return .members(members)
        }
        members += [
            ("n", .int(candidate.samples.count)), ("median", .double(candidate.samples.median)),
            ("p95", .double(candidate.samples.p95(smallIsBad: row.moreIsBetter))),
            ("vmmToThis", row.ratio(to: candidate.name).map { .double($0) } ?? .null),
            (
                "processorMicroseconds",
                candidate.processorSamples.isEmpty ? .null : .double(candidate.processorSamples.median)
            ),
            ("samples", .array(candidate.samples.map { .double($0) })),
        ]
        return .members(members)
    }
}

extension Candidate {
    /// The rate in bytes, and the processor time of a number of them, for operations of `size` bytes.
    fileprivate func bytesLine(_ size: Int) -> String? {
        guard missing == nil, !samples.isEmpty else { return nil }
        let bytes = "\(name): \(Report.number(samples.median * Double(size) / 1e6)) MB/s"
        guard !processorSamples.isEmpty else { return bytes }
        return bytes + ", \(Report.number(processorSamples.median * 1e3 / Double(size))) CPU s/GB"
    }
}
