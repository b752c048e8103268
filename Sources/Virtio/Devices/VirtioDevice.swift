// What a device type is to the transport. A device sees chains, its configuration space and the negotiated features: never a
// register, a status bit, an interrupt, a thread or a file.

import VirtioABI

/// What a device does with a chain it was given.
public enum Taken<Request: Sendable>: Sendable {
    /// Answered on the spot; `written` bytes were put into its writable part.
    case done(written: UInt32)
    /// Left to the backend. The answer goes to `reply`, if the device type has one.
    case work(Request, reply: Reply?)
    /// There is no place in it for an answer: the device cannot go on.
    case unanswerable
}

/// A device's configuration as a plain value. The transport keeps it, stages changes while suspended and counts
/// generations.
public protocol ConfigurationSpace: Equatable, Sendable {
    /// The device-specific configuration space as the driver reads it.
    var bytes: ConfigurationBytes { get }
}

/// What a driver's write to the configuration space does.
public enum ConfigurationWrite: Equatable, Sendable {
    case ignored
    /// A byte for the console's emergency output.
    case emergency(UInt8)
}

/// A virtio device type, without its transport and without its backend.
public protocol VirtioDevice: ~Copyable {
    associatedtype Request: Sendable
    associatedtype Configuration: ConfigurationSpace

    /// The device type (5).
    static var deviceID: UInt32 { get }
    /// The device type's feature bits this device offers, without the transport's.
    var features: Features { get }
    /// Queues of the device, at most 32.
    var queueCount: Int { get }
    /// QueueSizeMax of queue `index`.
    func queueSizeMax(_ index: Int) -> UInt16
    /// What the configuration is when the device is made.
    var initialConfiguration: Configuration { get }

    /// The driver finished negotiating.
    mutating func activate(_ features: Features)
    /// Back to the state after creation. What the host has configured stays.
    mutating func reset()

    /// Whether the device has something to do with a buffer of queue `index`; a receive queue without input has not (D-12).
    func wantsBuffer(queue index: Int) -> Bool
    /// Looks at a chain of queue `index`, and answers it or says what the backend has to do.
    mutating func take(
        _ chain: inout DescriptorChain, queue index: Int, _ configuration: Configuration
    ) -> Taken<Request>
    /// The backend is done with a request: answers into `reply` and returns the used length (2.7.8).
    mutating func finish(_ outcome: Outcome, reply: Reply?) -> UInt32
    /// The driver writes `width` bytes, 1, 2 or 4, at `offset` of the configuration space.
    mutating func writeConfiguration(_ value: UInt32, at offset: Int, width: Int) -> ConfigurationWrite

    /// What the device remembers beside what the driver negotiated, for a snapshot.
    var savedState: [UInt8] { get }
    /// Takes back what `savedState` gave.
    mutating func restore(_ state: [UInt8])
}

extension VirtioDevice where Self: ~Copyable {
    /// Nothing beside what the transport keeps.
    public var savedState: [UInt8] { [] }
    /// Nothing to take back.
    public mutating func restore(_ state: [UInt8]) {}
}

/// The bytes of a configuration space, at most 96, little-endian.
public struct ConfigurationBytes: Sendable {
    private var bytes = InlineArray<96, UInt8>(repeating: 0)
    /// Bytes the device type defines.
    public let size: Int

    /// `size` zero bytes.
    public init(size: Int) {
        precondition(size <= 96)
        self.size = size
    }

    /// Puts `value` at `offset`, little-endian.
    public mutating func store<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
        precondition(offset >= 0 && offset + Value.bitWidth / 8 <= size)
        for index in 0..<(Value.bitWidth / 8) {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> Value(truncatingIfNeeded: index * 8))
        }
    }

    /// `width` bytes (1 to 8) at `offset`, little-endian; bytes behind the end read 0.
    public func load(at offset: Int, width: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<width where offset + index < size {
            value |= UInt64(bytes[offset + index]) << UInt64(index * 8)
        }
        return value
    }
}
