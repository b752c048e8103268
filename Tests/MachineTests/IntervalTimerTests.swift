// The first access to the interval timer, which KVM does not have yet: it does what it would do to a timer that is there.

import CKVM
import KVM
import Testing

@testable import Machine

@Suite(.needsKVM)
struct IntervalTimerTests {
    private let vm: SharedVM
    private let timer: IntervalTimer

    init() throws {
        vm = try SharedVM(Hypervisor(), RAM(size: 2 << 20))
        timer = IntervalTimer(vm)
    }

    @Test func aMachineHasNoTimerBeforeItsFirstAccess() throws {
        #expect(throws: KVMError.self) { try vm.machine.pit() }
        #expect(timer.read(0x61).map { $0 & ~0x10 } == 0)
        #expect(try vm.machine.pit().channels.2.gate == 0)
    }

    @Test(
        "a control word: counter, bytes, mode, decimal",
        arguments: [(0x34, 0, 3, 2, 0), (0x5f, 1, 1, 3, 1), (0xab, 2, 2, 5, 1)] as [(UInt8, Int, UInt8, UInt8, UInt8)])
    func controlWord(_ word: UInt8, _ counter: Int, _ bytes: UInt8, _ mode: UInt8, _ decimal: UInt8) throws {
        #expect(timer.write(0x43, word))
        let counters = try vm.machine.pit().channels
        for (number, state) in [counters.0, counters.1, counters.2].enumerated() {
            let accesses = [state.rw_mode, state.read_state, state.write_state]
            if number == counter {
                #expect(accesses == [bytes, bytes, bytes] && state.mode == mode && state.bcd == decimal)
            } else {
                #expect(state.mode == 0xff, "counter \(number) is as after a reset")
            }
        }
    }

    @Test(
        "what has no meaning before a control word",
        arguments: [(0x43, 0x80), (0x43, 0xc2), (0x40, 7), (0x42, 7)] as [(UInt16, UInt8)])
    func undefined(_ port: UInt16, _ value: UInt8) throws {
        #expect(timer.write(port, value))
        #expect(timer.read(port) == 0)
        let counters = try vm.machine.pit().channels
        #expect([counters.0, counters.1, counters.2].allSatisfy { $0.mode == 0xff })
    }

    @Test func gateAndSpeaker() throws {
        #expect(timer.write(0x61, 3))
        #expect(try vm.machine.pit().channels.2.gate == 1)
        #expect(try vm.machine.pit().flags == UInt32(KVM_PIT_FLAGS_SPEAKER_DATA_ON))
        #expect(timer.write(0x61, 0))
        #expect(try vm.machine.pit().channels.2.gate == 0)
        #expect(try vm.machine.pit().flags == 0)
    }
}
