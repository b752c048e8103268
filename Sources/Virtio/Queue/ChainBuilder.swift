// From descriptors to a chain: the rules that both ring formats share (VIRTIO 1.4, 2.7.5 and 2.8).

import VirtioABI

/// What a queue allows a chain to be.
struct ChainRules {
    let memory: GuestMemory
    /// VIRTIO_F_INDIRECT_DESC was negotiated.
    let indirect: Bool
    /// Most descriptors of a chain, those in a table included.
    let longest: UInt16
}

/// A chain in the making. Descriptors are added in order, each judged from its copy.
struct ChainBuilder {
    private let rules: ChainRules
    private var readable = (count: 0, bytes: 0)
    private var writable = (count: 0, bytes: 0)
    private var isWriting = false
    private var descriptors: UInt16 = 0

    init(_ rules: ChainRules) { self.rules = rules }

    /// Adds a buffer to the chain and to `segments`; one of no bytes is skipped.
    mutating func add(
        _ address: UInt64, _ length: UInt32, writes: Bool, _ segments: inout SegmentStorage
    ) throws(QueueFault) {
        guard descriptors < rules.longest else { throw .chainTooLong }
        descriptors += 1
        if isWriting && !writes { throw .readableAfterWritable }
        isWriting = writes
        if length == 0 { return }
        guard let buffer = rules.memory.resolve(address, UInt64(length)) else { throw .bufferOutsideMemory }
        guard readable.bytes + writable.bytes + buffer.count <= 1 << 32 else { throw .chainTooLarge }
        segments.append(buffer)
        if writes {
            writable = (writable.count + 1, writable.bytes + buffer.count)
        } else {
            readable = (readable.count + 1, readable.bytes + buffer.count)
        }
    }

    /// The table an indirect descriptor refers to, which ends the chain: VIRTQ_DESC_F_NEXT beside it is the driver's mistake
    /// (2.7.5.3.1, 2.8.19), VIRTQ_DESC_F_WRITE is ignored (2.7.5.3.2, 2.8.7).
    func table(_ address: UInt64, _ length: UInt32, _ flags: Descriptor.Flags) throws(QueueFault) -> IndirectTable {
        guard rules.indirect else { throw .indirectNotNegotiated }
        guard !flags.contains(.next) else { throw .indirectMisplaced }
        guard length > 0, length % UInt32(SplitRing.descriptorSize) == 0 else { throw .badIndirectTable }
        guard let buffer = rules.memory.resolve(address, UInt64(length)) else { throw .bufferOutsideMemory }
        return IndirectTable(buffer)
    }

    /// The chain, which took `slots` entries of the ring's descriptors, and whose segments are the last of `segments`.
    func finish(id: UInt16, slots: UInt16, _ segments: borrowing SegmentStorage) -> DescriptorChain {
        DescriptorChain(
            id: id, slots: slots,
            readable: segments.last(readable.count, before: writable.count, byteCount: readable.bytes),
            writable: segments.last(writable.count, byteCount: writable.bytes))
    }
}

/// A table of indirect descriptors in guest memory, at any address.
struct IndirectTable {
    private let buffer: GuestBuffer
    /// Descriptors in it.
    let count: Int

    init(_ buffer: GuestBuffer) {
        self.buffer = buffer
        count = buffer.count / Int(SplitRing.descriptorSize)
    }

    /// The two halves of descriptor `index`, below `count`, fetched once.
    func fetch(_ index: Int) -> (low: UInt64, high: UInt64) {
        let offset = index * Int(SplitRing.descriptorSize)
        return (buffer.loadWord(at: offset), buffer.loadWord(at: offset + 8))
    }
}
