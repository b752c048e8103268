// The rows about the monitor itself: a register's round trip, start and end, memory, suspension.

import Glibc

extension Setup {
    /// The round trip of a register read, from ring 3 and from ring 0: which of the two costs more is the host's.
    func registerRows() -> [Row] {
        [3, 0].map { ring in
            let count = count(20_000)
            let words = "bench=mmio,count=\(count),ring=\(ring)"
            let value = { (run: GuestRun) in run.seconds / Double(run.count) * 1e6 }
            return Row(
                name: ring == 3 ? "mmio" : "mmio-ring0", what: "read of MagicValue, from ring \(ring)", unit: "us",
                moreIsBetter: false, budget: .ratioAtMost(1.05, to: "C loop"),
                contestants: [
                    vmmContestant("mmio", words, value),
                    peer("C loop", "mmio", loopCommand(words), codes: [0], value),
                    peer("qemu", "mmio", qemuCommand(words), codes: Self.qemuCodes, value),
                ])
        }
    }

    /// From the start of the process to its end, with a guest that ends at its first opportunity.
    func startRows() -> [Row] {
        func peer(_ name: String, _ command: [String], _ codes: [Int32]) -> Peer {
            guard Self.isInstalled(command[0]) else { return Peer(name, missing: "not installed") }
            return Peer(name, command) { () throws(BenchError) in
                let start = ContinuousClock.now
                var child = try Child(command)
                try child.finish(codes)
                return (ContinuousClock.now - start).seconds * 1e3
            }
        }
        return [
            Row(
                name: "start", what: "process start, guest's first instructions, power-off", unit: "ms",
                moreIsBetter: false, budget: .ratioAtMost(1.5, to: "C loop"), runsFactor: 4,
                contestants: [
                    peer("vmm", vmmCommand("bench=exit"), Self.vmmCodes),
                    peer("C loop", loopCommand("bench=exit"), [0]),
                    peer("qemu", qemuCommand("bench=exit"), Self.qemuCodes),
                    kvmtool,
                ])
        ]
    }

    /// It has no part in any row.
    private var kvmtool: Peer {
        Peer(
            "kvmtool",
            missing: Self.isInstalled("lkvm") ? "boots no ELF with a PVH entry, so not this guest" : "not installed")
    }

    // MARK: Memory

