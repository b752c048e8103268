// Shrinking: the fewest choices of the adversarial device with which a cell still fails, by delta debugging (ddmin, Zeller and
// Hildebrandt, 2002).

import Virtio

/// Reduces `items`, with which `fails` is true, to some of them with which it still is, and of which none can be left out. The order of
/// what is tried depends on the list alone.
func minimalSubset<Item>(
    of items: [Item], fails: ([Item]) throws(MachineError) -> Bool
) throws(MachineError) -> [Item] {
    var (items, parts) = (items, 2)
    search: while items.count > 1 {
        let ends = (0...parts).map { $0 * items.count / parts }
        let pieces = zip(ends, ends.dropFirst()).map { $0..<$1 }
        for piece in pieces where try fails(Array(items[piece])) {
            (items, parts) = (Array(items[piece]), 2)
            continue search
        }
        // All but a piece; of two pieces that is the other one.
        for piece in pieces where parts > 2 {
            var rest = items
            rest.removeSubrange(piece)
            guard try fails(rest) else { continue }
            (items, parts) = (rest, parts - 1)
            continue search
        }
        if parts == items.count { break }
        parts = min(items.count, 2 * parts)
    }
    return items
}

/// Which choices of the adversarial device make a cell fail.
enum SweepShrinking {
    private static let names = TortureChoice.allCases.map { "\($0.name)" }

    /// Reduces the choices of the cells of `report` that failed and have a seed: of those with the same first reason, of the first.
    static func shrink(_ report: inout SweepReport, _ runner: SweepRunner, runs: Int) throws(MachineError) {
        var reasons: Set<String> = []
        for (cell, result) in report.failed where result.choices == nil {
            guard let words = cell["torture"]?.split(separator: ",").map(String.init),
                reasons.insert(result.reasons[0]).inserted
            else { continue }
            Log.say("looks for the fewest choices with which \(cell.id) fails")
            let found = try reduced(words.dropFirst()) { (names: [String]) throws(MachineError) in
                let choices = names.isEmpty ? Self.names.map { "-\($0)" } : names
                let cells = Array(
                    repeating: cell.with("torture", ([words[0]] + choices).joined(separator: ",")), count: runs)
                var hasFailed = false
                try runner.run(cells) { hasFailed = hasFailed || !$0.passed }
                return hasFailed
            }
            if runner.stopSignal != 0 { return }
            report.results[result.id]?.choices = found
        }
    }

    /// The fewest of the choices that `words`, those behind a seed, turn on with which `fails` is true.
    static func reduced(
        _ words: some Collection<String>, _ fails: ([String]) throws(MachineError) -> Bool
    ) throws(MachineError) -> [String] {
        let isExcluding = words.allSatisfy { $0.hasPrefix("-") }
        let enabled = names.filter { isExcluding ? !words.contains("-\($0)") : words.contains($0) }
        return try fails([]) ? [] : try minimalSubset(of: enabled, fails: fails)
    }

    /// What is said of the choices to which a cell was reduced; nothing if it was not.
    static func sentences(_ cell: SweepCell, _ result: SweepResult) -> [String] {
        guard let choices = result.choices, let word = cell["torture"] else { return [] }
        guard !choices.isEmpty else { return ["fails without any choice of the adversarial device, too"] }
        let known = TortureChoice.allCases.filter { choices.contains("\($0.name)") }
        return ["fails with --torture=\(word.prefix { $0 != "," }),\(choices.joined(separator: ",")) alone"]
            + known.map { "\($0.name) is allowed by \($0.clause): \($0.sentence)" }
    }
}
