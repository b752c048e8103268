// The entropy device (VIRTIO 1.4, 5.4): one queue of device-writable buffers, which the backend fills with random bytes. It has no
// features and no configuration space.

import VirtioABI

/// A virtio entropy device.
public struct Entropy: VirtioDevice, ~Copyable, Sendable {
    /// A buffer to fill with random bytes, `maximumLength` at most.
    public struct Request: Sendable {
        /// The buffer, in guest memory.
        public let data: Segments
    }

    /// Nothing that a host could configure.
    public struct Configuration: Equatable, Sendable {}

    /// Most bytes that one buffer receives. A device may use less than the whole buffer (5.4.6.2-1), so a driver cannot keep the
    /// backend busy with a buffer of gigabytes.
    public static let maximumLength = 64 << 10

    public static var deviceID: UInt32 { DeviceID.entropy }
    public let initialConfiguration = Configuration()
    private let queueSize: UInt16

    /// An entropy device whose queue has `queueSize` entries.
    public init(queueSize: UInt16 = 64) { self.queueSize = queueSize }

    public func queueCount(_ features: Features) -> Int { 1 }
    public func queueSizeMax(_ index: Int) -> UInt16 { queueSize }
    public func bytes(of configuration: Configuration) -> ConfigurationBytes { ConfigurationBytes(size: 0) }
    public mutating func reset() {}
    public func wantsBuffer(queue index: Int) -> Bool { true }

    public mutating func take(
        _ chain: inout DescriptorChain, queue index: Int, _ configuration: Configuration
    ) -> TakeResult<Request> {
        chain.check(.entropyBufferWritable, chain.readable.byteCount == 0)
        // A buffer of no bytes has no room for the random byte that 5.4.6.2-1 asks for.
        guard chain.writable.byteCount > 0 else { return .done(UsedLength()) }
        return .work(Request(data: chain.writable), reply: nil)
    }

    /// A backend that failed has written nothing: the driver sees a used length of 0.
    public mutating func finish(_ outcome: Outcome, reply: Reply?) -> UsedLength {
        outcome.result == .ok ? UsedLength(outcome.written) : UsedLength()
    }

    public static func summary(of request: Request) -> RequestSummary {
        RequestSummary(.read, place: 0, count: UInt64(request.data.byteCount))
    }
}
