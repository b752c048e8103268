// What the states of processors say about a guest: whether it can continue, and where it is.

import KVM
import Testing

@testable import Machine

@Suite struct ProcessorStateTests {
    private static func state(
        _ activity: VCPU.Activity, interrupts: Bool, accesses: Int = 0
    ) -> ProcessorState {
        ProcessorState(activity: activity, rip: 0x1000, rsp: 0x2000, interruptsEnabled: interrupts, accesses: accesses)
    }

    private static let place = "rip 0000000000001000, rsp 0000000000002000"
    private static let waiting = state(.notStarted, interrupts: false)

    @Test("nothing can wake processors that are all halted with interrupts off or not started")
    func halted() {
        let halted = ProcessorStates(states: [Self.state(.halted, interrupts: false), Self.waiting])
        #expect(halted.areStuck(since: nil))
        #expect(
            halted.lines() == [
                "vcpu0 is halted with interrupts off: nothing can wake it; \(Self.place)",
                "vcpu1 is not started at \(Self.place), interrupts off",
            ])
        #expect(StallReport(devices: [], processors: halted).cause == "no processor can continue")
    }

    @Test(
        "another processor, an interrupt or a device can",
        arguments: [
            state(.halted, interrupts: true), state(.running, interrupts: true), state(.running, interrupts: false),
            nil,
        ])
    func awake(other: ProcessorState?) {
        let states = ProcessorStates(states: [Self.state(.halted, interrupts: false), other])
        #expect(!states.areStuck(since: nil))
        #expect(states.lines()[0] == "vcpu0 is halted at \(Self.place), interrupts off")
        #expect(StallReport(devices: [], processors: states).cause == nil)
    }

    @Test("a loop with interrupts off is known by two states without an access between them")
    func loop() {
        func one(_ interrupts: Bool, _ accesses: Int) -> ProcessorStates {
            ProcessorStates(states: [Self.state(.running, interrupts: interrupts, accesses: accesses), Self.waiting])
        }
        #expect(one(false, 7).areStuck(since: one(false, 7)))
        #expect(!one(false, 8).areStuck(since: one(false, 7)), "an access")
        #expect(!one(false, 7).areStuck(since: one(true, 7)), "interrupts were on")
        #expect(!one(true, 7).areStuck(since: one(false, 7)), "interrupts are on")
        #expect(
            one(false, 7).lines(since: one(false, 7))[0]
                == "vcpu0 is running with interrupts off, without an access to a device; \(Self.place)")
    }

    @Test("a processor whose access does not return")
    func busy() {
        #expect(
            ProcessorStates(states: [nil]).lines() == ["vcpu0 is in an access to a device that has not returned"])
    }
}
