// SUSPEND over qtest, in both dialects: a drain that waits, a drain deadline that passes, a resume that waits for its
// backend, and x-state in all of these. The client sets the clock.

import Testing
import VirtioABI

@testable import Machine

@Suite struct QTestSuspendTests {
    private let disk = QTestClient.disk
    private let console = QTestClient.console

    private func suspended(_ dialect: SuspendDialect) -> UInt64 { UInt64(dialect.suspendedStatus.rawValue) }
    private func resume(_ dialect: SuspendDialect) -> UInt64 { dialect == .draft ? 0x0f : 0x1f }

    /// A client of a running disk with a read in flight.
    private func clientWithRead(_ dialect: SuspendDialect, deadline: Duration = .seconds(10)) throws -> QTestClient {
        let client = try QTestClient(suspend: dialect, drainDeadline: deadline)
        client.say("irq_intercept_in ioapic")
        client.bringUp(disk, queues: 1)
        client.say("x-hold blk0")
        client.request(BlockRequest.Kind.read, sector: 0, at: 0x3_0000)
        #expect(client.state("blk0", "inFlight") == "1")
        return client
    }

    @Test("Status does not change until the last request is completed", arguments: SuspendDialect.allCases)
    func inFlight(dialect: SuspendDialect) throws {
        let client = try clientWithRead(dialect)
        #expect(client.state("blk0", "dialect") == (dialect == .draft ? "\"draft\"" : "\"1.4\""))
        client.set(disk, .status, 0x1f)
        for _ in 0..<3 { #expect(client.status(disk) == 0x0f) }
        #expect(client.state("blk0", "phase") == "\"suspending\"" && client.used(disk, 0) == 0)
        #expect(client.say("x-release blk0") == "OK" && client.interrupts == ["IRQ raise 6"])
        #expect(client.status(disk) == suspended(dialect) && client.used(disk, 0) == 1)
        #expect(client.state("blk0", "phase") == "\"suspended\"")
        #expect(client.state("blk0", "status") == "\"0x\(hex(suspended(dialect), digits: 2))\"")
        client.set(disk, .status, resume(dialect))
        #expect(client.status(disk) == 0x0f && client.state("blk0", "phase") == "\"running\"")
    }

    @Test("the draft's drain deadline: suspended with the request retained, which is used after the resume")
    func draftDeadline() throws {
        let client = try clientWithRead(.draft, deadline: .milliseconds(5))
        #expect(client.say("clock_step 7") == "OK 7" && client.state("blk0", "drainDeadline") == "null")
        client.set(disk, .status, 0x1f)
        #expect(client.state("blk0", "drainDeadline") == "5000007")
        #expect(client.say("clock_step 4999999") == "OK 5000006" && client.status(disk) == 0x0f)
        #expect(client.say("clock_step") == "OK 5000007" && client.status(disk) == 0x1f)
        #expect(client.say("clock_step") == "OK 5000007" && client.interrupts == [])
        client.say("x-release blk0")
        #expect(client.used(disk, 0) == 0 && client.number("readb 0x30200") == 0xff && client.interrupts == [])
        #expect(client.state("blk0", "held") == "1" && client.state("blk0", "inFlight") == "0")
        #expect(client.state("blk0", "deferred") == "true")
        client.set(disk, .status, 0x0f)
        #expect(client.used(disk, 0) == 1 && client.interrupts == ["IRQ raise 6"])
        #expect(client.state("blk0", "held") == "0" && client.state("blk0", "deferred") == "false")
    }

    @Test("1.4's drain deadline: the device needs a reset")
    func ratifiedDeadline() throws {
        let client = try clientWithRead(.ratified, deadline: .milliseconds(5))
        client.set(disk, .status, 0x1f)
        #expect(client.say("clock_set 5000000") == "OK 5000000")
        #expect(client.status(disk) == 0x4f && client.interrupts == ["IRQ raise 6"])
    }

    @Test("a deadline after the end of the drain has no effect")
    func inTime() throws {
        let client = try clientWithRead(.ratified, deadline: .milliseconds(5))
        client.set(disk, .status, 0x1f)
        client.say("x-release blk0")
        #expect(client.state("blk0", "drainDeadline") == "null")
        #expect(client.say("clock_step 0x100000000") == "OK 4294967296" && client.status(disk) == 0x1b)
    }

    @Test("a clock step passes every deadline in order")
    func twoDeadlines() throws {
        let client = try QTestClient(suspend: .ratified, drainDeadline: .nanoseconds(100))
        client.say("irq_intercept_in ioapic")
        for slot in [2, 1] {
            client.bringUp(slot, queues: 1)
            client.say("x-hold blk\(slot - 1)")
            client.request(BlockRequest.Kind.read, sector: 0, at: 0x3_0000 * UInt64(slot), slot: slot)
            client.set(slot, .status, 0x1f)
            client.say("clock_step 10")
        }
        #expect(client.say("clock_step 1000") == "OK 1020" && client.interrupts == ["IRQ raise 7", "IRQ raise 6"])
    }

    @Test("the clock never goes back, and stops at its maximum")
    func clock() throws {
        let client = try QTestClient(suspend: .draft, drainDeadline: .nanoseconds(100))
        client.bringUp(1, queues: 1)
        client.say("x-hold blk0")
        client.request(BlockRequest.Kind.read, sector: 0, at: 0x3_0000)
        client.set(1, .status, 0x1f)
        #expect(client.say("clock_step 30") == "OK 30" && client.say("clock_set 10") == "OK 30")
        #expect(client.say("clock_step -5") == "OK 30" && client.say("clock_step 0") == "OK 30")
        #expect(client.say("clock_step") == "OK 100" && client.status(1) == 0x1f)
        #expect(client.say("clock_step 0x7fffffffffffffff") == "OK 9223372036854775807")
        #expect(client.say("clock_step 1") == "OK 9223372036854775807")
    }

    @Test("x-deadline makes the drain deadline pass", arguments: SuspendDialect.allCases)
    func deadline(dialect: SuspendDialect) throws {
        let client = try clientWithRead(dialect)
        #expect(client.say("x-deadline blk0") == "OK" && client.status(disk) == 0x0f)
        client.set(disk, .status, 0x1f)
        #expect(client.say("x-deadline blk0") == "OK" && client.status(disk) == (dialect == .draft ? 0x1f : 0x4f))
    }

    @Test("a resume waits until the backend is ready", arguments: SuspendDialect.allCases)
    func holdResume(dialect: SuspendDialect) throws {
        let client = try QTestClient(suspend: dialect)
        client.say("irq_intercept_in ioapic")
        client.bringUp(disk, queues: 1)
        client.set(disk, .status, 0x1f)
        client.request(BlockRequest.Kind.read, sector: 0, at: 0x3_0000)
        client.say("x-capacity blk0 100")
        #expect(client.state("blk0", "stagedConfiguration").hasPrefix("\"0x6400"))
        #expect(client.say("x-hold-resume blk0") == "OK" && client.state("blk0", "resumeHeld") == "true")
        client.set(disk, .status, resume(dialect))
        #expect(client.status(disk) == suspended(dialect) && client.state("blk0", "phase") == "\"resuming\"")
        #expect(client.used(disk, 0) == 0 && client.interrupts == [])
        #expect(client.say("x-ready blk0") == "OK" && client.interrupts == ["IRQ raise 6"])
        #expect(client.status(disk) == 0x0f && client.used(disk, 0) == 1 && client.get(disk, .interruptStatus) == 3)
        #expect(client.state("blk0", "stagedConfiguration") == "null")
    }

    @Test("a suspended console defers input and size until the resume", arguments: SuspendDialect.allCases)
    func console(dialect: SuspendDialect) throws {
        let client = try QTestClient(suspend: dialect)
        client.say("irq_intercept_in ioapic")
        client.bringUp(console, queues: 2)
        client.offer(console, 0, first: 0, [(0x3_0000, 8, true)])
        client.set(console, .status, 0x1f)
        client.say("x-input console0 0x6162")
        client.say("x-size console0 132 43")
        #expect(client.used(console, 0) == 0 && client.interrupts == [])
        #expect(client.number("readl \(client.address(console, 0x100))") == 80 | 25 << 16)
        client.set(console, .status, resume(dialect))
        #expect(client.used(console, 0) == 1 && client.say("read 0x30000 2") == "OK 0x6162")
        #expect(client.interrupts == ["IRQ raise 5"] && client.get(console, .interruptStatus) == 3)
    }

    @Test("x-state has all its members, in order, for every device")
    func state() throws {
        let client = try QTestClient(suspend: nil)
        let members = [
            "device", "type", "phase", "reason", "status", "dialect", "suspendNegotiated", "latchedError",
            "offeredFeatures", "driverFeatures", "interruptStatus", "acknowledged", "acknowledgements", "line",
            "configGeneration", "configuration", "stagedConfiguration", "deviceState", "deferred", "deviceFeaturesSel",
            "driverFeaturesSel", "queueSel", "shmSel", "lastFault", "violations", "drainDeadline", "resumeHeld",
            "backend", "holding", "waiting", "failing", "output", "input", "queues", "sizeMax", "size", "desc",
            "driver",
            "device", "ready", "resetting", "ending", "waiting", "wanted", "notifications", "suppression",
            "available",
            "used", "notified", "inFlight", "held", "drainLeft",
        ]
        for device in ["console0", "blk0", "blk1"] {
            var rest = client.say("x-state \(device)")[...]
            for member in members {
                let found = try #require(rest.firstRange(of: "\"\(member)\":"), "\(member) of \(device)")
                rest = rest[found.upperBound...]
            }
        }
        client.bringUp(disk, queues: 1)
        #expect(client.state("blk0", "dialect") == "null" && client.state("blk0", "suspendNegotiated") == "false")
        #expect(client.state("blk0", "driverFeatures") == "\"0x0000000100000000\"")
        #expect(client.state("blk0", "desc") == "\"0x0000000000018000\"" && client.state("blk0", "ready") == "true")
        #expect(client.state("blk0", "available") == "{\"count\":0")
        client.request(BlockRequest.Kind.read, sector: 0, at: 0x3_0000)
        #expect(client.state("blk0", "available") == "{\"count\":1" && client.state("blk0", "used") == "{\"count\":1")
    }
}
