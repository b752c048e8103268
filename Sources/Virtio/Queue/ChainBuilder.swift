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
    /// The checks that every chain covers, and those that a chain with an indirect table covers as well.
    let everyChain: CheckSet
    let everyTable: CheckSet
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

    var value: ChainRules { @inline(__always) _read { yield unsafe pointer.pointee } }

    /// The table that an indirect descriptor refers to. It ends the chain: VIRTQ_DESC_F_NEXT in the same descriptor is
    /// a fault (2.7.5.3.1, 2.8.19), VIRTQ_DESC_F_WRITE is ignored (2.7.5.3.2, 2.8.7).
    func table(_ address: UInt64, _ length: UInt32, _ flags: Descriptor.Flags) throws(QueueFault) -> GuestBuffer {
        guard value.indirect else { throw .indirectNotNegotiated }
        guard !flags.contains(.next) else { throw .indirectMisplaced }
        guard length > 0, length % UInt32(SplitRing.descriptorSize) == 0 else { throw .badIndirectTable }
        guard let buffer = value.memory.resolve(address, UInt64(length)) else { throw .bufferOutsideMemory }
        return buffer
    }
}

/// A chain under construction. Descriptors are added in order; each is validated from its copy.
struct ChainBuilder {
    let rules: ChainRulesPointer
    let findings: ChainFindingsPointer
    /// Number of segments before the chain's first one, and before its first writable one.
    private let start: Int
    private var boundary: Int
    private var bytes = 0
    private var readableBytes = 0
    private var isWriting = false
    /// Number of descriptors of buffers, empty ones included.
    private(set) var length: UInt16 = 0
    private var digest = Digest()
    /// The indirect table in which the chain ends.
    var indirectTable: GuestBuffer?

    /// Starts a chain whose buffers are stored in `segments`.
    init(_ rules: ChainRulesPointer, _ segments: borrowing SegmentStorage) {
        self.rules = rules
        let checks = rules.value.checksDriver
        findings = checks ? segments.newFindings(covered: rules.value.everyChain) : ChainFindingsPointer()
        start = segments.count
        boundary = start
    }

    /// Adds a fetched descriptor to the fingerprint.
    @inline(__always)
    mutating func note(_ low: UInt64, _ high: UInt64) {
        if findings.isOn { digest.add(low, high) }
    }

    /// Adds a buffer to the chain and to `segments`; an empty buffer is skipped.
    @inline(__always)
    mutating func add(
        _ address: UInt64, _ length: UInt32, writes: Bool, _ segments: inout SegmentStorage
    ) throws(QueueFault) {
        guard self.length < rules.value.longest else { throw .chainTooLong }
        self.length += 1
        if isWriting && !writes { throw .readableAfterWritable }
        isWriting = writes
        if length == 0 { return }
        guard let buffer = rules.value.memory.resolve(address, UInt64(length)) else { throw .bufferOutsideMemory }
        bytes += buffer.count
        guard bytes <= 1 << 32 else { throw .chainTooLarge }
        segments.append(buffer)
        if !writes { (boundary, readableBytes) = (segments.count, bytes) }
        if findings.isOn { checkOverlap(buffer) }
    }

    @inline(__always)
    private func checkOverlap(_ buffer: GuestBuffer) {
        let start = unsafe UInt(bitPattern: buffer.base)
        let end = start + UInt(buffer.count)
        var overlaps = false
        for index in 0..<3 {
            let area = rules.value.areas[index]
            if start < area.upperBound && area.lowerBound < end { overlaps = true }
        }
        findings.check(.bufferOutsideRings, !overlaps)
    }

    /// Ends the chain, which takes `slots` descriptors of the ring. Its buffers are the last ones of `segments`.
    @inline(__always)
    func finish(id: UInt16, slots: UInt16, _ segments: borrowing SegmentStorage) -> DescriptorChain {
        findings.set(ChainFingerprint(digest: digest.value, table: indirectTable))
        return DescriptorChain(
            id: id, slots: slots,
            readable: segments[start..<boundary, byteCount: readableBytes, rules.value.memory.recorder],
            writable: segments[
                boundary..<segments.count, byteCount: bytes - readableBytes, rules.value.memory.recorder],
            findings: findings)
    }
}

/// A table of descriptors in guest memory: a ring's, or an indirect one, with any alignment.
struct DescriptorTable {
    private let buffer: GuestBuffer
    private let recorder: TraceRecorder
    /// Number of descriptors.
    let count: Int

    init(_ buffer: GuestBuffer, _ recorder: TraceRecorder) {
        self.buffer = buffer
        self.recorder = recorder
        count = buffer.count / Int(SplitRing.descriptorSize)
    }

    /// Descriptor `index`, below `count`, fetched once.
    @inline(__always)
    func fetch(_ index: Int) -> Descriptor {
        let (low, high) = words(index)
        return Descriptor(low: low, high: high)
    }

    /// The two halves of descriptor `index`, below `count`, fetched once.
    @inline(__always)
    func words(_ index: Int) -> (low: UInt64, high: UInt64) {
        let offset = index * Int(SplitRing.descriptorSize)
        return (buffer.loadWord(at: offset, recorder), buffer.loadWord(at: offset + 8, recorder))
    }
}
