// The block device (VIRTIO 1.4, 5.2). It parses requests and writes their status; data moves between the backend and
// the guest's buffers without passing through the device. Geometry, lifetime, secure erase and zones are not offered;
// requests for them end in VIRTIO_BLK_S_UNSUPP.

import VirtioABI

/// A virtio block device.
public struct Block: VirtioDevice, ~Copyable, Sendable {
    /// A request that the backend performs.
    public struct Request: Sendable {
        /// An operation on the disk.
        public enum Operation: Hashable, Sendable {
            /// Fills the buffers from the disk.
            case read
            /// Writes the buffers to the disk.
            case write
            /// Makes every completed write durable.
            case flush
            /// Fills the buffers with the disk's identity, NUL-padded: at most 20 bytes.
            case identify
            /// Discards the range: its contents are no longer needed.
            case discard
            /// Zeroes the range. With `mayUnmap` the host may deallocate it.
            case writeZeroes(mayUnmap: Bool)
        }

        /// Byte offset on the disk.
        public let offset: UInt64
        /// Bytes on the disk: the length of the buffers for a read or a write, of the range for a discard or write
        /// zeroes.
        public let count: UInt64
        /// The guest's buffers: data to write, or space for data that is read.
        public let data: Segments
        /// Whether the changes must be durable before the request completes: the driver did not negotiate flush, or has
        /// switched the cache to writethrough (5.2.6.2).
        public let durable: Bool
        /// What the backend has to do.
        public let operation: Operation

        /// The first `bytes` bytes of a read or a write, no more than it has: what a host transfers that then fails. The buffers of
        /// this request end there, too.
        public consuming func shortened(to bytes: Int) -> Request {
            var part = data
            part.shorten(to: bytes)
            return Request(
                offset: offset, count: UInt64(part.byteCount), data: part, durable: durable, operation: operation)
        }
    }

    /// The part of the configuration space that the host can change.
    public struct Configuration: Equatable, Sendable {
        /// Size of the disk in sectors of 512 bytes.
        public var capacity: UInt64
    }

    /// Maximum sectors in a discard or write zeroes: 32 MiB, which limits the time that one request takes.
    static let maximumRange: UInt32 = 1 << 16
    /// size_max in bytes, if VIRTIO_BLK_F_SIZE_MAX is offered. The device also accepts larger segments.
    static let sizeMax: UInt32 = 1 << 20

    public static var deviceID: UInt32 { DeviceID.block }
    public static var features: Features { defaultFeatures.union([BlockFeature.sizeMax, BlockFeature.readOnly]) }
    public static var defaultFeatures: Features {
        [
            BlockFeature.segmentMax, BlockFeature.blockSize, BlockFeature.flush, BlockFeature.topology,
            BlockFeature.configWCE, BlockFeature.multiqueue, BlockFeature.discard, BlockFeature.writeZeroes,
        ]
    }

    /// QueueSizeMax of each request queue.
    private let queueSize: UInt16
    /// seg_max and size_max, where they are not those of the queue and of `sizeMax`.
    private var limits: (segments: UInt32, bytes: UInt32)?
    /// Number of request queues.
    private let queues: UInt16
    private let readOnly: Bool
    let writeZeroesMayUnmap: Bool
    let blockSizes: BlockSizes
    private var capacity: UInt64
    private var offered: Features = []
    private var accepted: Features = []
    /// Whether the cache is in writeback mode: completed writes may still be volatile.
    private var writeback = true

    /// Creates a disk of `capacity` sectors of 512 bytes with `queues` request queues, 1 to 32, of `queueSize` entries.
    /// `writeZeroesMayUnmap` is whether its backend can deallocate sectors in a write zeroes (5.2.6.2).
    public init(
        capacity: UInt64, readOnly: Bool = false, queues: UInt16 = 1, queueSize: UInt16 = 256,
        writeZeroesMayUnmap: Bool = true, blockSizes: BlockSizes = .standard
    ) {
        precondition(queues > 0)
        self.capacity = capacity
        self.readOnly = readOnly
        self.writeZeroesMayUnmap = writeZeroesMayUnmap
        self.blockSizes = blockSizes
        self.queues = queues
        self.queueSize = queueSize
    }

