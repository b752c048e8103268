// The breakpoints of a debugger: which are an int3 in memory, and which are in the processor's four debug registers. A value without a
// machine. Intel SDM volume 3, "Debug registers".

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

    /// By the linear address.
    private(set) var patches: [UInt64: Patch] = [:]
    /// The others.
    private var requests: [Breakpoint] = []

    var isEmpty: Bool { patches.isEmpty && requests.isEmpty }

    /// Whether memory is watched.
    var hasWatchpoint: Bool { requests.contains { !$0.kind.isExecution } }

    /// What is in debug registers, at most four, each of a range that one register covers.
    var registers: [Breakpoint] { Self.registers(for: requests) }

    private static func registers(for requests: [Breakpoint]) -> [Breakpoint] {
        requests.flatMap { parts(of: $0) }.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    mutating func add(_ patch: Patch, at address: UInt64) { patches[address] = patch }

    mutating func takePatch(at address: UInt64) -> Patch? { patches.removeValue(forKey: address) }

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

    /// What the debug registers hold, and whether an int3 stops the guest. Without `watches` the watchpoints are left out.
    func control(watches: Bool) -> VCPU.DebugControl {
        var control = VCPU.DebugControl()
        control.usesINT3 = !patches.isEmpty
        for (index, breakpoint) in registers.enumerated() where watches || breakpoint.kind.isExecution {
            control.addresses[index] = breakpoint.address
            // R/W: 0 executed, 1 written, 3 read or written. The processor has none that is only read.
            let access: UInt64 = breakpoint.kind.isExecution ? 0 : breakpoint.kind == .write ? 1 : 3
            let length: UInt64 = breakpoint.length == 8 ? 2 : breakpoint.length - 1
            // G and L enable it; GE, LE and bit 10, which is always 1.
            control.dr7 |= 2 << UInt64(2 * index) | (access | length << 2) << UInt64(16 + 4 * index) | 0x600
        }
        return control
    }

    /// Which breakpoint it is that stopped a vCPU in front of `address`, by DR6 behind an access; nil if it was none.
    func reason(dr6: UInt64, address: UInt64) -> DebugStop.Reason? {
        for (index, breakpoint) in registers.enumerated() where dr6 & 1 << UInt64(index) != 0 {
            guard breakpoint.kind.isExecution else { return .watchpoint(breakpoint.kind, address: breakpoint.address) }
            guard breakpoint.address == address else { continue }
            let isSoftware = requests.contains { $0.kind == .software && $0.address == address }
            return .breakpoint(isSoftware ? .software : .hardware)
        }
        return nil
    }

    /// Replaces int3s in `bytes`, which are at guest-physical `place`, by what they replaced.
    func hidePatches(in bytes: inout [UInt8], at place: UInt64) {
        for patch in patches.values where patch.place >= place && patch.place - place < UInt64(bytes.count) {
            bytes[Int(patch.place - place)] = patch.original
        }
    }

    /// Remembers the bytes that int3s stand in for, of those to be written at `place`, and keeps the int3s in them.
    mutating func keepPatches(in bytes: inout [UInt8], at place: UInt64) {
        for (address, patch) in patches where patch.place >= place && patch.place - place < UInt64(bytes.count) {
            let index = Int(patch.place - place)
            patches[address]?.original = bytes[index]
            bytes[index] = Self.int3
        }
    }
}
