// T30 and T44, with threads (D-4). They also run under ThreadSanitizer.

import Glibc
import Testing
import Virtio
import VirtioABI

@Suite("Suspend: races", .serialized)
struct SuspendRaceTests {
    /// Rounds for both dialects together; VMM_ROUNDS changes the number.
    private static let rounds = unsafe getenv("VMM_ROUNDS").flatMap { unsafe Int(String(cString: $0)) } ?? 100_000

    @Test(
        "T30 four threads complete while the driver suspends: after the acknowledgement nothing moves",
        .covers("D-4", "D-7", "D-11", "V5-DEV-6", "V5-DEV-7", "V14-DEV-3", "V14-DEV-4"),
        arguments: SuspendDialect.allCases)
    func T30_completingThreads(_ dialect: SuspendDialect) {
        let device = RacingDevice(dialect)
        var published: UInt16 = 0
        var failure: String?
        for round in 0..<(Self.rounds / 2) where failure == nil {
            failure = suspendAndResume(device, dialect, round: round, published: &published)
        }
        device.stop()
        #expect(failure == nil)
        #expect(device.used == Array(repeating: published, count: 4), "each request used once")
        print("races, \(dialect): \(Self.rounds / 2) rounds, \(Int(device.risingEdges)) interrupts")
    }

    /// Makes a request available in each queue, suspends at once and resumes; returns the error, or nil.
    private func suspendAndResume(
        _ device: RacingDevice, _ dialect: SuspendDialect, round: Int, published: inout UInt16
    ) -> String? {
        let deadline = Deadline()
        for index in 0..<4 {
            device.publish(index, published)
            device.write(.queueNotify, UInt32(index))
        }
        published &+= 1
        device.write(.status, 0x1f)
        // The draft retains requests in every other round, so that some complete while suspended.
        let retains = dialect == .draft && round % 2 == 0
        if retains { device.deadline() }
        let (suspended, all) = (dialect.suspended, Array(repeating: published, count: 4))
        guard deadline.wait({ device.read(.status) == suspended }) else { return "not suspended in round \(round)" }
        // After the drain 1.4 has used what it popped, the draft what was available.
        let drained = dialect == .draft ? device.used == all : device.inFlight == 0
        guard retains || drained else { return "suspended with requests in flight in round \(round)" }
        let (used, interrupt, edges) = (device.used, device.read(.interruptStatus), device.risingEdges)
        for _ in 0..<4 {
            sched_yield()
            guard device.used == used, device.read(.interruptStatus) == interrupt, device.risingEdges == edges,
                device.read(.status) == suspended
            else { return "a suspended device moved in round \(round)" }
        }
        device.write(.interruptACK, interrupt)
        device.write(.status, dialect.resume)
        guard deadline.wait({ device.read(.status) == 0x0f }) else { return "not resumed in round \(round)" }
        return deadline.wait { device.used == all } ? nil : "lost in round \(round): \(device.used) of \(published)"
    }

    @Test(
        "T44 a configuration change races with the acknowledgement: seen before or after, never split, never twice",
        .covers("D-4", "D-9", "V5-DEV-8", "V14-DEV-5", "V14-DEV-6", "V14-DEV-7"), arguments: SuspendDialect.allCases)
    func T44_configurationChange(_ dialect: SuspendDialect) {
        let device = RacingDevice(dialect)
        let rounds = Self.rounds / 20
        let changes = UInt32(rounds)
        let host = Thread {
            for value in 1...changes {
                // Waits for the driver's turn; the moment of the change is not synchronized.
                let ready = Deadline().wait { device.turn == value }
                if !ready { return }
                device.change(to: value)
            }
        }
        var failure: String?
        var early = 0
        for value in 1...changes where failure == nil {
            failure = change(device, dialect, to: value, early: &early)
        }
        device.turn = 0
        host.join()
        device.stop()
        #expect(failure == nil)
        print("races, \(dialect): \(rounds) changes, \(early) before the acknowledgement")
    }

    /// Suspends while the host changes the configuration to `value`; returns the error, or nil.
    private func change(
        _ device: RacingDevice, _ dialect: SuspendDialect, to value: UInt32, early: inout Int
    ) -> String? {
        let deadline = Deadline()
        let generation = device.read(.configGeneration)
        device.turn = value
        if value % 3 == 0 { sched_yield() }
        device.write(.status, 0x1f)
        guard deadline.wait({ device.read(.status) == dialect.suspended }) else { return "not suspended" }
        let (bit, now, bytes) = look(device)
        let before = bit == 2 && now == generation + 1 && bytes == value
        let after = bit == 0 && now == generation && bytes == value - 1
        guard before || after else { return "change \(value) is split: \(bit) \(now - generation) \(bytes)" }
        if before { early += 1 }
        // The host has made the change: from here on only the resume can commit it.
        guard deadline.wait({ device.changed == value }) else { return "the host did not change anything" }
        guard look(device) == (bit, now, bytes) else { return "change \(value) reached a suspended device" }
        device.write(.interruptACK, 3)
        device.write(.status, dialect.resume)
        guard deadline.wait({ device.read(.status) == 0x0f }) else { return "not resumed" }
        guard look(device) == (before ? 0 : 2, generation + 1, value) else { return "change \(value): \(look(device))" }
        device.write(.interruptACK, 3)
        return nil
    }

    private func look(_ device: RacingDevice) -> (bit: UInt32, generation: UInt32, value: UInt32) {
        (device.read(.interruptStatus), device.read(.configGeneration), device.read(at: Register.configuration))
    }
}
