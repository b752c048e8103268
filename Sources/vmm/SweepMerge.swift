// vmm sweep-merge: one report of the pieces of a sweep; and the options of both commands for reports.

import ArgumentParser
import Machine

/// The files of a report.
struct ReportOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Write the report as JSON.", valueName: "path"), completion: .file())
    var json: String?

    @Option(help: ArgumentHelp("Write the report as TAP.", valueName: "path"), completion: .file())
    var tap: String?

    @Option(help: ArgumentHelp("Write the report as JUnit's XML.", valueName: "path"), completion: .file())
    var junit: String?

    var files: SweepFiles {
        get throws(MachineError) { try SweepFiles(json: json, tap: tap, junit: junit) }
    }
}

/// Makes one report of several.
struct SweepMerge: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sweep-merge",
        abstract: "Make one report of the pieces of a sweep: of its shards, or of the cells of its plan.",
        discussion: """
            The report is that of the whole sweep, as if one vmm sweep had run it. Of a cell that is in several pieces a failure counts.

            Exit codes: 0 all cells passed; 1 some failed or are in no piece, or vmm failed; 64 usage.
            """)

    @Argument(help: "The pieces, which vmm sweep --json wrote.", completion: .file())
    var pieces: [String]

    @OptionGroup var reports: ReportOptions

    func run() throws {
        try reporting { () throws(MachineError) in
            let report = try SweepReport(merging: pieces)
            try reports.files.write(report)
            for line in report.summary { print(line) }
            return report.hasFailure || !report.missing.isEmpty ? 1 : 0
        }
    }
}

/// Ends a command with the exit code that `body` returns; with 1, and a message, if it throws or standard output does not take all.
func reporting(_ body: () throws(MachineError) -> Int32) throws {
    let code: Int32
    do throws(MachineError) { code = try body() } catch {
        Log.say(error.description)
        throw ExitCode(1)
    }
    try finishOutput()
    throw ExitCode(code)
}
