// The queue forms that the guest's command line selects: the selected form is the one used, and a form that is not
// available fails. Tests/grid/run.sh tests which forms pass at which sizes.

import Testing
import VirtioABI

@testable import Machine

@Suite("Queue forms in the guest", .needsKVM, .serialized)
struct GuestFormTests {
    /// The checks that test a feature, and the feature's name.
    static let checks = [
        ("packed-laps", "packed"), ("packed-used-flags", "packed"), ("indirect-tables", "indirect"),
        ("event-interrupt", "event_idx"), ("event-kick", "event_idx"), ("in-order", "in_order"),
        ("notification-data", "notification_data"), ("queue-reset", "ring_reset"),
    ]

    @Test("only the named feature is accepted", arguments: checks)
    func exactly(check: String, feature: String) throws {
        let names = Self.checks.map(\.0).joined(separator: ",")
        let run = try GuestRun(append: ["only=\(names)", "features=\(feature)"])
        #expect(run.outcome == .poweredOff, "\(run.output)")
        #expect(run.output.contains("entries 32, features \(feature)\n"), "\(run.output)")
        let features = Dictionary(uniqueKeysWithValues: Self.checks)
        for line in run.lines where line.name != "features-offered" {
            let isAbout = features[line.name] == feature
            #expect(line.passed && (line.directive == nil) == isAbout, "\(line)")
        }
        #expect(run.lines.contains { $0.name == check && $0.directive == nil })
    }

    @Test(
        "a command line with a word that is not understood runs no check",
        arguments: [
            ("foo=bar", "foo=bar is not understood"), ("stress", "stress is not understood"),
            ("stress=x", "stress=x is not a number"), ("cycles=", "cycles= is not a number"),
            ("seed=18446744073709551616", "seed=18446744073709551616 is not a number"),
            ("queue-size=7", "queue-size=7 is not a queue size"), ("queue-size=0", "queue-size=0 is not a queue size"),
            ("queue-size=32769 features=packed", "queue-size=32769 is not a queue size"),
            ("only=identity,flush", "only=flush selects no check"), ("only=", "only= selects no check"),
            ("only=identity latency=4", "only=identity selects no check"),
            ("features=packed+rainbow", "features=rainbow is not a ring feature"),
            ("bench=mmio,cuont=5", "cuont=5 is not an option"), ("bench=mmio foo=bar", "foo=bar is not understood"),
        ])
    func notUnderstood(words: String, sentence: String) throws {
        let run = try GuestRun(append: [words])
        #expect(run.output.hasPrefix("TAP version 13\n# command line: \(sentence)"), "\(run.output)")
        #expect(run.output.hasSuffix("\nnot ok 1 - command-line\n1..1\n"), "\(run.output)")
        #expect(run.outcome.exitCode == 0x2a << 1 | 1)
    }

    @Test("a benchmark of an unknown name fails")
    func unknownBenchmark() throws {
        let run = try GuestRun(append: ["bench=nap"])
        #expect(run.output == "bench nap failed: no benchmark of this name\n")
        #expect(run.outcome.exitCode == 0x2a << 1 | 1)
    }

    @Test("the size is the requested one, or the device's maximum")
    func size() throws {
        for (requested, features, entries) in [(8, "none", 8), (5, "packed", 5), (30000, "packed", 64)] {
            let run = try GuestRun(append: ["only=console-output", "queue-size=\(requested)", "features=\(features)"])
            #expect(run.outcome == .poweredOff)
            #expect(run.output.contains("# the console's queues: entries \(entries),"), "\(run.output)")
        }
    }

    @Test("a check whose request does not fit is skipped with the reason, not passed")
    func tooSmall() throws {
        let run = try GuestRun(append: ["only=blk-flush", "queue-size=1"])
        #expect(run.lines.map(\.directive) == ["SKIP the queue has too few entries for the request"])
        let indirect = try GuestRun(append: ["only=blk-flush", "queue-size=1", "features=indirect"])
        #expect(indirect.lines.map(\.directive) == [nil, nil], "\(indirect.output)")
    }
}