    public mutating func offer(_ wanted: Features) -> Features {
        offered = wanted
        // A device that offers CONFIG_WCE must offer FLUSH (5.2.5.2).
        if !wanted.contains(BlockFeature.flush) { offered.remove(BlockFeature.configWCE) }
        if queues == 1 { offered.remove(BlockFeature.multiqueue) }
        if readOnly {
            offered.insert(BlockFeature.readOnly)
            offered.subtract([BlockFeature.discard, BlockFeature.writeZeroes])
        } else {
            offered.remove(BlockFeature.readOnly)
        }
        return offered
    }

    public mutating func limit(by torture: Torture) {
        guard torture.contains(.limits) else { return }
        let word = torture.word(.limits, 0)
        limits = (1 + UInt32(word % 8), 4096 << UInt32(word >> 8 & 3))
    }

    /// A larger disk, whose capacity has both halves different.
    public func passing(_ configuration: Configuration, _ word: UInt64) -> Configuration {
        Configuration(capacity: configuration.capacity &+ 1 << 32 &+ 8 &* (word & 63))
    }

    public func queueCount(_ features: Features) -> Int {
        features.contains(BlockFeature.multiqueue) ? Int(queues) : 1
    }

    public func queueSizeMax(_ index: Int) -> UInt16 { queueSize }

    public var initialConfiguration: Configuration { Configuration(capacity: capacity) }

    public func bytes(of configuration: Configuration) -> ConfigurationBytes {
        typealias Field = BlockConfiguration
        var bytes = ConfigurationBytes(size: Field.size)
        bytes.store(configuration.capacity, at: Field.capacity)
        if offered.contains(BlockFeature.sizeMax) { bytes.store(limits?.bytes ?? Self.sizeMax, at: Field.sizeMax) }
        if offered.contains(BlockFeature.segmentMax) {
            // Without indirect descriptors a request has at most `queueSize` descriptors; two of them are header and
            // status.
            bytes.store(limits?.segments ?? UInt32(max(queueSize, 3) - 2), at: Field.segmentMax)
        }
        if offered.contains(BlockFeature.blockSize) {
            bytes.store(blockSizes.logical, at: Field.blockSize)
        }
        if offered.contains(BlockFeature.topology) {
            bytes.store(blockSizes.exponent, at: Field.physicalBlockExponent)
            bytes.store(UInt16(1) << UInt16(blockSizes.exponent), at: Field.minimumIOSize)
        }
        if offered.contains(BlockFeature.configWCE) { bytes.store(UInt8(writeback ? 1 : 0), at: Field.writeback) }
        if offered.contains(BlockFeature.multiqueue) { bytes.store(queues, at: Field.queues) }
        if offered.contains(BlockFeature.discard) {
            bytes.store(Self.maximumRange, at: Field.maximumDiscardSectors)
            bytes.store(UInt32(1), at: Field.maximumDiscardSegments)
            bytes.store(blockSizes.sectors, at: Field.discardSectorAlignment)
        }
        if offered.contains(BlockFeature.writeZeroes) {
            bytes.store(Self.maximumRange, at: Field.maximumWriteZeroesSectors)
            bytes.store(UInt32(1), at: Field.maximumWriteZeroesSegments)
            bytes.store(UInt8(writeZeroesMayUnmap ? 1 : 0), at: Field.writeZeroesMayUnmap)
        }
        return bytes
    }

    public static func field(at offset: Int) -> ConfigurationField? {
        typealias Field = BlockConfiguration
        return switch offset {
        case 0..<8: ConfigurationField(Field.capacity, 8)
        case 8..<12: ConfigurationField(Field.sizeMax, 4, BlockFeature.sizeMax)
        case 12..<16: ConfigurationField(Field.segmentMax, 4, BlockFeature.segmentMax)
        case 16..<18: ConfigurationField(Field.geometry, 2, BlockFeature.geometry)
        case 18, 19: ConfigurationField(offset, 1, BlockFeature.geometry)
        case 20..<24: ConfigurationField(Field.blockSize, 4, BlockFeature.blockSize)
        case 24, 25: ConfigurationField(offset, 1, BlockFeature.topology)
        case 26..<28: ConfigurationField(Field.minimumIOSize, 2, BlockFeature.topology)
        case 28..<32: ConfigurationField(Field.optimalIOSize, 4, BlockFeature.topology)
        case 32: ConfigurationField(Field.writeback, 1, BlockFeature.configWCE, needsFeaturesOK: true)
        case 33, 57..<60: ConfigurationField(offset, 1)
        case 34..<36: ConfigurationField(Field.queues, 2, BlockFeature.multiqueue)
        case 36..<48: ConfigurationField(offset & ~3, 4, BlockFeature.discard)
        case 48..<56: ConfigurationField(offset & ~3, 4, BlockFeature.writeZeroes)
        case 56: ConfigurationField(Field.writeZeroesMayUnmap, 1, BlockFeature.writeZeroes)
        case 60..<72: ConfigurationField(offset & ~3, 4, BlockFeature.secureErase)
        case 72..<92: ConfigurationField(offset & ~3, 4, BlockFeature.zoned)
        case 92..<96: ConfigurationField(offset, 1, BlockFeature.zoned)
        default: nil
        }
    }

