// Allocation of buffers in fake guest memory, independent of the ring format.

/// A driver that allocates buffers in guest memory.
protocol GuestBuffers: AnyObject {
    var memory: FakeMemory { get }
    /// The first address not allocated yet.
    var nextFree: UInt64 { get set }
}

extension GuestBuffers {
    /// Allocates guest memory; nothing is freed.
    func allocate(_ count: Int, alignment: UInt64 = 1) -> UInt64 {
        let address = (nextFree + alignment - 1) / alignment * alignment
        nextFree = address + UInt64(count)
        precondition(nextFree <= UInt64(memory.lowSize), "the test has no guest memory left")
        return address
    }

    /// Allocates a device-readable buffer.
    func readable(_ bytes: [UInt8]) -> Part {
        let address = allocate(bytes.count)
        memory.store(bytes, at: address)
        return Part(address: address, length: UInt32(bytes.count), writable: false)
    }

    /// Allocates a device-writable buffer, filled with `FakeMemory.pattern`.
    func writable(_ count: Int) -> Part {
        Part(address: allocate(count), length: UInt32(count), writable: true)
    }

    /// The contents of the writable parts of `chain`.
    func answer(_ chain: Chain) -> [UInt8] {
        chain.writable.flatMap { memory.bytes(at: $0.address, count: Int($0.length)) }
    }
}
