// A row of the table: the measurements of vmm and of the programs it is compared with, and the budget.

/// A measurement.
struct Sample {
    /// In the row's unit.
    let value: Double
    /// Processor time of all threads of the process for one operation, in microseconds; nil if it was not measured.
    var processorMicroseconds: Double?
}

/// A program, or a form of one, that is measured, with the samples taken so far.
struct Candidate {
    let name: String
    /// The command that is run, for the report; it includes the guest's command line.
    let command: [String]
    /// Takes one sample.
    let sample: (() throws(BenchError) -> Sample)?
    var samples: [Double] = []
    /// Processor time for one operation, of the samples that have it, in microseconds.
    var processorSamples: [Double] = []
    /// Why there are no samples.
    var missing: String?

    init(_ name: String, _ command: [String], measure: @escaping () throws(BenchError) -> Sample) {
        (self.name, self.command, sample) = (name, command, measure)
    }

    /// A candidate without processor time.
    init(_ name: String, _ command: [String] = [], sample: @escaping () throws(BenchError) -> Double) {
        self.init(name, command, measure: { () throws(BenchError) in Sample(value: try sample()) })
    }

    /// A candidate that cannot be measured.
    init(_ name: String, missing: String) {
        (self.name, command, sample, self.missing) = (name, [], nil, missing)
    }

    /// A candidate with one sample, a count, which is the same in every run.
    init(_ name: String, count: Double) {
        (self.name, command, sample, samples) = (name, [], nil, [count])
    }
}

/// The limit that vmm's result has to keep.
enum Budget {
    /// vmm's median divided by that of the candidate with this name.
    case ratioAtMost(Double, to: String)
    case ratioAtLeast(Double, to: String)
    /// vmm's median.
    case atMost(Double)
    case none
}

/// One quantity, measured of several candidates.
struct Row {
    let name: String
    let what: String
    let unit: String
    /// Whether the quantity is a rate, and not a time or a size.
    let moreIsBetter: Bool
    let budget: Budget
    /// Multiplies the number of samples, for samples that take little time.
    var runsFactor = 1
    /// Bytes of an operation, whose rate is shown too.
    var operationBytes: Int?
    /// Whether all candidates are forms of vmm; then the worst of them has to meet the budget.
    var comparesForms = false
    /// vmm is the first.
    var candidates: [Candidate]
    /// Additional results, by name.
    var notes: [(name: String, value: JSON)] = []

    /// Takes `runs` samples of each candidate, in turn, so that other load on the machine affects all of them.
    mutating func measure(runs: Int) {
        for _ in 0..<runs * runsFactor {
            for index in candidates.indices where candidates[index].missing == nil {
                guard let sample = candidates[index].sample else { continue }
                do throws(BenchError) {
                    let result = try sample()
                    candidates[index].samples.append(result.value)
                    if let time = result.processorMicroseconds { candidates[index].processorSamples.append(time) }
                } catch {
                    candidates[index].missing = error.description
                }
            }
        }
    }

    private func median(_ name: String) -> Double? {
        candidates.first { $0.name == name && $0.missing == nil }?.samples.median
    }

    /// vmm's median divided by the candidate's.
    func ratio(to name: String) -> Double? {
        guard !comparesForms, let first = candidates.first, first.name != name, let own = median(first.name),
            let other = median(name), other > 0
        else { return nil }
        return own / other
    }

    /// Whether the budget was met; nil if there is none, or if a candidate is missing.
    var isMet: Bool? {
        switch budget {
        case .ratioAtMost(let most, let name): ratio(to: name).map { $0 <= most }
        case .ratioAtLeast(let least, let name): ratio(to: name).map { $0 >= least }
        case .atMost(let most):
            (comparesForms ? candidates[...] : candidates.prefix(1)).reduce(true) { met, candidate in
                guard let met, let value = median(candidate.name), value.isFinite else { return nil }
                return met && value <= most
            }
        case .none: nil
        }
    }

    var budgetText: String {
        switch budget {
        case .ratioAtMost(let most, let name): "<= \(most)x \(name)"
        case .ratioAtLeast(let least, let name): ">= \(least)x \(name)"
        case .atMost(let most): "<= \(Report.number(most)) \(unit)"
        case .none: ""
        }
    }
}
