// Buffers in fake guest memory: what every driver needs before it can make anything available, whatever its ring's
// format.

/// A driver that places buffers in guest memory.
protocol GuestBuffers: AnyObject {
    var memory: FakeMemory { get }
    /// The first address that was never given out.
    var nextFree: UInt64 { get set }
}

extension GuestBuffers {
    /// Fresh guest memory, never given out twice.
    func allocate(_ count: Int, alignment: UInt64 = 1) -> UInt64 {
        let address = (nextFree + alignment - 1) / alignment * alignment
        nextFree = address + UInt64(count)
        precondition(nextFree <= UInt64(memory.lowSize), "the test has no guest memory left")
        return address
    }

    /// A fresh buffer for the device to read.
    func readable(_ bytes: [UInt8]) -> Part {
        let address = allocate(bytes.count)
        memory.store(bytes, at: address)
        return Part(address: address, length: UInt32(bytes.count), writable: false)
    }

    /// A fresh buffer for the device to write, holding `FakeMemory.pattern`.
    func writable(_ count: Int) -> Part {
        Part(address: allocate(count), length: UInt32(count), writable: true)
    }

    /// What is in the writable part of `chain`.
    func answer(_ chain: Chain) -> [UInt8] {
        chain.writable.flatMap { memory.bytes(at: $0.address, count: Int($0.length)) }
    }
}
