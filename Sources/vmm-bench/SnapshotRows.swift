// The rows of snapshots: the start of a machine from one beside a cold start, alone and many at a time, and how long a guest stands still
// for one.

import Glibc

extension Setup {
    /// vmm with a guest of `memory` bytes that is written to `folder` when its benchmark begins, and goes on.
    private func snapshotCommand(_ words: String, _ memory: String, _ folder: String, _ options: [String] = [])
        -> [String]
    {
        vmmCommand("bench=\(words)", memory: memory) + options
            + ["--snapshot-at", "bench \(words.prefix { $0 != "," }) begin", "--snapshot-to", folder]
    }

    /// The time from the start of the process to its end. The guest of the snapshot, once restored, reads a register and powers off.
    private func restored(_ name: String, _ memory: String) -> Candidate {
        let folder = "\(peers)/snapshot-\(memory)"
        do throws(BenchError) {
            var child = try Child(snapshotCommand("mmio,count=1", memory, folder))
            try child.finish()
        } catch { return Candidate(name, missing: error.description) }
        return lifetimeCandidate(name, [vmm, "--restore", folder], Self.vmmCodes)
    }

    /// The start of a machine from a snapshot.
    func restoreRows() -> [Row] {
        [
            Row(
                name: "restore", what: "process start, a snapshot of 128 MiB goes on, power-off", unit: "ms",
                moreIsBetter: false, budget: .ratioAtMost(1.5, to: "cold start"), runsFactor: 4,
                candidates: [
                    restored("vmm", "128M"), lifetimeCandidate("cold start", vmmCommand("bench=exit"), Self.vmmCodes),
                ]),
            Row(
                name: "restore-4g", what: "the same for a snapshot of 4 GiB", unit: "ms", moreIsBetter: false,
                budget: .ratioAtMost(1.1, to: "128 MiB"), runsFactor: 4,
                candidates: [restored("vmm", "4G"), restored("128 MiB", "128M")]),
        ]
    }

    // MARK: Memory in use

    /// A file that is loaded as the initial RAM disk: memory that the guest has in use. It is the same in all rows.
    private var used: [String] { ["-i", "\(peers)/initrd"] }

    /// How long the guest stands still.
    func snapshotRows() -> [Row] {
        let command = snapshotCommand("mmio,count=1", "512M", "\(peers)/snapshot-512M", used)
        let stopped = Candidate("vmm", command) { () throws(BenchError) in
            var child = try Child(command)
            try child.finish()
            let words = String(file: Child.errors).split(separator: " ")
            guard let place = words.lastIndex(of: "for"), place + 1 < words.count, let time = Double(words[place + 1])
            else { throw BenchError("vmm does not say how long its guest stood still") }
            return time
        }
        return [
            Row(
                name: "snapshot", what: "a guest of 512 MiB, 64 in use, stands still", unit: "ms", moreIsBetter: false,
                budget: .none,
                candidates: [
                    stopped,
                    lifetimeCandidate("cp", ["cp", "\(peers)/initrd", "\(peers)/copy"], [0]),
                ])
        ]
    }

    /// Machines that go on from one snapshot, beside as many that are started.
    func forkRows() -> [Row] {
        let number = count(50)
        func candidates(_ words: String, _ sample: @escaping ([String]) throws(BenchError) -> Double) -> [Candidate] {
            let folder = "\(peers)/snapshot-\(words.prefix { $0 != "," })"
            var fork = Candidate("vmm", [vmm, "--restore", folder]) { () throws(BenchError) in
                try sample([vmm, "--restore", folder])
            }
            do throws(BenchError) { try take(snapshotCommand(words, "512M", folder, used)) } catch {
                fork.missing = error.description
            }
            let cold = vmmCommand("bench=\(words)", memory: "512M") + used
            return [fork, Candidate("cold starts", cold) { () throws(BenchError) in try sample(cold) }]
        }
        return [
            Row(
                name: "fork", what: "\(number) machines of 512 MiB, 64 in use, at once, start to end", unit: "ms",
                moreIsBetter: false, budget: .none,
                candidates: candidates("mmio,count=1") { (command) throws(BenchError) in
                    try Self.lifetime(of: number, command)
                }),
            Row(
                name: "fork-memory", what: "their memory together, while they wait", unit: "MiB", moreIsBetter: false,
                budget: .none,
                candidates: candidates("idle") { (command) throws(BenchError) in
                    try Self.memory(of: number, command)
                }),
        ]
    }

    /// Runs `command`, which takes a snapshot, until that is there.
    private func take(_ command: [String]) throws(BenchError) {
        let child = try Child(command)
        let start = ContinuousClock.now
        while !String(file: Child.errors).contains("stood still") {
            guard ContinuousClock.now - start < .seconds(30) else {
                throw BenchError("no snapshot: \(child.lastErrorLine)")
            }
            usleep(10_000)
        }
    }

    /// The time from the start of the first of `number` processes to the end of the last, in ms.
    private static func lifetime(of number: Int, _ command: [String]) throws(BenchError) -> Double {
        let start = ContinuousClock.now
        try withProcesses(number, command, untilTheirEnd: true) { _ in }
        return (ContinuousClock.now - start).seconds * 1e3
    }

    /// The memory of `number` processes in MiB, a shared page counted once, when it has been the same for half a second.
    private static func memory(of number: Int, _ command: [String]) throws(BenchError) -> Double {
        var (size, same) = (0, 0)
        try withProcesses(number, command, untilTheirEnd: false) { processes in
            while same < 5 {
                usleep(100_000)
                let before = size
                size = processes.reduce(0) { $0 + proportionalSize($1) }
                same = size == before ? same + 1 : 0
            }
        }
        return Double(size) / 1024
    }

    /// Its part of the pages that it uses, in KiB.
    private static func proportionalSize(_ process: pid_t) -> Int {
        let line = String(file: "/proc/\(process)/smaps_rollup").split(separator: "\n").first { $0.hasPrefix("Pss:") }
        return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    }

    /// Starts `number` processes and calls `body` with their ids; then they are killed, or waited for.
    private static func withProcesses(
        _ number: Int, _ command: [String], untilTheirEnd: Bool, _ started: [pid_t] = [],
        _ body: ([pid_t]) throws(BenchError) -> Void
    ) throws(BenchError) {
        guard started.count < number else { return try body(started) }
        var child = try Child(command)
        try withProcesses(number, command, untilTheirEnd: untilTheirEnd, started + [child.process], body)
        if untilTheirEnd { try child.finish() }
    }
}
