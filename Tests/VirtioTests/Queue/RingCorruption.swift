// The ring corruptions that HostileRingTests tries, as a table (VIRTIO 1.4, 2.7.4 to 2.7.6).

import Testing
import Virtio
import VirtioABI

/// One corruption of a split ring, for a block queue of 16 entries.
struct RingCorruption: CustomTestStringConvertible, Sendable {
    let fault: QueueFault
    let name: String
    /// Corrupts the ring in memory, without a notification.
    let corrupt: @Sendable (BlockDriver) -> Void

    init(_ fault: QueueFault, _ name: String, _ corrupt: @escaping @Sendable (BlockDriver) -> Void) {
        self.fault = fault
        self.name = name
        self.corrupt = corrupt
    }

    var testDescription: String { "\(fault): \(name)" }

    /// Writes `descriptors` to the descriptor table from index 0 and makes head 0 available.
    static func table(_ fault: QueueFault, _ name: String, _ descriptors: Descriptor...) -> RingCorruption {
        RingCorruption(fault, name) { driver in
            for (index, descriptor) in descriptors.enumerated() {
                driver[queue: 0].setDescriptor(UInt16(index), descriptor)
            }
            driver[queue: 0].publish(0)
        }
    }

    /// A writable buffer that is at least partly outside memory.
    static func outside(_ name: String, _ address: UInt64, _ length: UInt32) -> RingCorruption {
        .table(
            .bufferOutsideMemory, name, Descriptor(address: 0x8000, length: 16, flags: .next, next: 1),
            Descriptor(address: address, length: length, flags: .write))
    }

    static let low: UInt64 = 1 << 20
    static let high = FakeMemory.highAddress + 1 << 16

    static let ofRings: [RingCorruption] = [
        RingCorruption(.availableIndexJump, "one more than fits") { $0[queue: 0].setAvailableIndex(17) },
        RingCorruption(.availableIndexJump, "half the number space") { $0[queue: 0].setAvailableIndex(0x8000) },
        RingCorruption(.availableIndexJump, "backwards") { $0[queue: 0].setAvailableIndex(0xffff) },
        RingCorruption(.headOutOfRange, "the size") { $0[queue: 0].publish(16) },
        RingCorruption(.headOutOfRange, "the maximum") { $0[queue: 0].publish(0xffff) },
        RingCorruption(.headOutOfRange, "in range for QueueSizeMax only") { $0[queue: 0].publish(255) },
    ]

    static let ofTables: [RingCorruption] = [
        .table(.nextOutOfRange, "the size", Descriptor(address: 0x8000, length: 16, flags: .next, next: 16)),
        .table(.nextOutOfRange, "the maximum", Descriptor(address: 0x8000, length: 16, flags: .next, next: 0xffff)),
        .table(.endlessChain, "a loop of one", Descriptor(address: 0x8000, length: 1, flags: .next)),
        .table(
            .endlessChain, "a loop of two", Descriptor(address: 0x8000, length: 1, flags: .next, next: 1),
            Descriptor(address: 0x8000, length: 1, flags: .next, next: 0)),
        .table(.endlessChain, "a loop of no bytes", Descriptor(address: 0, length: 0, flags: .next)),
        .table(.endlessChain, "a writable loop", Descriptor(address: 0x8000, length: 1, flags: [.next, .write])),
        .table(
            .readableAfterWritable, "status first",
            Descriptor(address: 0x8000, length: 1, flags: [.write, .next], next: 1),
            Descriptor(address: 0x8000, length: 16)),
        .table(
            .readableAfterWritable, "with no bytes",
            Descriptor(address: 0x8000, length: 1, flags: [.write, .next], next: 1),
            Descriptor(address: 0x8000, length: 0)),
        .table(.indirectNotNegotiated, "at the head", Descriptor(address: 0x8000, length: 16, flags: .indirect)),
        .table(
            .indirectNotNegotiated, "behind the header", Descriptor(address: 0x8000, length: 16, flags: .next, next: 1),
            Descriptor(address: 0x8000, length: 16, flags: .indirect)),
        .table(.noRoomForStatus, "a header alone", Descriptor(address: 0x8000, length: 16)),
        .table(
            .noRoomForStatus, "room of no bytes", Descriptor(address: 0x8000, length: 16, flags: .next, next: 1),
            Descriptor(address: 0x8000, length: 0, flags: .write)),
        .table(.bufferOutsideMemory, "a header in the hole", Descriptor(address: low, length: 16)),
        outside("one byte too long", low - 16, 17),
        outside("right behind the low region", low, 1),
        outside("right before the high region", FakeMemory.highAddress - 1, 1),
        outside("over the edge into the high region", FakeMemory.highAddress - 1, 2),
        outside("right behind the high region", high, 1),
        outside("all of the number space", 0, .max),
        outside("past the end of the number space", .max - 3, 8),
        outside("the last byte there is", .max, 1),
    ]
}
