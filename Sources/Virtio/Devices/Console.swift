// The console device (VIRTIO 1.4, 5.3), one port: queue 0 receives, queue 1 transmits. Input waits here, in a buffer of fixed
// size, until the driver has room for it; when the buffer is full the host keeps the rest.

import VirtioABI

/// A virtio console with one port.
public struct Console: VirtioDevice, ~Copyable {
    /// Output for the backend.
    public struct Request: Sendable {
        /// The bytes, in guest memory.
        public let data: Segments
    }

    /// What the driver can read of the console.
    public struct Configuration: ConfigurationSpace {
        /// Size of the terminal in characters.
        public var columns: UInt16
        public var rows: UInt16

        /// A terminal of `columns` by `rows` characters.
        public init(columns: UInt16, rows: UInt16) {
            self.columns = columns
            self.rows = rows
        }

        public var bytes: ConfigurationBytes {
            var bytes = ConfigurationBytes(size: ConsoleConfiguration.size)
            bytes.store(columns, at: ConsoleConfiguration.columns)
            bytes.store(rows, at: ConsoleConfiguration.rows)
            return bytes
        }
    }

    public static var deviceID: UInt32 { DeviceID.console }

    public let initialConfiguration: Configuration
    private let queueSize: UInt16
    private var input = InputBuffer()

    /// A console on a terminal of the given size.
    public init(configuration: Configuration = Configuration(columns: 80, rows: 25), queueSize: UInt16 = 64) {
        initialConfiguration = configuration
        self.queueSize = queueSize
    }

    public var features: Features { [ConsoleFeature.size, ConsoleFeature.emergencyWrite] }
    public var queueCount: Int { 2 }
    public func queueSizeMax(_ index: Int) -> UInt16 { queueSize }

    public mutating func activate(_ features: Features) {}
    /// Input that was not delivered stays: it belongs to the terminal, not to the driver that went away.
    public mutating func reset() {}

    public func wantsBuffer(queue index: Int) -> Bool { index == ConsoleQueue.transmit || !input.isEmpty }

    public mutating func take(
        _ chain: inout DescriptorChain, queue index: Int, _ configuration: Configuration
    ) -> Taken<Request> {
        if index == ConsoleQueue.transmit { return .work(Request(data: chain.readable), reply: nil) }
        var written: UInt32 = 0
        while chain.writable.byteCount > 0, let byte = input.removeFirst() {
            _ = chain.writable.write(byte)
            written += 1
        }
        return .done(written: written)
    }

    public mutating func finish(_ outcome: Outcome, reply: Reply?) -> UInt32 { 0 }

    public mutating func writeConfiguration(_ value: UInt32, at offset: Int, width: Int) -> ConfigurationWrite {
        offset == ConsoleConfiguration.emergencyWrite ? .emergency(UInt8(truncatingIfNeeded: value)) : .ignored
    }

    /// Input that was not delivered.
    public var savedState: [UInt8] { input.contents }

    /// Takes undelivered input back.
    public mutating func restore(_ state: [UInt8]) {
        for byte in state { _ = input.append(byte) }
    }

    /// Bytes of input that still fit.
    var inputRoom: Int { input.room }

    /// Takes one byte of input; false if there is no room.
    mutating func accept(_ byte: UInt8) -> Bool { input.append(byte) }
}

/// Bytes on their way in, first in, first out, at most 4096.
private struct InputBuffer {
    private var bytes = InlineArray<4096, UInt8>(repeating: 0)
    private var first = 0
    private var count = 0

    var isEmpty: Bool { count == 0 }
    var room: Int { bytes.count - count }

    /// What waits, first in first.
    var contents: [UInt8] {
        var contents: [UInt8] = []
        for index in 0..<count { contents.append(bytes[(first + index) % bytes.count]) }
        return contents
    }

    mutating func append(_ byte: UInt8) -> Bool {
        guard count < bytes.count else { return false }
        bytes[(first + count) % bytes.count] = byte
        count += 1
        return true
    }

    mutating func removeFirst() -> UInt8? {
        guard count > 0 else { return nil }
        let byte = bytes[first]
        first = (first + 1) % bytes.count
        count -= 1
        return byte
    }
}
