// The block device (VIRTIO 1.4, 5.2): in, out, flush, get id. It parses requests and answers them; the bytes themselves move
// between the backend and the guest's buffers and never pass through here.

import VirtioABI

/// A virtio block device with one request queue.
public struct Block: VirtioDevice, ~Copyable {
    /// A request to the backend.
    public struct Request: Sendable {
        /// What to do.
        public enum Operation: UInt8, Sendable {
            /// Fill the buffers from the disk.
            case read
            /// Write the buffers to the disk.
            case write
            /// Make every completed write durable.
            case flush
            /// Fill the buffers with the disk's identity, NUL-padded: at most 20 bytes.
            case identify
        }

        /// What to do.
        public let operation: Operation
        /// First byte on the disk.
        public let offset: UInt64
        /// The guest's buffers: data to write, or room for what is read.
        public let data: Segments
        /// The write has to be durable before it is answered: the driver has no flush (5.2.5.1).
        public let durable: Bool
    }

    /// What the driver can read of the disk.
    public struct Configuration: ConfigurationSpace {
        /// Sectors of 512 bytes.
        public var capacity: UInt64
        /// Most data segments in one request.
        let segmentMax: UInt32

        public var bytes: ConfigurationBytes {
            var bytes = ConfigurationBytes(size: BlockConfiguration.size)
            bytes.store(capacity, at: BlockConfiguration.capacity)
            bytes.store(segmentMax, at: BlockConfiguration.segmentMax)
            bytes.store(UInt32(BlockRequest.sectorSize), at: BlockConfiguration.blockSize)
            return bytes
        }
    }

    public static var deviceID: UInt32 { DeviceID.block }

    /// Entries of the request queue.
    private let queueSize: UInt16
    private let readOnly: Bool
    private var capacity: UInt64
    private var canFlush = false

    /// A disk of `capacity` sectors of 512 bytes.
    public init(capacity: UInt64, readOnly: Bool = false, queueSize: UInt16 = 256) {
        self.capacity = capacity
        self.readOnly = readOnly
        self.queueSize = queueSize
    }

    public var features: Features {
        let common: Features = [BlockFeature.flush, BlockFeature.segmentMax, BlockFeature.blockSize]
        return readOnly ? common.union(BlockFeature.readOnly) : common
    }

    public var queueCount: Int { 1 }
    public func queueSizeMax(_ index: Int) -> UInt16 { queueSize }

    public var initialConfiguration: Configuration {
        // Without indirect descriptors a request is as long as the queue at most; two of them are header and status.
        Configuration(capacity: capacity, segmentMax: UInt32(max(queueSize, 3) - 2))
    }

    public mutating func activate(_ features: Features) { canFlush = features.contains(BlockFeature.flush) }
    public mutating func reset() { canFlush = false }

    public func wantsBuffer(queue index: Int) -> Bool { true }

    public mutating func take(
        _ chain: inout DescriptorChain, queue index: Int, _ configuration: Configuration
    ) -> Taken<Request> {
        guard let status = Reply(cutFrom: &chain) else { return .unanswerable }
        guard let header: InlineArray<16, UInt8> = chain.readable.removeFirst() else {
            return answer(.ioError, in: status)
        }
        let sector = header.littleEndian(UInt64.self, at: BlockRequest.sectorOffset)
        switch header.littleEndian(UInt32.self, at: BlockRequest.typeOffset) {
        case BlockRequest.Kind.read:
            guard let offset = checked(sector, chain.writable, configuration) else {
                return answer(.ioError, in: status)
            }
            return work(.read, offset, chain.writable, status)
        case BlockRequest.Kind.write:
            guard !readOnly, let offset = checked(sector, chain.readable, configuration) else {
                return answer(.ioError, in: status)
            }
            return work(.write, offset, chain.readable, status)
        case BlockRequest.Kind.flush where canFlush:
            return work(.flush, 0, chain.readable, status)
        case BlockRequest.Kind.getID:
            return work(.identify, 0, chain.writable, status)
        default:
            return answer(.unsupported, in: status)
        }
    }

    public mutating func finish(_ outcome: Outcome, reply: Reply?) -> UInt32 {
        let status: BlockRequest.Status =
            switch outcome.result {
            case .ok: .ok
            case .ioError: .ioError
            case .unsupported: .unsupported
            }
        return reply?.answer(status.rawValue, afterWriting: outcome.written) ?? 0
    }

    public mutating func writeConfiguration(_ value: UInt32, at offset: Int, width: Int) -> ConfigurationWrite {
        .ignored
    }

    /// The byte offset of `sector`, if `data` is whole sectors that all lie on the disk (5.2.6.2).
    private func checked(_ sector: UInt64, _ data: Segments, _ configuration: Configuration) -> UInt64? {
        let (sectors, rest) = data.byteCount.quotientAndRemainder(dividingBy: BlockRequest.sectorSize)
        guard rest == 0, sector <= configuration.capacity, UInt64(sectors) <= configuration.capacity - sector else {
            return nil
        }
        // A capacity beyond 2^55 sectors is no disk; the product of a smaller one fits.
        let (offset, overflow) = sector.multipliedReportingOverflow(by: UInt64(BlockRequest.sectorSize))
        return overflow ? nil : offset
    }

    private func work(
        _ operation: Request.Operation, _ offset: UInt64, _ data: Segments, _ status: Reply
    ) -> Taken<Request> {
        .work(Request(operation: operation, offset: offset, data: data, durable: !canFlush), reply: status)
    }

    private func answer(_ status: BlockRequest.Status, in reply: Reply) -> Taken<Request> {
        .done(written: reply.answer(status.rawValue, afterWriting: 0))
    }
}

extension InlineArray where Element == UInt8 {
    /// The little-endian value at `offset`.
    func littleEndian<Value: FixedWidthInteger & UnsignedInteger>(_ type: Value.Type, at offset: Int) -> Value {
        var value: Value = 0
        for index in 0..<(Value.bitWidth / 8) {
            value |= Value(self[offset + index]) << Value(index * 8)
        }
        return value
    }
}
