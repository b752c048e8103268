// The rows of disk writes: random and sequential, through the page cache and past it, with and without a flush after each.

/// The form of a write.
struct WriteForm: Sendable {
    let cache: Cache
    let flushes: Bool

    static let all = Cache.allCases.flatMap { cache in [false, true].map { WriteForm(cache: cache, flushes: $0) } }

    /// Added to the name of the row.
    var suffix: String { (cache == .direct ? "-direct" : "") + (flushes ? "-flush" : "") }
    var text: String { cache.rawValue + (flushes ? ", a flush after each" : "") }

    /// The names of a group's rows, without that of the group.
    static func rowNames(_ group: String) -> [String] { all.map { group + $0.suffix }.filter { $0 != group } }
}

extension Setup {
    /// Random writes of 4 KiB at one depth.
    func randomWriteRows(depth: Int) -> [Row] {
        WriteForm.all.map { form in
            let writes = count(form.flushes ? 1_000 : depth == 1 ? 10_000 : 40_000)
            var row = writeRow(
                "write-\(depth)\(form.suffix)", "random writes of 4 KiB, \(depth) in flight, \(form.text)", "blk-write",
                form,
                writes, depth: depth, size: 4096, unit: "IOPS", unitsOfAWrite: 1,
                budget: .ratioAtLeast(form.cache == .direct || depth == 1 ? 1.25 : 2, to: "qemu"))
            if depth > 1 && form.cache == .direct && !form.flushes {
                row.candidates.append(fio("randwrite", scratch, depth: depth))
            }
            return row
        }
    }

    /// Sequential writes of 128 KiB, 16 in flight, from 16 buffers; the C program has one in flight, and the same buffers.
    func sequentialWriteRows() -> [Row] {
        WriteForm.all.map { form in
            writeRow(
                "write-sequential\(form.suffix)", "sequential writes of 128 KiB, \(form.text)", "blk-seq-write", form,
                count(form.flushes ? 500 : 4_000), depth: 16, size: 128 << 10, unit: "MiB/s", unitsOfAWrite: 0.125,
                budget: .ratioAtLeast(0.9, to: "C pwritev"))
        }
    }

    private func writeRow(
        _ name: String, _ what: String, _ benchmark: String, _ form: WriteForm, _ writes: Int, depth: Int, size: Int,
        unit: String, unitsOfAWrite: Double, budget: Budget
    ) -> Row {
        let words =
            "bench=\(benchmark),count=\(writes),depth=\(depth),size=\(size),flush=\(form.flushes ? 1 : 0)\(diskWords)"
        let value = { (run: GuestRun) in Double(run.count) * unitsOfAWrite / run.seconds }
        let program = [
            "\(peers)/transfer", form.flushes ? "flush" : "write", benchmark == "blk-write" ? "random" : "sequential",
            scratch, "\(size)", "\(writes)", "\(depth)", form.cache.rawValue,
        ]
        var row = Row(
            name: name, what: what, unit: unit, moreIsBetter: true, budget: budget,
            candidates: [
                diskCandidate(benchmark, words, form.cache, writes: true, value),
                timed("C pwritev", program, work: Double(writes) * unitsOfAWrite, operations: writes),
            ])
        row.addQEMU(benchmark, words, form.cache, self, writes: true, value)
        return row
    }
}
