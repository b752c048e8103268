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

/// The groups of rows, in the order of the table.
private let groups: [(name: String, rows: @Sendable (Setup) -> [Row])] = [
    ("mmio", { $0.registerRows() }), ("start", { $0.startRows() }), ("memory", { $0.memoryRows() }),
    ("random-1", { $0.randomRows(depth: 1) }), ("random-32", { $0.randomRows(depth: 32) }),
    ("sequential", { $0.sequentialRows() }), ("console", { $0.consoleRows() }), ("suspend", { $0.suspendRows() }),
    ("chain", { $0.chainRows() }), ("cost", { $0.costRows() }), ("conform", { $0.conformRows() }),
]

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure, and print a table.",
        discussion: "Rows: \(groups.map(\.name).joined(separator: ", ")). Without any: all of them.")

    @Argument(help: "What to measure.") var rows: [String] = []
    @Option(help: "The vmm to measure.") var vmm = ".build/static/release/vmm"
    @Option(help: "The guest's ELF file.") var guest = ".build/guest/guest.elf"
    @Option(help: "The disk image, which is only read.") var disk = ".build/bench/disk"
    @Option(help: "The directory of the programs loop, preadv and write.") var peers = ".build/bench"
    @Option(help: "The QEMU to measure.") var qemu = "qemu-system-x86_64"
    @Option(help: "Added to vmm's disk option.") var diskOptions = ""
    @Option(help: "What the guest's processor does while it waits for a disk: halt or pause.") var wait = "halt"
    @Flag(help: "Disks with packed rings, with vmm and with QEMU.") var packed = false
    @Option(help: "Samples of each candidate.") var runs = 7
    @Flag(help: "A twentieth of the work, to check that everything runs.") var quick = false
    @Option(help: "Also writes the results to this file, as JSON.") var json: String?

    func validate() throws {
        for row in rows where !groups.contains(where: { $0.name == row }) {
            throw ValidationError("There is no row \(row). Rows: \(groups.map(\.name).joined(separator: ", ")).")
        }
        guard runs > 0 else { throw ValidationError("--runs is at least 1.") }
        guard wait == "halt" || wait == "pause" else { throw ValidationError("--wait is halt or pause.") }
    }

    func run() throws {
        var setup = Setup(vmm: vmm, qemu: qemu, guest: guest, disk: disk, peers: peers)
        (setup.diskOptions, setup.wait, setup.runs, setup.isQuick) = (diskOptions, wait, runs, quick)
        setup.isPacked = packed
        var report = Report(host: Host(setup))
        print("\(report.host.processor), \(report.host.processors) processors, load \(Host.load)")
        print(report.host.kernel)
        for monitor in report.host.monitors { print("\(monitor.name): \(monitor.version)") }
        print("\n\(Report.head)")
        for group in groups where rows.isEmpty || rows.contains(group.name) {
            for var row in group.rows(setup) {
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
