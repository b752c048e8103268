// What a queue needs to validate its chains, stored once for as long as the queue is live.
//
// The common cases are inlined into the loop over a chain's descriptors: a buffer in the largest region of guest memory, away
// from the ring's areas. The others are calls that take a pointer, so that the loop copies no rules.

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
        guard let buffer = resolve(address, UInt64(length)) else { throw .bufferOutsideMemory }
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
