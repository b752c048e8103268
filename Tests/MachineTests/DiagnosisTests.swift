// The reason that x-state reports for a device that makes no progress, case by case.

import Testing
import VirtioABI

@testable import Machine

@Suite struct DiagnosisTests {
    private let disk = QTestClient.disk
    private let console = QTestClient.console

    /// Expects `words` in the device's reason.
    private func expect(
        _ words: String, _ client: QTestClient, _ device: String = "blk0", _ location: SourceLocation = #_sourceLocation
    ) {
        let state = client.say("x-state \(device)")
        let reason = state.firstRange(of: "\"reason\":\"").map { state[$0.upperBound...].prefix { $0 != "\"" } } ?? ""
        #expect(reason.contains(words), "\(reason)", sourceLocation: location)
    }

    @Test("an incomplete initialisation is reported by the step that is missing")
    func initialisation() throws {
        let client = try QTestClient()
        expect("no driver has begun", client)
        for register: Register in [.magicValue, .version, .deviceID] {
            _ = client.get(disk, register)
            expect(
                "it may not know version 2 of virtio-mmio, or have no driver for device type 2", client)
        }
        client.set(disk, .status, 0)
        expect("no driver has begun", client)
        client.set(disk, .status, 1)
        expect("has not set DRIVER", client)
        client.set(disk, .status, 3)
        expect("has not set FEATURES_OK", client)
        client.set(disk, .driverFeaturesSel, 0)
        client.set(disk, .driverFeatures, 1 << 0)
        client.set(disk, .status, 0x0b)
        expect("features that are not offered (0x1 (bits 0))", client)
        client.set(disk, .driverFeatures, 0)
        client.set(disk, .driverFeaturesSel, 1)
        client.set(disk, .driverFeatures, 1)
        client.set(disk, .status, 0x0b)
        expect("has set up no queue", client)
        client.set(disk, .queueSize, 8)
        client.set(disk, .queueDriverLow, 0x400)
        client.set(disk, .queueDeviceLow, 0x800)
        client.set(disk, .queueReady, 1)
        expect("has not set DRIVER_OK", client)
        client.set(disk, .status, 0x8f)
        expect("set FAILED", client)
    }

    @Test("available buffers without a notification, before the first notification and after it")
    func missingNotification() throws {
        let client = try QTestClient()
        client.bringUp(disk, queues: 1)
        expect("it waits for the driver", client)
        for chain in 0..<3 { client.offer(disk, 0, first: 2 * chain, [(0x3_0000, 16, false), (0x3_0100, 1, true)]) }
        expect("the driver made 3 buffers available in queue 0 and has not notified it since DRIVER_OK", client)
        client.notify(disk, 0)
        expect("the interrupt line is up and the driver does not acknowledge it", client)
        client.set(disk, .interruptACK, 1)
        expect("it waits for the driver", client)
        client.offer(disk, 0, first: 0, [(0x3_0000, 16, false), (0x3_0100, 1, true)])
        expect("the driver made 1 buffer available in queue 0 and has not notified it since", client)
    }

    @Test("a notification of a queue that is not ready, until the queue is ready")
    func notificationOfUnreadyQueue() throws {
        let client = try QTestClient()
        client.bringUp(console, queues: 1)
        client.notify(console, 1)
        _ = client.get(console, .interruptStatus)
        expect("the driver notified queue 1, which is not ready: the notification is ignored", client, "console0")
        #expect(client.devices[console].state.report.hasSuffix("queue 1: not set up, ignored 1 notification"))
        client.set(console, .queueSel, 1)
        client.set(console, .queueSize, 8)
        for (register, area): (Register, UInt64) in [
            (.queueDescLow, 0x4_0000), (.queueDriverLow, 0x4_0400), (.queueDeviceLow, 0x4_0800),
        ] {
            client.set(console, register, area)
        }
        client.set(console, .queueReady, 1)
        expect("it waits for the driver", client, "console0")
    }

    @Test("receive buffers without input are not reported")
    func receiveBuffers() throws {
        let client = try QTestClient()
        client.bringUp(console, queues: 2)
        client.offer(console, 0, first: 0, [(0x3_0000, 64, true)])
        expect("it waits for the driver", client, "console0")
    }

    @Test(
        "a drain is reported by the Status value that is awaited and by the requests in flight",
        arguments: SuspendDialect.allCases)
    func drain(dialect: SuspendDialect) throws {
        let client = try QTestClient(suspend: dialect)
        client.bringUp(disk, queues: 1)
        client.say("x-hold blk0")
        client.request(BlockRequest.Kind.read, sector: 0, at: 0x3_0000)
        expect("1 request of queue 0 held back by a test or a debugger", client)
        client.set(disk, .status, 0x1f)
        let wanted = dialect == .draft ? "0x1f" : "0x1b"
        expect("waiting for Status to read \(wanted); 1 request still in the backend", client)
        client.say("x-release blk0")
        expect(dialect == .draft ? "until the driver clears SUSPEND" : "until the driver sets DRIVER_OK", client)
        client.say("x-hold-resume blk0")
        client.set(disk, .status, dialect == .draft ? 0x0f : 0x1f)
        expect("the backend is not ready yet", client)
        client.say("x-ready blk0")
        client.set(disk, .interruptACK, 1)
        expect("it waits for the driver", client)
    }

