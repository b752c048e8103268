// The rows of the monitor itself: register access, start and end, memory, suspension.

import Glibc

extension Setup {
    /// The round trip of a register read, from ring 3 and from ring 0. Which of the two costs more depends on the host.
    func registerRows() -> [Row] {
        [3, 0].map { ring in
            let count = count(20_000)
            let words = "bench=mmio,count=\(count),ring=\(ring)"
            let value = { (run: GuestRun) in run.seconds / Double(run.count) * 1e6 }
            return Row(
                name: ring == 3 ? "mmio" : "mmio-ring0", what: "read of MagicValue, from ring \(ring)", unit: "us",
                moreIsBetter: false, budget: .ratioAtMost(1.05, to: "C loop"),
                candidates: [
                    vmmCandidate("mmio", words, value),
                    candidate("C loop", "mmio", loopCommand(words), codes: [0], value),
                    candidate("qemu", "mmio", qemuCommand(words), codes: Self.qemuCodes, value),
                ])
        }
    }

    /// The time from the start of the process to its end, with a guest that powers off at once.
    func startRows() -> [Row] {
        [
            Row(
                name: "start", what: "process start, guest's first instructions, power-off", unit: "ms",
                moreIsBetter: false, budget: .ratioAtMost(1.25, to: "C loop"), runsFactor: 4,
                candidates: [
                    lifetimeCandidate("vmm", vmmCommand("bench=exit"), Self.vmmCodes),
                    lifetimeCandidate("C loop", loopCommand("bench=exit"), [0]),
                    lifetimeCandidate("qemu", qemuCommand("bench=exit"), Self.qemuCodes),
                    kvmtool,
                ])
        ]
    }

    /// kvmtool, which is in no row's comparison.
    private var kvmtool: Candidate {
        Candidate(
            "kvmtool",
            missing: Self.isInstalled("lkvm") ? "boots no ELF with a PVH entry, so not this guest" : "not installed")
    }

    // MARK: Memory

    /// Resident memory outside the guest's memory, while the guest waits and its console is in use.
    func memoryRows() -> [Row] {
        let size = 96 << 20
        func candidate(_ name: String, _ command: [String]) -> Candidate {
            guard Self.isInstalled(command[0]) else { return Candidate(name, missing: "not installed") }
            return Candidate(name, command) { () throws(BenchError) in
                Double(try ResidentMemory(of: command, guestMemory: size).total)
            }
        }
        let command = vmmCommand("bench=idle", memory: "96M")
        var row = Row(
            name: "memory", what: "resident pages beyond the guest's memory", unit: "KiB", moreIsBetter: false,
            budget: .atMost(5120),
            candidates: [
                candidate("vmm", command), candidate("qemu", qemuCommand("bench=idle", memory: "96M")),
                Candidate("firecracker", missing: "not measured by this tool; it specifies 5120 KiB"),
                kvmtool,
            ])
        do throws(BenchError) {
            let kinds = try ResidentMemory(of: command, guestMemory: size).byKind
            row.notes = [
                ("pages", .members(kinds.map { ($0.name, .int($0.size)) })),
                ("note", .string("vmm's: " + kinds.map { "\($0.name) \($0.size)" }.joined(separator: ", "))),
            ]
        } catch {}
        return [row]
    }

    // MARK: Suspension

