// Sweeps without a process: grids, parts, arguments, what a run is judged by, and shrinking.

import Testing
import Virtio
import VirtioABI

@testable import Machine

@Suite struct SweepGridTests {
    @Test("the last axis changes fastest, and an id has every value") func order() throws {
        let grid = try SweepGrid(over: ["cpus=1,2", "torture=8..10", "disk=a.img,,ro"])
        #expect(
            grid.cells.map(\.id) == [
                "cpus=1,torture=8,disk=a.img,,ro", "cpus=1,torture=9,disk=a.img,,ro",
                "cpus=1,torture=10,disk=a.img,,ro",
                "cpus=2,torture=8,disk=a.img,,ro", "cpus=2,torture=9,disk=a.img,,ro",
                "cpus=2,torture=10,disk=a.img,,ro",
            ])
        #expect(grid.cells[1].arguments(isBuiltIn: true) == ["--cpus=1", "--torture=9", "--disk=a.img,ro"])
        #expect(try SweepGrid(over: []).cells.map(\.id) == ["all"])
    }

    @Test("what is not a range of integers is a value") func values() throws {
        let values = try SweepGrid(over: ["kernel=../a..b,1..2..3,-1..1,..,01..2"]).cells.flatMap(\.values).map(\.value)
        #expect(values == ["../a..b", "1..2..3", "-1", "0", "1", "..", "01..2"])
    }

    @Test(
        "axes that make no grid are refused",
        arguments: [
            ["cpus"], ["=1"], ["cpus="], ["cpus=1,,,2,"], ["cpus=1,1"], ["cpus=1", "cpus=2"], ["--cpus=1"],
            ["timeout=1s"],
            ["json=yes"], ["torture=2..1"], ["torture=1..1000001"],
            ["torture=-9223372036854775808..9223372036854775807"],
            ["torture=1..1001", "cpus=1..1001"],
        ])
    func refused(over: [String]) {
        #expect(throws: OptionError.self) { try SweepGrid(over: over) }
    }

    @Test("features are offered by every device, and accepted by the built-in guest where it runs") func features()
        throws
    {
        let cells = try SweepGrid(over: ["features=split,packed+in_order", "kernel=no,a.elf"]).cells
        #expect(
            cells.map { $0.arguments(isBuiltIn: true) } == [
                [], ["--kernel=a.elf"],
                ["--features=+packed,+in_order", "--append=features=packed+in_order"],
                ["--features=+packed,+in_order", "--kernel=a.elf"],
            ])
        #expect(cells[2].arguments(isBuiltIn: false) == ["--features=+packed,+in_order"])
        #expect(try SweepGrid(over: ["verify=yes"]).cells[0].arguments(isBuiltIn: true) == ["--verify"])
    }

    @Test("the parts of a grid have each cell once", arguments: 1...9) func parts(count: Int) throws {
        let grid = try SweepGrid(over: ["torture=1..7"])
        let parts = try (1...count).map { try grid.part("\($0)/\(count)") }
        #expect(parts.flatMap(\.self).sorted() == Array(0..<7))
        for (index, part) in parts.enumerated() { #expect(part.allSatisfy { $0 % count == index }) }
    }

    @Test("parts that are none are refused", arguments: ["0/2", "3/2", "1", "1/2/3", "a/2", "1/", "+1/2", "1//2"])
    func noPart(text: String) throws {
        let grid = try SweepGrid(over: [])
        #expect(throws: OptionError.self) { try grid.part(text) }
    }

    @Test("a file's name is one for each cell") func fileNames() throws {
        let long = String(repeating: "x", count: 300)
        let names = try SweepGrid(over: ["kernel=a/b,a%2Fb,\(long)1,\(long)2"]).cells.map(\.fileName)
        #expect(names[0] == "kernel=a%2Fb" && Set(names).count == 4)
        #expect(names.allSatisfy { !$0.contains("/") && $0.utf8.count <= 200 })
    }

    @Test("a command is quoted for a shell") func quoting() {
        var plan = SweepPlan()
        plan.arguments = ["a b.elf", "-a", "it's", ""]
        plan.expect = ["x"]
        let cell = SweepCell(values: [.init(key: "cpus", value: "2")])
        #expect(plan.command(plan.arguments(of: cell)) == "vmm run 'a b.elf' -a 'it'\\''s' '' --cpus=2 --timeout=60s")
        #expect(plan.words == ["--timeout", "60s", "--exit", "0", "--expect", "x", "--", "a b.elf", "-a", "it's", ""])
    }
}

