// A table of descriptors in guest memory. A descriptor is fetched once, as two relaxed 64-bit loads; where a load is recorded,
// or a table is not aligned in the host, by a call.
//
// Invariant behind every `unsafe` here: the table was resolved, guest memory stays mapped for as long as the model exists, and
// every index is checked below `count`.

import Synchronization
import VirtioABI

/// A table of descriptors in guest memory: a ring's, or an indirect one, with any alignment.
@safe struct DescriptorTable: @unchecked Sendable {
    private let base: UnsafeMutableRawPointer
    private let recorder: TraceRecorder
    /// Number of descriptors.
    let count: Int
    /// `count`, if a descriptor is two aligned words in the host and loads are not recorded; 0 if not. One comparison tells
    /// whether a descriptor is there and how to load it.
    private let plainCount: Int

    init(_ buffer: GuestBuffer, _ recorder: TraceRecorder) {
        unsafe base = buffer.base
        self.recorder = recorder
        count = Int(bitPattern: UInt(bitPattern: buffer.count) / UInt(SplitRing.descriptorSize))
        plainCount = unsafe UInt(bitPattern: buffer.base) % 8 == 0 && !recorder.isOn ? count : 0
    }

    /// Descriptor `index`, fetched once; nil past the end.
    @inline(always)
    func fetch(_ index: UInt16) -> Descriptor? {
        guard let (low, high) = words(Int(index)) else { return nil }
        return Descriptor(low: low, high: high)
    }

    /// Adds the chain in a split ring's indirect table, at most `longest` descriptors, to `digest`.
    @inline(never)
    func digest(longest: UInt16, into digest: inout Digest) {
        var index: UInt16 = 0
        for _ in 0..<longest {
            guard let descriptor = fetch(index) else { return }
            digest.add(descriptor.address, descriptor.high)
            index = descriptor.next
            guard descriptor.flags.contains(.next) else { return }
        }
    }

    /// The two halves of descriptor `index`, fetched once; nil past the end.
    @inline(always)
    func words(_ index: Int) -> (low: UInt64, high: UInt64)? {
        guard UInt(bitPattern: index) < UInt(bitPattern: plainCount) else { return anyWords(index) }
        let size = Int(SplitRing.descriptorSize)
        let halves = unsafe (base + size &* index).assumingMemoryBound(to: Atomic<UInt64>.self)
        return unsafe (halves[0].load(ordering: .relaxed), halves[1].load(ordering: .relaxed))
    }

    @inline(never)
    private func anyWords(_ index: Int) -> (low: UInt64, high: UInt64)? {
        guard index >= 0, index < count else { return nil }
        let size = Int(SplitRing.descriptorSize)
        let descriptor = unsafe GuestBuffer(base: base + size * index, count: size)
        return (descriptor.loadWord(at: 0, recorder), descriptor.loadWord(at: 8, recorder))
    }
}
