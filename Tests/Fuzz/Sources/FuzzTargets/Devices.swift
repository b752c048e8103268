// The device types that are fuzzed.

import Virtio
import VirtioABI

extension Block: FuzzedDevice {
    static let sectors: UInt64 = 64

    static func make(_ options: UInt8) -> Block {
        Block(capacity: sectors, readOnly: options & 1 != 0, queueSize: 32)
    }

    static func buffers(of request: Request) -> (data: Segments, filled: Bool)? {
        switch request.operation {
        case .read, .identify: (request.data, true)
        case .write: (request.data, false)
        case .flush: nil
        }
    }

    static func edit(_ configuration: inout Configuration, _ value: UInt8) {
        configuration.capacity = sectors - UInt64(value % 2)
    }
}

extension Console: FuzzedDevice {
    static func make(_ options: UInt8) -> Console { Console(queueSize: 32) }

    static func buffers(of request: Request) -> (data: Segments, filled: Bool)? { (request.data, false) }

    static func edit(_ configuration: inout Configuration, _ value: UInt8) { configuration.columns = UInt16(value) }
}
