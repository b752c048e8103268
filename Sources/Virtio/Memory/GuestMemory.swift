// Guest memory as the device model sees it: address ranges backed by memory that the host owns and maps.
//
// Guest memory is never exposed as a span: the guest writes to it at any time, and a compiler that may assume exclusive
// access merges two reads into one or splits one into two. Single values are accessed by relaxed atomics. Bulk data is
// described by `GuestBuffer` and moved by the host's system calls.

import Synchronization

/// A range of guest memory in the host's address space, checked when it was resolved.
///
/// The layout is that of `struct iovec`: a pointer, then a length.
@safe public struct GuestBuffer: @unchecked Sendable {
    /// Host address of the first byte. Valid for as long as the `GuestMemory` it came from.
    public var base: UnsafeMutableRawPointer
    /// Length in bytes.
    public var count: Int

    /// A range of `count` bytes at `base`.
    public init(base: UnsafeMutableRawPointer, count: Int) {
        unsafe self.base = base
        self.count = count
    }

    /// The byte at `offset`, fetched once.
    func loadByte(at offset: Int, _ recorder: TraceRecorder = TraceRecorder()) -> UInt8 {
        let byte = fetchByte(at: offset)
        return unsafe recorder.load(byte, at: base + offset)
    }

    private func fetchByte(at offset: Int) -> UInt8 {
        precondition(offset >= 0 && offset < count)
        return unsafe (base + offset).assumingMemoryBound(to: Atomic<UInt8>.self).pointee.load(ordering: .relaxed)
    }

    /// The little-endian 64-bit word at `offset`, with any alignment: one load if it is aligned in the host, eight
    /// loads if not. No byte is fetched twice.
    func loadWord(at offset: Int, _ recorder: TraceRecorder = TraceRecorder()) -> UInt64 {
        precondition(offset >= 0 && offset <= count - 8)
        let place = unsafe base + offset
        if UInt(bitPattern: place) % 8 == 0 {
            let words = unsafe place.assumingMemoryBound(to: Atomic<UInt64>.self)
            return unsafe recorder.load(words.pointee.load(ordering: .relaxed), at: place)
        }
        return unsafe recorder.load(fetchBytes(at: offset), at: place)
    }

    /// The first `n` little-endian 64-bit words, each as `loadWord` loads it.
    @inline(always)
    func loadWords<let n: Int>(_ recorder: TraceRecorder) -> InlineArray<n, UInt64> {
        guard unsafe UInt(bitPattern: base) % 8 == 0, !recorder.isOn else {
            return InlineArray { loadWord(at: 8 * $0, recorder) }
        }
        precondition(count >= 8 * n)
        let words = unsafe base.assumingMemoryBound(to: Atomic<UInt64>.self)
        return InlineArray { unsafe words[$0].load(ordering: .relaxed) }
    }

    /// The little-endian 64-bit word at `offset`, byte by byte.
    @inline(never)
    private func fetchBytes(at offset: Int) -> UInt64 {
        var word: UInt64 = 0
        for index in 0..<8 { word |= UInt64(fetchByte(at: offset + index)) << UInt64(8 * index) }
        return word
    }

    /// Stores one byte at `offset`. It is ordered before the used index that publishes it, which is a release store.
    func storeByte(_ value: UInt8, at offset: Int) {
        precondition(offset >= 0 && offset < count)
        unsafe (base + offset).assumingMemoryBound(to: Atomic<UInt8>.self).pointee.store(value, ordering: .relaxed)
    }
}

/// The guest's physical memory: at most four regions, ascending, none touching another.
@safe public struct GuestMemory: @unchecked Sendable {
    /// A range of guest-physical addresses backed by host memory.
    @safe public struct Region {
        /// First guest-physical address.
        public let guestAddress: UInt64
        /// Host address of that byte, aligned to 16 bytes or better.
        public let base: UnsafeMutableRawPointer
        /// Length in bytes.
        public let size: UInt64

        /// Describes memory that must stay mapped for as long as the region is in use.
        public init(guestAddress: UInt64, base: UnsafeMutableRawPointer, size: UInt64) {
            self.guestAddress = guestAddress
            unsafe self.base = base
            self.size = size
        }

        /// The `length` bytes at guest-physical `address`, or nil unless all of them lie in the region.
        @inline(always)
        func resolve(_ address: UInt64, _ length: UInt64) -> GuestBuffer? {
            // For an address below the region the difference wraps, to more than the region's size.
            let offset = address &- guestAddress
            guard offset <= size, length <= size - offset else { return nil }
            return unsafe GuestBuffer(
                base: base + Int(truncatingIfNeeded: offset), count: Int(truncatingIfNeeded: length))
        }
    }

    /// Maximum number of regions.
    public static let maximumRegions = 4

    private let regions: InlineArray<4, Region?>
    /// Records what a device reads from this memory.
    var recorder = TraceRecorder()

    /// Memory made of `regions`, at most `maximumRegions`, each aligned to 16 bytes on both sides: ring words are then
    /// naturally aligned in the host when they are in the guest.
    public init(_ regions: [Region]) {
        precondition(regions.count <= GuestMemory.maximumRegions)
        for region in regions {
            unsafe precondition(region.guestAddress % 16 == 0 && UInt(bitPattern: region.base) % 16 == 0)
            precondition(!region.guestAddress.addingReportingOverflow(region.size).overflow)
        }
        self.regions = InlineArray { $0 < regions.count ? regions[$0] : nil }
    }

    /// The guest-physical address of a byte in a buffer that `resolve` returned.
    func guestAddress(of place: UnsafeRawPointer) -> UInt64? {
        for index in regions.indices {
            guard let region = regions[index] else { return nil }
            let offset = unsafe UInt64(UInt(bitPattern: place) &- UInt(bitPattern: region.base))
            if offset < region.size { return region.guestAddress + offset }
        }
        return nil
    }

    /// The `length` bytes at guest-physical `address`, or nil unless all of them lie in one region.
    public func resolve(_ address: UInt64, _ length: UInt64) -> GuestBuffer? {
        for index in regions.indices {
            if let buffer = regions[index]?.resolve(address, length) { return buffer }
        }
        return nil
    }

    /// The largest region; nil if there is none.
    var largestRegion: Region? {
        var largest: Region?
        for index in regions.indices {
            if let region = regions[index], region.size > largest?.size ?? 0 { largest = region }
        }
        return largest
    }
}
