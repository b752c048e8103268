// The breakpoints of a debugger: which are an int3 in memory, and which are in the processor's four debug registers. A value without a
// machine. Intel SDM volume 3, 18.2 "Debug Registers".

import KVM

/// The breakpoints that are set.
struct BreakpointTable {
    /// An int3 in memory.
    struct Patch: Equatable {
        /// Guest-physical.
        let place: UInt64
        /// The byte that it replaced.
        var original: UInt8
    }

    static let int3: UInt8 = 0xcc
    private static let mostPatches = 4096

    /// By the linear address.
    private var patches: [UInt64: Patch] = [:]
    /// Those in debug registers.
    private var requests: [Breakpoint] = []

    // MARK: In memory

    /// Notes an int3 for `address`, in place of the byte `found` in memory; false if there are too many.
    mutating func addPatch(_ address: UInt64, at place: UInt64, found: UInt8) -> Bool {
        guard patches[address] == nil else { return true }
        guard patches.count < Self.mostPatches else { return false }
        // Another address of the same byte may have one.
        patches[address] = Patch(place: place, original: hidden([found], at: place)[0])
        return true
    }

    /// Forgets the int3 for `address`; returns it if no other address has it too, so that memory must not.
    mutating func removePatch(_ address: UInt64) -> Patch? {
        guard let patch = patches.removeValue(forKey: address), !hasPatch(at: patch.place) else { return nil }
        return patch
    }

    /// Whether an int3 is at a guest-physical address, which has further linear ones than that of the breakpoint.
    func hasPatch(at place: UInt64?) -> Bool { patches.values.contains { $0.place == place } }

    var allPatches: [Patch] { Array(patches.values) }

    /// The int3s in `count` bytes at guest-physical `place`: their linear addresses, and where they are in these bytes.
    private func patches(in count: Int, at place: UInt64) -> [(address: UInt64, index: Int)] {
        patches.compactMap { address, patch in
            patch.place >= place && patch.place - place < UInt64(count) ? (address, Int(patch.place - place)) : nil
        }
    }

    /// The bytes at `place` without int3s: with what these replaced.
    func hidden(_ bytes: [UInt8], at place: UInt64) -> [UInt8] {
        patches(in: bytes.count, at: place).reduce(into: bytes) { $0[$1.index] = patches[$1.address]?.original ?? 0 }
    }

    /// Bytes that are written to `place`, with int3s kept, which replace these bytes from now on.
    mutating func patched(_ bytes: [UInt8], at place: UInt64) -> [UInt8] {
        patches(in: bytes.count, at: place).reduce(into: bytes) {
            patches[$1.address]?.original = bytes[$1.index]
            $0[$1.index] = Self.int3
        }
    }

    // MARK: In debug registers

    /// What is in debug registers, at most four, each of a range that one register covers.
    private(set) var registers: [Breakpoint] = []

    /// The ranges of 1, 2, 4 or 8 aligned bytes that cover a watchpoint.
    private static func parts(of breakpoint: Breakpoint) -> [Breakpoint] {
        if breakpoint.kind.isExecution { return [Breakpoint(kind: .hardware, address: breakpoint.address, length: 1)] }
        var parts: [Breakpoint] = []
        var (address, left) = (breakpoint.address, breakpoint.length)
        while left > 0 {
            var length: UInt64 = 8
            while length > left || address % length != 0 { length /= 2 }
            parts.append(Breakpoint(kind: breakpoint.kind, address: address, length: length))
            (address, left) = (address &+ length, left - length)
        }
        return parts
    }

    /// Puts a breakpoint in debug registers; false if too few are free.
    mutating func addToRegisters(_ breakpoint: Breakpoint) -> Bool {
        if requests.contains(breakpoint) { return true }
        guard 1...64 ~= breakpoint.length else { return false }
        let new = Self.parts(of: breakpoint).filter { !registers.contains($0) }
        guard registers.count + new.count <= 4 else { return false }
        requests.append(breakpoint)
        registers += new
        return true
    }

    mutating func removeFromRegisters(_ breakpoint: Breakpoint) {
        requests.removeAll { $0 == breakpoint }
        let parts = requests.flatMap { Self.parts(of: $0) }
        registers.removeAll { !parts.contains($0) }
    }

    /// What the debug registers hold, and whether an int3 stops the guest.
    var control: VCPU.DebugControl {
        var control = VCPU.DebugControl()
        control.usesINT3 = !patches.isEmpty
        for (index, breakpoint) in registers.enumerated() {
            control.addresses[index] = breakpoint.address
            // R/W: 0 executed, 1 written, 3 read or written; none is only read. LEN: 0, 1, 3, 2 for 1, 2, 4, 8 bytes.
            let access: UInt64 = breakpoint.kind.isExecution ? 0 : breakpoint.kind == .write ? 1 : 3
            let length: UInt64 = breakpoint.length == 8 ? 2 : breakpoint.length - 1
            // G enables it; GE, and bit 10, which is always 1.
            control.dr7 |= 2 << UInt64(2 * index) | (access | length << 2) << UInt64(16 + 4 * index) | 0x600
        }
        return control
    }

    /// The breakpoint that stopped a vCPU in front of `address`, or behind an access, by DR6; nil if none did.
    func reason(dr6: UInt64, address: UInt64) -> DebugStop.Reason? {
        for (index, breakpoint) in registers.enumerated() where dr6 & 1 << UInt64(index) != 0 {
            guard breakpoint.kind.isExecution else {
                return .breakpoint(breakpoint.kind, address: breakpoint.address)
            }
            guard breakpoint.address == address else { continue }
            let isSoftware = requests.contains { $0.kind == .software && $0.address == address }
            return .breakpoint(isSoftware ? .software : .hardware, address: address)
        }
        return nil
    }
}
