// The rows about what goes through the devices: the disk's reads and the console's bytes, against QEMU with the same guest.

import Glibc

extension Setup {
    /// Random reads of 4 KiB at one depth, through the page cache and past it.
    func randomRows(depth: Int) -> [Row] {
        Cache.allCases.map { cache in
            let words = "bench=blk-read,count=\(count(depth == 1 ? 10_000 : 40_000)),depth=\(depth)\(diskWords)"
            let value = { (run: GuestRun) in Double(run.count) / run.seconds }
            var row = Row(
                name: "random-\(depth)\(cache == .direct ? "-direct" : "")",
                what: "random reads of 4 KiB, \(depth) in flight, \(cache.rawValue)", unit: "IOPS",
                moreIsBetter: true, budget: .ratioAtLeast(depth == 1 ? 1 : 1.5, to: "qemu"),
                contestants: [diskContestant("blk-read", words, cache, value)])
            row.addQEMU("blk-read", words, cache, self, value)
            return row
        }
    }

    /// What it costs to look at the driver, and to write down all that happens: random reads of 4 KiB, 32 in flight, from the page
    /// cache, so that the host's disk hides none of it.
    func conformRows() -> [Row] {
        let words = "bench=blk-read,count=\(count(40_000)),depth=32\(diskWords)"
        let command = vmmCommand(words, disk: vmmDisk(.buffered))
        func form(_ name: String, _ options: [String]) -> Peer {
            Peer(name, command + options) { () throws(BenchError) in
                let run = try GuestRun("blk-read", command + options, codes: Self.vmmCodes)
                return Double(run.count) / run.seconds
            }
        }
        let off = form("conform off", ["--conform", "off"])
        func row(_ name: String, _ what: String, _ options: [String], _ budget: Budget) -> Row {
            Row(
                name: name, what: "random reads of 4 KiB, 32 in flight, \(what)", unit: "IOPS", moreIsBetter: true,
                budget: budget, contestants: [form("vmm", options), off])
        }
        return [
            row("conform-report", "the driver looked at", [], .ratioAtLeast(0.9, to: "conform off")),
            row("trace", "all of it written to a file", ["--trace", "/dev/shm/vmm-bench-\(getpid()).trace"], .none),
        ]
    }

    /// Sequential reads of 128 KiB, 16 in flight, into 16 buffers; the C program has one in flight, and the same buffers.
    func sequentialRows() -> [Row] {
        let (depth, size) = (16, 128 << 10)
        return Cache.allCases.map { cache in
            let reads = count(cache == .direct ? 4_000 : 12_000)
            let words = "bench=blk-seq,count=\(reads),depth=\(depth),size=\(size)\(diskWords)"
            let bytes = Double(size) / 1_048_576
            let value = { (run: GuestRun) in Double(run.count) * bytes / run.seconds }
            let program = ["\(peers)/preadv", disk, "\(size)", "\(reads)", "\(depth)", cache.rawValue]
            var row = Row(
                name: "sequential\(cache == .direct ? "-direct" : "")",
                what: "sequential reads of 128 KiB, \(cache.rawValue)", unit: "MiB/s", moreIsBetter: true,
                budget: .ratioAtLeast(0.9, to: "C preadv"),
                contestants: [
                    diskContestant("blk-seq", words, cache, value),
                    timed("C preadv", program, work: Double(reads) * bytes),
                ])
            row.addQEMU("blk-seq", words, cache, self, value)
            return row
        }
    }

    /// Output of the console into a file in memory, timed by the guest: QEMU's console drops what a full pipe does not take,
    /// and with a file nobody's reading is part of the number.
    func consoleRows() -> [Row] {
        let bytes = count(32 << 20)
        let words = "bench=console,count=\(bytes),size=4096,depth=8"
        let file = "/dev/shm/vmm-bench-\(getpid()).console"
        func peer(_ name: String, _ command: [String], codes: [Int32], clock: [String]) -> Peer {
            guard Self.isInstalled(command[0]) else { return Peer(name, missing: "not installed") }
            var frequency: Double?
            return Peer(name, command) { () throws(BenchError) in
                if frequency == nil {
                    let run = try GuestRun("mmio", clock, codes: codes)
                    frequency = Double(run.ticks) / run.seconds
                }
                defer { unsafe unlink(file) }
                var child = try Child(command)
                try child.finish(codes)
                let run = try GuestRun("console", output: String(file: file))
                // What arrived is counted: output that is lost would be fast.
                guard run.bytes == bytes, let frequency else {
                    throw BenchError("\(bytes) bytes were written, \(run.bytes) arrived")
                }
                return Double(bytes) / (Double(run.ticks) / frequency) / 1e6
            }
        }
        let clock = "bench=mmio,count=20000"
        return [
            Row(
                name: "console", what: "console output, 4 KiB buffers, 8 in flight", unit: "MB/s", moreIsBetter: true,
                budget: .ratioAtLeast(2, to: "qemu"),
                contestants: [
                    peer(
                        "vmm", vmmCommand(words) + ["--console", "file=\(file)"], codes: Self.vmmCodes,
                        clock: vmmCommand(clock)),
                    peer(
                        "qemu", qemuCommand(words, console: "file,path=\(file)"), codes: Self.qemuCodes,
                        clock: qemuCommand(clock)),
                    timed(
                        "C write", ["\(peers)/write", file, "32768", "\(bytes >> 15)"],
                        work: Double((bytes >> 15) << 15) / 1e6),
                ])
        ]
    }

    /// A program that prints the seconds that `work` took it, in the row's unit.
    private func timed(_ name: String, _ program: [String], work: Double) -> Peer {
        Peer(name, program) { () throws(BenchError) in
            var child = try Child(program)
            let text = try child.readToEnd()
            guard let seconds = Double(text.filter { $0 != "\n" }) else {
                throw BenchError("\(name): \(child.complaint)")
            }
            return work / seconds
        }
    }

    /// vmm with a disk, if it knows the disk's options.
    private func diskContestant(
        _ name: String, _ words: String, _ cache: Cache, _ value: @escaping (GuestRun) -> Double
    ) -> Peer {
        do throws(BenchError) {
            var child = try Child(vmmCommand("bench=exit", disk: vmmDisk(cache)))
            do throws(BenchError) { try child.finish() } catch {
                let isUsage = error.description.contains("ended with 64")
                return Peer("vmm", missing: isUsage ? "not offered by this vmm" : error.description)
            }
        } catch { return Peer("vmm", missing: error.description) }
        return vmmContestant(name, words, disk: vmmDisk(cache), value)
    }
}

extension Row {
    /// Tries QEMU's ways of doing I/O once each, and takes the best of them as the peer.
    fileprivate mutating func addQEMU(
        _ name: String, _ words: String, _ cache: Cache, _ setup: Setup, _ value: @escaping (GuestRun) -> Double
    ) {
        guard Setup.isInstalled(setup.qemu) else {
            contestants.append(Peer("qemu", missing: "not installed"))
            return
        }
        var best: (mode: QEMUMode, value: Double)?
        var tried: [(String, JSON)] = []
        var failure = ""
        for mode in QEMUMode.all(cache) {
            let command = setup.qemuCommand(words, mode: mode, cache: cache)
            do throws(BenchError) {
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
            contestants.append(Peer("qemu", missing: failure))
            return
        }
        notes.append(("note", .string("qemu's best of \(tried.count): \(best.mode.name)")))
        contestants.append(
            setup.peer(
                "qemu", name, setup.qemuCommand(words, mode: best.mode, cache: cache), codes: Setup.qemuCodes, value))
    }
}
