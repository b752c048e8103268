// A clause, and two drivers that differ in one thing: the one breaks the clause, the other does the nearest that is legal.

import Testing
import Virtio
import VirtioABI

/// A driver, as its device sees it, whatever the device.
protocol Observed {
    func violation(_ check: Check) -> Violation?
    func isExercised(_ check: Check) -> Bool
    var state: Comment { get }
    /// All that the driver, the guest's memory and the host can see.
    var everything: [String] { get }
    /// How often the driver was refused.
    var refusals: Int { get }
    /// The device shows DEVICE_NEEDS_RESET, or will when it resumes.
    var isDead: Bool { get }
}

extension FakeDriver: Observed where Device: ~Copyable {
    func violation(_ check: Check) -> Violation? { backend.transport.conformance.violation(check) }
    func isExercised(_ check: Check) -> Bool { backend.transport.conformance.covered.contains(check) }
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
    /// All that was broken.
    var broken: [Check] { Check.allCases.filter { violation($0) != nil } }
}

/// What breaks a clause, and where that is seen.
struct ViolationCase: Sendable, CustomTestStringConvertible {
    let check: Check
    /// Where the device says it was, the last time.
    let evidence: Evidence
    /// What cannot be broken without breaking these too.
    let also: [Check]
    /// Runs the driver: the one that breaks the clause if the argument is true, else the one that does not.
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

    /// One at least for each check.
    static let plain = status + registers + configuration + rings + packedRings + blocks + consoles + drafts + ratified
    /// The same checks at other places, and at the edges of what is legal.
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

    /// A chain of queue 0, by its head or buffer id.
    static func chain(_ id: UInt16, queue: Int = 0) -> Evidence { Evidence(queue: queue, value: UInt64(id)) }
}

@Suite struct ConformanceTests {
    @Test("a driver that breaks the clause is told so, with the place, and of no other", arguments: ViolationCase.all)
    func told(offence: ViolationCase) throws {
        let driver = offence.run(true)
        let violation = try #require(driver.violation(offence.check), driver.state)
        #expect(violation.evidence == offence.evidence && violation.count > 0, driver.state)
        #expect(Set(driver.broken) == Set([offence.check] + offence.also), driver.state)
    }

    @Test(
        "one that does the nearest legal thing is told nothing, and the clause was put to the test",
        arguments: ViolationCase.all)
    func notTold(offence: ViolationCase) {
        let driver = offence.run(false)
        #expect(driver.broken == [], driver.state)
        #expect(driver.isExercised(offence.check), driver.state)
    }

    @Test("who is looked at is treated as who is not", arguments: ViolationCase.all)
    func unchanged(offence: ViolationCase) {
        for bad in [true, false] {
            let tracedLoad = ConformanceChecking.$mode.withValue(.report) { offence.run(bad) }
            let unseen = ConformanceChecking.$mode.withValue(.off) { offence.run(bad) }
            #expect(unseen.broken == [] && !unseen.isExercised(offence.check), unseen.state)
            #expect(tracedLoad.everything == unseen.everything, tracedLoad.state)
        }
    }

    @Test("strict refuses who breaks a clause that binds, and nobody else", arguments: ViolationCase.all)
    func strict(offence: ViolationCase) {
        let binds = ([offence.check] + offence.also).contains { $0.clause.level.binds }
        let bad = ConformanceChecking.$mode.withValue(.strict) { offence.run(true) }
        #expect((bad.refusals > 0) == binds && (bad.isDead || !binds), bad.state)
        let legal = ConformanceChecking.$mode.withValue(.strict) { offence.run(false) }
        #expect(legal.refusals == 0 && legal.broken == [], legal.state)
    }

    @Test("there are such drivers for every check")
    func everyCheck() {
        let missing = Set(Check.allCases).subtracting(ViolationCase.plain.map(\.check))
        #expect(missing == [])
    }

    @Test("no two drivers of the table have the same name")
    func names() {
        var tracedLoad: Set<String> = []
        for offence in ViolationCase.all {
            #expect(tracedLoad.insert(offence.testDescription).inserted, "\(offence.testDescription)")
        }
    }
}
