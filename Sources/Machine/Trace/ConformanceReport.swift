// What the checks found of a device's driver, for people and for programs.

import Virtio

/// The clauses that the driver of a device broke, and those that were put to the test.
public struct ConformanceReport: Sendable {
    /// The device.
    public let device: String
    /// Clauses that were broken.
    public let violations: [Violation]
    /// Checks whose clause was put to the test.
    public let covered: [Check]

    init(device: String, _ conformance: borrowing Conformance) {
        self.device = device
        var violations: [Violation] = []
        for check in Check.allCases { if let violation = conformance.violation(check) { violations.append(violation) } }
        self.violations = violations
        let covered = conformance.covered
        self.covered = Check.allCases.filter { covered.contains($0) }
    }

    /// A line for each clause that was broken.
    public var lines: [String] { violations.map { "\(device): \($0.summary)" } }
}

extension [ConformanceReport] {
    /// Clauses were broken.
    public var hasViolation: Bool { contains { !$0.violations.isEmpty } }

    /// The devices whose driver broke a clause that binds, each with those clauses; nil if there is none.
    public var bindingViolations: String? {
        let devices = compactMap { report -> String? in
            let clauses = report.violations.map(\.check.clause).filter(\.level.binds)
            guard !clauses.isEmpty else { return nil }
            return "\(report.device), which broke \(clauses.map { "\($0.id)" }.joined(separator: " "))"
        }
        return devices.isEmpty ? nil : devices.joined(separator: ", and of ")
    }

    /// One line: how many clauses were broken, and how many put to the test.
    public var sentence: String {
        let broken = Check.allCases.filter { check in contains { $0.violations.contains { $0.check == check } } }
        let names = broken.isEmpty ? "" : " (\(broken.map { "\($0.clause.id)" }.joined(separator: " ")))"
        return
            "drivers broke \(broken.count) of \(Check.allCases.count) clauses\(names); \(covered.count) were put to the test"
    }

    private var covered: Set<Check> { Set(flatMap(\.covered)) }

    /// One line: the clauses that were put to the test, by their ids.
    public var coveredSentence: String { "put to the test: \(coverage.covered.joined(separator: " "))" }

    /// Clauses that were put to the test, and clauses that never were, by their ids.
    public var coverage: (covered: [String], never: [String]) {
        let covered = covered
        return (
            Check.allCases.filter { covered.contains($0) }.map { "\($0.clause.id)" },
            Check.allCases.filter { !covered.contains($0) }.map { "\($0.clause.id)" }
        )
    }

    var value: JSON { .object(members) }

    var members: [JSON.Member] {
        let (covered, never) = coverage
        let devices = map { report -> JSON in
            [
                "device": .string(report.device), "violations": .array(report.violations.map(\.json)),
                "exercised": .array(report.covered.map { .string("\($0.clause.id)") }),
            ]
        }
        return [
            JSON.Member(name: "devices", value: .array(devices)),
            JSON.Member(name: "exercised", value: .array(covered.map { .string($0) })),
            JSON.Member(name: "never", value: .array(never.map { .string($0) })),
        ]
    }
}
