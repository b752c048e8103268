// vmm check and vmm trace-view: what can be done with a trace.

import ArgumentParser
import Machine

/// Goes through a trace once more.
struct CheckTrace: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Go through a trace without KVM: its devices are made once more, and say what their drivers broke.",
        discussion:
            "Exit codes: 0 nothing was broken; 1 the trace cannot be followed; 64 usage; 65 a clause was broken.")

    @Argument(help: "A file that vmm --trace wrote.", completion: .file())
    var trace: String

    @Flag(help: "Print the report as JSON, to standard output.")
    var json = false

    @Flag(name: .shortAndLong, help: "List the clauses that were put to the test, and those that were not.")
    var verbose = false

    func run() throws {
        let check: TraceCheck
        do throws(MachineError) { check = try TraceCheck(path: trace) } catch {
            Log.say(error.description)
            throw ExitCode(1)
        }
        if json { print(check.conformance.json) } else { say(check.conformance) }
        for divergence in check.divergences { Log.say(divergence) }
        let isBroken = check.conformance.hasViolation
        throw ExitCode(check.divergences.isEmpty ? isBroken ? 65 : 0 : 1)
    }

    private func say(_ reports: [ConformanceReport]) {
        for report in reports { for line in report.lines { print(line) } }
        print(reports.sentence)
        guard verbose else { return }
        let (covered, never) = reports.coverage
        print("put to the test: \(covered.joined(separator: " "))")
        print("never: \(never.joined(separator: " "))")
    }
}

/// Turns a trace into one that timeline viewers open.
struct ViewTrace: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace-view",
        abstract: "Turn a trace into the Trace Event format, which ui.perfetto.dev and chrome://tracing open.",
        discussion: """
            A device is a process; its rows are the life of the device, its register accesses, its interrupt and its requests, each \
            from the moment it goes to the backend until it is used.
            """)

    @Argument(help: "A file that vmm --trace wrote.", completion: .file())
    var trace: String

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The file to write. (default: standard output)", valueName: "path"),
        completion: .file())
    var output: String?

    func run() throws {
        do throws(MachineError) { try TraceView.write(trace, to: output) } catch {
            Log.say(error.description)
            throw ExitCode(1)
        }
    }
}
