// The report of a sweep, whole or of a piece: read and written as JSON, written as TAP and JUnit's XML. Cells stand in the grid's order,
// and only JSON's `milliseconds` and JUnit's `time` depend on how long they took.

import FoundationEssentials
import Glibc

/// What came of a cell.
public struct SweepResult: Decodable, Sendable {
    /// The cell's id.
    let id: String
    /// The command that repeats it.
    let command: String
    /// Why it failed; empty if it passed.
    let reasons: [String]
    /// The end of the console's output of a cell that failed.
    let console: String
    /// The fewest choices of the adversarial device with which it fails, if they were looked for.
    var choices: [String]?
    /// How long it took.
    let milliseconds: Int

    var passed: Bool { reasons.isEmpty }

    fileprivate var json: JSON {
        func strings(_ texts: [String]) -> JSON { .array(texts.map { .string($0) }) }
        return [
            "id": .string(id), "command": .string(command), "reasons": strings(reasons), "console": .string(console),
            "choices": choices.map(strings) ?? .null, "milliseconds": .number(milliseconds),
        ]
    }
}

/// The results of a sweep.
public struct SweepReport: Sendable {
    /// What is read of a report.
    private struct File: Decodable {
        /// A year: no cell takes longer, and the sum of all cells of a grid fits an Int.
        static let longest = 366 * 24 * 3_600_000

        let sweep: [String]
        let cells: [SweepResult]
    }

    /// The words of `vmm sweep` that say which sweep it is.
    private let words: [String]
    /// The cells that the report is about.
    let cells: [SweepCell]
    /// What is known of them, by their ids.
    var results: [String: SweepResult] = [:]

    /// A report without a result on `cells`.
    public init(_ plan: SweepPlan, _ cells: [SweepCell]) { (words, self.cells) = (plan.words, cells) }

    /// The one report of pieces. The first says which sweep it is.
    public init(merging paths: [String]) throws(MachineError) {
        words = try Self.read(paths[0]).sweep
        let over = zip(words, words.dropFirst()).prefix { $0.0 != "--" }.filter { $0.0 == "--over" }.map(\.1)
        do throws(OptionError) { cells = try SweepGrid(over: over).cells } catch {
            throw .badReport(path: paths[0], error.description)
        }
        for path in paths { try add(path) }
    }

    /// Takes over the results of the report at `path`, which is one of the same sweep. Of two of the same cell a failure is kept.
    public mutating func add(_ path: String) throws(MachineError) {
        let file = try Self.read(path)
        guard file.sweep == words else {
            throw .badReport(path: path, "it is of another sweep; name one of the same grid, arguments and conditions")
        }
        let known = Set(cells.map(\.id))
        for result in file.cells where known.contains(result.id) && results[result.id]?.passed ?? true {
            results[result.id] = result
        }
    }

