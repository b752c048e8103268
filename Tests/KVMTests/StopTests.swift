// Stopping a vCPU from another thread: before it runs, while it runs, repeatedly, and after it is destroyed.

import Glibc
import KVM
import Synchronization
import Testing

/// A thread that runs a guest, signals each interruption, and ends at the first one after `finish`.
private final class Runner: @unchecked Sendable {
    let stopHandle: StopHandle
    let pages: GuestPages
    private let stopped: EventFD
    let finish = Atomic<Bool>(false)
    /// Used only by the thread once it runs.
    private var guest: Guest

    init(_ guest: consuming Guest) throws(KVMError) {
        stopped = try EventFD()
        stopHandle = guest.vcpu.stopHandle
        pages = guest.pages
        self.guest = guest
    }

    func start() {
        var thread = pthread_t()
        let this = unsafe Unmanaged.passRetained(self).toOpaque()
        let result = unsafe pthread_create(
            &thread, nil,
            { argument in
                unsafe Unmanaged<Runner>.fromOpaque(argument.unsafelyUnwrapped).takeRetainedValue().loop()
                return nil
            }, this)
        precondition(result == 0)
        pthread_detach(thread)
    }

    private func loop() {
        while true {
            let exit = try? guest.vcpu.run()
            guard exit == .interrupted else {
                Issue.record("a spinning guest exited with \(String(describing: exit))")
                return
            }
            let last = finish.load(ordering: .acquiring)
            stopHandle.clear()
            stopped.signal()
            if last { return }
        }
    }

    /// Whether `run` returned within ten seconds.
    func waitForInterruption() -> Bool {
        var waiting = pollfd(fd: stopped.descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&waiting, 1, 10_000) == 1 && stopped.take() > 0
    }

    /// Whether the guest incremented its counter within ten seconds, which shows that it runs.
    func waitForProgress() -> Bool {
        let before = pages.word(at: 0x3000)
        let start = ContinuousClock.now
        while pages.word(at: 0x3000) == before {
            if ContinuousClock.now - start > .seconds(10) { return false }
            sched_yield()
        }
        return true
    }
}

@Suite(.needsKVM)
struct StopTests {
    /// inc dword [0x3000], with an absolute address; jmp to it.
    static let spin: [UInt8] = [0xff, 0x04, 0x25, 0x00, 0x30, 0x00, 0x00, 0xeb, 0xf7]
    static let spin32: [UInt8] = [0xff, 0x05, 0x00, 0x30, 0x00, 0x00, 0xeb, 0xf8]

    @Test(arguments: [0, 3])
    func aRunningGuestStops(ring: Int) throws {
        let guest = try Guest(ring == 3 ? Self.spin : Self.spin32)
        if ring == 3 { try guest.enterRing3() }
        let runner = try Runner(guest)
        runner.start()
        for round in 0..<50 {
            // In odd rounds the request may arrive while the vCPU enters the guest.
            if round % 2 == 0 { try #require(runner.waitForProgress(), "round \(round): the guest does not run") }
            if round == 49 { runner.finish.store(true, ordering: .releasing) }
            runner.stopHandle.requestStop()
            try #require(runner.waitForInterruption(), "round \(round): the vCPU was not interrupted")
        }
    }

    @Test func aStopBeforeTheFirstRunStaysInEffect() throws {
        var guest = try Guest([0xe6, 0xf4, 0xe6, 0xf5])  // out 0xf4, al; out 0xf5, al
        guest.vcpu.stopHandle.requestStop()
        #expect(try guest.vcpu.run() == .interrupted)
        #expect(try guest.vcpu.run() == .interrupted, "the request stays in effect until it is cleared")
        guest.vcpu.stopHandle.clear()
        #expect(try guest.vcpu.run() == .portOut(port: 0xf4, width: 1, value: 0))
        guest.vcpu.stopHandle.requestStop()
        #expect(try guest.vcpu.run() == .interrupted)
        guest.vcpu.stopHandle.clear()
        #expect(try guest.vcpu.run() == .portOut(port: 0xf5, width: 1, value: 0))
    }

    @Test func aHaltedGuestStops() throws {
        // hlt without sti, which would need an IDT: a halt with interrupts off never ends either.
        let runner = try Runner(try Guest([0xff, 0x05, 0x00, 0x30, 0x00, 0x00, 0xf4]))
        runner.start()
        let start = ContinuousClock.now
        while runner.pages.word(at: 0x3000) == 0, ContinuousClock.now - start < .seconds(10) { sched_yield() }
        runner.finish.store(true, ordering: .releasing)
        runner.stopHandle.requestStop()
        #expect(runner.waitForInterruption())
    }

    @Test func theHandleOutlivesTheVCPU() throws {
        func handle() throws -> StopHandle {
            var guest = try Guest([0xe6, 0xf4])
            _ = try guest.next()
            return guest.vcpu.stopHandle
        }
        try handle().requestStop()
    }

    @Test func aThreadThatBlocksSignalsIsStillStopped() throws {
        var guest = try Guest([0xe6, 0xf4])
        var (all, before, during) = (sigset_t(), sigset_t(), sigset_t())
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        _ = try guest.next()
        unsafe pthread_sigmask(SIG_SETMASK, &before, &during)
        #expect(unsafe sigismember(&during, StopHandle.signal) == 0)
    }
}
