// TAP, the Test Anything Protocol, versions 12 to 14, as far as it says whether all is well.

/// Reads TAP line by line; of documents one after another, each is held to its own plan.
struct TAPReader {
    /// What is wrong, in order.
    private(set) var problems: [String] = []
    private var plan: Int?
    private var results = 0
    private var hasDocument = false

    /// Reads a line. Lines that are indented, as those of a subtest, say nothing.
    mutating func read(_ line: String) {
        if line.hasPrefix("TAP version") { return endDocument() }
        if line.hasPrefix("Bail out!") { return problems.append(line) }
        if line.hasPrefix("1.."), let count = Int(line.dropFirst(3).prefix { $0.isNumber }) {
            // A plan stands in front of its results or behind them.
            let isBehind = plan == nil && results > 0
            if !isBehind { endDocument() }
            plan = count
            return isBehind ? endDocument() : ()
        }
        let isFailure = line.hasPrefix("not ok")
        let rest = line.dropFirst(isFailure ? 6 : 2)
        guard isFailure || line.hasPrefix("ok"), rest.first ?? " " == " " else { return }
        results += 1
        if isFailure, !line.lowercased().contains(" # todo") { problems.append(line) }
    }

    /// The output has ended.
    mutating func finish() {
        endDocument()
        if !hasDocument { problems.append("no TAP on the console") }
    }

    private mutating func endDocument() {
        guard plan != nil || results > 0 else { return }
        if plan != results {
            problems.append("TAP: \(plan.map { "\($0) results planned" } ?? "no plan"), \(results) results")
        }
        (plan, results, hasDocument) = (nil, 0, true)
    }
}
