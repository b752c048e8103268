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

    /// The bytes at guest-physical `place` without int3s: with what these replaced.
    func hidden(_ bytes: [UInt8], at place: UInt64) -> [UInt8] {
        var bytes = bytes
        for patch in patches.values { if let index = patch.index(in: bytes, at: place) { bytes[index] = patch.original } }
        return bytes
    }

    /// Bytes that are written to `place`, with int3s kept, which replace these bytes from now on.
    mutating func patched(_ bytes: [UInt8], at place: UInt64) -> [UInt8] {
        var result = bytes
        for (address, patch) in patches {
            guard let index = patch.index(in: bytes, at: place) else { continue }
            patches[address]?.original = bytes[index]
            result[index] = Self.int3
        }
        return result
    }

    // MARK: In debug registers

    /// What is in debug registers, at most four, each of a range that one register covers.
    var registers: [Breakpoint] { Self.registers(for: requests) }

    private static func registers(for requests: [Breakpoint]) -> [Breakpoint] {
        requests.flatMap { parts(of: $0) }.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

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
        guard 1...64 ~= breakpoint.length, Self.registers(for: requests + [breakpoint]).count <= 4 else { return false }
        requests.append(breakpoint)
        return true
    }

    mutating func removeFromRegisters(_ breakpoint: Breakpoint) { requests.removeAll { $0 == breakpoint } }

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

extension BreakpointTable.Patch {
    /// Where it is in `bytes`, which are at guest-physical `start`; nil if it is not in them.
    fileprivate func index(in bytes: [UInt8], at start: UInt64) -> Int? {
        place >= start && place - start < UInt64(bytes.count) ? Int(place - start) : nil
    }
}
