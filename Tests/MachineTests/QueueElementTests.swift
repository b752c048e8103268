// Elements of a split virtqueue in guest memory, as a control client sees them.

import Testing
import VirtioABI

@testable import Machine
@testable import Virtio

@Suite struct QueueElementTests {
    private let ram: RAM

    init() throws { ram = try RAM(size: MemoryMap.minimumRAM) }

    private func put(_ descriptor: Descriptor, at address: UInt64) {
        var bytes: [UInt8] = []
        bytes.append(descriptor.address)
        bytes.append(descriptor.high)
        #expect(ram.write(bytes, at: address))
    }

    /// A queue of four at 0x1000, whose device takes entry 5 next.
    private func queue(isReady: Bool = true) -> Inspection.Queue {
        let position = Inspection.Position(RingPosition(count: 5))
        return Inspection.Queue(
            sizeMax: 256, size: 4, descriptorArea: 0x1000, driverArea: 0x2000, deviceArea: 0x3000, isReady: isReady,
            isResetting: false, isEnding: false, waiting: 1, isWanted: true, notifications: 0, suppression: nil,
            available: isReady ? position : nil, used: position, notified: position, inFlight: 0, held: 0,
            drainLeft: nil)
    }

    private func text(_ queue: Inspection.Queue, _ index: Int? = nil) throws -> String {
        try QueueElement { ram.read(at: $0, count: $1) }.json(of: queue, at: index).text
    }

    @Test("a chain with an indirect table is shown with its buffers") func chain() throws {
        // The available ring: flags 1, idx 6, and entry 1 (5 modulo 4) is descriptor 2.
        #expect(ram.write([1, 0, 6, 0, 0, 0, 2, 0], at: 0x2000) && ram.write([0, 0, 5, 0], at: 0x3000))
        put(Descriptor(address: 0x5000, length: 16, flags: .next, next: 3), at: 0x1020)
        put(Descriptor(address: 0x6000, length: 32, flags: .indirect), at: 0x1030)
        put(Descriptor(address: 0x7000, length: 512, flags: [.next, .write], next: 1), at: 0x6000)
        put(Descriptor(address: 0x8000, length: 1, flags: .write), at: 0x6010)
        let descriptors = """
            [{"addr":20480,"len":16,"flags":["next"]},{"addr":28672,"len":512,"flags":["next","write"]},\
            {"addr":32768,"len":1,"flags":["write"]}]
            """
        #expect(
            try text(queue()) == """
                {"index":2,"descs":\(descriptors),"avail":{"flags":1,"idx":6,"ring":2},"used":{"flags":0,"idx":5}}
                """)
        #expect(try text(queue(), 0).hasPrefix("{\"index\":0,\"descs\":[{\"addr\":0,"))
    }

    @Test("a chain without an end, a table in a table, and rings outside memory are bounded") func hostile() throws {
        #expect(ram.write([0, 0, 1, 0, 0, 0, 0, 0], at: 0x2000))
        put(Descriptor(address: 0, length: 1, flags: .next, next: 0), at: 0x1000)
        #expect(try text(queue()).components(of: "addr") == 1024)
        // A table that names itself as a table again.
        put(Descriptor(address: 0x6000, length: 16, flags: .indirect), at: 0x1000)
        put(Descriptor(address: 0x6000, length: 16, flags: [.indirect, .next], next: 0), at: 0x6000)
        #expect(try text(queue()).components(of: "addr") == 1024)
        put(Descriptor(address: .max, length: 16, flags: .indirect), at: 0x1000)
        #expect(throws: QMPError.generic("the queue is not in memory at 0xffffffffffffffff")) { try text(queue()) }
        #expect(throws: QMPError.generic("the queue is not ready")) { try text(queue(isReady: false)) }
    }
}

extension String {
    /// How often `text` is in it.
    fileprivate func components(of text: String) -> Int { ranges(of: text).count }
}
