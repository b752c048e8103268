// The last exits of a vCPU, for the message about its crash.

import KVM

/// A few exits, the newest last.
struct RecentExits {
    private static let most = 8
    private var exits = InlineArray<8, VCPU.Exit>(repeating: .interrupted)
    private var count = 0

    mutating func add(_ exit: VCPU.Exit) {
        exits[count % Self.most] = exit
        count += 1
    }

    /// A heading and a line for each exit, the newest last.
    var text: String {
        let shown = max(0, count - Self.most)..<count
        return (["  its last \(shown.count) exits:"] + shown.map { "    \(Self.describe(exits[$0 % Self.most]))" })
            .joined(separator: "\n")
    }

    private static func describe(_ exit: VCPU.Exit) -> String {
        switch exit {
        case .portIn(let port, let width): "read of port 0x\(hex(UInt64(port), digits: 1)), \(width) bytes"
        case .portOut(let port, let width, let value):
            "write of 0x\(hex(UInt64(value), digits: 2 * width)) to port 0x\(hex(UInt64(port), digits: 1))"
        case .mmioRead(let address, let width): "read of 0x\(hex(address, digits: 8)), \(width) bytes"
        case .mmioWrite(let address, let width, let value):
            "write of 0x\(hex(value, digits: 2 * width)) to 0x\(hex(address, digits: 8))"
        case .hlt: "halt"
        case .shutdown: "shutdown"
        case .failEntry(let reason): "entry refused, reason \(reason)"
        case .internalError(let suberror, _): "KVM's internal error \(suberror)"
        case .debug(_, let address, _): "debug stop at 0x\(hex(address, digits: 8))"
        case .interrupted: "interrupted"
        case .systemEvent(let type): "system event \(type)"
        case .unknown(let reason): "exit reason \(reason)"
        }
    }
}
