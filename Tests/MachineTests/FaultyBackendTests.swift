// A disk whose host fails by the seed of its torture.

import Testing

@testable import Machine
@testable import Virtio

@Suite("A host that fails")
struct FaultyBackendTests {
    @Test(
        "a write that is cut short leaves its first sectors on the disk, and fails",
        arguments: [[4096], [100, 3000, 996]])
    func cut(_ sizes: [Int]) throws {
        let memory = try MemoryDisk(size: 4096)
        let torture = Torture(seed: 1, choices: 1 << UInt32(TortureChoice.cut.rawValue))
        let disk = try #require(FaultyBackend(memory, torture))
        var written = Set<Int>()
        for round in 1...2000 {
            let buffer = SegmentedBuffer(sizes)
            #expect(buffer.perform(.write, on: memory).result == .ok)
            let pattern = SegmentedBuffer(sizes)
            pattern.bytes = [UInt8](repeating: 0xa5, count: 4096)
            if pattern.perform(.write, on: disk).result == .ok { continue }
            let whole = SegmentedBuffer([4096])
            #expect(whole.perform(.read, on: memory).result == .ok)
            let count = whole.bytes.prefix { $0 == 0xa5 }.count
            #expect(whole.bytes[count...].allSatisfy { $0 == 0 } && count % 512 == 0, "round \(round)")
            written.insert(count / 512)
        }
        #expect(written == Set(0...8))
    }

    @Test("a disk whose host does not fail is used as it is")
    func kind() throws {
        #expect(FaultyBackend(try MemoryDisk(size: 512), Torture(seed: 1, choices: 1)) == nil)
    }
}
