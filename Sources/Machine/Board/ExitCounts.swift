// How often a guest left its virtual processor for this process. What the kernel serves alone, an ioeventfd's write or an
// interrupt controller's register, is not among it.

import KVM

/// Exits by what they were for.
public struct ExitCounts: Sendable, CustomStringConvertible {
    /// Accesses to device windows, and to memory space where nobody is.
    public private(set) var memory = 0
    /// Accesses to ports.
    public private(set) var ports = 0
    /// All the rest: signals, and what ends a run.
    public private(set) var others = 0
    /// Accesses among them that nobody answered.
    public internal(set) var unanswered = 0
    /// Bytes written to a serial port that is not there.
    public internal(set) var lostOutput = 0

    /// All of them.
    public var total: Int { memory + ports + others }

    mutating func count(_ exit: VCPU.Exit) {
        switch exit {
        case .mmioRead, .mmioWrite: memory += 1
        case .portIn, .portOut: ports += 1
        default: others += 1
        }
    }

    public var description: String {
        "\(total) exits: \(memory) memory, \(ports) port, \(others) others; nobody answered \(unanswered)"
    }
}
