// The steps of a random walk: generation and shrinking. A step is a value that is valid in every state, possibly
// without effect, so a list of steps and any part of it can be repeated.

/// One step. `pick` selects among the candidates present when the step is made.
struct WalkStep: CustomStringConvertible {
    enum Kind: CaseIterable {
        // The driver.
        case offer, offerMuch, kick, suspend, resume, abort, oddStatus, failedBit, reset, bringUp, acknowledge
        case queueReset, queueStop, queueStart, select, frozenWrite
        // The host.
        case complete, completeAll, fail, ready, deadline, fatal, change, worker, input
    }

    let kind: Kind
    let pick: Int

    var description: String { "\(kind) \(pick)" }

    /// Steps that keep a device running are more frequent than those that stop it.
    private static let weighted: [Kind] = Kind.allCases.flatMap { kind in
        switch kind {
        case .fatal, .failedBit, .reset: [kind]
        case .deadline, .queueReset, .queueStop, .oddStatus, .abort: [kind, kind]
        case .offer, .kick, .complete, .suspend, .resume, .ready, .bringUp: Array(repeating: kind, count: 12)
        default: Array(repeating: kind, count: 4)
        }
    }

    /// The steps of the walk with `seed`.
    static func walk(seed: UInt64, length: Int) -> [WalkStep] {
        var generator = SplitMix64(seed: seed)
        return (0..<length).map { _ in
            let kind = weighted[Int(generator.next() % UInt64(weighted.count))]
            return WalkStep(kind: kind, pick: Int(generator.next() % 997))
        }
    }

    /// Removes steps, in ever smaller groups, as long as `fails` holds for the rest (delta debugging).
    static func shrink(_ steps: [WalkStep], _ fails: ([WalkStep]) -> Bool) -> [WalkStep] {
        var steps = steps
        var size = steps.count / 2
        while size > 0 {
            var start = 0
            while start < steps.count {
                var shorter = steps
                shorter.removeSubrange(start..<min(start + size, steps.count))
                if fails(shorter) { steps = shorter } else { start += size }
            }
            size /= 2
        }
        return steps
    }
}
