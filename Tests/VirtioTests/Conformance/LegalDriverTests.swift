// Drivers that keep every clause, from the first access of a device to the last: none may be reported.

import Testing
import Virtio
import VirtioABI

/// A legal driver, for every virtqueue format and with or without SUSPEND.
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
    /// Acts as an interrupt handler: reads InterruptStatus, takes all used buffers, and acknowledges the events that it
    /// read.
    func handleInterrupt() {
        let events = interruptStatus
        for index in rings.keys { _ = takeUsed(index) }
        if !events.isEmpty { write(.interruptACK, events.rawValue) }
    }

    /// Selects queue `index` and expects `register` to read `value`.
    func await(_ register: Register, _ value: UInt32, queue index: Int, _ location: SourceLocation = #_sourceLocation) {
        write(.queueSel, UInt32(index))
        #expect(read(register) == value, state, sourceLocation: location)
    }
}

@Suite struct LegalDriverTests {
    @Test(
        "a legal driver is not reported, in any virtqueue format",
        arguments: LegalDriver.all, Form.legal)
    func noFalseReport(legal: LegalDriver, form: Form) {
        for dialect in [nil, SuspendDialect.draft, .ratified] {
            // In strict mode a false report would stop the device, and the test with it.
            let driver = ConformanceChecking.$mode.withValue(.report) { legal.run(form, dialect) }
            let evidence = driver.broken.compactMap { driver.violation($0) }
            #expect(evidence == [], driver.state)
        }
    }
}
