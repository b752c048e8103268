// The device types that are fuzzed.

import Virtio
import VirtioABI

extension Block: FuzzedDevice {
    static let sectors: UInt64 = 64

    /// Bit 0: read-only. Bit 1: two request queues.
    static func make(_ options: UInt8) -> Block {
        Block(capacity: sectors, readOnly: options & 1 != 0, queues: options & 2 != 0 ? 2 : 1, queueSize: 32)
    }

    static func buffers(of request: Request) -> (data: Segments, filled: Bool)? {
        switch request.operation {
        case .read, .identify: (request.data, true)
        case .write: (request.data, false)
        case .flush, .discard, .writeZeroes: nil
        }
    }

    static func edit(_ configuration: inout Configuration, _ value: UInt8) {
        configuration.capacity = sectors - UInt64(value % 2)
    }

    static func returnsEveryBuffer(queue: Int) -> Bool { true }
}

extension Console: FuzzedDevice {
    /// Bit 0: a second port, with a name. Bit 1: the name has 100 bytes, not 4.
    static func make(_ options: UInt8) -> Console {
        let name = [UInt8](repeating: UInt8(ascii: "n"), count: options & 2 != 0 ? 100 : 4)
        return Console(ports: options & 1 != 0 ? [name] : [], queueSize: 32)
    }

    static func buffers(of request: Request) -> (data: Segments, filled: Bool)? { (request.data, false) }

    static func edit(_ configuration: inout Configuration, _ value: UInt8) { configuration.columns = UInt16(value) }

    /// Transmit buffers are used at once; receive buffers only when there is input.
    static func returnsEveryBuffer(queue: Int) -> Bool { queue % 2 == 1 }
}

extension Network: FuzzedDevice {
    /// Bit 0: two pairs of queues. Bit 1: an MTU. Bit 2: only magic frames wake.
    static func make(_ options: UInt8) -> Network {
        var parameters = Parameters(
            mac: 0x5254_0012_3456, mtu: options & 2 != 0 ? 1500 : nil, pairs: options & 1 != 0 ? 2 : 1)
        parameters.wake = options & 4 != 0 ? .magic : .any
        parameters.queueSize = 32
        return Network(parameters)
    }

    static func buffers(of request: Request) -> (data: Segments, filled: Bool)? { (request.data, false) }

    static func edit(_ configuration: inout Configuration, _ value: UInt8) { configuration.isLinkUp = value % 2 == 0 }

    /// Transmit buffers and commands are used at once; receive buffers only when there are frames.
    static func returnsEveryBuffer(queue: Int) -> Bool { queue % 2 == 1 }
}

extension Entropy: FuzzedDevice {
    static func make(_ options: UInt8) -> Entropy { Entropy(queueSize: 32) }

    static func buffers(of request: Request) -> (data: Segments, filled: Bool)? { (request.data, true) }

    /// It has no configuration.
    static func edit(_ configuration: inout Configuration, _ value: UInt8) {}

    static func returnsEveryBuffer(queue: Int) -> Bool { true }
}
