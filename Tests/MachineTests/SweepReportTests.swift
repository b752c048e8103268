// Reports of sweeps: their bytes, what pieces make, and the summary.

import Glibc
import Testing

@testable import Machine

@Suite struct SweepReportTests {
    private func plan(_ over: [String]) -> SweepPlan {
        var plan = SweepPlan()
        plan.over = over
        return plan
    }

    /// A report on a grid; `failing` says for an id why its cell failed, nil that it has not run.
    private func report(_ over: [String], part: String = "1/1", failing: (String) -> [String]?) throws -> SweepReport {
        let grid = try SweepGrid(over: over)
        var report = SweepReport(plan(over), try grid.part(part).map { grid.cells[$0] })
        for cell in report.cells {
            guard let reasons = failing(cell.id) else { continue }
            report.results[cell.id] = SweepResult(
                id: cell.id, command: "vmm run --\(cell.id)", reasons: reasons,
                console: reasons.isEmpty ? "" : "<\u{1}>\n",
                milliseconds: 1005)
        }
        return report
    }

    private static func reasons(_ id: String) -> [String]? {
        switch id {
        case "append=a#": []
        case "append=b": ["\"b\" & <c>", "d"]
        default: nil
        }
    }

    private let over = ["append=a#,b,c"]

    @Test func json() throws {
        let expected = #"""
            {"sweep":["--over","append=a#,b,c","--timeout","60s","--exit","0"],"cells":[
            {"id":"append=a#","command":"vmm run --append=a#","reasons":[],"console":"","choices":null,"milliseconds":1005},
            {"id":"append=b","command":"vmm run --append=b","reasons":["\"b\" & <c>","d"],"console":"<\u0001>\u000a","choices":null,"milliseconds":1005}
            ]}

            """#
        #expect(try report(over, failing: Self.reasons).json == expected)
    }

    @Test func tap() throws {
        let expected = """
            TAP version 13
            1..3
            ok 1 - append=a\\#
            not ok 2 - append=b
            # "b" & <c>
            # d
            # vmm run --append=b

            """
        #expect(try report(over, failing: Self.reasons).tap == expected)
    }

    @Test func junit() throws {
        let counts = #"tests="3" failures="1" errors="0" skipped="1" time="2.010""#
        let expected = """
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites \(counts)>
            <testsuite name="vmm sweep" \(counts)>
            <testcase classname="vmm" name="append=a#" time="1.005"/>
            <testcase classname="vmm" name="append=b" time="1.005"><failure message="&quot;b&quot; &amp; &lt;c&gt;">&quot;b&quot; &amp; &lt;c&gt;
            d
            vmm run --append=b
            &lt;&gt;
            </failure></testcase>
            <testcase classname="vmm" name="append=c"><skipped message="not run"/></testcase>
            </testsuite>
            </testsuites>

            """
        #expect(try report(over, failing: Self.reasons).junit == expected)
    }

    @Test("pieces make the report of the whole; of two results of a cell the failure counts") func merging() throws {
        var name = Array("/tmp/vmm-sweep-XXXXXX".utf8CString)
        try #require(unsafe mkdtemp(&name) != nil)
        let folder = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let paths = (1...4).map { "\(folder)/\($0)" }
        defer {
            for path in paths { unsafe unlink(path) }
            unsafe rmdir(folder)
        }
        func write(_ report: SweepReport, _ path: String) throws {
            try SweepFiles(json: path, tap: nil, junit: nil).write(report)
        }
        let over = ["cpus=1..5", "suspend=draft,off"]
        let failing = { (id: String) -> [String]? in id.hasSuffix("off") && id.contains("2") ? ["r"] : [] }
        var whole = try report(over, failing: failing)
        whole.results["cpus=2,suspend=off"]?.choices = ["late"]
        for part in 1...3 {
            var piece = try report(over, part: "\(part)/3", failing: failing)
            if piece.results["cpus=2,suspend=off"] != nil { piece.results["cpus=2,suspend=off"]?.choices = ["late"] }
            try write(piece, paths[part - 1])
        }
        let merged = try SweepReport(merging: [paths[2], paths[0], paths[1]])
        #expect(merged.json == whole.json && merged.tap == whole.tap && merged.junit == whole.junit)
        #expect(merged.missing.isEmpty && merged.hasFailure)
        #expect(try SweepReport(merging: [paths[0]]).missing.count == 6)
        try write(report(over, failing: { _ in [] }), paths[3])
        for order in [[paths[3]] + paths[..<3], paths] {
            #expect(try SweepReport(merging: order).failed.map(\.cell.id) == ["cpus=2,suspend=off"])
        }
        try write(report(["cpus=1..6", "suspend=draft,off"], failing: { _ in [] }), paths[3])
        #expect(
            throws: MachineError.badReport(
                path: paths[3], "it is of another sweep; name one of the same grid, arguments and conditions")
        ) {
            try SweepReport(merging: paths)
        }
    }

    @Test("the summary has what failing cells share, by reason, and the commands") func summary() throws {
        let report = try report(["cpus=1,2", "suspend=draft,off"]) { id in
            switch id {
            case "cpus=1,suspend=off": ["x", "y"]
            case "cpus=2,suspend=off": ["z"]
            default: []
            }
        }
        #expect(
            report.summary == [
                "with suspend=off all 2 cells failed",
                "1 failed: x", "    cpus=1,suspend=off", "        y", "        vmm run --cpus=1,suspend=off",
                "1 failed: z", "    cpus=2,suspend=off", "        vmm run --cpus=2,suspend=off",
                "4 cells: 2 passed, 2 failed, 0 did not run",
            ])
    }

    @Test("values and pairs of values that failing cells share") func shared() throws {
        func shared(_ fails: (String) -> Bool) throws -> [String] {
            try report(["suspend=draft,1.4,off", "cpus=1,2", "memory=8,16"]) { fails($0) ? ["r"] : [] }.shared
        }
        #expect(
            try shared { $0.contains("cpus=2") && $0.contains("memory=8") }
                == ["with cpus=2 and memory=8 all 3 cells failed"])
        // Those with which all failed come first.
        #expect(
            try shared { $0.contains("cpus=2") && !$0.contains("suspend=off") } == [
                "with suspend=1.4 and cpus=2 all 2 cells failed", "with suspend=draft and cpus=2 all 2 cells failed",
                "with cpus=2 4 of 6 cells failed",
            ])
        // All, none, and one.
        for fails in [{ _ in true }, { _ in false }, { $0 == "suspend=off,cpus=1,memory=8" }] as [(String) -> Bool] {
            #expect(try shared(fails).isEmpty)
        }
    }
}
