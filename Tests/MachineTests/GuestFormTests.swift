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

    @Test("an unknown feature name fails a check, whatever was selected")
    func unknown() throws {
        let run = try GuestRun(append: ["only=identity", "features=packed+rainbow"])
        #expect(run.lines.map(\.name) == ["features-offered", "identity"], "\(run.output)")
        #expect(run.lines.map(\.passed) == [false, true])
        #expect(run.outcome != .poweredOff)
    }

    @Test("the size is the requested one, a power of two below it, or the device's maximum")
    func size() throws {
        for (requested, features, entries) in [(8, "none", 8), (5, "packed", 5), (7, "none", 4), (30000, "packed", 64)]
        {
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
