// The rows of the devices' throughput: disk reads and console output, compared with QEMU running the same guest.

import Glibc

extension Setup {
    /// Random reads of 4 KiB at one depth, through the page cache and with O_DIRECT.
    func randomRows(depth: Int) -> [Row] {
        Cache.allCases.map { cache in
            let words = "bench=blk-read,count=\(count(depth == 1 ? 10_000 : 40_000)),depth=\(depth)\(diskWords)"
            let value = { (run: GuestRun) in Double(run.count) / run.seconds }
            var row = Row(
                name: "random-\(depth)\(cache == .direct ? "-direct" : "")",
                what: "random reads of 4 KiB, \(depth) in flight, \(cache.rawValue)", unit: "IOPS",
                moreIsBetter: true, budget: .ratioAtLeast(cache == .direct || depth == 1 ? 1.25 : 2, to: "qemu"),
                candidates: [diskCandidate("blk-read", words, cache, value)])
            row.addQEMU("blk-read", words, cache, self, value)
            if depth > 1 && cache == .direct { row.candidates.append(fio("randread", disk, depth: depth)) }
            return row
        }
    }

    /// What the host's disk can do, without a guest: fio on the same file, 4 KiB, past the page cache.
    func fio(_ pattern: String, _ file: String, depth: Int) -> Candidate {
        guard Self.isInstalled("fio") else { return Candidate("fio", missing: "not installed") }
        // Terse output, format 3: fields separated by semicolons; read IOPS is the eighth, write IOPS the 49th.
        let command = [
            "fio", "--name=bench", "--filename=\(file)", "--rw=\(pattern)", "--bs=4k", "--iodepth=\(depth)",
            "--direct=1",
            "--ioengine=io_uring", "--number_ios=\(count(40_000))", "--minimal", "--terse-version=3",
        ]
        return Candidate("fio", command) { () throws(BenchError) in
            settle()
            var child = try Child(command)
            let fields = try child.readToEnd().split(separator: ";", omittingEmptySubsequences: false)
            let place = pattern == "randread" ? 7 : 48
            guard fields.count > place, let rate = Double(fields[place]), rate > 0 else {
                throw BenchError("fio: \(child.lastErrorLine)")
            }
            return rate
        }
    }

    /// The cost of the conformance checks and of the trace: random reads of 4 KiB, 32 in flight, from the page cache,
    /// so that the host's disk does not hide the cost.
    func conformRows() -> [Row] {
        let words = "bench=blk-read,count=\(count(40_000)),depth=32\(diskWords)"
        let command = vmmCommand(words, disk: vmmDisk(.buffered))
        func form(_ name: String, _ options: [String]) -> Candidate {
            candidate(name, "blk-read", command + options, codes: Self.vmmCodes) { Double($0.count) / $0.seconds }
        }
        let off = form("conform off", ["--conform", "off"])
        func row(_ name: String, _ what: String, _ options: [String], _ budget: Budget) -> Row {
            Row(
                name: name, what: "random reads of 4 KiB, 32 in flight, \(what)", unit: "IOPS", moreIsBetter: true,
                budget: budget, candidates: [form("vmm", options), off])
        }
        return [
            row("conform-report", "with conformance checks", [], .ratioAtLeast(0.9, to: "conform off")),
            row("trace", "with a trace file", ["--trace", "/dev/shm/vmm-bench-\(getpid()).trace"], .none),
        ]
    }

    /// Sequential reads of 128 KiB, 16 in flight, into 16 buffers; the C program has one in flight, and the same
    /// buffers.
    func sequentialRows() -> [Row] {
        let (depth, size) = (16, 128 << 10)
        return Cache.allCases.map { cache in
            let reads = count(cache == .direct ? 4_000 : 12_000)
            let words = "bench=blk-seq,count=\(reads),depth=\(depth),size=\(size)\(diskWords)"
            let bytes = Double(size) / 1_048_576
            let value = { (run: GuestRun) in Double(run.count) * bytes / run.seconds }
            let program = [
                "\(peers)/transfer", "read", "sequential", disk, "\(size)", "\(reads)", "\(depth)", cache.rawValue,
            ]
            var row = Row(
                name: "sequential\(cache == .direct ? "-direct" : "")",
                what: "sequential reads of 128 KiB, \(cache.rawValue)", unit: "MiB/s", moreIsBetter: true,
                budget: .ratioAtLeast(0.9, to: "C preadv"),
                candidates: [
                    diskCandidate("blk-seq", words, cache, value),
                    timed("C preadv", program, work: Double(reads) * bytes, operations: reads),
                ])
            row.addQEMU("blk-seq", words, cache, self, value)
            return row
        }
    }