@Suite struct TAPReaderTests {
    @Test(
        "what is wrong with a text",
        arguments: [
            ("TAP version 14\n1..2\nok 1 - a\nok 2 # SKIP no disk", []),
            ("ok\nok\n1..2", []),
            ("ok 1\n1..1\nok 1\nok 2\n1..2", []),
            ("1..1\nok 1\nTAP version 13\n1..1\nok 1", []),
            ("1..0 # SKIP all", []),
            ("1..1\n    not ok 1 - of a subtest\nok 1\nokay\nnot okay\n# not ok", []),
            ("1..1\nnot ok 1 - a # TODO later", []),
            ("1..2\nok 1\nnot ok 2 - b", ["not ok 2 - b"]),
            ("1..3\nok 1", ["TAP: 3 results planned, 1 results"]),
            ("1..1\nok 1\nok 2", ["TAP: 1 results planned, 2 results"]),
            ("ok 1\n1..1\nok 1", ["TAP: no plan, 1 results"]),
            ("1..2\nok 1\nBail out! no disk", ["Bail out! no disk", "TAP: 2 results planned, 1 results"]),
            ("hello", ["no TAP on the console"]),
        ])
    func problems(text: String, expected: [String]) {
        var reader = TAPReader()
        for line in text.split(separator: "\n") { reader.read(String(line)) }
        reader.finish()
        #expect(reader.problems == expected)
    }
}

@Suite struct SweepVerdictTests {
    private func reasons(
        _ change: (inout SweepPlan) -> Void = { _ in }, console: [String] = [], errors: [String] = [],
        status: Int32 = 0,
        isOverdue: Bool = false
    ) -> [String] {
        var plan = SweepPlan()
        change(&plan)
        var verdict = SweepVerdict(plan)
        for text in console { verdict.readConsole(Array(text.utf8)) }
        for text in errors { verdict.readErrors(Array(text.utf8)) }
        return verdict.reasons(status: status, isOverdue: isOverdue)
    }

    private func report(_ outcome: String, _ clauses: [String] = []) -> String {
        let violations = clauses.map { "{\"clause\":\"\($0)\",\"count\":1}" }.joined(separator: ",")
        return
            "{\"outcome\":\"\(outcome)\",\"exitCode\":0,\"conformance\":{\"devices\":[{\"violations\":[\(violations)]}]}}\n"
    }

    @Test("exit codes, signals and time") func endings() {
        #expect(reasons().isEmpty)
        #expect(reasons({ $0.exit = 85 }, status: 85 << 8).isEmpty)
        #expect(reasons(errors: [report("all fell\\nrax 0")], status: 33 << 8) == ["exit code 33: all fell"])
        #expect(reasons(errors: ["Error: no\nUsage: vmm\n"], status: 64 << 8) == ["exit code 64: Error: no"])
        #expect(reasons(status: 9) == ["vmm ended by signal 9: it said nothing"])
        #expect(reasons(status: 9, isOverdue: true) == ["timed out after 60s"])
        #expect(reasons(status: 124 << 8) == ["timed out after 60s"])
        #expect(reasons({ $0.exit = 124 }, status: 124 << 8).isEmpty)
        #expect(reasons({ $0.exit = 124 }).first?.hasPrefix("exit code 0") == true)
    }

