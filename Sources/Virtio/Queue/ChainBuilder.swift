// Builds a chain from descriptors, by the rules that both ring formats share (VIRTIO 1.4, 2.7.5 and 2.8).

import VirtioABI

/// A chain under construction. Descriptors are added in order; each is validated from its copy.
struct ChainBuilder {
    let rules: ChainRulesPointer
    let findings: ChainFindingsPointer
    /// The place of the chain's next segment.
    private var cursor: SegmentCursor
    /// Bytes so far: fewer than 2^48, since a chain has fewer than 2^16 descriptors.
    private var bytes = 0
    /// The flags of the last descriptor of a buffer.
    private var last: Descriptor.Flags = []
    /// Number of descriptors of buffers, empty ones included.
    private(set) var length: UInt16 = 0
    private var digest = Digest()
    /// The indirect table in which the chain ends.
    private var indirectTable: GuestBuffer?

    /// Starts a chain whose buffers are stored in `segments`.
    @inline(always)
    init(_ rules: ChainRulesPointer, _ segments: borrowing SegmentStorage) {
        self.rules = rules
        let checks = rules.value.checksDriver
        findings = checks ? segments.newFindings(covered: rules.value.everyChain) : ChainFindingsPointer()
        cursor = segments.cursor
    }

    /// Adds a fetched descriptor to the fingerprint.
    @inline(always)
    mutating func note(_ low: UInt64, _ high: UInt64) {
        if findings.isOn { digest.add(low, high) }
    }

    /// Adds a buffer to the chain; an empty buffer is skipped. In a table the caller has checked the chain's length; a ring
    /// has no more descriptors than a chain may have.
    @inline(always)
    mutating func add(
        _ address: UInt64, _ length: UInt32, _ flags: Descriptor.Flags, _ segments: inout SegmentStorage
    ) throws(QueueFault) {
        self.length &+= 1
        let changed = last.symmetricDifference(flags)
        last = flags
        if changed.contains(.write) {
            guard flags.contains(.write) else { throw .readableAfterWritable }
            segments.beginWritable(at: cursor, bytes: bytes)
        }
        bytes &+= Int(length)
        if length == 0 { return }
        guard let buffer = rules.resolve(address, UInt64(length)) else { throw .bufferOutsideMemory }
        cursor.append(buffer)
        if findings.isOn, rules.overlapsRing(buffer) { findings.check(.bufferOutsideRings, false) }
    }

    /// Continues the chain in an indirect table of a split ring of `ringSize` entries, from the table's first descriptor.
    /// The loop ends because `longest` limits the number of descriptors.
    @inline(never)
    mutating func follow(
        _ buffer: GuestBuffer, ringSize: UInt16, _ segments: inout SegmentStorage
    ) throws(QueueFault) {
        indirectTable = buffer
        let table = DescriptorTable(buffer, rules.value.memory.recorder)
        let before = length
        var index: UInt16 = 0
        // The table has at least one descriptor, so only `next` can be out of range.
        while let descriptor = table.fetch(index) {
            note(descriptor.address, descriptor.high)
            if descriptor.flags.contains(.indirect) { throw .nestedTable }
            guard length < rules.value.longest else {
                throw Int(length &- before) > table.count ? .endlessChain : .chainTooLong
            }
            try add(descriptor.address, descriptor.length, descriptor.flags, &segments)
            guard descriptor.flags.contains(.next) else { return checkLength(ringSize: ringSize) }
            if rules.value.inOrder { findings.check(.tableInOrder, descriptor.next == index &+ 1) }
            index = descriptor.next
        }
        throw .nextOutOfRange
    }

    /// Checks a chain that ends in an indirect table of a split ring.
    @inline(always)
    private func checkLength(ringSize: UInt16) {
        let sizeMax = rules.value.sizeMax
        findings.markCovered(rules.value.everyTable)
        findings.check(.splitLength, length <= sizeMax)
        findings.check(.splitLengthOfQueue, length <= ringSize || length > sizeMax)
    }

    /// Adds all descriptors of a packed ring's indirect table, in order. Only their WRITE flag has a meaning, and they
    /// have no id (2.8.7).
    @inline(never)
    mutating func add(_ buffer: GuestBuffer, _ segments: inout SegmentStorage) throws(QueueFault) {
        indirectTable = buffer
        findings.markCovered(rules.value.everyTable)
        let table = DescriptorTable(buffer, rules.value.memory.recorder)
        for index in 0..<table.count {
            guard let (low, high) = table.words(index) else { break }
            let descriptor = PackedDescriptor(low: low, high: high)
            note(low, high)
            findings.check(.packedTableFlags, descriptor.flags.subtracting(.write).isEmpty)
            guard length < rules.value.longest else { throw .chainTooLong }
            try add(descriptor.address, descriptor.length, descriptor.flags, &segments)
        }
    }

    /// Ends the chain, which takes `slots` descriptors of the ring. Its buffers become the last ones of `segments`.
    @inline(always)
    func finish(
        id: UInt16, slots: UInt16, _ segments: inout SegmentStorage
    ) throws(QueueFault) -> DescriptorChain {
        guard bytes <= 1 << 32 else { throw .chainTooLarge }
        findings.set(ChainFingerprint(digest: digest.value, table: indirectTable))
        let (boundary, readableBytes) = last.contains(.write) ? segments.firstWritable : (cursor, bytes)
        let readable = boundary.segments(since: segments.cursor, byteCount: readableBytes)
        segments.keep(upTo: cursor)
        return DescriptorChain(
            id: id, slots: slots, readable: readable,
            writable: cursor.segments(since: boundary, byteCount: bytes &- readableBytes),
            findings: findings, recorder: rules.value.memory.recorder)
    }
}
