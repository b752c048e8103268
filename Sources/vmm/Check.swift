// vmm check and vmm trace-view: what a trace tells.

import ArgumentParser
import Machine

/// Replays a trace and reports what drivers broke.
struct CheckTrace: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Replay a trace without KVM, and report which clauses drivers broke.",
        discussion: """
            Of a trace that was cut, lacks lines or cannot be replayed to its end, the report has only what was broken before that \
            place. A message says where it is, and that the rest is unknown.

            Exit codes: 0 the whole trace was replayed and no clause was broken; 1 no clause was broken, but the rest of the trace is \
            unknown, there is no trace to replay, or the report could not be written; 64 usage; 65 a clause was broken.
            """)

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
        if json { print(check.json) } else { say(check.conformance, isWhole: check.unknown.isEmpty) }
        try finishOutput()
        for sentence in check.unknown + [check.caveat].compactMap({ $0 }) { Log.say(sentence) }
        throw ExitCode(check.conformance.hasViolation ? 65 : check.unknown.isEmpty ? 0 : 1)
    }

    private func say(_ reports: [ConformanceReport], isWhole: Bool) {
        for report in reports { for line in report.lines { print(line) } }
        print((isWhole ? "" : "as far as the trace could be replayed, ") + reports.sentence)
        guard verbose else { return }
        print(reports.coveredSentence)
        print("never: \(reports.coverage.never.joined(separator: " "))")
    }
}

/// Ends the output of a command; exit code 1 if standard output did not take it.
func finishOutput() throws {
    do throws(MachineError) { try StandardStreams.finishOutput() } catch {
        Log.say(error.description)
        throw ExitCode(1)
    }
}

/// Turns a trace into one that timeline viewers open.
struct ViewTrace: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace-view",
        abstract: "Turn a trace into the Trace Event format, which ui.perfetto.dev and chrome://tracing open.",
        discussion: """
            A device is a process; its rows are the life of the device, its register accesses, its interrupt and its requests, each \
            from the moment it goes to the backend until it is used, or its queue is disabled or reset. One that is neither when the \
            trace ends is marked as unfinished.

            Exit codes: 0 the timeline has the whole trace; 1 it has what comes before the place where the trace was cut or lacks \
            lines, or there is no timeline; 64 usage.
            """)

    @Argument(help: "A file that vmm --trace wrote.", completion: .file())
    var trace: String

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The file to write. (default: standard output)", valueName: "path"),
        completion: .file())
    var output: String?

    func run() throws {
        let damage: String?
        do throws(MachineError) { damage = try TraceView.write(trace, to: output) } catch { damage = error.description }
        guard let damage else { return }
        Log.say(damage)
        throw ExitCode(1)
    }
}