    @Test("texts are found across reads, and TAP of any length is read") func console() {
        let plan = { (plan: inout SweepPlan) in (plan.expect, plan.checksTAP) = (["login:", "ok 2"], true) }
        let noise = String(repeating: "noise\n", count: 40_000)
        #expect(reasons(plan, console: ["1..2\r\nok 1\r\nlog", "in:", "\n" + noise, "ok", " 2\r\n"]).isEmpty)
        #expect(
            reasons(plan, console: ["1..2\nnot ok 1\nok"]) == [
                "not ok 1", "the console did not print 'login:'", "the console did not print 'ok 2'",
            ])
    }

    @Test("clauses are those of every run, once, and a run that does not report fails") func clauses() {
        let plan = { (plan: inout SweepPlan) in plan.checksClauses = true }
        let two = [report("a", ["2.1-1", "2.1-1"]), report("b", ["2.1-2", "2.1-1"])]
        #expect(reasons(plan, errors: two) == ["broke 2.1-1 2.1-2"])
        #expect(reasons(errors: two).isEmpty)
        #expect(reasons(plan, errors: [report("a")]).isEmpty)
        #expect(reasons(plan) == ["the run did not report which clauses were broken"])
    }
}

@Suite struct ShrinkingTests {
    @Test("each set of three items or fewer is found among 13") func exact() throws {
        let items = Array(0..<13)
        for first in items {
            for second in first..<13 {
                for third in second..<13 {
                    let wanted: Set = [first, second, third]
                    var tried = 0
                    let found = try minimalSubset(of: items) {
                        tried += 1
                        return wanted.isSubset(of: $0)
                    }
                    #expect(found == wanted.sorted() && tried < 100)
                }
            }
        }
    }

    @Test("of what is found nothing can be left out, whatever fails", arguments: 0..<200 as Range<UInt64>)
    func minimal(seed: UInt64) throws {
        // A predicate without order: any set but the whole fails or not.
        func fails(_ items: [Int]) -> Bool {
            let hash = items.reduce(seed) { ($0 ^ UInt64($1 + 1)) &* 0x9e37_79b9_7f4a_7c15 }
            return items.count == 9 || !items.isEmpty && hash >> 62 == 0
        }
        let found = try minimalSubset(of: Array(0..<9)) { fails($0) }
        #expect(fails(found))
        for index in found.indices where found.count > 1 {
            var rest = found
            rest.remove(at: index)
            #expect(!fails(rest), "\(found)")
        }
    }

    @Test("choices are left out of a value of --torture as it has them") func choices() throws {
        var options: [String] = []
        let found = try SweepShrinking.reduced(Torture(option: "7,-late,-die")) {
            options.append($0)
            let torture = try? Torture(option: $0)
            return torture?.contains(.order) == true && torture?.contains(.link) == true
        }
        #expect(found == ["order", "link"])
        #expect(options.allSatisfy { $0.hasPrefix("7,") && (try? Torture(option: $0))?.contains(.die) == false })
        // A cell that fails without torture is said to.
        #expect(try SweepShrinking.reduced(Torture(option: "7")) { _ in true } == [])
        #expect(try SweepShrinking.reduced(Torture(option: "7,late")) { $0 == "7,late" } == ["late"])
    }
}

@Suite struct FeatureChoiceTests {
    private typealias Choice = Machine.Configuration.FeatureChoice

    @Test("a device's own choice stands in front of the machine's") func precedence() throws {
        let machine = try Choice(option: "+packed,+in_order,-indirect,-event_idx")
        var device = Choice()
        (device.adding, device.withholding) = (.eventIndex, .inOrder)
        let both = device.over(machine)
        #expect(both.adding == [.eventIndex, .ringPacked])
        #expect(both.withholding == [.inOrder, .indirectDescriptors])
        for text in ["packed", "+mq", "+packed,-packed", ""] {
            #expect(throws: OptionError.self) { try Choice(option: text) }
        }
    }

    @Test("every device of a machine offers and withholds them") func machine() throws {
        var configuration = Machine.Configuration()
        configuration.features = try Choice(option: "+packed,-indirect")
        for device in try MachineDescription(configuration).devices {
            let names = device.features.map(\.name)
            #expect(
                names.contains("VIRTIO_F_RING_PACKED") && !names.contains("VIRTIO_F_INDIRECT_DESC"), "\(device.name)")
        }
    }
}