    /// Accesses from the suspend request to the acknowledgement, counted by the guest; and all exits of the vCPU in a
    /// cycle of suspend and resume, counted by vmm, which shows that there are no others.
    func suspendRows() -> [Row] {
        let count = count(2_000)
        func command(_ count: Int) -> [String] {
            vmmCommand("bench=suspend,count=\(count)", disk: vmmDisk(.buffered)) + ["-v"]
        }
        func exits(_ count: Int) throws(BenchError) -> Int {
            let run = try GuestRun("suspend", command(count), codes: Self.vmmCodes)
            let line = run.errors.split(separator: "\n").first { $0.contains(" exits") }
            guard let line, let word = line.split(separator: " ").dropFirst(2).first, let exits = Int(word) else {
                throw BenchError("this vmm does not report exits with -v")
            }
            return exits
        }
        let accesses = Candidate("vmm", command(count)) { () throws(BenchError) in
            let run = try GuestRun("suspend", command(count), codes: Self.vmmCodes)
            guard let accesses = run.facts["accesses"] else { throw BenchError("the guest does not report accesses") }
            return Double(accesses) / Double(run.count)
        }
        let all = Candidate("vmm", command(count)) { () throws(BenchError) in
            Double(try exits(2 * count) - exits(count)) / Double(count)
        }
        let time = vmmCandidate("suspend", "bench=suspend,count=\(count)", disk: vmmDisk(.buffered)) {
            $0.seconds / Double($0.count) * 1e6
        }
        let other = Candidate("qemu", missing: "offers no SUSPEND")
        return [
            Row(
                name: "suspend", what: "accesses from the request to the acknowledgement, idle disk", unit: "exits",
                moreIsBetter: false, budget: .atMost(2), candidates: [accesses, other]),
            Row(
                name: "suspend-cycle", what: "all exits of a suspend and a resume", unit: "exits",
                moreIsBetter: false, budget: .atMost(4), candidates: [all]),
            Row(
                name: "suspend-time", what: "a suspend and a resume of an idle disk", unit: "us",
                moreIsBetter: false, budget: .none, candidates: [time]),
        ]
    }
}

/// The resident memory of a monitor outside its guest's memory, in KiB.
struct ResidentMemory {
    private(set) var byKind: [(name: String, size: Int)] = []
    var total: Int { byKind.reduce(0) { $0 + $1.size } }

    /// Runs `command`, whose guest waits, and reads its mappings until their size has been the same for half a second. The guest's
    /// memory is the mapping of `guestMemory` bytes, rounded up by at most 4 MiB; no other mapping has that size.
    init(of command: [String], guestMemory: Int) throws(BenchError) {
        var child = try Child(command)
        try child.read(until: "bench idle begin")
        var (before, same) = (-1, 0)
        while same < 10 {
            usleep(50_000)
            try readMappings(of: child.process, guestMemory)
            same = total == before ? same + 1 : 0
            before = total
        }
        child.stop()
    }

    private mutating func readMappings(of process: pid_t, _ guestMemory: Int) throws(BenchError) {
        byKind = []
        var kind = ""
        var isGuest = false
        var foundGuest = false
        for line in String(file: "/proc/\(process)/smaps").split(separator: "\n") {
            let words = line.split(separator: " ")
            if let range = words.first, range.contains("-") {
                let ends = range.split(separator: "-").compactMap { Int($0, radix: 16) }
                let size = ends.count == 2 ? ends[1] - ends[0] : 0
                let path = words.count > 5 ? String(words[5]) : ""
                isGuest = path.isEmpty && guestMemory...guestMemory + 4 << 20 ~= size
                foundGuest = foundGuest || isGuest
                kind = Self.kind(path, words.count > 1 ? String(words[1]) : "")
            } else if words.first == "Rss:", !isGuest, let size = Int(words[1]), size > 0 {
                if let index = byKind.firstIndex(where: { $0.name == kind }) {
                    byKind[index].size += size
                } else {
                    byKind.append((kind, size))
                }
            }
        }
        guard foundGuest else { throw BenchError("no mapping has the size of the guest's memory") }
    }

    private static func kind(_ path: String, _ rights: String) -> String {
        if path.isEmpty { return "anonymous" }
        if path.hasPrefix("[") { return String(path.dropFirst().dropLast()) }
        if path.hasPrefix("anon_inode") { return "kvm" }
        return rights.contains("x") ? "code" : rights.contains("w") ? "data" : "constants"
    }
}

extension Child {
    /// Reads until the output contains `text`.
    func read(until text: String) throws(BenchError) {
        var output = ""
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !output.contains(text) {
            let count = try read(into: &buffer)
            if count == 0 { throw BenchError("the guest ended early: \(lastErrorLine)") }
            output += String(decoding: buffer[..<count], as: UTF8.self)
        }
    }
}
