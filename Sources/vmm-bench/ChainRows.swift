// The rows of the device model alone: requests per second and, under callgrind, instructions and allocations per
// request.

import Glibc

extension Setup {
    /// Requests per second, by ring form and by requests in flight.
    func chainRows() -> [Row] {
        ChainForm.all.map { form in
            Row(
                name: form.rowName, what: "512-byte reads through the model, no KVM", unit: "requests/s",
                moreIsBetter: true, budget: .none,
                comparesForms: true,
                candidates: [1, 8, 64].map { inFlight in
                    var form = form
                    form.inFlight = inFlight
                    return Candidate("\(inFlight) in flight") { () throws(BenchError) in
                        let start = ContinuousClock.now
                        guard let count = ChainLoop.run(form, requests: count(200_000)) else {
                            throw BenchError("requests were not completed")
                        }
                        return Double(count) / (ContinuousClock.now - start).seconds
                    }
                })
        }
    }

    /// Instructions and allocations per request: the difference of two runs of different length, which excludes the
    /// program's start.
    func costRows() -> [Row] {
        guard Self.isInstalled("valgrind") else {
            return [
                Row(
                    name: "chain-instructions", what: "", unit: "", moreIsBetter: false, budget: .none,
                    candidates: [Candidate("vmm", missing: "valgrind is not installed")])
            ]
        }
        var instructions: [Candidate] = []
        var allocations: [Candidate] = []
        let unchecked = ChainForm.all.map {
            var form = $0
            form.isChecked = false
            return form
        }
        for form in unchecked + ChainForm.all {
            do throws(BenchError) {
                let few = try Cost(form, requests: 2_000)
                let many = try Cost(form, requests: 6_000)
                guard few.allocations > 0 else { throw BenchError("callgrind counted no call of malloc") }
                let perRequest = { (more: Int, less: Int) in Double(more - less) / 4_000 }
                instructions.append(Candidate(form.name, count: perRequest(many.instructions, few.instructions)))
                allocations.append(Candidate(form.name, count: perRequest(many.allocations, few.allocations)))
            } catch {
                instructions.append(Candidate(form.name, missing: error.description))
                allocations.append(Candidate(form.name, missing: error.description))
            }
        }
        return [
            Row(
                name: "chain-instructions", what: "a 512-byte read, 8 in flight, callgrind", unit: "a request",
                moreIsBetter: false, budget: .none, comparesForms: true, candidates: instructions),
            Row(
                name: "chain-allocations", what: "the same, calls of allocation functions", unit: "a request",
                moreIsBetter: false, budget: .atMost(0), comparesForms: true, candidates: allocations),
        ]
    }
}

/// What callgrind counted in a run of the chain loop.
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
        if !form.isChecked { words.append("--conform-off") }
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
        guard total > 0 else { throw BenchError("callgrind's output has no total") }
        (instructions, allocations) = (total, calls)
    }
}
