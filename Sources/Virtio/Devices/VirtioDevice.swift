// Interface between a device type and the transport. A device type handles chains, its configuration space and the
// negotiated features; registers, status bits and interrupts belong to the transport, threads and files to the host.

import VirtioABI

/// How a device type handles a chain.
public enum TakeResult<Request: Sendable>: Sendable {
    /// The device has completed the chain.
    case done(UsedLength)
    /// The backend performs a request. The device writes its status to `reply`, if the device type has one.
    case work(Request, reply: Reply?)
    /// The device has filled the chain, and its data continue in the next one: the driver sees both used at once.
    case continued(UsedLength)
    /// The device does not use the chain now: it stays available.
    case putBack
    /// The chain has no space for a status: the device needs a reset.
    case unanswerable
}

/// A virtio device type, without its transport and without its backend.
public protocol VirtioDevice: ~Copyable {
    /// What the backend performs: a value without references into the model.
    associatedtype Request: Sendable
    /// The part of the configuration space that the host can change. The transport stores it, stages changes while
    /// suspended and updates ConfigGeneration.
    associatedtype Configuration: Equatable, Sendable

    /// The device type's id (5).
    static var deviceID: UInt32 { get }
    /// The device type's feature bits that this device implements.
    static var features: Features { get }
    /// The subset of `features` that the device offers by default.
    static var defaultFeatures: Features { get }
    /// Returns and stores the subset of `wanted`, itself a subset of `features`, that this device offers. Called once,
    /// first of all.
    mutating func offer(_ wanted: Features) -> Features
    /// Number of queues, at most 32, for a driver that accepted `features`.
    func queueCount(_ features: Features) -> Int
    /// QueueSizeMax of queue `index`.
    func queueSizeMax(_ index: Int) -> UInt16
    /// The configuration of a new device.
    var initialConfiguration: Configuration { get }
    /// The device-specific configuration space as the driver reads it.
    func bytes(of configuration: Configuration) -> ConfigurationBytes

    /// Called when FEATURES_OK is accepted: `features` are final.
    mutating func negotiated(_ features: Features)
    /// Returns to the state after creation, except what the host has configured.
    mutating func reset()
    /// Called when the driver can read the configuration `new`. Returns the queues on which the device reports the change.
    mutating func configurationChanged(to new: Configuration) -> QueueSet
    /// Takes on the limits that `torture` chooses. Called once, before `offer`.
    mutating func limit(by torture: Torture)
    /// A configuration that the device may show for a time instead of `configuration`; the same for none.
    func passing(_ configuration: Configuration, _ word: UInt64) -> Configuration
    /// Closes the host's end of what can be closed and opened again, or opens it. Returns the queues with news of that.
    mutating func disturbPorts() -> QueueSet
    /// Number of changes that the device made to the configuration space for its driver. ConfigGeneration includes it.
    var configurationEdits: UInt32 { get }

    /// Whether the device needs a buffer of queue `index` now. A receive queue without input does not (D-12).
    func wantsBuffer(queue index: Int) -> Bool
    /// Handles a chain of queue `index`: completes it or returns a request for the backend.
    mutating func take(
        _ chain: inout DescriptorChain, queue index: Int, _ configuration: Configuration
    ) -> TakeResult<Request>
    /// Whether `take` may return `continued` or `putBack`.
    static var mergesBuffers: Bool { get }
    /// Called when queue `index` has no chain for what `take` began with `continued`: the chains stay available. `mayCome` is
    /// false if the ring has no room for another like the last.
    mutating func buffersEnded(queue index: Int, mayCome: Bool)
    /// Returns the queues that may have work after a buffer of queue `index` was used.
    func queuesAffected(byQueue index: Int) -> QueueSet
    /// Completes a request of the backend: writes its status to `reply` and returns the used length.
    mutating func finish(_ outcome: Outcome, reply: Reply?) -> UsedLength

