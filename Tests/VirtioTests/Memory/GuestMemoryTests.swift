// Resolution of address ranges: a range must be completely in one region, otherwise the result is nil. Addition of
// guest-controlled numbers must not overflow.

import Testing
import Virtio

@Suite("Guest memory")
struct GuestMemoryTests {
    static let end: UInt64 = 1 << 20
    static let high = FakeMemory.highAddress
    static let highEnd = FakeMemory.highAddress + 1 << 16

    @Test(
        "Ranges inside one region",
        arguments: [
            (0, 0), (0, 1), (0, end), (end - 1, 1), (16, end - 16), (high, 1), (high, highEnd - high), (highEnd - 1, 1),
        ] as [(UInt64, UInt64)])
    func inside(address: UInt64, length: UInt64) throws {
        let memory = FakeMemory()
        let buffer = try #require(memory.guest.resolve(address, length))
        #expect(buffer.count == Int(length))
        guard length > 0 else { return }
        let last = address + length - 1
        memory.store(UInt8(1), at: last)
        memory.store(UInt8(2), at: address)
        let bytes = unsafe UnsafeRawBufferPointer(start: buffer.base, count: buffer.count)
        #expect(unsafe bytes.first == 2 && (length == 1 || bytes.last == 1))
    }

    @Test(
        "Ranges partly or completely outside a region",
        arguments: [
            (0, end + 1), (end - 1, 2), (end, 1), (end + 1, 1), (high - 1, 1), (high - 1, 2),
            (high, highEnd - high + 1),
            (highEnd - 1, 2), (highEnd, 1), (0, high + 1), (.max, 1), (.max, .max), (1, .max), (high, .max),
            (high + 1, .max - high), (.max - 15, 16), (end, .max - end + 1),
        ] as [(UInt64, UInt64)])
    func outside(address: UInt64, length: UInt64) {
        #expect(FakeMemory().guest.resolve(address, length) == nil)
    }

    @Test("No memory at all")
    func empty() {
        #expect(GuestMemory([]).resolve(0, 0) == nil)
        #expect(GuestMemory([]).resolve(0, 1) == nil)
    }

    @Test("Changes are found to the byte, in both regions")
    func changes() {
        let memory = FakeMemory()
        let before = memory.snapshot()
        #expect(memory.changes(since: before) == [])
        memory.store(UInt8(0), at: 4095)
        memory.store(UInt16(0), at: 4096)
        memory.store(UInt64(0), at: Self.highEnd - 8)
        memory.store(FakeMemory.pattern, at: 9)
        #expect(memory.changes(since: before) == [4095..<4098, (Self.highEnd - 8)..<Self.highEnd])
    }
}
