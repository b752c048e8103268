// Builds a chain from descriptors, by the rules that both ring formats share (VIRTIO 1.4, 2.7.5 and 2.8).

import Synchronization
import VirtioABI

/// What a queue needs to validate a chain.
struct ChainRules {
    let memory: GuestMemory
    /// The region of `memory` that most buffers are in.
    let mainRegion: GuestMemory.Region
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
    let areas: RingAreas
    /// The checks that every chain covers, and those that a chain with an indirect table covers as well.
    let everyChain: CheckSet
    let everyTable: CheckSet
}

/// A ring's three areas in host memory.
struct RingAreas {
    private let areas: InlineArray<3, Range<UInt>>
    /// From the lowest byte of the areas to the highest. Most buffers are outside.
    let hull: Range<UInt>

    init(_ areas: InlineArray<3, Range<UInt>>) {
        self.areas = areas
        var hull = areas[0]
        for index in 1..<3 {
            hull = min(hull.lowerBound, areas[index].lowerBound)..<max(hull.upperBound, areas[index].upperBound)
        }
        self.hull = hull
    }

    /// Whether `buffer` has a byte in one of the areas.
    func overlap(_ buffer: GuestBuffer) -> Bool {
        for index in 0..<3 where Self.overlap(buffer, areas[index]) { return true }
        return false
    }

    /// Whether `buffer` has a byte in `range`.
    @inline(always)
    static func overlap(_ buffer: GuestBuffer, _ range: Range<UInt>) -> Bool {
        let start = unsafe UInt(bitPattern: buffer.base)
        return start < range.upperBound && range.lowerBound < start &+ UInt(bitPattern: buffer.count)
    }
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

    var value: ChainRules { unsafeAddress { unsafe UnsafePointer(pointer) } }

    /// The table that an indirect descriptor refers to. It ends the chain: VIRTQ_DESC_F_NEXT in the same descriptor is
    /// a fault (2.7.5.3.1, 2.8.19), VIRTQ_DESC_F_WRITE is ignored (2.7.5.3.2, 2.8.7).
    func table(_ address: UInt64, _ length: UInt32, _ flags: Descriptor.Flags) throws(QueueFault) -> GuestBuffer {
        guard value.indirect else { throw .indirectNotNegotiated }
        guard !flags.contains(.next) else { throw .indirectMisplaced }
        guard length > 0, length % UInt32(SplitRing.descriptorSize) == 0 else { throw .badIndirectTable }
        guard let buffer = value.memory.resolve(address, UInt64(length)) else { throw .bufferOutsideMemory }
        return buffer
    }

    /// The `length` bytes of guest memory at `address`, or nil unless all of them lie in one region.
    @inline(always)
    func resolve(_ address: UInt64, _ length: UInt64) -> GuestBuffer? {
        value.mainRegion.resolve(address, length) ?? resolveInAny(address, length)
    }

    @inline(never)
    private func resolveInAny(_ address: UInt64, _ length: UInt64) -> GuestBuffer? {
        value.memory.resolve(address, length)
    }

    /// Whether `buffer` has a byte in one of the ring's areas.
    @inline(always)
    func overlapsRing(_ buffer: GuestBuffer) -> Bool {
        RingAreas.overlap(buffer, value.areas.hull) && overlapsArea(buffer)
    }

    @inline(never)
    private func overlapsArea(_ buffer: GuestBuffer) -> Bool { value.areas.overlap(buffer) }
}

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

/// A table of descriptors in guest memory: a ring's, or an indirect one, with any alignment.
@safe struct DescriptorTable: @unchecked Sendable {
    private let base: UnsafeMutableRawPointer
    private let recorder: TraceRecorder
    /// Whether a descriptor is two aligned words in the host, and loads are not recorded.
    private let isPlain: Bool
    /// Number of descriptors.
    let count: Int

    init(_ buffer: GuestBuffer, _ recorder: TraceRecorder) {
        unsafe base = buffer.base
        self.recorder = recorder
        isPlain = unsafe UInt(bitPattern: buffer.base) % 8 == 0 && !recorder.isOn
        count = buffer.count / Int(SplitRing.descriptorSize)
    }

    /// Descriptor `index`, below `count`, fetched once.
    @inline(always)
    func fetch(_ index: Int) -> Descriptor {
        let (low, high) = words(index)
        return Descriptor(low: low, high: high)
    }

    /// Adds the chain in a split ring's indirect table, at most `longest` descriptors, to `digest`.
    @inline(never)
    func digest(longest: UInt16, into digest: inout Digest) {
        var index = 0
        for _ in 0..<longest {
            let descriptor = fetch(index)
            digest.add(descriptor.address, descriptor.high)
            index = Int(descriptor.next)
            guard descriptor.flags.contains(.next), index < count else { return }
        }
    }

    /// The two halves of descriptor `index`, below `count`, fetched once.
    @inline(always)
    func words(_ index: Int) -> (low: UInt64, high: UInt64) {
        precondition(index >= 0 && index < count)
        guard isPlain else { return anyWords(index) }
        let size = Int(SplitRing.descriptorSize)
        let halves = unsafe (base + size * index).assumingMemoryBound(to: Atomic<UInt64>.self)
        return unsafe (halves[0].load(ordering: .relaxed), halves[1].load(ordering: .relaxed))
    }

    @inline(never)
    private func anyWords(_ index: Int) -> (low: UInt64, high: UInt64) {
        let size = Int(SplitRing.descriptorSize)
        let descriptor = unsafe GuestBuffer(base: base + size * index, count: size)
        return (descriptor.loadWord(at: 0, recorder), descriptor.loadWord(at: 8, recorder))
    }
}
