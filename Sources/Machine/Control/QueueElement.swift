// An element of a split virtqueue as it is in guest memory, for a control client. It is read while the guest may write it, so nothing here
// is believed beyond its size.

import Virtio
import VirtioABI

/// Reads virtqueues in guest memory.
struct QueueElement {
    /// Most descriptors of a chain that are shown.
    private static let limit = 1024

    /// The bytes at a guest-physical address; nil if they are not all memory.
    let read: (_ address: UInt64, _ count: Int) -> [UInt8]?

    /// QEMU's VirtioQueueElement: the available ring's entry `index`, or the one that the device takes next.
    func json(of queue: Inspection.Queue, at index: Int?) throws(QMPError) -> JSON {
        guard let next = queue.available, queue.size > 0 else { throw .generic("the queue is not ready") }
        let entry = (index ?? Int(next.count)) % Int(queue.size)
        let offset = SplitRing.ring + SplitRing.availableEntrySize * UInt64(entry)
        let head = try number(queue.driverArea + offset, 2)
        return [
            "index": .count(head), "descs": .array(try chain(UInt16(head), in: queue)),
            "avail": [
                "flags": .count(try number(queue.driverArea + SplitRing.flags, 2)),
                "idx": .count(try number(queue.driverArea + SplitRing.index, 2)), "ring": .count(head),
            ],
            "used": [
                "flags": .count(try number(queue.deviceArea + SplitRing.flags, 2)),
                "idx": .count(try number(queue.deviceArea + SplitRing.index, 2)),
            ],
        ]
    }

    /// The descriptors of the chain that begins with `head`, those of an indirect table in its place.
    private func chain(_ head: UInt16, in queue: Inspection.Queue) throws(QMPError) -> [JSON] {
        var (table, index) = (queue.descriptorArea, head)
        var found: [JSON] = []
        while found.count < Self.limit {
            let address = table &+ SplitRing.descriptorSize * UInt64(index)
            let descriptor = Descriptor(low: try number(address, 8), high: try number(address &+ 8, 8))
            if descriptor.flags.contains(.indirect), table == queue.descriptorArea {
                (table, index) = (descriptor.address, 0)
                continue
            }
            let flags = [("next", Descriptor.Flags.next), ("write", .write), ("indirect", .indirect)]
            found.append([
                "addr": .count(descriptor.address), "len": .count(descriptor.length),
                "flags": .array(flags.filter { descriptor.flags.contains($0.1) }.map { .string($0.0) }),
            ])
            guard descriptor.flags.contains(.next) else { break }
            index = descriptor.next
        }
        return found
    }

    private func number(_ address: UInt64, _ bytes: Int) throws(QMPError) -> UInt64 {
        guard let data = read(address, bytes) else {
            throw .generic("the queue is not in memory at 0x\(String(address, radix: 16))")
        }
        return data.integer(at: 0, bytes: bytes)
    }
}
