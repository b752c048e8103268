// Builds a chain from descriptors, by the rules that both ring formats share (VIRTIO 1.4, 2.7.5 and 2.8).

import VirtioABI

/// What a queue needs to validate a chain.
struct ChainRules {
    let memory: GuestMemory
    /// VIRTIO_F_INDIRECT_DESC was negotiated.
    let indirect: Bool
    /// Maximum number of descriptors in a chain, those of an indirect table included.
    let longest: UInt16
    /// QueueSizeMax.
    let sizeMax: UInt16
    /// Conformance checks are on.
    let checksDriver: Bool
    /// VIRTIO_F_IN_ORDER was negotiated.
    let inOrder: Bool
    /// VIRTIO_F_EVENT_IDX was negotiated.
    let eventIndex: Bool
    /// The ring's three areas in host memory. A buffer must not overlap them.
    let areas: InlineArray<3, Range<UInt>>
}

/// A pointer to a queue's rules, valid for as long as the queue is live.
@safe struct ChainRulesPointer: @unchecked Sendable {
    private let pointer: UnsafeMutablePointer<ChainRules>

    init(_ rules: ChainRules) {
        unsafe pointer = .allocate(capacity: 1)
        unsafe pointer.initialize(to: rules)
    }

    /// Frees the rules. No copy of the pointer may be used afterwards.
    func free() { unsafe pointer.deallocate() }

    var value: ChainRules { _read { yield unsafe pointer.pointee } }
}

/// A chain under construction. Descriptors are added in order; each is validated from its copy.
struct ChainBuilder {
    private let rules: ChainRulesPointer
    private var readable = (count: 0, bytes: 0)
    private var writable = (count: 0, bytes: 0)
    private var isWriting = false
    private var descriptors: UInt16 = 0
    private var digest = Digest()
    private var indirectTable: GuestBuffer?
    let findings: ChainFindingsPointer

    /// Starts a chain whose buffers are stored in `segments`.
    init(_ rules: ChainRulesPointer, _ segments: borrowing SegmentStorage) {
        self.rules = rules
        findings = rules.value.checksDriver ? segments.newFindings() : ChainFindingsPointer()
    }

    /// Adds a fetched descriptor to the fingerprint.
    mutating func note(_ low: UInt64, _ high: UInt64) {
        if findings.isOn { digest.add(low, high) }
    }

    /// Adds a buffer to the chain and to `segments`; an empty buffer is skipped.
    mutating func add(
        _ address: UInt64, _ length: UInt32, writes: Bool, _ segments: inout SegmentStorage
    ) throws(QueueFault) {
        guard descriptors < rules.value.longest else { throw .chainTooLong }
        descriptors += 1
        if isWriting && !writes { throw .readableAfterWritable }
        isWriting = writes
        if length == 0 { return }
        guard let buffer = rules.value.memory.resolve(address, UInt64(length)) else { throw .bufferOutsideMemory }
        guard readable.bytes + writable.bytes + buffer.count <= 1 << 32 else { throw .chainTooLarge }
        segments.append(buffer)
        if findings.isOn { checkOverlap(buffer) }
        if writes {
            writable = (writable.count + 1, writable.bytes + buffer.count)
        } else {
            readable = (readable.count + 1, readable.bytes + buffer.count)
        }
    }

    private func checkOverlap(_ buffer: GuestBuffer) {
        let start = unsafe UInt(bitPattern: buffer.base)
        let range = start..<start + UInt(buffer.count)
        var overlaps = false
        for index in rules.value.areas.indices where rules.value.areas[index].overlaps(range) { overlaps = true }
        findings.check(.bufferOutsideRings, !overlaps)
    }

    /// The table that an indirect descriptor refers to. It ends the chain: VIRTQ_DESC_F_NEXT in the same descriptor is
    /// a fault (2.7.5.3.1, 2.8.19), VIRTQ_DESC_F_WRITE is ignored (2.7.5.3.2, 2.8.7).
    mutating func table(_ address: UInt64, _ length: UInt32, _ flags: Descriptor.Flags) throws(QueueFault)
        -> IndirectTable
    {
        guard rules.value.indirect else { throw .indirectNotNegotiated }
        guard !flags.contains(.next) else { throw .indirectMisplaced }
        guard length > 0, length % UInt32(SplitRing.descriptorSize) == 0 else { throw .badIndirectTable }
        guard let buffer = rules.value.memory.resolve(address, UInt64(length)) else { throw .bufferOutsideMemory }
        indirectTable = buffer
        return IndirectTable(buffer, rules.value.memory.recorder)
    }

    /// Ends the chain, which takes `slots` descriptors of the ring. Its buffers are the last ones of `segments`.
    func finish(id: UInt16, slots: UInt16, _ segments: borrowing SegmentStorage) -> DescriptorChain {
        findings.set(ChainFingerprint(digest: digest.value, table: indirectTable))
        return DescriptorChain(
            id: id, slots: slots,
            readable: segments.last(
                readable.count, before: writable.count, byteCount: readable.bytes, rules.value.memory.recorder),
            writable: segments.last(writable.count, byteCount: writable.bytes, rules.value.memory.recorder),
            findings: findings)
    }
}

/// A table of indirect descriptors in guest memory, with any alignment.
struct IndirectTable {
    private let buffer: GuestBuffer
    private let recorder: TraceRecorder
    /// Number of descriptors.
    let count: Int

    init(_ buffer: GuestBuffer, _ recorder: TraceRecorder) {
        self.buffer = buffer
        self.recorder = recorder
        count = buffer.count / Int(SplitRing.descriptorSize)
    }

    /// Adds the chain in a split ring's indirect table, at most `longest` descriptors, to `digest`.
    func digest(longest: UInt16, into digest: inout Digest) {
        var index = 0
        for _ in 0..<longest {
            let (low, high) = fetch(index)
            digest.add(low, high)
            let descriptor = Descriptor(low: low, high: high)
            index = Int(descriptor.next)
            guard descriptor.flags.contains(.next), index < count else { return }
        }
    }

    /// The two halves of descriptor `index`, below `count`, fetched once.
    func fetch(_ index: Int) -> (low: UInt64, high: UInt64) {
        let offset = index * Int(SplitRing.descriptorSize)
        return (buffer.loadWord(at: offset, recorder), buffer.loadWord(at: offset + 8, recorder))
    }
}