    public static func summary(of request: Request) -> RequestSummary {
        let kind: RequestKind =
            switch request.operation {
            case .read: .read
            case .write: .write
            case .flush: .flush
            case .identify: .identify
            case .discard: .discard
            case .writeZeroes: .writeZeroes
            }
        return RequestSummary(kind, place: request.offset, count: request.count)
    }

    public static func word(of configuration: Configuration) -> UInt64 { configuration.capacity }
    public func configuration(of word: UInt64) -> Configuration { Configuration(capacity: word) }

    /// Sets the cache to writeback if the driver negotiated flush, to writethrough otherwise (5.2.5.2).
    public mutating func negotiated(_ features: Features) {
        accepted = features
        writeback = features.contains(BlockFeature.flush)
    }

    public mutating func reset() {
        accepted = []
        writeback = true
    }

    /// Writes `writeback`, with VIRTIO_BLK_F_CONFIG_WCE. The new cache mode applies to requests taken from now on.
    public mutating func writeConfiguration(_ value: UInt32, at offset: Int, width: Int) -> Bool {
        guard offset == BlockConfiguration.writeback, width == 1, accepted.contains(BlockFeature.configWCE) else {
            return false
        }
        writeback = value & 0xff != 0
        return true
    }

    public var savedState: [UInt8] { [writeback ? 1 : 0] }
    public mutating func restore(_ state: [UInt8]) { writeback = state.first != 0 }

    // MARK: Requests

    public func wantsBuffer(queue index: Int) -> Bool { true }

    public mutating func take(
        _ chain: inout DescriptorChain, queue index: Int, _ configuration: Configuration
    ) -> TakeResult<Request> {
        guard let reply = Reply(cutFrom: &chain) else { return .unanswerable }
        guard let header: InlineArray<2, UInt64> = chain.removeFirst() else {
            chain.check(.requestFramed, false)
            return answer(.ioError, in: reply)
        }
        chain.check(.requestFramed, true)
        let sector = header.littleEndian(UInt64.self, at: BlockRequest.sectorOffset)
        let kind = header.littleEndian(UInt32.self, at: BlockRequest.typeOffset)
        chain.check(.requestReserved, header.littleEndian(UInt16.self, at: BlockRequest.reservedOffset + 2) == 0)
        switch kind {
        case BlockRequest.Kind.read:
            return transfer(.read, sector, chain.writable, &chain, configuration, reply)
        case BlockRequest.Kind.write:
            chain.check(.diskWritable, !readOnly)
            return readOnly
                ? answer(.ioError, in: reply) : transfer(.write, sector, chain.readable, &chain, configuration, reply)
        case BlockRequest.Kind.flush where accepted.contains(BlockFeature.flush):
            chain.check(.requestNegotiated, true)
            chain.check(.flushSectorZero, sector == 0)
            chain.check(.flushWithoutData, chain.readable.byteCount + chain.writable.byteCount == 0)
            return work(.flush, 0, 0, chain.readable, reply)
        case BlockRequest.Kind.getID:
            chain.check(.identityLength, chain.writable.byteCount == BlockRequest.idSize)
            chain.check(.dataDirection, chain.readable.byteCount == 0)
            return work(.identify, 0, 0, chain.writable, reply)
        case BlockRequest.Kind.discard where accepted.contains(BlockFeature.discard),
            BlockRequest.Kind.writeZeroes where accepted.contains(BlockFeature.writeZeroes):
            chain.check(.requestNegotiated, true)
            return change(discards: kind == BlockRequest.Kind.discard, &chain, configuration, reply)
        default:
            chain.check(.requestNegotiated, false)
            return answer(.unsupported, in: reply)
        }
    }

    public mutating func finish(_ outcome: Outcome, reply: Reply?) -> UsedLength {
        let status: BlockRequest.Status =
            switch outcome.result {
            case .ok: .ok
            case .ioError: .ioError
            case .unsupported: .unsupported
            }
        return reply?.answer(status.rawValue, afterWriting: outcome.written) ?? UsedLength(outcome.written)
    }

