// For each clause two drivers that differ in one action: one breaks the clause, the other does the nearest legal thing.

import Testing
import Virtio
import VirtioABI

/// The state of a device and its driver, independent of the device type.
protocol Observed {
    func violation(_ check: Check) -> Violation?
    func isCovered(_ check: Check) -> Bool
    var state: Comment { get }
    /// All state visible to the driver, in guest memory and to the host.
    var everything: [String] { get }
    /// Number of times that the device refused the driver.
    var refusals: Int { get }
    /// The device shows DEVICE_NEEDS_RESET, or will when it resumes.
    var isDead: Bool { get }
}

extension FakeDriver: Observed where Device: ~Copyable {
    func violation(_ check: Check) -> Violation? { backend.transport.conformance.violation(check) }
    func isCovered(_ check: Check) -> Bool { backend.transport.conformance.covered.contains(check) }
    var refusals: Int { backend.refusals }
    var isDead: Bool {
        backend.transport.lifecycle.status.contains(.needsReset) || backend.transport.lifecycle.latchedError
    }
    var everything: [String] {
        let events = backend.events.map { "\($0.rawValue)" }
        let memory = memory.bytes(at: 0, count: Int(nextFree))
        return ["\(dump())", "\(backend.line)", "\(backend.requests.count)", "\(events)", "\(memory.hashValue)"]
    }
}

extension Observed {
    /// All checks that the driver broke.
    var broken: [Check] { Check.allCases.filter { violation($0) != nil } }
}

/// A violation of a clause, and the evidence expected for it.
struct ViolationCase: Sendable, CustomTestStringConvertible {
    let check: Check
    /// The evidence of the last violation.
    let evidence: Evidence
    /// Other checks that this violation necessarily breaks.
    let also: [Check]
    /// Runs the driver that breaks the clause if the argument is true, the legal one otherwise.
    let run: @Sendable (Bool) -> any Observed
    let testDescription: String

    init(
        _ check: Check, _ evidence: Evidence, also: [Check] = [], _ name: String = "",
        _ run: @escaping @Sendable (Bool) -> any Observed
    ) {
        self.check = check
        self.evidence = evidence
        self.also = also
        self.run = run
        testDescription = "\(check.clause.id) \(check)" + (name.isEmpty ? "" : ", \(name)")
    }

    /// At least one case for each check.
    static let plain =
        status + registers + configuration + rings + packedRings + blocks + consoles + entropy + network + drafts
        + ratified
    /// The same checks in other places and at the boundaries of what is legal.
    static let edges =
        statusEdges + registerEdges + ringPlaces + buffersAtRings + splitEdges + packedEdges + blockEdges + consoleEdges
        + resumeEdges + suspendEdges
    static let all = plain + edges
}

extension Evidence {
    /// An access of a register.
    static func at(_ register: Register, _ value: UInt64? = nil, queue: Int? = nil) -> Evidence {
        Evidence(queue: queue, offset: UInt64(register.rawValue), value: value)
    }

    /// An access of the configuration space.
    static func field(_ offset: Int, _ value: UInt64? = nil) -> Evidence {
        Evidence(offset: UInt64(Register.configuration) + UInt64(offset), value: value)
    }

    /// A chain of `queue`, by its head or buffer id.
    static func chain(_ id: UInt16, queue: Int = 0) -> Evidence { Evidence(queue: queue, value: UInt64(id)) }
}

@Suite struct ConformanceTests {
    @Test(
        "a driver that breaks a clause is reported, with the evidence, for no other clause",
        arguments: ViolationCase.all)
    func reported(violationCase: ViolationCase) throws {
        let driver = violationCase.run(true)
        let violation = try #require(driver.violation(violationCase.check), driver.state)
        #expect(violation.evidence == violationCase.evidence && violation.count > 0, driver.state)
        #expect(Set(driver.broken) == Set([violationCase.check] + violationCase.also), driver.state)
    }

    @Test("the nearest legal driver is not reported, and covers the clause", arguments: ViolationCase.all)
    func notReported(violationCase: ViolationCase) {
        let driver = violationCase.run(false)
        #expect(driver.broken == [], driver.state)
        #expect(driver.isCovered(violationCase.check), driver.state)
    }

    @Test("checking does not change the device's behaviour", arguments: ViolationCase.all)
    func unchanged(violationCase: ViolationCase) {
        for bad in [true, false] {
            let checked = ConformanceChecking.$mode.withValue(.report) { violationCase.run(bad) }
            let unchecked = ConformanceChecking.$mode.withValue(.off) { violationCase.run(bad) }
            #expect(unchecked.broken == [] && !unchecked.isCovered(violationCase.check), unchecked.state)
            #expect(checked.everything == unchecked.everything, checked.state)
        }
    }

    @Test("strict mode refuses only drivers that break a binding clause", arguments: ViolationCase.all)
    func strict(violationCase: ViolationCase) {
        let binds = ([violationCase.check] + violationCase.also).contains { $0.clause.level.binds }
        let bad = ConformanceChecking.$mode.withValue(.strict) { violationCase.run(true) }
        #expect((bad.refusals > 0) == binds && (bad.isDead || !binds), bad.state)
        let legal = ConformanceChecking.$mode.withValue(.strict) { violationCase.run(false) }
        #expect(legal.refusals == 0 && legal.broken == [], legal.state)
    }

    @Test("every check has a violation case")
    func everyCheck() {
        let missing = Set(Check.allCases).subtracting(ViolationCase.plain.map(\.check))
        #expect(missing == [])
    }

    @Test("names of violation cases are unique")
    func names() {
        var names: Set<String> = []
        for violationCase in ViolationCase.all {
            #expect(names.insert(violationCase.testDescription).inserted, "\(violationCase.testDescription)")
        }
    }
}
