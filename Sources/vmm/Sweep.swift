// vmm sweep: runs a kernel over a grid of options.

import ArgumentParser
import Machine

/// Runs every cell of a grid, and reports.
struct Sweep: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a kernel over a grid of options, and report which cells failed and what they share.",
        usage: "vmm sweep [<options>] [--over <key=value,...>]... [-- <options of vmm run>]",
        discussion: """
            A cell is a run of vmm with one value of each --over, and with all that stands behind --. It passes with exit code 0, or that \
            of --exit, and with what --expect, --check-tap and --clauses ask for. The last lines say what the failing cells share, and which \
            command repeats each.

            A value A..B is each integer from A to B; a comma in a value is written ,,. The key features takes split, or ring features \
            with + between them, packed+in_order, which all devices then offer. The values yes and no of another key give the option alone \
            and leave it out.

            On several machines: --shard 1/8 to 8/8, or the lines of --plan by a program that runs lines, such as GNU parallel; then \
            vmm sweep-merge.

            Exit codes: 0 all cells passed, or there are none; 1 some failed, or vmm did; 64 usage; 128+n stopped by signal n.
            """)

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "A long option of vmm run, without dashes, and its values. Repeatable; the last changes fastest.",
            valueName: "key=value,..."))
    var over: [String] = []

    @Argument(
        parsing: .postTerminator,
        help: "What every run gets: options of vmm run, and a kernel; without one the built-in guest runs.")
    var arguments: [String] = []

    @Option(help: ArgumentHelp("The limit of a cell's time. 5 s later it is killed.", valueName: "duration"))
    var timeout = "60s"

    @Option(help: ArgumentHelp("The exit code of a run that passes.", valueName: "code"))
    var exit: Int32 = 0

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("A text that the console must print. Repeatable.", valueName: "text"))
    var expect: [String] = []

    @Flag(name: .customLong("check-tap"), help: "The console must print TAP: as many results as planned, all ok.")
    var checksTAP = false

    @Flag(help: "No driver may break a clause.")
    var clauses = false

    @Option(
        name: .shortAndLong, help: ArgumentHelp("Cells that run at once. (default: one a processor)", valueName: "n"))
    var jobs: Int?

    @Option(help: ArgumentHelp("Every n-th cell only, from the k-th on.", valueName: "k/n"))
    var shard = "1/1"

    @Flag(help: "Stop at the first cell that fails.")
    var failFast = false

    @Option(
        help: ArgumentHelp("Do not run cells that are in this report, which --json wrote.", valueName: "path"),
        completion: .file())
    var resume: String?

    @Flag(
        help: """
            Reduce the choices of --torture to the fewest that still fail, for the first failing cell of each reason, and say which \
            clause allows each.
            """)
    var shrink = false

    @Option(help: ArgumentHelp("Runs of each candidate of --shrink, one of which has to fail.", valueName: "n"))
    var shrinkRuns = 1

    @Option(help: ArgumentHelp("Keep each cell's output here, as ID.txt.", valueName: "folder"), completion: .directory)
    var logs: String?

    @Flag(
        name: .customLong("plan"),
        help: """
            Run nothing: print a command for each cell, a line each, that runs it and writes its report, ID.json, to the folder that --json \
            names. (default: .)
            """)
    var printsPlan = false

    @OptionGroup var reports: ReportOptions

    /// The sweep, all of its cells, and those that this process is for, by their numbers.
    private func make() throws(OptionError) -> (plan: SweepPlan, cells: [SweepCell], own: [Int]) {
        var plan = SweepPlan()
        (plan.over, plan.arguments, plan.timeout) = (over, arguments, (timeout, try TimeSpan(timeout).duration))
        (plan.exit, plan.expect, plan.checksTAP, plan.checksClauses) = (exit, expect, checksTAP, clauses)
        (plan.program, plan.failsFast, plan.logs) = (CommandLine.arguments[0], failFast, logs)
        plan.jobs = jobs ?? plan.jobs
        plan.isBuiltIn = (try? Run.parse(arguments))?.builtIn ?? false
        let grid = try SweepGrid(over: over)
        return (plan, grid.cells, try grid.part(shard))
    }

    func validate() throws {
        guard jobs ?? 1 > 0, shrinkRuns > 0, !expect.contains("") else {
            throw ValidationError("Give --jobs and --shrink-runs 1 at least, and --expect a text.")
        }
        do {
            var (plan, cells, own) = try make()
            // Each value once: what is wrong with several together is found when they run.
            plan.isBuiltIn = false
            var tried: Set<SweepCell.Value> = []
            for cell in own.lazy.map({ cells[$0] }) where !tried.isSuperset(of: cell.values) {
                tried.formUnion(cell.values)
                _ = try Run.parse(Array(plan.arguments(of: cell).dropFirst()))
            }
        } catch {
            throw ValidationError((error as? OptionError)?.description ?? Run.message(for: error))
        }
    }

    func run() throws {
        guard let (plan, cells, own) = try? make() else { return }
        if own.isEmpty { Log.say("there are no cells in this part of the grid") }
        try reporting { () throws(MachineError) in
            if !printsPlan { return try sweep(plan, own.map { cells[$0] }) }
            for index in own {
                let path = "\(reports.json ?? ".")/\(cells[index].fileName).json"
                let piece = ["sweep", "--shard", "\(index + 1)/\(cells.count)", "--json", path]
                print(plan.command(piece + plan.words))
            }
            return 0
        }
    }

    private func sweep(_ plan: SweepPlan, _ cells: [SweepCell]) throws(MachineError) -> Int32 {
        StandardStreams.ensureOpen()
        var report = SweepReport(plan, cells)
        if let resume { try report.add(resume) }
        let runner = try SweepRunner(plan)
        try Signals().act(on: runner)
        try runner.run(&report, try reports.files, shrinking: shrink ? shrinkRuns : nil)
        for line in report.summary { print(line) }
        return runner.stopSignal != 0 ? 128 + runner.stopSignal : report.hasFailure ? 1 : 0
    }
}