    /// Console output to a file on tmpfs, timed by the guest. A file, because QEMU's console drops what a full pipe
    /// does not accept, and because no reader's time is measured then.
    func consoleRows() -> [Row] {
        let bytes = count(32 << 20)
        let words = "bench=console,count=\(bytes),size=4096,depth=8"
        let file = "/dev/shm/vmm-bench-\(getpid()).console"
        func candidate(_ name: String, _ command: [String], codes: [Int32], clock: [String]) -> Candidate {
            guard Self.isInstalled(command[0]) else { return Candidate(name, missing: "not installed") }
            var frequency: Double?
            return Candidate(name, command) { () throws(BenchError) in
                if frequency == nil {
                    let run = try GuestRun("mmio", clock, codes: codes)
                    frequency = Double(run.ticks) / run.seconds
                }
                defer { unsafe unlink(file) }
                var child = try Child(command)
                try child.finish(codes)
                let run = try GuestRun("console", output: String(file: file))
                // Lost output would look fast, so the bytes in the file are counted.
                guard run.bytes == bytes, let frequency else {
                    throw BenchError("the guest wrote \(bytes) bytes, the file has \(run.bytes)")
                }
                return Double(bytes) / (Double(run.ticks) / frequency) / 1e6
            }
        }
        let clock = "bench=mmio,count=20000"
        return [
            Row(
                name: "console", what: "console output, 4 KiB buffers, 8 in flight", unit: "MB/s", moreIsBetter: true,
                budget: .ratioAtLeast(2, to: "qemu"),
                candidates: [
                    candidate(
                        "vmm", vmmCommand(words) + ["--console", "file=\(file)"], codes: Self.vmmCodes,
                        clock: vmmCommand(clock)),
                    candidate(
                        "qemu", qemuCommand(words, console: "file,path=\(file)"), codes: Self.qemuCodes,
                        clock: qemuCommand(clock)),
                    timed(
                        "C write", ["\(peers)/write", file, "32768", "\(bytes >> 15)"],
                        work: Double((bytes >> 15) << 15) / 1e6),
                ])
        ]
    }

    /// A candidate whose program prints the seconds it needed for `work`, which is in the row's unit; and the processor
    /// seconds, if it did `operations`.
    func timed(_ name: String, _ program: [String], work: Double, operations: Int? = nil) -> Candidate {
        Candidate(
            name, program,
            measure: { () throws(BenchError) in
                settle()
                var child = try Child(program)
                let numbers = try child.readToEnd().split { $0 == " " || $0 == "\n" }.compactMap { Double($0) }
                guard numbers.count == (operations == nil ? 1 : 2) else {
                    throw BenchError("\(name): \(child.lastErrorLine)")
                }
                return Sample(
                    value: work / numbers[0], processorMicroseconds: operations.map { numbers[1] / Double($0) * 1e6 })
            })
    }

    /// vmm with a disk, if that vmm supports the disk's options.
    func diskCandidate(
        _ name: String, _ words: String, _ cache: Cache, writes: Bool = false, _ value: @escaping (GuestRun) -> Double
    ) -> Candidate {
        let image = vmmDisk(cache, writes: writes)
        do throws(BenchError) {
            var child = try Child(vmmCommand("bench=exit", disk: image))
            do throws(BenchError) { try child.finish() } catch {
                let isUsage = error.description.contains("ended with 64")
                return Candidate("vmm", missing: isUsage ? "not offered by this vmm" : error.description)
            }
        } catch { return Candidate("vmm", missing: error.description) }
        return vmmCandidate(name, words, disk: image, value)
    }
}

extension Row {
    /// Tries each of QEMU's I/O modes once, and adds the fastest as a candidate.
    mutating func addQEMU(
        _ name: String, _ words: String, _ cache: Cache, _ setup: Setup, writes: Bool = false,
        _ value: @escaping (GuestRun) -> Double
    ) {
        guard Setup.isInstalled(setup.qemu) else {
            candidates.append(Candidate("qemu", missing: "not installed"))
            return
        }
        var best: (mode: QEMUMode, value: Double)?
        var tried: [(String, JSON)] = []
        var failure = ""
        for mode in QEMUMode.all(cache) {
            let command = setup.qemuCommand(words, mode: mode, cache: cache, writes: writes)
            do throws(BenchError) {
                setup.settle()
                let result = value(try GuestRun(name, command, codes: Setup.qemuCodes))
                tried.append((mode.name, .double(result)))
                if result > best?.value ?? 0 { best = (mode, result) }
            } catch {
                failure = error.description
                tried.append((mode.name, .string(failure)))
            }
        }
        notes.append(("qemuModes", .members(tried)))
        guard let best else {
            candidates.append(Candidate("qemu", missing: failure))
            return
        }
        notes.append(("note", .string("qemu's best of \(tried.count): \(best.mode.name)")))
        let command = setup.qemuCommand(words, mode: best.mode, cache: cache, writes: writes)
        candidates.append(setup.candidate("qemu", name, command, codes: Setup.qemuCodes, value))
    }
}
