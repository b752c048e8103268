// The SUSPEND tests that a guest repeats on KVM, by number. Available buffer notifications arrive by ioeventfd here,
// and interrupts are level-triggered.

import Testing
import VirtioABI

@testable import Machine

@Suite("SUSPEND in the guest", .needsKVM, .serialized)
struct GuestSuspendTests {
    /// Runs only this check of the guest, which has to pass and must not be skipped.
    private func run(_ check: String, _ dialect: SuspendDialect) throws {
        let run = try GuestRun(append: ["only=\(check)"], suspend: dialect)
        #expect(run.lines.map(\.name) == [check], "\(run.output)")
        #expect(run.lines.allSatisfy { $0.passed && $0.directive == nil }, "\(run.output)")
        #expect(run.outcome == .poweredOff)
    }

    @Test("T10 T11 idle", arguments: SuspendDialect.allCases)
    func T10_T11(dialect: SuspendDialect) throws { try run("suspend-idle", dialect) }

    @Test("T12 T13 a request in flight", arguments: SuspendDialect.allCases)
    func T12_T13(dialect: SuspendDialect) throws { try run("suspend-in-flight", dialect) }

    @Test("T15 T16 abort, where there is one", arguments: SuspendDialect.allCases)
    func T15_T16(dialect: SuspendDialect) throws { try run("suspend-abort", dialect) }

    @Test("T25 T51 console input", arguments: SuspendDialect.allCases)
    func T25_T51(dialect: SuspendDialect) throws { try run("suspend-console-input", dialect) }

    @Test("T27 configuration changes", arguments: SuspendDialect.allCases)
    func T27(dialect: SuspendDialect) throws { try run("suspend-config-change", dialect) }

    @Test("T33 an acknowledgement while suspended", arguments: SuspendDialect.allCases)
    func T33(dialect: SuspendDialect) throws { try run("suspend-ack-clears", dialect) }

    @Test("T40 frozen registers", arguments: SuspendDialect.allCases)
    func T40(dialect: SuspendDialect) throws { try run("suspend-frozen", dialect) }

    @Test("T46 T47 a backend that is slow to resume", arguments: SuspendDialect.allCases)
    func T46_T47(dialect: SuspendDialect) throws { try run("suspend-resume-held", dialect) }

    @Test("T49 queued work after the resume", arguments: SuspendDialect.allCases)
    func T49(dialect: SuspendDialect) throws { try run("resume-rescans", dialect) }

    @Test("T55 cycles under load", arguments: SuspendDialect.allCases)
    func T55(dialect: SuspendDialect) throws { try run("suspend-cycles", dialect) }

    @Test("T67 kicks by ioeventfd while suspended", arguments: SuspendDialect.allCases)
    func T67(dialect: SuspendDialect) throws { try run("suspend-kick-ignored", dialect) }

    @Test("T68 interrupts masked", arguments: SuspendDialect.allCases)
    func T68(dialect: SuspendDialect) throws { try run("suspend-masked", dialect) }
}
