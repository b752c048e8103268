// The framing of GDB's remote serial protocol: `$DATA#XX`, acknowledgements, and the byte 3, which interrupts. GDB's manual, "Overview"
// of the protocol.

/// What a client sends.
public enum GDBInput: Equatable, Sendable {
    /// The data of a packet, with its escapes undone.
    case packet([UInt8])
    /// Ctrl-C.
    case interrupt
    /// A packet arrived as it was sent, or did not.
    case acknowledgement(isPositive: Bool)
    /// A packet whose checksum is wrong.
    case damaged
    /// A packet that is longer than clients were told.
    case tooLong
}

/// Splits a stream of bytes into packets. It holds no more than one packet.
struct GDBPacketParser {
    /// Most bytes of a packet's data: the packet size that clients are told.
    static let capacity = 0x4000

    private enum State {
        case between, data, escape, checksum
        case secondDigit(UInt8?)
    }

    private var state = State.between
    private var data: [UInt8] = []
    private var sum: UInt8 = 0
    private var isTooLong = false

    /// Adds a received byte; returns what it completes.
    mutating func append(_ byte: UInt8) -> GDBInput? {
        switch (state, byte) {
        // A dollar sign begins a packet anywhere: within one it would have been escaped, so the rest of that one was lost.
        case (.checksum, _): state = .secondDigit(byte.hexadecimalDigit)
        case (.secondDigit(let high), _):
            state = .between
            guard let high, let low = byte.hexadecimalDigit, high << 4 | low == sum else { return .damaged }
            return isTooLong ? .tooLong : .packet(data)
        case (_, UInt8(ascii: "$")): (state, data, sum, isTooLong) = (.data, [], 0, false)
        case (.between, UInt8(ascii: "+")): return .acknowledgement(isPositive: true)
        case (.between, UInt8(ascii: "-")): return .acknowledgement(isPositive: false)
        case (.between, 3): return .interrupt
        case (.between, _): break
        case (.data, UInt8(ascii: "#")), (.escape, UInt8(ascii: "#")): state = .checksum
        case (.data, UInt8(ascii: "}")):
            sum &+= byte
            state = .escape
        default: add(byte)
        }
        return nil
    }

    private mutating func add(_ byte: UInt8) {
        sum &+= byte
        let isEscaped = if case .escape = state { true } else { false }
        state = .data
        if data.count < Self.capacity { data.append(isEscaped ? byte ^ 0x20 : byte) } else { isTooLong = true }
    }

    /// A packet with `data`.
    static func frame(_ data: [UInt8]) -> [UInt8] {
        var bytes = [UInt8(ascii: "$")]
        bytes.reserveCapacity(data.count + 4)
        for byte in data {
            switch byte {
            case UInt8(ascii: "$"), UInt8(ascii: "#"), UInt8(ascii: "}"), UInt8(ascii: "*"):
                bytes += [UInt8(ascii: "}"), byte ^ 0x20]
            default: bytes.append(byte)
            }
        }
        let sum = bytes.dropFirst().reduce(0, &+)
        return bytes + [UInt8(ascii: "#")] + Array([sum].hexadecimal.utf8)
    }
}