    /// Returns the field at `offset` of the configuration space; nil past the end and in padding.
    static func field(at offset: Int) -> ConfigurationField?
    /// Returns a summary of `request` for a trace.
    static func summary(of request: Request) -> RequestSummary
    /// Encodes `configuration` as a word for a trace.
    static func word(of configuration: Configuration) -> UInt64
    /// Decodes a configuration from its word in a trace.
    func configuration(of word: UInt64) -> Configuration

    /// Returns the byte to output if a write of `value` at `offset` of the configuration space is an emergency write
    /// (5.3.4).
    func emergencyByte(_ value: UInt32, at offset: Int) -> UInt8?
    /// Writes `width` bytes, 1, 2 or 4, at `offset` of the configuration space; false if the driver may not write
    /// there.
    mutating func writeConfiguration(_ value: UInt32, at offset: Int, width: Int) -> Bool

    /// The device's state for a snapshot, except the negotiated features.
    var savedState: [UInt8] { get }
    /// Restores the state of `savedState`. Called after `negotiated`.
    mutating func restore(_ state: [UInt8])
}

extension VirtioDevice where Self: ~Copyable {
    /// No features.
    public static var features: Features { [] }
    /// All features.
    public static var defaultFeatures: Features { features }
    /// Offers all of `wanted`.
    public mutating func offer(_ wanted: Features) -> Features { wanted }
    public mutating func negotiated(_ features: Features) {}
    public mutating func configurationChanged(to new: Configuration) -> QueueSet { [] }
    public mutating func limit(by torture: Torture) {}
    /// The same.
    public func passing(_ configuration: Configuration, _ word: UInt64) -> Configuration { configuration }
    public mutating func disturbPorts() -> QueueSet { [] }
    /// None.
    public var configurationEdits: UInt32 { 0 }
    /// False.
    public static var mergesBuffers: Bool { false }
    public mutating func buffersEnded(queue index: Int, mayCome: Bool) {}
    public func queuesAffected(byQueue index: Int) -> QueueSet { [] }
    /// No fields.
    public static func field(at offset: Int) -> ConfigurationField? { nil }
    /// A summary of kind `other`, without details.
    public static func summary(of request: Request) -> RequestSummary { RequestSummary(.other, place: 0, count: 0) }
    /// 0, for a device whose configuration never changes.
    public static func word(of configuration: Configuration) -> UInt64 { 0 }
    public func configuration(of word: UInt64) -> Configuration { initialConfiguration }
    public func emergencyByte(_ value: UInt32, at offset: Int) -> UInt8? { nil }
    public mutating func writeConfiguration(_ value: UInt32, at offset: Int, width: Int) -> Bool { false }
    /// No state besides the transport's.
    public var savedState: [UInt8] { [] }
    /// Restores nothing.
    public mutating func restore(_ state: [UInt8]) {}
}

/// A field of a configuration space.
public struct ConfigurationField: Sendable {
    /// Byte offset of the field.
    public let offset: Int
    /// Width in bytes.
    public let width: Int
    /// The feature that the field depends on; empty for a field that is always present.
    public let feature: Features
    /// Whether the driver must not read the field before FEATURES_OK.
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
    /// Number of bytes that the device type defines.
    public let size: Int

    /// Creates `size` zero bytes.
    public init(size: Int) {
        precondition(size <= 96)
        self.size = size
    }

    /// Stores `value` at `offset`, little-endian.
    public mutating func store<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
        precondition(offset >= 0 && offset + Value.bitWidth / 8 <= size)
        for index in 0..<(Value.bitWidth / 8) {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> Value(truncatingIfNeeded: index * 8))
        }
    }

    /// Loads `width` bytes (1 to 8) at `offset`, little-endian; bytes past the end read as 0.
    public func load(at offset: Int, width: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<width where offset + index < size {
            value |= UInt64(bytes[offset + index]) << UInt64(index * 8)
        }
        return value
    }
}