    @Test("a suspended device without work is not stalled, and one with work is", arguments: SuspendDialect.allCases)
    func suspended(dialect: SuspendDialect) throws {
        let client = try QTestClient(suspend: dialect)
        client.bringUp(disk, queues: 1)
        client.set(disk, .status, 0x1f)
        #expect(client.devices[disk].state.stall == nil)
        let until = "suspended until the driver \(dialect == .draft ? "clears SUSPEND" : "sets DRIVER_OK")"
        client.offer(disk, 0, first: 0, [(0x3_0000, 16, false), (0x3_0100, 1, true)])
        expect("\(until), with 1 buffer available and not popped", client)
        #expect(client.devices[disk].state.stall?.certainty == .outstanding)
        client.say("x-capacity blk0 64")
        expect("\(until), with 1 buffer available and not popped", client)
    }

    @Test("a suspended device with an event of the host, and one with retained requests")
    func deferred() throws {
        let client = try QTestClient()
        client.bringUp(disk, queues: 1)
        client.set(disk, .status, 0x1f)
        client.say("x-capacity blk0 64")
        expect("with an event of the host deferred until then", client)
        client.bringUp(disk, queues: 1)
        client.say("x-hold blk0")
        client.request(BlockRequest.Kind.read, sector: 0, at: 0x3_0000)
        client.set(disk, .status, 0x1f)
        client.say("x-deadline blk0")
        expect("with 1 request in the backend", client)
        client.say("x-release blk0")
        expect("with 1 finished request not used", client)
    }

    @Test("an interrupt that is not acknowledged, by whether the interrupt controllers mask it")
    func unacknowledged() throws {
        let client = try QTestClient()
        client.bringUp(disk, queues: 1)
        client.offer(disk, 0, first: 0, [(0x3_0000, 16, false), (0x3_0100, 1, true)])
        client.notify(disk, 0)
        var state = client.devices[disk].state
        #expect(state.reason.contains("is the interrupt masked, or its handler missing?"))
        state.lineIsMasked = true
        #expect(state.reason.contains("the interrupt controllers mask it, so the driver polls, or waits for"))
        state.lineIsMasked = false
        #expect(state.reason.contains("the interrupt is not masked; is its handler missing"))
    }

    @Test("a console that is only not acknowledged comes after a disk with outstanding work")
    func order() throws {
        let client = try QTestClient()
        client.bringUp(console, queues: 2)
        client.offer(console, 1, first: 0, [(0x3_0000, 1, false)])
        client.notify(console, 1)
        client.bringUp(disk, queues: 1)
        func stalled() -> [String] { StallReport.stalled(client.devices.map(\.state)).map(\.name) }
        #expect(stalled() == ["console0"])
        client.offer(disk, 0, first: 0, [(0x3_0000, 16, false), (0x3_0100, 1, true)])
        #expect(stalled() == ["blk0", "console0"])
        client.set(disk, .status, 0)
        client.set(disk, .status, 3)
        #expect(stalled() == ["blk0", "console0"])
    }

    @Test("repeated reads of one register that return the same value are no progress")
    func polling() throws {
        let client = try QTestClient()
        client.set(disk, .status, 0x80)
        // Not by a line of qtest, which also does the work of the device's thread.
        let device = client.devices[disk]
        func read(_ register: Register) { _ = device.read(at: UInt64(register.rawValue), width: 4) }
        read(.status)
        let before = device.activity
        for _ in 0..<3 { read(.status) }
        #expect(device.activity == before)
        #expect(device.state.report.contains("read of Status, which returned 0x80; 4 times in a row"))
        read(.interruptStatus)
        #expect(device.activity > before)
        expect("set FAILED", client)
    }

    @Test("a device that needs a reset, and why")
    func dead() throws {
        let client = try QTestClient()
        client.bringUp(disk, queues: 1)
        client.offer(disk, 0, first: 0, [(0xc000_0000, 16, false)])
        client.notify(disk, 0)
        expect("the driver broke a queue (buffer outside memory); the driver has not reset it", client)
        client.set(disk, .status, 0)
        expect("no driver has begun", client)
        client.bringUp(disk, queues: 1)
        client.say("x-fatal blk0")
        expect("its backend failed", client)
    }
}
