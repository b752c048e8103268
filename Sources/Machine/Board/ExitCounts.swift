// Number of a vCPU's exits to this process. What KVM serves by itself, such as an ioeventfd or an interrupt controller's
// register, is not counted.

import KVM

/// Exits by kind.
public struct ExitCounts: Sendable, CustomStringConvertible {
    /// Accesses to memory space without RAM.
    public private(set) var memory = 0
    /// Accesses to ports.
    public private(set) var ports = 0
    /// All others: interruptions, and what ends a run.
    public private(set) var others = 0
    /// Accesses among them to addresses and ports that nothing claims.
    public internal(set) var unanswered = 0
    /// Bytes written to the absent serial port.
    public internal(set) var lostOutput = 0

    /// All exits.
    public var total: Int { memory + ports + others }

    mutating func count(_ exit: VCPU.Exit) {
        switch exit {
        case .mmioRead, .mmioWrite: memory += 1
        case .portIn, .portOut: ports += 1
        default: others += 1
        }
    }

    public var description: String {
        "\(total) exits: \(memory) memory, \(ports) port, \(others) others; \(unanswered) of them unclaimed"
    }
}
