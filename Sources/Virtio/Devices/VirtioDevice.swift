// What a device type is to the transport. A device sees chains, its configuration space and the negotiated features: never a
// register, a status bit, an interrupt, a thread or a file.

import VirtioABI

/// What a device does with a chain it was given.
public enum TakeResult<Request: Sendable>: Sendable {
    /// Answered on the spot.
    case done(UsedLength)
    /// Left to the backend. The answer goes to `reply`, if the device type has one.
    case work(Request, reply: Reply?)
    /// There is no place in it for an answer: the device cannot go on.
    case unanswerable
}

/// A virtio device type, without its transport and without its backend.
public protocol VirtioDevice: ~Copyable {
    associatedtype Request: Sendable
    /// What the host can configure of the device, and the driver can read. The transport keeps it, stages changes while suspended
    /// and counts generations.
    associatedtype Configuration: Equatable, Sendable

    /// The device type (5).
    static var deviceID: UInt32 { get }
    /// The device type's feature bits that this device has.
    static var features: Features { get }
    /// Those of them it offers unless somebody says otherwise.
    static var defaultFeatures: Features { get }
    /// Says what of `wanted`, a part of `features`, this device offers, and remembers it. Called once, before all else.
    mutating func offer(_ wanted: Features) -> Features
    /// Queues of the device, at most 32, for a driver that accepted `features`.
    func queueCount(_ features: Features) -> Int
    /// QueueSizeMax of queue `index`.
    func queueSizeMax(_ index: Int) -> UInt16
    /// What the configuration is when the device is made.
    var initialConfiguration: Configuration { get }
    /// The device-specific configuration space as the driver reads it.
    func bytes(of configuration: Configuration) -> ConfigurationBytes

    /// The driver's features are final: FEATURES_OK.
    mutating func negotiated(_ features: Features)
    /// Back to the state after creation. What the host has configured stays.
    mutating func reset()
    /// The driver can read a new configuration. Returns the queues by which the device has something to say of it.
    mutating func configurationChanged() -> QueueSet

    /// Whether the device has something to do with a buffer of queue `index`; a receive queue without input has not (D-12).
    func wantsBuffer(queue index: Int) -> Bool
    /// Looks at a chain of queue `index`, and answers it or says what the backend has to do.
    mutating func take(
        _ chain: inout DescriptorChain, queue index: Int, _ configuration: Configuration
    ) -> TakeResult<Request>
    /// Queues for which the device may have something, since it answered a buffer of queue `index`.
    func consequences(ofQueue index: Int) -> QueueSet
    /// The backend is done with a request: answers into `reply`, and says what the device wrote into the chain.
    mutating func finish(_ outcome: Outcome, reply: Reply?) -> UsedLength

    /// What lies at `offset` of the configuration space; nil behind its end and in padding.
    static func field(at offset: Int) -> ConfigurationField?
    /// A request in a few words.
    static func summary(of request: Request) -> RequestSummary
    /// `configuration` as a word, and such a word as a configuration, for a trace and its replay.
    static func word(of configuration: Configuration) -> UInt64
    func configuration(of word: UInt64) -> Configuration

    /// The byte to be shown at once, if a write of `value` at `offset` of the configuration space is emergency output (5.3.4).
    func emergencyByte(_ value: UInt32, at offset: Int) -> UInt8?
    /// The driver writes `width` bytes, 1, 2 or 4, at `offset` of the configuration space; false if it may not.
    mutating func writeConfiguration(_ value: UInt32, at offset: Int, width: Int) -> Bool

    /// What the device remembers beside what the driver negotiated, for a snapshot.
    var savedState: [UInt8] { get }
    /// Takes back what `savedState` gave, after `negotiated`.
    mutating func restore(_ state: [UInt8])
}

extension VirtioDevice where Self: ~Copyable {
    /// None.
    public static var features: Features { [] }
    /// All it has.
    public static var defaultFeatures: Features { features }
    /// Everything that is wanted.
    public mutating func offer(_ wanted: Features) -> Features { wanted }
    public mutating func negotiated(_ features: Features) {}
    public mutating func configurationChanged() -> QueueSet { [] }
    public func consequences(ofQueue index: Int) -> QueueSet { [] }
    /// Nothing.
    public static func field(at offset: Int) -> ConfigurationField? { nil }
    /// No more than that it is one.
    public static func summary(of request: Request) -> RequestSummary { RequestSummary(.other, place: 0, count: 0) }
    /// For a device whose configuration never changes.
    public static func word(of configuration: Configuration) -> UInt64 { 0 }
    public func configuration(of word: UInt64) -> Configuration { initialConfiguration }
    public func emergencyByte(_ value: UInt32, at offset: Int) -> UInt8? { nil }
    public mutating func writeConfiguration(_ value: UInt32, at offset: Int, width: Int) -> Bool { false }
    /// Nothing beside what the transport keeps.
    public var savedState: [UInt8] { [] }
    /// Nothing to take back.
    public mutating func restore(_ state: [UInt8]) {}
}

/// A field of a configuration space.
public struct ConfigurationField: Sendable {
    /// Where it starts.
    public let offset: Int
    /// Bytes.
    public let width: Int
    /// The feature it belongs to; none for a field that is always there.
    public let feature: Features
    /// Not to be read before FEATURES_OK.
    public let needsFeaturesOK: Bool

    init(_ offset: Int, _ width: Int, _ feature: Features = [], needsFeaturesOK: Bool = false) {
        self.offset = offset
        self.width = width
        self.feature = feature
        self.needsFeaturesOK = needsFeaturesOK
    }
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