    /// Takes a read or a write of whole sectors within the disk; others end in VIRTIO_BLK_S_IOERR (5.2.6.1).
    private func transfer(
        _ operation: Request.Operation, _ sector: UInt64, _ data: Segments, _ chain: inout DescriptorChain,
        _ configuration: Configuration, _ reply: Reply
    ) -> TakeResult<Request> {
        // A chain has at most 2^32 bytes.
        let bytes = UInt64(truncatingIfNeeded: data.byteCount)
        let (sectors, rest) = bytes.quotientAndRemainder(dividingBy: UInt64(BlockRequest.sectorSize))
        let offset = offset(of: sector, count: sectors, configuration)
        chain.check(.dataDirection, chain.readable.byteCount + chain.writable.byteCount == data.byteCount)
        chain.check(.wholeSectors, rest == 0)
        chain.check(.requestOnDisk, offset != nil)
        guard rest == 0, let offset else { return answer(.ioError, in: reply) }
        return work(operation, offset, bytes, data, reply)
    }

    /// Takes a discard or write zeroes of one range: max_discard_seg and max_write_zeroes_seg are 1 (5.2.6).
    private func change(
        discards: Bool, _ chain: inout DescriptorChain, _ configuration: Configuration, _ reply: Reply
    ) -> TakeResult<Request> {
        typealias Range = BlockRequest.Range
        let length = chain.readable.byteCount
        chain.check(.dataDirection, chain.writable.byteCount == 0)
        chain.check(.rangeGiven, length > 0)
        chain.check(.wholeRanges, length % Range.size == 0)
        chain.check(discards ? .discardRanges : .writeZeroesRanges, length / Range.size <= 1)
        guard length <= Range.size else { return answer(.unsupported, in: reply) }
        guard let range: InlineArray<2, UInt64> = chain.removeFirst() else {
            return answer(.ioError, in: reply)
        }
        let flags = range.littleEndian(UInt32.self, at: Range.flagsOffset)
        chain.check(.requestReserved, flags & ~Range.unmap == 0)
        if discards { chain.check(.discardUnmapZero, flags & Range.unmap == 0) }
        // An unknown flag, and unmap in a discard, are unsupported (5.2.6.2).
        guard flags & ~(discards ? 0 : Range.unmap) == 0 else { return answer(.unsupported, in: reply) }
        let count = range.littleEndian(UInt32.self, at: Range.countOffset)
        let sector = range.littleEndian(UInt64.self, at: Range.sectorOffset)
        let offset = offset(of: sector, count: UInt64(count), configuration)
        chain.check(.rangeLength, count <= Self.maximumRange)
        chain.check(.requestOnDisk, offset != nil)
        guard count <= Self.maximumRange, let offset else { return answer(.ioError, in: reply) }
        let operation: Request.Operation = discards ? .discard : .writeZeroes(mayUnmap: flags & Range.unmap != 0)
        return work(operation, offset, UInt64(count) * UInt64(BlockRequest.sectorSize), chain.readable, reply)
    }

    /// Returns the byte offset of `sector`; nil if `count` sectors from there on are not all on the disk.
    private func offset(of sector: UInt64, count: UInt64, _ configuration: Configuration) -> UInt64? {
        guard sector <= configuration.capacity, count <= configuration.capacity - sector else { return nil }
        // The end of a request is a file offset, 63 bits. Only a capacity beyond any real disk lets a driver exceed it.
        let size = UInt64(BlockRequest.sectorSize)
        let most = UInt64(Int64.max) / size
        return sector <= most && count <= most - sector ? sector &* size : nil
    }

    private func work(
        _ operation: Request.Operation, _ offset: UInt64, _ count: UInt64, _ data: Segments, _ reply: Reply
    ) -> TakeResult<Request> {
        let request = Request(offset: offset, count: count, data: data, durable: !writeback, operation: operation)
        return .work(request, reply: reply)
    }

    private func answer(_ status: BlockRequest.Status, in reply: Reply) -> TakeResult<Request> {
        .done(reply.answer(status.rawValue, afterWriting: 0))
    }
}

extension InlineArray where Element == UInt64 {
    /// Returns the little-endian value at byte `offset`, which is in one of the words.
    @inline(always)
    func littleEndian<Value: FixedWidthInteger & UnsignedInteger>(_ type: Value.Type, at offset: Int) -> Value {
        Value(truncatingIfNeeded: self[offset / 8] >> UInt64(offset % 8 * 8))
    }
}
