// Builds a chain from descriptors, by the rules that both ring formats share (VIRTIO 1.4, 2.7.5 and 2.8).

import VirtioABI

/// A chain under construction. Descriptors are added in order; each is validated from its copy.
struct ChainBuilder {
    let rules: ChainRulesPointer
    let findings: ChainFindingsPointer
    /// Number of segments before the chain's first one.
    private let start: Int
    private var bytes = 0
    private var isWriting = false
    /// Number of segments before the first writable one, and of bytes in the readable ones.
    private var firstWritable = 0
    private var readableBytes = 0
    /// Number of descriptors of buffers, empty ones included.
    private(set) var length: UInt16 = 0
    private var digest = Digest()
    /// The indirect table in which the chain ends.
    var indirectTable: GuestBuffer?

    /// Starts a chain whose buffers are stored in `segments`.
    @inline(always)
    init(_ rules: ChainRulesPointer, _ segments: borrowing SegmentStorage) {
        self.rules = rules
        let checks = rules.value.checksDriver
        findings = checks ? segments.newFindings(covered: rules.value.everyChain) : ChainFindingsPointer()
        start = segments.count
    }

    /// Adds a fetched descriptor to the fingerprint.
    @inline(always)
    mutating func note(_ low: UInt64, _ high: UInt64) {
        if findings.isOn { digest.add(low, high) }
    }

    /// Adds a buffer to the chain and to `segments`; an empty buffer is skipped. In a table the caller has checked the
    /// chain's length; a ring has no more descriptors than a chain may have.
    @inline(always)
    mutating func add(
        _ address: UInt64, _ length: UInt32, writes: Bool, _ segments: inout SegmentStorage
    ) throws(QueueFault) {
        self.length &+= 1
        if writes != isWriting {
            if isWriting { throw .readableAfterWritable }
            isWriting = true
            (firstWritable, readableBytes) = (segments.count, bytes)
        }
        if length == 0 { return }
        guard let buffer = rules.resolve(address, UInt64(length)) else { throw .bufferOutsideMemory }
        bytes &+= buffer.count
        guard bytes <= 1 << 32 else { throw .chainTooLarge }
        segments.append(buffer)
        findings.check(.bufferOutsideRings, !rules.overlapsRing(buffer))
    }

    /// Continues the chain in an indirect table of a split ring of `ringSize` entries, from the table's first descriptor.
    /// The loop ends because `longest` limits the number of descriptors.
    @inline(never)
    mutating func follow(
        _ buffer: GuestBuffer, ringSize: UInt16, _ segments: inout SegmentStorage
    ) throws(QueueFault) {
        indirectTable = buffer
        let table = DescriptorTable(buffer, rules.value.memory.recorder)
        var index = 0
        while true {
            let descriptor = table.fetch(index)
            note(descriptor.address, descriptor.high)
            if descriptor.flags.contains(.indirect) { throw .nestedTable }
            guard length < rules.value.longest else { throw .chainTooLong }
            try add(descriptor.address, descriptor.length, writes: descriptor.flags.contains(.write), &segments)
            guard descriptor.flags.contains(.next) else { break }
            let next = Int(descriptor.next)
            guard next < table.count else { throw .nextOutOfRange }
            if rules.value.inOrder { findings.check(.tableInOrder, next == index + 1) }
            index = next
        }
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
            let (low, high) = table.words(index)
            let descriptor = PackedDescriptor(low: low, high: high)
            note(low, high)
            findings.check(.packedTableFlags, descriptor.flags.subtracting(.write).isEmpty)
            guard length < rules.value.longest else { throw .chainTooLong }
            try add(descriptor.address, descriptor.length, writes: descriptor.flags.contains(.write), &segments)
        }
    }

    /// Ends the chain, which takes `slots` descriptors of the ring. Its buffers are the last ones of `segments`.
    @inline(always)
    func finish(id: UInt16, slots: UInt16, _ segments: borrowing SegmentStorage) -> DescriptorChain {
        findings.set(ChainFingerprint(digest: digest.value, table: indirectTable))
        let recorder = rules.value.memory.recorder
        let (boundary, readableBytes) = isWriting ? (firstWritable, readableBytes) : (segments.count, bytes)
        return DescriptorChain(
            id: id, slots: slots,
            readable: segments.part(start, count: boundary &- start, byteCount: readableBytes, recorder),
            writable: segments.part(
                boundary, count: segments.count &- boundary, byteCount: bytes &- readableBytes, recorder),
            findings: findings)
    }
}
