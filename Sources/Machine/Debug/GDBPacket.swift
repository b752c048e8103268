// The framing of GDB's remote serial protocol: `$DATA#XX`, acknowledgements, and the byte 3, which interrupts. GDB manual, appendix E.1,
// "Overview".

/// What a client sends.
public enum GDBInput: Equatable, Sendable {
    /// The data of a packet, with its escapes undone; nil if it is longer than `GDBPacketParser.capacity`.
    case packet([UInt8]?)
    /// Ctrl-C.
    case interrupt
    /// Whether a packet arrived as it was sent.
    case acknowledgement(isPositive: Bool)
    /// A packet whose checksum is wrong.
    case damaged
}

/// Splits a stream of bytes into packets. It holds no more than one packet.
struct GDBPacketParser {
    /// Most bytes of a packet's data: the packet size that clients are told.
    static let capacity = 0x4000

    private enum State: Equatable {
        case between, data, escape, checksum
        case secondDigit(UInt8?)
    }

    private var state = State.between
    private var data: [UInt8] = []
    private var sum: UInt8 = 0

    /// Adds a received byte; returns what it completes.
    mutating func append(_ byte: UInt8) -> GDBInput? {
        switch (state, byte) {
        case (.checksum, _): state = .secondDigit(byte.hexadecimalDigit)
        case (.secondDigit(let high), _):
            state = .between
            guard let high, let low = byte.hexadecimalDigit, high << 4 | low == sum else { return .damaged }
            return .packet(data.count <= Self.capacity ? data : nil)
        // A dollar sign begins a packet anywhere: within one it would have been escaped, so the rest of that one was lost.
        case (_, UInt8(ascii: "$")): (state, data, sum) = (.data, [], 0)
        case (.between, UInt8(ascii: "+")): return .acknowledgement(isPositive: true)
        case (.between, UInt8(ascii: "-")): return .acknowledgement(isPositive: false)
        case (.between, 3): return .interrupt
        case (.between, _): break
        case (_, UInt8(ascii: "#")): state = .checksum
        case (.data, UInt8(ascii: "}")): (state, sum) = (.escape, sum &+ byte)
        default:
            // One byte more shows that the packet is too long.
            if data.count <= Self.capacity { data.append(state == .escape ? byte ^ 0x20 : byte) }
            (state, sum) = (.data, sum &+ byte)
        }
        return nil
    }

    /// A packet with `data`.
    static func frame(_ data: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        for byte in data {
            if "$#}*".utf8.contains(byte) { bytes += [UInt8(ascii: "}"), byte ^ 0x20] } else { bytes.append(byte) }
        }
        let sum = bytes.reduce(0, &+)
        return [UInt8(ascii: "$")] + bytes + [UInt8(ascii: "#")] + Array([sum].hexadecimal.utf8)
    }
}
