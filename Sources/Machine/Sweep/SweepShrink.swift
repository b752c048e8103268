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

/// Which choices of a device under torture make a cell fail.
enum SweepShrinking {
    /// Reduces the choices of the cells of `report` that failed under torture: of those with the same first reason, of the first.
    static func shrink(_ report: inout SweepReport, _ runner: SweepRunner, runs: Int) throws(MachineError) {
        var reasons: Set<String> = []
        for (cell, result) in report.failed where result.choices == nil {
            guard let torture = cell.torture, reasons.insert(result.reasons[0]).inserted else { continue }
            Log.say("looks for the fewest choices with which \(cell.id) fails")
            let found = try reduced(torture) { (option) throws(MachineError) in
                var hasFailed = false
                try runner.run(Array(repeating: cell.with("torture", option), count: runs)) {
                    hasFailed = hasFailed || !$0.passed
                }
                return hasFailed
            }
            if runner.stopSignal != 0 { return }
            report.results[result.id]?.choices = found
        }
    }

    /// The names of the fewest choices of `torture` with which `fails` is true, which gets values of --torture.
    static func reduced(
        _ torture: Torture, _ fails: (String) throws(MachineError) -> Bool
    ) throws(MachineError) -> [String] {
        let names = TortureChoice.allCases.filter { torture.contains($0) }.map { "\($0.name)" }
        let none = TortureChoice.allCases.map { "-\($0.name)" }
        func option(_ words: [String]) -> String { (["\(torture.seed)"] + words).joined(separator: ",") }
        if try fails(option(none)) { return [] }
        return try minimalSubset(of: names) { (names) throws(MachineError) in try fails(option(names)) }
    }

    /// What is said of the choices to which a cell was reduced; nothing if it was not.
    static func sentences(_ cell: SweepCell, _ result: SweepResult) -> [String] {
        guard let choices = result.choices, let seed = cell.torture?.seed else { return [] }
        guard !choices.isEmpty else { return ["fails without a choice of the device, too"] }
        let known = TortureChoice.allCases.filter { choices.contains("\($0.name)") }
        return ["fails with --torture=\(seed),\(choices.joined(separator: ",")) alone"]
            + known.map { "\($0.name) (\($0.clause)): \($0.sentence)" }
    }
}

extension SweepCell {
    /// The torture of the cell; nil if it has none.
    fileprivate var torture: Torture? {
        values.first { $0.key == "torture" }.flatMap { try? Torture(option: $0.value) }
    }
}
