// The interval timer of a PC, by which kernels without another clock measure time: KVM's, which a guest that uses it gets at its first
// access. KVM takes 15 ms at the end of a machine to destroy it, so the others do without. Intel 8254 data sheet.

import CKVM
import KVM

/// The board's 8254 and port 0x61, until KVM has them.
final class IntervalTimer: @unchecked Sendable {
    /// The three counters and the control word.
    static let ports: ClosedRange<UInt16> = 0x40...0x43
    /// The port that has the third counter's gate (bit 0) and output (bit 5), the speaker (bit 1), and a clock of 15 us (bit 4).
    static let controlPort: UInt16 = 0x61

    private let lock = Lock()
    private let vm: SharedVM
    /// Under the lock: KVM has the timer, and no exit comes from its ports but those that were under way.
    private var exists = false

    init(_ vm: SharedVM) { self.vm = vm }

    /// The guest reads a byte; nil if KVM refuses to make the timer. A counter that was never programmed has no defined content.
    func read(_ port: UInt16) -> UInt8? {
        guard (try? lock.locked { () throws(KVMError) in try make() }) != nil else { return nil }
        return port == Self.controlPort ? UInt8(Instant.now.nanoseconds >> 14 & 1) << 4 : 0
    }

    /// The guest writes a byte; false if KVM refuses to make the timer.
    func write(_ port: UInt16, _ value: UInt8) -> Bool {
        let written: Void? = try? lock.locked { () throws(KVMError) in
            try make()
            var state = try vm.machine.pit()
            switch (port, value >> 6) {
            case (Self.controlPort, _):
                state.channels.2.gate = value & 1
                state.flags = value & 2 == 0 ? 0 : UInt32(KVM_PIT_FLAGS_SPEAKER_DATA_ON)
            case (Self.ports.upperBound, 0): Self.program(&state.channels.0, value)
            case (Self.ports.upperBound, 1): Self.program(&state.channels.1, value)
            case (Self.ports.upperBound, 2): Self.program(&state.channels.2, value)
            // Undefined: a count without a control word before it, and the latched count of such a counter.
            default: return
            }
            try vm.machine.setPIT(state)
        }
        return written != nil
    }

    /// KVM's timer for a snapshot; nil if there is none yet.
    func saved() throws(KVMError) -> [UInt8]? {
        try lock.locked { () throws(KVMError) in exists ? try vm.machine.saved(.pit) : nil }
    }

    /// Makes the timer, in the state that `saved` returned.
    func restore(_ state: [UInt8]) throws(KVMError) {
        try lock.locked { () throws(KVMError) in
            try make()
            try vm.machine.restore(.pit, state)
        }
    }

    /// Makes the timer if it is missing; to be called with the lock held.
    private func make() throws(KVMError) {
        guard !exists else { return }
        try vm.machine.addPIT()
        exists = true
    }

    /// A control word: which bytes of the count are accessible, the mode, and whether it counts in binary-coded decimals.
    private static func program(_ counter: inout kvm_pit_channel_state, _ word: UInt8) {
        let bytes = word >> 4 & 3
        // 0 latches the count.
        guard bytes != 0 else { return }
        (counter.rw_mode, counter.read_state, counter.write_state) = (bytes, bytes, bytes)
        let mode = word >> 1 & 7
        // Modes 6 and 7 are 2 and 3.
        counter.mode = mode > 5 ? mode - 4 : mode
        counter.bcd = word & 1
    }
}
