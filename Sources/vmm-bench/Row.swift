// A row of the table: what was measured of vmm and of others, and what was promised.

/// Something that is measured, with the samples taken so far.
struct Peer {
    let name: String
    /// What is run, for the report; the guest's words are in it.
    let command: [String]
    /// Takes one sample, in the row's unit.
    let sample: (() throws(BenchError) -> Double)?
    var samples: [Double] = []
    /// Why there are none.
    var missing: String?

    init(_ name: String, _ command: [String] = [], sample: @escaping () throws(BenchError) -> Double) {
        (self.name, self.command, self.sample) = (name, command, sample)
    }

    /// One that cannot take part.
    init(_ name: String, missing: String) {
        (self.name, command, sample, self.missing) = (name, [], nil, missing)
    }

    /// One whose number needs no second look: a count.
    init(_ name: String, count: Double) {
        (self.name, command, sample, samples) = (name, [], nil, [count])
    }
}

/// What was promised.
enum Budget {
    /// vmm's median over that of the peer with this name.
    case ratioAtMost(Double, to: String)
    case ratioAtLeast(Double, to: String)
    /// vmm's median itself.
    case atMost(Double)
    case none
}

/// A row.
struct Row {
    let name: String
    let what: String
    let unit: String
    /// A rate, not a time or a size.
    let moreIsBetter: Bool
    let budget: Budget
    /// How many times as many samples are taken as of others, where one is short.
    var runsFactor = 1
    /// All contestants are vmm, in several forms, and the worst has to keep the promise.
    var isOfForms = false
    /// vmm comes first.
    var contestants: [Peer]
    /// What else there is to say, by name.
    var notes: [(name: String, value: JSON)] = []

    /// Takes `runs` samples of each, in turn, so that what disturbs the machine disturbs all.
    mutating func measure(runs: Int) {
        for _ in 0..<runs * runsFactor {
            for index in contestants.indices where contestants[index].missing == nil {
                guard let sample = contestants[index].sample else { continue }
                do throws(BenchError) {
                    contestants[index].samples.append(try sample())
                } catch {
                    contestants[index].missing = error.description
                }
            }
        }
    }

    private func median(_ name: String) -> Double? {
        contestants.first { $0.name == name && $0.missing == nil }?.samples.median
    }

    /// vmm's median over the peer's.
    func ratio(to peer: String) -> Double? {
        guard !isOfForms, let first = contestants.first, first.name != peer, let own = median(first.name),
            let other = median(peer), other > 0
        else { return nil }
        return own / other
    }

    /// Whether the promise was kept; nil where there is none, or something is missing.
    var isMet: Bool? {
        switch budget {
        case .ratioAtMost(let most, let peer): ratio(to: peer).map { $0 <= most }
        case .ratioAtLeast(let least, let peer): ratio(to: peer).map { $0 >= least }
        case .atMost(let most):
            (isOfForms ? contestants[...] : contestants.prefix(1)).reduce(true) { met, one in
                guard let met, let value = median(one.name), value.isFinite else { return nil }
                return met && value <= most
            }
        case .none: nil
        }
    }

    var budgetText: String {
        switch budget {
        case .ratioAtMost(let most, let peer): "<= \(most)x \(peer)"
        case .ratioAtLeast(let least, let peer): ">= \(least)x \(peer)"
        case .atMost(let most): "<= \(Report.number(most)) \(unit)"
        case .none: ""
        }
    }
}
