// Drivers that keep every rule, from one end of a device's life to the other: what none of them may be told.

import Testing
import Virtio
import VirtioABI

/// A driver's life, in any form of a ring and with SUSPEND or without.
struct LegalDriver: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let run: @Sendable (Form, SuspendDialect?) -> any Observed

    init(_ name: String, _ run: @escaping @Sendable (Form, SuspendDialect?) -> any Observed) {
        testDescription = name
        self.run = run
    }

    static let all = disks + ends + consoles
}

extension FakeDriver where Device: ~Copyable {
    /// What an interrupt handler does: reads InterruptStatus, takes what was used, and acknowledges what it saw.
    func handleInterrupt() {
        let tracedLoad = interruptStatus
        for index in rings.keys { _ = takeUsed(index) }
        if !tracedLoad.isEmpty { write(.interruptACK, tracedLoad.rawValue) }
    }

    /// The driver waits until queue `index`, which it selects, reads `value` from `register`.
    func await(_ register: Register, _ value: UInt32, queue index: Int, _ location: SourceLocation = #_sourceLocation) {
        write(.queueSel, UInt32(index))
        #expect(read(register) == value, state, sourceLocation: location)
    }
}

@Suite struct LegalDriverTests {
    @Test(
        "a driver that keeps the rules is told nothing, whatever the form of its rings",
        arguments: LegalDriver.all, Form.legal)
    func noFalseReport(legal: LegalDriver, form: Form) {
        for dialect in [nil, SuspendDialect.draft, .ratified] {
            // A false report would end the driver's life in strict, and the test with it.
            let driver = ConformanceChecking.$mode.withValue(.report) { legal.run(form, dialect) }
            let evidence = driver.broken.compactMap { driver.violation($0) }
            #expect(evidence == [], driver.state)
        }
    }
}
