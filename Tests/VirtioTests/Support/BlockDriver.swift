// A block device under test: a small disk in memory and its driver (VIRTIO 1.4, 5.2.6).

import Testing
import Virtio
import VirtioABI

/// A disk in memory that copies bytes to and from the guest's buffers.
final class MemoryDisk {
    var bytes: [UInt8]
    /// The identity, as the host stores it.
    var identity: [UInt8] = Array("memory disk".utf8)
    /// Every request that was executed, in order.
    private(set) var log: [Entry] = []

    struct Entry: Equatable {
        let operation: Block.Request.Operation
        let offset: UInt64
        let count: Int
        let durable: Bool
    }

    private let original: [UInt8]
    /// What disks hold at first, again and again: made once, for thousands of disks are made.
    private static let pattern = (0..<(1 << 16)).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }

    init(sectors: Int) {
        let count = sectors * BlockRequest.sectorSize
        var original: [UInt8] = []
        while original.count < count { original += Self.pattern.prefix(count - original.count) }
        self.original = original
        bytes = original
    }

    /// Restores the initial contents and clears the log.
    func forget() { (bytes, log) = (original, []) }

    func execute(_ request: Block.Request) -> Outcome {
        log.append(
            Entry(
                operation: request.operation, offset: request.offset, count: Int(request.count),
                durable: request.durable))
        let end = request.offset.addingReportingOverflow(request.count)
        if end.overflow || end.partialValue > bytes.count {
            Issue.record("the model lets a request through that is not on the disk")
            return .ioError
        }
        let start = Int(request.offset)
        switch request.operation {
        case .read: return fill(request.data, from: bytes[start..<(start + request.data.byteCount)])
        case .write:
            var position = start
            request.data.forEach { buffer in
                for index in 0..<buffer.count {
                    bytes[position] = unsafe buffer.base.load(fromByteOffset: index, as: UInt8.self)
                    position += 1
                }
            }
            return .ok()
        case .flush: return .ok()
        case .discard, .writeZeroes:
            for position in start..<(start + Int(request.count)) { bytes[position] = 0 }
            return .ok()
        case .identify:
            let padded = identity + Array(repeating: 0, count: max(0, BlockRequest.idSize - identity.count))
            return fill(request.data, from: padded[..<min(BlockRequest.idSize, request.data.byteCount)])
        }
    }

    private func fill(_ data: Segments, from source: ArraySlice<UInt8>) -> Outcome {
        var rest = source
        data.forEach { buffer in
            let part = rest.prefix(buffer.count)
            unsafe UnsafeMutableRawBufferPointer(start: buffer.base, count: part.count).copyBytes(from: part)
            rest = rest.dropFirst(part.count)
        }
        return .ok(written: UInt32(source.count))
    }
}

/// The driver of a block device.
final class BlockDriver: FakeDriver<Block> {
    let disk: MemoryDisk

    init(
        sectors: Int = 64, readOnly: Bool = false, queues: UInt16 = 1, queueSize: UInt16 = 256,
        suspend: SuspendDialect? = nil, freeze: FreezeScope = .wide, form: Form = Form(), adding: Features = [],
        withholding: Features = [], memory: FakeMemory = FakeMemory(), writeZeroesMayUnmap: Bool = true,
        tracing: Tracing = .off, version: MMIOVersion = .two
    ) {
        let disk = MemoryDisk(sectors: sectors)
        self.disk = disk
        let device = Block(
            capacity: UInt64(sectors), readOnly: readOnly, queues: queues, queueSize: queueSize,
            writeZeroesMayUnmap: writeZeroesMayUnmap)
        super.init(
            device, suspend: suspend, freeze: freeze, form: form, adding: adding, withholding: withholding,
            memory: memory, tracing: tracing, version: version
        ) { disk.execute($0) }
    }

    /// The 16 bytes of a request header.
    static func header(_ kind: UInt32, sector: UInt64) -> [UInt8] {
        UInt64(kind).bytes + sector.bytes
    }

    /// Makes a request available: header and `data` for the device to read, `room` bytes and the status byte for it to
    /// write, cut into descriptors at `cuts` and where the direction changes.
    @discardableResult
    func submit(
        _ kind: UInt32, sector: UInt64 = 0, data: [UInt8] = [], room: Int = 0, cuts: [Int] = [], kick: Bool = true
    ) -> Chain {
        add(parts(Self.header(kind, sector: sector) + data, room: room + 1, cuts: cuts), to: 0, kick: kick)
    }

    /// Makes a request available: the header, `data` and each of `rooms` in a descriptor of its own, and the status
    /// byte in the last.
    @discardableResult
    func submit(
        _ kind: UInt32, sector: UInt64 = 0, data: [UInt8] = [], rooms: [Int], kick: Bool = true
    ) -> Chain {
        var parts = [readable(Self.header(kind, sector: sector))]
        if !data.isEmpty { parts.append(readable(data)) }
        return add(parts + (rooms + [1]).map { writable($0) }, to: 0, kick: kick)
    }

    /// One read of a sector.
    @discardableResult
    func submitRead(_ sector: UInt64 = 1, kick: Bool = true) -> Chain {
        submit(BlockRequest.Kind.read, sector: sector, room: 512, kick: kick)
    }

    /// The status byte of a request; `FakeMemory.pattern` if the device has not written it.
    func statusByte(_ chain: Chain) -> UInt8? { answer(chain).last }

    /// The device-written bytes before the status byte.
    func data(_ chain: Chain) -> [UInt8] { answer(chain).dropLast() }

    /// Fails unless `chain`, a read from `sector` on, holds the disk's contents and a status byte of 0.
    func expectData(_ chain: Chain, sector: Int, _ location: SourceLocation = #_sourceLocation) {
        let data = data(chain)
        let isRight = data == Array(disk.bytes[(512 * sector)..<(512 * sector + data.count)])
        #expect(statusByte(chain) == 0 && isRight, state, sourceLocation: location)
    }

    /// Fails unless `chain`, a read of `sector`, is the only chain used, and complete.
    func expectRead(_ chain: Chain, sector: Int = 1, _ location: SourceLocation = #_sourceLocation) {
        let used = takeUsed(0)
        #expect(used == [UsedElement(id: UInt32(chain.head), length: 513)], state, sourceLocation: location)
        expectData(chain, sector: sector, location)
    }

    /// Runs one read; fails unless the device completes it.
    func expectWorks(_ location: SourceLocation = #_sourceLocation) {
        let chain = submitRead()
        backend.complete()
        expectRead(chain, location)
    }
}