    private static func read(_ path: String) throws(MachineError) -> File {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .report(path: path, errno: errno) }
        defer { close(file) }
        guard let report = try? JSONDecoder().decode(File.self, from: Data(HostFiles.contents(of: file))),
            report.cells.allSatisfy({ 0...File.longest ~= $0.milliseconds })
        else { throw .badReport(path: path, "it is not a report that vmm sweep --json wrote; name one") }
        return report
    }

    /// The cells that have not run.
    public var missing: [SweepCell] { cells.filter { results[$0.id] == nil } }
    /// The cells that ran.
    var ran: [(cell: SweepCell, result: SweepResult)] {
        cells.compactMap { cell in results[cell.id].map { (cell, $0) } }
    }
    var failed: [(cell: SweepCell, result: SweepResult)] { ran.filter { !$0.result.passed } }
    /// Whether a cell failed.
    public var hasFailure: Bool { !failed.isEmpty }

    /// The report as JSON, a cell a line.
    var json: String {
        let head = JSON.array(words.map { .string($0) }).text
        return "{\"sweep\":\(head),\"cells\":[\n" + ran.map(\.result.json.text).joined(separator: ",\n") + "\n]}\n"
    }

    /// The report as TAP. A cell that has not run is planned, and has no result.
    var tap: String {
        var lines = ["TAP version 13", "1..\(cells.count)"]
        for (index, cell) in cells.enumerated() {
            guard let result = results[cell.id] else { continue }
            lines.append("\(result.passed ? "ok" : "not ok") \(index + 1) - \(cell.id.replacing("#", with: "\\#"))")
            lines += (result.reasons + (result.passed ? [] : [result.command])).map {
                "# \($0.replacing("\n", with: "\n# "))"
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The report in the XML of JUnit. A cell that has not run is skipped.
    var junit: String {
        func escaped(_ text: String) -> String {
            // XML excludes most control characters.
            var valid = text.unicodeScalars
            valid.removeAll { $0.value < 0x20 && $0 != "\n" && $0 != "\t" || 0xfffe...0xffff ~= $0.value }
            let names = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;")]
            return names.reduce(String(valid)) { $0.replacing($1.0, with: $1.1) }
        }
        func time(_ milliseconds: Int) -> String {
            "time=\"\(milliseconds / 1000).\(String(1000 + milliseconds % 1000).dropFirst())\""
        }
        let counts =
            "tests=\"\(cells.count)\" failures=\"\(failed.count)\" errors=\"0\" skipped=\"\(missing.count)\" "
            + time(results.values.reduce(0) { $0 + $1.milliseconds })
        let cases = cells.map { cell in
            let head = "<testcase classname=\"vmm\" name=\"\(escaped(cell.id))\""
            guard let result = results[cell.id] else { return "\(head)><skipped message=\"not run\"/></testcase>" }
            guard let reason = result.reasons.first else { return "\(head) \(time(result.milliseconds))/>" }
            let text = escaped((result.reasons + [result.command, result.console]).joined(separator: "\n"))
            return
                "\(head) \(time(result.milliseconds))><failure message=\"\(escaped(reason))\">\(text)</failure></testcase>"
        }
        let head =
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites \(counts)>\n<testsuite name=\"vmm sweep\" \(counts)>"
        return ([head] + cases + ["</testsuite>", "</testsuites>\n"]).joined(separator: "\n")
    }
}

/// The files that a report is written to.
public struct SweepFiles: Sendable {
    private let files: [(path: String, head: String, text: @Sendable (SweepReport) -> String)]

    /// Files by their paths. Throws if one would overwrite a file that is no such report.
    public init(json: String?, tap: String?, junit: String?) throws(MachineError) {
        let all: [(path: String?, head: String, text: @Sendable (SweepReport) -> String)] = [
            (json, "{\"sweep\":", { $0.json }), (tap, "TAP version", { $0.tap }), (junit, "<?xml", { $0.junit }),
        ]
        files = all.compactMap { file in file.path.map { ($0, file.head, file.text) } }
        try check()
    }

    /// Throws if a file is no such report, or is named twice, which shows once it exists.
    private func check() throws(MachineError) {
        var names = HostFiles()
        for file in files { names.replaces(file.path, "report of this kind", head: Array(file.head.utf8)) }
        try names.check()
    }

    /// Writes `report`. A file is replaced when all of the new one is written; a pipe or a device gets the last report alone.
    public func write(_ report: SweepReport, isLast: Bool = true) throws(MachineError) {
        for (path, _, text) in files {
            var status = stat()
            let isFile = unsafe lstat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG
            if isFile || isLast { try Self.write(text(report), to: path, replacing: isFile) }
        }
        try check()
    }

    private static func write(_ text: String, to path: String, replacing: Bool) throws(MachineError) {
        let draft = replacing ? "\(path).vmm-sweep" : path
        let file = try HostFiles.openOutput(draft) { .report(path: path, errno: $0) }
        var rest = Array(text.utf8)[...]
        // Opened without waiting for a reader; written with.
        _ = fcntl(file, F_SETFL, 0)
        var isWritten = !replacing || ftruncate(file, 0) == 0
        while isWritten, !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
            isWritten = count > 0 || errno == EINTR
            rest.removeFirst(max(0, count))
        }
        if isWritten, replacing { isWritten = unsafe rename(draft, path) == 0 }
        let number = errno
        if !isWritten, replacing { unsafe unlink(draft) }
        close(file)
        if !isWritten { throw .report(path: path, errno: number) }
    }
}
