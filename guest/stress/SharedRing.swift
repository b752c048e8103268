// The ring of the concurrency check, in either form. All processors use it without a lock, so the device may find anything there.
// Its buffers come in turn: chain n at offers n, n + chains, ... Chain n has the descriptors 2n + 1 and 2n + 2 (the last chain's
// second descriptor is number 0) and the id 2n + 1.
//
// That ids are odd keeps the device from other memory. Where a processor resets the device while another writes the addresses of
// the areas, some stay 0, and the device may find used entries where it looks for descriptors. The flags of such a descriptor are
// an id: 0, or odd, and then it is not the chain's last. So no chain ends with a buffer to write to, and none is written to. An
// id of 2 would be the flag of such a buffer.

/// A ring whose chains are the same all the time.
struct SharedRing {
    /// What other processors may offer between one's look at the ring and its own offer.
    private static let slack: UInt16 = 8

    let format: RingFormat
    let size: UInt16
    let chains: UInt16
    /// The chains' elements for a packed ring, whose descriptors the device overwrites.
    private let elements: UInt64
    /// Where the offers are counted: a split ring's index, or a word of this ring's own.
    private let counter: UInt64

    init(size: UInt16, _ features: Features, _ arena: inout Arena) {
        self.size = size
        chains = size / 2
        elements = arena.take(SplitRing.descriptorBytes(size: size))
        let eventIndex = features.contains(.eventIndex)
        if features.contains(.ringPacked) {
            format = .packed(PackedFormat(size: size, eventIndex: eventIndex, &arena))
            counter = arena.take(2)
        } else {
            let ring = SplitFormat(size: size, eventIndex: eventIndex, &arena)
            format = .split(ring)
            counter = ring.available &+ SplitRing.index
        }
    }

    /// Sets the two elements of a chain.
    func set(_ chain: UInt16, _ first: Descriptor, _ second: Descriptor) {
        var staged = staged(chain, count: 0)
        staged.append(first)
        staged.append(second)
        guard case .split(let ring) = format else { return }
        let (head, last) = (id(chain), (id(chain) &+ 1) % size)
        ring.set(first.linked(to: last), at: head)
        ring.set(second, at: last)
        for lap: UInt16 in 0..<2 {
            let entry = UInt64(chain &+ lap &* chains)
            store16(ring.available &+ SplitRing.ring &+ SplitRing.availableEntrySize &* entry, head)
        }
    }

    /// The ring as it is before the first offer.
    func clear() {
        store16(counter, 0)
        switch format {
        case .split(let ring): store16(ring.used &+ SplitRing.index, 0)
        case .packed: for slot in 0..<size { store16(address(slot) &+ UInt64(PackedRing.flags), 0) }
        }
    }

    /// The chain of the next offer; nil if too many are available.
    var next: UInt16? {
        let count = load16(counter)
        let slack = min(SharedRing.slack, chains &- 1)
        switch format {
        case .split(let ring):
            let used = load16(ring.used &+ SplitRing.index)
            return count &- used < chains &- slack ? count % chains : nil
        case .packed:
            let place = address(2 &* ((count &+ slack) % chains)) &+ UInt64(PackedRing.flags)
            let owner = load16(place) & PackedRing.ownerBits
            return owner == 0 || owner == PackedRing.ownerBits ? count % chains : nil
        }
    }

    /// Makes a chain available: the next one, or one after it if other processors offer, too.
    func offer() {
        let count = fetchAndIncrement16(counter)
        guard case .packed(let ring) = format else { return }
        let position = format.start.advanced(by: 2 &* UInt32(count))
        ring.publish(staged(count % chains, count: 2), id: id(count % chains), at: position)
    }

    /// The id and the length in a slot of the used ring, or of the packed ring, which the device may have written or not.
    func entry(_ slot: UInt16) -> (id: UInt32, length: UInt32) {
        switch format {
        case .split(let ring):
            let entry = ring.used &+ SplitRing.ring &+ SplitRing.usedEntrySize &* UInt64(slot)
            return (load32(entry), load32(entry &+ 4))
        case .packed:
            let id = load16(address(slot) &+ UInt64(PackedRing.id))
            return (UInt32(id), load32(address(slot) &+ UInt64(PackedRing.length)))
        }
    }

    private func id(_ chain: UInt16) -> UInt16 { 2 &* chain &+ 1 }

    private func staged(_ chain: UInt16, count: UInt16) -> StagedElements {
        StagedElements(memory: elements &+ 32 &* UInt64(chain), count: count)
    }

    private func address(_ slot: UInt16) -> UInt64 { format.areas.descriptors &+ 16 &* UInt64(slot) }
}
