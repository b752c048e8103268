// What a sweep says at its end: what the cells that failed have in common, why they failed, and how to repeat them.

extension SweepReport {
    /// Most lines about what failing cells share.
    private static let mostShared = 12

    /// The summary, line by line. Cells that failed stand together if their first reason is the same.
    public var summary: [String] {
        let failed = failed
        var lines = shared
        var reasons: [String] = []
        for (_, result) in failed where !reasons.contains(result.reasons[0]) { reasons.append(result.reasons[0]) }
        for reason in reasons {
            let group = failed.filter { $0.result.reasons[0] == reason }
            lines.append("\(group.count) failed: \(reason)")
            for (cell, result) in group {
                lines.append("    \(cell.id)")
                let details = result.reasons.dropFirst() + [result.command] + SweepShrinking.sentences(cell, result)
                lines += details.map { "        \($0)" }
            }
        }
        let missing = missing.count
        let passed = cells.count - failed.count - missing
        return lines + ["\(cells.count) cells: \(passed) passed, \(failed.count) failed, \(missing) did not run"]
    }

    /// A line for each value, and each pair of values, with which more than half of the cells that ran failed, and a larger part than of
    /// all; of a pair, than with its values alone. Those with which all failed come first. Empty if all cells failed, or one.
    var shared: [String] {
        let (ran, total) = (ran, failed.count)
        guard total > 1, total < ran.count else { return [] }
        let sets = ran.flatMap { cell, result in cell.valueSets.map { (values: $0, passed: result.passed) } }
        let counts = Dictionary(grouping: sets, by: \.values).mapValues { ($0.count, $0.count { !$0.passed }) }
        func share(_ values: [SweepCell.Value]) -> Double { counts[values].map { Double($0.1) / Double($0.0) } ?? 0 }
        let rows = counts.filter { values, count in
            count.1 > 1 && 2 * count.1 > count.0 && share(values) > Double(total) / Double(ran.count)
                && (values.count == 1 || values.allSatisfy { share([$0]) < share(values) })
        }.map { values, count in
            let part = count.0 == count.1 ? "all \(count.0)" : "\(count.1) of \(count.0)"
            let names = values.map(\.description).joined(separator: " and ")
            return (-share(values), -count.1, "with \(names) \(part) cells failed")
        }
        return rows.sorted { $0 < $1 }.prefix(Self.mostShared).map(\.2)
    }
}

extension SweepCell {
    /// Each value, and each pair of values.
    fileprivate var valueSets: [[Value]] {
        values.indices.flatMap { first in [[values[first]]] + values[(first + 1)...].map { [values[first], $0] } }
    }
}
