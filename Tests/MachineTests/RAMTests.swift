// Guest memory: its regions, the sizes and addresses that are refused, and that unused memory is not resident.

import Glibc
import Machine
import Testing

struct RAMTests {
    @Test func smallMemoryIsOneRegion() throws {
        let ram = try RAM(size: 64 << 20)
        #expect(ram.regions.map(\.guestAddress) == [0])
        #expect(ram.regions.map(\.size) == [64 << 20])
        #expect(ram.lowEnd == 64 << 20)
    }

    @Test func largeMemoryLeavesTheHole() throws {
        let ram = try RAM(size: 5 << 30)
        #expect(ram.regions.map(\.guestAddress) == [0, 4 << 30])
        #expect(ram.regions.map(\.size) == [3 << 30, 2 << 30])
        #expect(ram.size == 5 << 30)
    }

    @Test func memoryUpToTheHoleIsOneRegion() throws {
        #expect(try RAM(size: MemoryMap.hole.lowerBound).regions.count == 1)
        #expect(try RAM(size: MemoryMap.hole.lowerBound + 4096).regions.map(\.size) == [3 << 30, 4096])
    }

    @Test func hugePagesFit() throws {
        for region in try RAM(size: 5 << 30).regions {
            let host = unsafe UInt(bitPattern: region.host)
            #expect(host % (2 << 20) == 0 && region.guestAddress % (2 << 20) == 0)
        }
    }

    @Test(arguments: [0, 4096, (2 << 20) - 4096, (4 << 20) + 1] as [UInt64])
    func impossibleSizes(size: UInt64) {
        #expect(throws: RAMError.badSize(size)) { _ = try RAM(size: size) }
    }

    @Test(arguments: [1 << 47, 1 << 63, .max & ~0xfff] as [UInt64])
    func immenseSizes(size: UInt64) {
        #expect(throws: RAMError.refused(size: size, errno: ENOMEM)) { _ = try RAM(size: size) }
    }

    @Test func whatIsWrittenIsRead() throws {
        let ram = try RAM(size: 5 << 30)
        #expect(ram.read(at: 0x1234, count: 3) == [0, 0, 0])
        for address: UInt64 in [0x1234, (3 << 30) - 3, 4 << 30, (6 << 30) - 3] {
            #expect(ram.write([1, 2, 3], at: address))
            #expect(ram.read(at: address, count: 3) == [1, 2, 3])
        }
    }

    @Test func nothingBeyondTheEdges() throws {
        let ram = try RAM(size: 5 << 30)
        let beyond: [UInt64] = [
            (3 << 30) - 2, 3 << 30, (4 << 30) - 3, (4 << 30) - 1, (6 << 30) - 2, 6 << 30, .max - 1, .max,
        ]
        for address in beyond {
            #expect(!ram.write([1, 2, 3], at: address))
            #expect(ram.read(at: address, count: 3) == nil)
        }
        #expect(unsafe ram.host(at: 0, count: .max) == nil)
        #expect(unsafe ram.host(at: 1, count: .max) == nil)
        #expect(ram.read(at: 0, count: -1) == nil)
        #expect(ram.read(at: (3 << 30) - 3, count: 3) == [0, 0, 0], "a refused write has written nothing")
    }

    @Test func unusedMemoryIsNotResident() throws {
        let ram = try RAM(size: 64 << 20)
        // One byte for each page of the last 4 MiB.
        var resident = [UInt8](repeating: 0xff, count: 1024)
        let start = unsafe try #require(ram.host(at: 60 << 20, count: 4 << 20))
        #expect(ram.write([1], at: 0))
        #expect(unsafe mincore(start, 4 << 20, &resident) == 0)
        #expect(resident.allSatisfy { $0 & 1 == 0 })
        #expect(ram.write([1], at: 60 << 20))
        #expect(unsafe mincore(start, 4 << 20, &resident) == 0)
        #expect(resident[0] & 1 == 1)
    }

    @Test func memoryGoesBackToTheHost() throws {
        // Each is a tenth of a process's address space, so 20 fit only if each is unmapped again.
        for _ in 0..<20 { _ = try RAM(size: 12 << 40) }
    }
}

struct MemoryMapTests {
    @Test func slotsAreInTheHole() {
        let last = MemoryMap.window(slot: MemoryMap.maximumSlots - 1)
        #expect(MemoryMap.window(slot: 0) == 0xd000_0000..<0xd000_1000)
        #expect(MemoryMap.hole.contains(last.lowerBound) && last.upperBound <= UInt64(MemoryMap.hypervisorPages))
        #expect(UInt64(MemoryMap.hypervisorPages) + 4 * 4096 <= MemoryMap.hole.upperBound)
    }

    @Test func everySlotHasALineOfTheIOAPIC() {
        let lines = (0..<MemoryMap.maximumSlots).map { MemoryMap.gsi(slot: $0) }
        #expect(lines.first == 5 && lines.last == 23 && Set(lines).count == lines.count)
        #expect(!lines.contains(8), "the line of a PC's clock")
    }
}
