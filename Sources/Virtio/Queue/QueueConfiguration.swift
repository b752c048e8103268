// What the driver wrote into the queue registers, not yet validated.

import VirtioABI

/// A virtqueue's registers. It becomes a live queue only through `LiveQueue.init`, which validates all of it once.
struct QueueConfiguration: Equatable, Sendable {
    /// QueueSizeMax: fixed by the device, 0 for a queue that does not exist.
    let sizeMax: UInt16
    /// QueueSize, as written; 0 until then.
    var size: UInt32 = 0
    /// Guest-physical addresses of the descriptor, driver and device areas.
    var descriptors: UInt64 = 0
    var driver: UInt64 = 0
    var device: UInt64 = 0

    init(sizeMax: UInt16) { self.sizeMax = sizeMax }

    /// Maximum number of descriptors in a chain, those of an indirect table included. The specification lets a chain be
    /// as long as the queue (2.7.5.3.1), or as the device allows (2.8.19). This device allows more, so that small
    /// queues are usable.
    var longestChain: UInt16 { max(sizeMax, 128) }

    /// QueueSize is above QueueSizeMax.
    var isTooLarge: Bool { size > UInt32(sizeMax) }

    /// Host addresses of the three areas of a queue of `size`, which lies in `memory`.
    func areas(size: UInt16, isPacked: Bool, in memory: GuestMemory) -> RingAreas {
        func area(_ address: UInt64, _ count: UInt64) -> Range<UInt> {
            guard let buffer = memory.resolve(address, count) else { return 0..<0 }
            let start = unsafe UInt(bitPattern: buffer.base)
            return start..<start + UInt(buffer.count)
        }
        guard !isPacked else {
            return RingAreas([
                area(descriptors, PackedRing.descriptorSize * UInt64(size)), area(driver, PackedRing.eventSize),
                area(device, PackedRing.eventSize),
            ])
        }
        return RingAreas([
            area(descriptors, SplitRing.descriptorBytes(size: size)),
            area(driver, SplitRing.availableBytes(size: size)),
            area(device, SplitRing.usedBytes(size: size)),
        ])
    }

    /// The size, or nil if a packed queue cannot have it: from 1 to QueueSizeMax, which is 32768 at most (VIRTIO 1.4,
    /// 2.8).
    var packedSize: UInt16? {
        size != 0 && !isTooLarge && size <= SplitRing.maximumSize ? UInt16(size) : nil
    }

    /// The size, or nil if a split queue cannot have it: a power of two from 1 to QueueSizeMax (VIRTIO 1.4, 2.7).
    var splitSize: UInt16? {
        guard size != 0, size & (size - 1) == 0, !isTooLarge else { return nil }
        return UInt16(size)
    }
}

extension UInt64 {
    /// Replaces bits 0 to 31.
    mutating func setLow(_ value: UInt32) { self = self & 0xffff_ffff_0000_0000 | UInt64(value) }
    /// Replaces bits 32 to 63.
    mutating func setHigh(_ value: UInt32) { self = self & 0xffff_ffff | UInt64(value) << 32 }
}
