// Exhaustive tests of a small ring, over all combinations of sets of valid and invalid values: addresses inside and
// outside memory, lengths 0, 1, many and 2^32 - 1, every flag, and next and id inside and outside their range.

import Testing
import VirtioABI

@testable import Virtio

@Suite("Small rings, exhaustive", .serialized)
struct SmallRingTests {
    static let (next, write, indirect) = (UInt16(1), UInt16(2), UInt16(4))
    static let (data, table, outsideMemory) = (SmallRing.data, SmallRing.table, SmallRing.outsideMemory)

    /// Split descriptors to combine in a ring or table of `size`.
    static func split(_ size: UInt16) -> [DescriptorWords] {
        let last = size - 1
        return [
            .split(data, 16, 0), .split(data, 16, write), .split(data + 40, 1, write), .split(.max, 0, write),
            .split(outsideMemory, 16, 0), .split(outsideMemory, 16, write), .split(data, .max, write),
            .split(data, 16, next, 0), .split(data + 8, 16, next, 1), .split(data, 1, next, last),
            .split(data, 1, next, size), .split(data, 1, next, 0xffff), .split(data, 1, next | write, 0),
            .split(data + 20, 4, next | write, 1), .split(data, 0, next | write, last),
            .split(outsideMemory, 16, next, 1),
            .split(table, 32, indirect), .split(table, 32, indirect | write), .split(table, 32, indirect | next, 1),
            .split(table, 24, indirect), .split(table, 0, indirect), .split(outsideMemory, 32, indirect),
            .split(table, 48, indirect, 0), .split(data, 16, 0xfff8, 0xffff),
        ]
    }

    /// Packed descriptors to combine in a ring of `size`; available means available in the first lap.
    static func packed(_ size: UInt16) -> [DescriptorWords] {
        let (available, used) = (FakePackedQueue.available, FakePackedQueue.used)
        return [
            .packed(data, 16, available), .packed(data, 16, available | write),
            .packed(data + 40, 1, available | write, 1), .packed(.max, 0, available | write),
            .packed(data, 1, available | write, size), .packed(data, 1, available | write, 0xffff),
            .packed(data, 4, available | write, size - 1), .packed(outsideMemory, 16, available | write),
            .packed(data, .max, available | write, 1), .packed(data, 16, available | next),
            .packed(data + 8, 16, available | next | write, 1), .packed(data, 0, available | next),
            .packed(outsideMemory, 16, available | next), .packed(table, 32, available | indirect),
            .packed(table, 32, available | indirect | write, 1), .packed(table, 32, available | indirect | next),
            .packed(table, 24, available | indirect), .packed(table, 0, available | indirect),
            .packed(outsideMemory, 32, available | indirect), .packed(data, 16, available | used | write),
            .packed(data, 16, write), .packed(data, 16, next), .packed(data + 4, 16, used | write, 1),
            .packed(data, 16, used | next | write),
        ]
    }

    /// Writes a valid table of three: two readable and one writable.
    func setTable(_ ring: SmallRing) {
        if ring.packed {
            for index in 0..<3 { ring.setTable(index, .packed(Self.data, 1, index == 2 ? 2 : 0)) }
        } else {
            ring.setTable(0, .split(Self.data, 1, 1, 1))
            ring.setTable(1, .split(Self.data + 8, 1, 2))
            ring.setTable(2, .split(Self.data, 1, 0))
        }
    }

    @Test("Split, size 2: every pair of descriptors, both entries, the index, before and across its wrap")
    func split2() {
        let ring = SmallRing(size: 2, packed: false)
        let descriptors = Self.split(2)
        let heads: [UInt64] = [0, 1, 2, 0xffff]
        for start: UInt16 in [0, 0xffff] {
            for first in descriptors {
                for second in descriptors {
                    for (entries, ahead) in heads.flatMap({ head in heads.map { head | $0 << 16 } })
                        .flatMap({ entries in [0, 1, 2, 3, 0x8000, 0xffff].map { (entries, UInt16($0)) } })
                    {
                        ring.begin()
                        setTable(ring)
                        ring.setRing(0, first)
                        ring.setRing(1, second)
                        ring.setAvailable(index: start &+ ahead, entries)
                        ring.run(from: RingPosition(count: start))
                    }
                }
            }
        }
        ring.report("split rings of 2")
        #expect(ring.served > 0 && ring.faults.count == 8)
    }

    @Test("Every four descriptors of a ring of 4", arguments: [false, true])
    func four(packed: Bool) {
        let ring = SmallRing(size: 4, packed: packed)
        let descriptors = packed ? Self.packed(4) : Self.split(4)
        for first in descriptors {
            for second in descriptors {
                for third in descriptors {
                    for fourth in descriptors {
                        ring.begin()
                        setTable(ring)
                        ring.setRing(0, first)
                        ring.setRing(1, second)
                        ring.setRing(2, third)
                        ring.setRing(3, fourth)
                        if !packed { ring.setAvailable(index: 4, 0x0001_0002_0003_0000) }
                        ring.run()
                    }
                }
            }
        }
        ring.report("\(packed ? "packed" : "split") rings of 4")
        #expect(ring.served > 0 && ring.faults.count == 6)
    }

    @Test("Packed, size 2: every pair of descriptors, from every place of two laps")
    func packed2() {
        let ring = SmallRing(size: 2, packed: true)
        for first in Self.packed(2) {
            for second in Self.packed(2) {
                for slot in UInt16(0)..<2 {
                    for wrap in [true, false] {
                        ring.begin()
                        setTable(ring)
                        ring.setRing(0, first)
                        ring.setRing(1, second)
                        ring.run(from: RingPosition(count: slot, slot: slot, wrap: wrap))
                    }
                }
            }
        }
        ring.report("packed rings of 2")
        #expect(ring.served > 0 && ring.faults.count == 6)
    }

    @Test("Every two and three descriptors of a table", arguments: [false, true])
    func tables(packed: Bool) {
        let ring = SmallRing(size: 2, packed: packed)
        for count in 2...3 {
            let descriptors = packed ? Self.packed(UInt16(count)) : Self.split(UInt16(count))
            let length = UInt32(16 * count)
            for first in descriptors {
                for second in descriptors {
                    for third in count == 3 ? descriptors : [descriptors[0]] {
                        ring.begin()
                        ring.setTable(0, first)
                        ring.setTable(1, second)
                        if count == 3 { ring.setTable(2, third) }
                        let reference =
                            packed ? DescriptorWords.packed(Self.table, length, 0x84) : .split(Self.table, length, 4)
                        ring.setRing(0, reference)
                        ring.setRing(1, packed ? .packed(0, 0, 0) : .split(0, 0, 0))
                        ring.setAvailable(index: packed ? 0 : 1, 0)
                        ring.run()
                    }
                }
            }
        }
        ring.report("tables in \(packed ? "packed" : "split") rings")
        #expect(ring.served > 0 && ring.faults.count == (packed ? 2 : 5))
    }
}
