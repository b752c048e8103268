// The benchmarks of vmm and of the programs it is compared with, in one run. The documentation page "Benchmarks"
// explains each row.

import ArgumentParser
import Glibc

@main
struct VMMBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vmm-bench", abstract: "Measures vmm and other programs with the same guest and the same disk.",
        subcommands: [Run.self, Chain.self], defaultSubcommand: Run.self)
}

/// A group of rows that are made together, and their names in the table.
private struct Group {
    let name: String
    let rows: [String]
    let make: @Sendable (Setup) -> [Row]

    init(_ name: String, _ others: [String] = [], _ make: @escaping @Sendable (Setup) -> [Row]) {
        (self.name, rows, self.make) = (name, [name] + others, make)
    }
}

/// In the order of the table. A group's name stands for all of its rows.
private let groups = [
    Group("mmio", ["mmio-ring0"]) { $0.registerRows() }, Group("start") { $0.startRows() },
    Group("restore", ["restore-4g"]) { $0.restoreRows() }, Group("snapshot") { $0.snapshotRows() },
    Group("fork", ["fork-memory"]) { $0.forkRows() },
    Group("memory") { $0.memoryRows() }, Group("random-1", ["random-1-direct"]) { $0.randomRows(depth: 1) },
    Group("random-32", ["random-32-direct"]) { $0.randomRows(depth: 32) },
    Group("sequential", ["sequential-direct"]) { $0.sequentialRows() },
    Group("write-1", WriteForm.rowNames("write-1")) { $0.randomWriteRows(depth: 1) },
    Group("write-32", WriteForm.rowNames("write-32")) { $0.randomWriteRows(depth: 32) },
    Group("write-sequential", WriteForm.rowNames("write-sequential")) { $0.sequentialWriteRows() },
    Group("console") { $0.consoleRows() },
    Group("net", Setup.networkRowNames) { $0.networkRows() },
    Group("suspend", ["suspend-cycle", "suspend-time"]) { $0.suspendRows() },
    Group("chain", ChainForm.all.map(\.rowName)) { $0.chainRows() },
    Group("cost", ["chain-instructions", "chain-allocations"]) { $0.costRows() },
    Group("conform", ["conform-report", "trace"]) { $0.conformRows() },
    Group("trace-writer") { $0.traceWriterRows() },
]
private let rowNames = groups.flatMap(\.rows).joined(separator: ", ")

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure, and print a table.",
        discussion: "Rows: \(rowNames). Without any: all of them.")

    @Argument(help: "What to measure.") var rows: [String] = []
    @Option(help: "The vmm to measure.") var vmm = ".build/static/release/vmm"
    @Option(help: "The guest's ELF file.") var guest = ".build/guest/guest.elf"
    @Option(help: "The disk image, which is only read.") var disk = ".build/bench/disk"
    @Option(help: "The image that the rows of writes overwrite.") var scratch = ".build/bench/scratch"
    @Option(help: "The directory of the programs loop, transfer, write and frames.") var peers = ".build/bench"
    @Option(help: "The QEMU to measure.") var qemu = "qemu-system-x86_64"
    @Option(help: "The TAP interface for the rows of the network; without one they are left out.") var tap: String?
    @Option(help: "Added to vmm's disk option.") var diskOptions = ""
    @Option(help: "What the guest's processor does while it waits for a disk: halt or pause.") var wait = "halt"
    @Flag(help: "Disks with packed rings, with vmm and with QEMU.") var packed = false
    @Option(help: "Samples of each candidate.") var runs = 7
    @Flag(help: "A twentieth of the work, to check that everything runs.") var quick = false
    @Option(help: "Also writes the results to this file, as JSON.") var json: String?

    func validate() throws {
        for row in rows where !groups.contains(where: { $0.rows.contains(row) }) {
            throw ValidationError("There is no row \(row). Rows: \(rowNames).")
        }
        guard runs > 0 else { throw ValidationError("--runs is at least 1.") }
        guard wait == "halt" || wait == "pause" else { throw ValidationError("--wait is halt or pause.") }
    }

    func run() throws {
        var setup = Setup(vmm: vmm, qemu: qemu, guest: guest, disk: disk, scratch: scratch, peers: peers)
        (setup.diskOptions, setup.wait, setup.runs, setup.isQuick) = (diskOptions, wait, runs, quick)
        (setup.isPacked, setup.tap) = (packed, tap)
        var report = Report(host: Host(setup))
        print("\(report.host.processor), \(report.host.processors) processors, load \(Host.load)")
        print(report.host.kernel)
        for monitor in report.host.monitors { print("\(monitor.name): \(monitor.version)") }
        print("\n\(Report.head)")
        for group in groups where rows.isEmpty || !group.rows.filter(rows.contains).isEmpty {
            for var row in group.make(setup) where rows.isEmpty || rows.contains(group.name) || rows.contains(row.name)
            {
                precondition(group.rows.contains(row.name))
                row.measure(runs: runs)
                for line in Report.lines(row) { print(line) }
                fflush(nil)
                report.rows.append(row)
            }
        }
        unsafe unlink(Child.errors)
        if let json { try write(report.json.text() + "\n", to: json) }
    }

    private func write(_ text: String, to path: String) throws {
        guard let file = unsafe fopen(path, "w") else { throw ValidationError("\(path): \(String(errno: errno))") }
        unsafe fputs(text, file)
        guard unsafe fclose(file) == 0 else { throw ValidationError("\(path): \(String(errno: errno))") }
    }
}

/// The chain loop alone, for callgrind and perf.
struct Chain: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run the device model alone, for a profiler.")

    @Option(help: "How many requests.") var requests = 1_000_000
    @Option(help: "Requests made available at once, 1 to 64.") var inFlight = 8
    @Flag(help: "A packed ring.") var packed = false
    @Flag(help: "Indirect tables.") var indirect = false
    @Flag(help: "Without conformance checks.") var conformOff = false

    func validate() throws {
        guard 1...ChainLoop.maximumInFlight ~= inFlight else { throw ValidationError("--in-flight is 1 to 64.") }
    }

    func run() throws {
        let form = ChainForm(
            isPacked: packed, isIndirect: indirect, inFlight: inFlight, isChecked: !conformOff)
        guard let completed = ChainLoop.run(form, requests: requests) else {
            throw ValidationError("Requests were not completed.")
        }
        print("\(completed) requests, \(form.name)")
    }
}