    /// Resident pages outside the guest's memory, while the guest waits with its console in use.
    func memoryRows() -> [Row] {
        let size = 96 << 20
        func peer(_ name: String, _ command: [String]) -> Peer {
            guard Self.isInstalled(command[0]) else { return Peer(name, missing: "not installed") }
            return Peer(name, command) { () throws(BenchError) in
                Double(try ResidentMemory(of: command, guestMemory: size).total)
            }
        }
        let command = vmmCommand("bench=idle", memory: "96M")
        var row = Row(
            name: "memory", what: "resident pages beyond the guest's memory", unit: "KiB", moreIsBetter: false,
            budget: .atMost(8192),
            contestants: [
                peer("vmm", command), peer("qemu", qemuCommand("bench=idle", memory: "96M")),
                Peer("firecracker", missing: "not measured by this tool; it promises 5120 KiB"),
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

    /// Exits from the request to the acknowledgement, as the guest counts its accesses; and all exits of the processor in a
    /// cycle of suspend and resume, as vmm counts them, which shows that there are no others.
    func suspendRows() -> [Row] {
        let count = count(2_000)
        func command(_ count: Int) -> [String] {
            vmmCommand("bench=suspend,count=\(count)", disk: vmmDisk(.buffered)) + ["-v"]
        }
        func exits(_ count: Int) throws(BenchError) -> Int {
            let run = try GuestRun("suspend", command(count), codes: Self.vmmCodes)
            let line = run.errors.split(separator: "\n").first { $0.contains(" exits") }
            guard let line, let word = line.split(separator: " ").dropFirst(2).first, let exits = Int(word) else {
                throw BenchError("this vmm counts no exits with -v")
            }
            return exits
        }
        let accesses = Peer("vmm", command(count)) { () throws(BenchError) in
            let run = try GuestRun("suspend", command(count), codes: Self.vmmCodes)
            guard let accesses = run.facts["accesses"] else { throw BenchError("the guest counts no accesses") }
            return Double(accesses) / Double(run.count)
        }
        let all = Peer("vmm", command(count)) { () throws(BenchError) in
            Double(try exits(2 * count) - exits(count)) / Double(count)
        }
        let time = vmmContestant("suspend", "bench=suspend,count=\(count)", disk: vmmDisk(.buffered)) {
            $0.seconds / Double($0.count) * 1e6
        }
        let other = Peer("qemu", missing: "offers no SUSPEND")
        return [
            Row(
                name: "suspend", what: "accesses from the request to the acknowledgement, idle disk", unit: "exits",
                moreIsBetter: false, budget: .atMost(2), contestants: [accesses, other]),
            Row(
                name: "suspend-cycle", what: "all exits of a suspend and a resume", unit: "exits",
                moreIsBetter: false, budget: .atMost(4), contestants: [all]),
            Row(
                name: "suspend-time", what: "a suspend and a resume of an idle disk", unit: "us",
                moreIsBetter: false, budget: .none, contestants: [time]),
        ]
    }
}

/// The resident pages of a monitor outside its guest's memory, in KiB.
struct ResidentMemory {
    private(set) var byKind: [(name: String, size: Int)] = []
    var total: Int { byKind.reduce(0) { $0 + $1.size } }

    /// Runs `command`, whose guest waits, and looks. The guest's memory is the mapping of its size, rounded up by at most
    /// 4 MiB; the size is one that no other mapping has.
    init(of command: [String], guestMemory: Int) throws(BenchError) {
        var child = try Child(command)
        try child.read(until: "bench idle begin")
        var before = -1
        repeat {
            if total > 0 { before = total }
            usleep(50_000)
            try look(at: child.process, guestMemory)
        } while total != before
        child.stop()
    }

    private mutating func look(at process: pid_t, _ guestMemory: Int) throws(BenchError) {
        byKind = []
        var kind = ""
        var isGuest = false
        var sawGuest = false
        for line in String(file: "/proc/\(process)/smaps").split(separator: "\n") {
            let words = line.split(separator: " ")
            if let range = words.first, range.contains("-") {
                let ends = range.split(separator: "-").compactMap { Int($0, radix: 16) }
                let size = ends.count == 2 ? ends[1] - ends[0] : 0
                let path = words.count > 5 ? String(words[5]) : ""
                isGuest = path.isEmpty && guestMemory...guestMemory + 4 << 20 ~= size
                sawGuest = sawGuest || isGuest
                kind = Self.kind(path, words.count > 1 ? String(words[1]) : "")
            } else if words.first == "Rss:", !isGuest, let size = Int(words[1]), size > 0 {
                if let index = byKind.firstIndex(where: { $0.name == kind }) {
                    byKind[index].size += size
                } else {
                    byKind.append((kind, size))
                }
            }
        }
        guard sawGuest else { throw BenchError("no mapping of the guest's memory is seen") }
    }

    private static func kind(_ path: String, _ rights: String) -> String {
        if path.isEmpty { return "anonymous" }
        if path.hasPrefix("[") { return String(path.dropFirst().dropLast()) }
        if path.hasPrefix("anon_inode") { return "kvm" }
        return rights.contains("x") ? "code" : rights.contains("w") ? "data" : "constants"
    }
}

extension Child {
    /// Reads until `text` has come.
    func read(until text: String) throws(BenchError) {
        var tracedLoad = ""
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !tracedLoad.contains(text) {
            let count = try read(into: &buffer)
            if count == 0 { throw BenchError("the guest ended early: \(complaint)") }
            tracedLoad += String(decoding: buffer[..<count], as: UTF8.self)
        }
    }
}
