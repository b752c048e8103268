// The rows about the device model alone: requests a second, and under callgrind what one request costs in instructions and
// in allocations.

import Glibc

extension Setup {
    /// Requests a second, by form and by requests in flight.
    func chainRows() -> [Row] {
        ChainForm.all.map { form in
            Row(
                name: "chain " + form.name, what: "512-byte reads through the model, no KVM", unit: "requests/s",
                moreIsBetter: true, budget: .none,
                isOfForms: true,
                contestants: [1, 8, 64].map { inFlight in
                    var form = form
                    form.inFlight = inFlight
                    return Peer("\(inFlight) in flight") { () throws(BenchError) in
                        let start = ContinuousClock.now
                        guard let count = ChainLoop.run(form, requests: count(200_000)) else {
                            throw BenchError("requests were not answered")
                        }
                        return Double(count) / (ContinuousClock.now - start).seconds
                    }
                })
        }
    }

    /// Two lengths of the same run: the difference is what requests cost, without the start of the program.
    func costRows() -> [Row] {
        guard Self.isInstalled("valgrind") else {
            return [
                Row(
                    name: "chain cost", what: "", unit: "", moreIsBetter: false, budget: .none,
                    contestants: [Peer("vmm", missing: "valgrind is not installed")])
            ]
        }
        var instructions: [Peer] = []
        var allocations: [Peer] = []
        let unseen = ChainForm.all.map {
            var form = $0
            form.isLookedAt = false
            return form
        }
        for form in unseen + ChainForm.all {
            do throws(BenchError) {
                let few = try Cost(form, requests: 2_000)
                let many = try Cost(form, requests: 6_000)
                guard few.allocations > 0 else { throw BenchError("callgrind saw no call of malloc at all") }
                let perRequest = { (more: Int, less: Int) in Double(more - less) / 4_000 }
                instructions.append(Peer(form.name, count: perRequest(many.instructions, few.instructions)))
                allocations.append(Peer(form.name, count: perRequest(many.allocations, few.allocations)))
            } catch {
                instructions.append(Peer(form.name, missing: error.description))
                allocations.append(Peer(form.name, missing: error.description))
            }
        }
        return [
            Row(
                name: "chain instructions", what: "a 512-byte read, 8 in flight, callgrind", unit: "a request",
                moreIsBetter: false, budget: .none, isOfForms: true, contestants: instructions),
            Row(
                name: "chain allocations", what: "the same, calls of malloc and its like", unit: "a request",
                moreIsBetter: false, budget: .atMost(0), isOfForms: true, contestants: allocations),
        ]
    }
}

/// What callgrind counted of a run of the chain loop.
struct Cost {
    let instructions: Int
    let allocations: Int

    private static let allocators: Set<Substring> = [
        "malloc", "calloc", "realloc", "memalign", "posix_memalign", "aligned_alloc",
        "__libc_malloc", "__libc_calloc", "__libc_realloc", "__libc_memalign",
    ]

    init(_ form: ChainForm, requests: Int) throws(BenchError) {
        let file = "/tmp/vmm-bench-\(getpid()).callgrind"
        defer { unsafe unlink(file) }
        var words = ["valgrind", "--tool=callgrind", "--callgrind-out-file=\(file)", "/proc/\(getpid())/exe", "chain"]
        words += ["--requests", "\(requests)", "--in-flight", "\(form.inFlight)"]
        if form.isPacked { words.append("--packed") }
        if form.isIndirect { words.append("--indirect") }
        if !form.isLookedAt { words.append("--conform-off") }
        var child = try Child(words, deadline: .seconds(60))
        try child.finish()

        var total = 0
        var calls = 0
        var names: [Substring: Substring] = [:]
        var callee: Substring = ""
        for line in String(file: file).split(separator: "\n") {
            if line.hasPrefix("summary:") || line.hasPrefix("totals:") {
                total = Int(line.split(separator: " ").last ?? "") ?? total
            } else if line.hasPrefix("fn=") || line.hasPrefix("cfn=") {
                let parts = line.drop { $0 != "(" }.split(separator: " ", maxSplits: 1)
                if parts.count == 2 { names[parts[0]] = parts[1].split(separator: "'").first }
                if line.hasPrefix("cfn=") { callee = names[parts[0]] ?? "" }
            } else if line.hasPrefix("calls="), Self.allocators.contains(callee) {
                calls += Int(line.dropFirst("calls=".count).prefix { $0 != " " }) ?? 0
            }
        }
        guard total > 0 else { throw BenchError("callgrind left no total") }
        (instructions, allocations) = (total, calls)
    }
}
