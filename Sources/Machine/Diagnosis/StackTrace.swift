// The callers of the code that a processor executes: a walk along the frames that rbp links, in a kernel built with frame pointers.

import KVM

/// Return addresses, the innermost first.
enum StackTrace {
    /// Most frames.
    private static let limit = 16

    /// The return addresses on the stack of a processor that executes nothing now and has the general registers `general`. The guest's memory is not trusted: the walk ends where
    /// there is no memory, or a frame is not above the one before.
    static func frames(of vcpu: borrowing VCPU, _ general: kvm_regs, _ memory: borrowing RAM) -> [UInt64] {
        // The outermost frame is linked by 0, and a processor that has not run has none.
        guard general.rbp != 0, let special = try? vcpu.specialRegisters() else { return [] }
        // In long mode's 64-bit code the words of the stack have 8 bytes.
        let word = special.efer & 1 << 10 != 0 && special.cs.l == 1 ? 8 : 4
        guard special.cr0 & 1 != 0 else { return [] }
        let tables = PageTables(special)
        var frames: [UInt64] = []
        var frame = general.rbp
        while frames.count < limit, frame % UInt64(word) == 0, frame >= general.rsp,
            // One that crosses a page ends the walk: the next may be anywhere.
            frame % 4096 <= UInt64(4096 - 2 * word),
            let physical = tables.physicalAddress(of: frame, in: memory),
            let bytes = memory.read(at: physical, count: 2 * word)
        {
            let (next, caller) = (bytes.integer(at: 0, bytes: word), bytes.integer(at: word, bytes: word))
            guard caller != 0 else { break }
            frames.append(caller)
            guard next > frame else { break }
            frame = next
        }
        return frames
    }
}
