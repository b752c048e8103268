// Discard, write zeroes, and request types that the device does not support (VIRTIO 1.4, 5.2.6).

import Testing
import Virtio
import VirtioABI

@Suite("Block ranges")
struct BlockRangeTests {
    typealias Kind = BlockRequest.Kind
    static let kinds = [Kind.discard, Kind.writeZeroes]

    func driver(sectors: Int = 64, readOnly: Bool = false) -> BlockDriver {
        let driver = BlockDriver(sectors: sectors, readOnly: readOnly)
        driver.backend.completesAtOnce = true
        driver.bringUp()
        return driver
    }

    static func range(_ sector: UInt64, _ count: UInt32, flags: UInt32 = 0) -> [UInt8] {
        sector.bytes + count.bytes + flags.bytes
    }

    /// Expects `status` for a request with `data`, and no access to the disk unless the status is 0.
    func expect(
        _ driver: BlockDriver, _ kind: UInt32, _ data: [UInt8], status: UInt8,
        _ location: SourceLocation = #_sourceLocation
    ) {
        let (disk, log) = (driver.disk.bytes, driver.disk.log.count)
        let chain = driver.submit(kind, sector: .max, data: data)
        let answer = driver.statusByte(chain)
        #expect(answer == status, "\(kind): \(data)\n\(driver.state)", sourceLocation: location)
        #expect(driver.takeUsed(0).map(\.length) == [1], driver.state, sourceLocation: location)
        if status != 0 {
            #expect(driver.disk.bytes == disk && driver.disk.log.count == log, sourceLocation: location)
        }
    }

    @Test("A range within the disk succeeds, from the first sector to the last", arguments: kinds)
    func good(kind: UInt32) {
        let driver = driver()
        for (sector, count) in [(UInt64(0), UInt32(1)), (63, 1), (0, 64), (8, 56), (0, 0), (64, 0), (17, 3)] {
            for flags: UInt32 in kind == Kind.discard ? [0] : [0, 1] {
                expect(driver, kind, Self.range(sector, count, flags: flags), status: 0)
                let operation: Block.Request.Operation =
                    kind == Kind.discard ? .discard : .writeZeroes(mayUnmap: flags == 1)
                let entry = MemoryDisk.Entry(
                    operation: operation, offset: 512 * sector, count: 512 * Int(count), durable: false)
                #expect(driver.disk.log.last == entry)
            }
        }
        #expect(driver.disk.bytes.allSatisfy { $0 == 0 })
    }

    @Test("Only the range is changed", arguments: kinds)
    func exact(kind: UInt32) {
        let driver = driver()
        var disk = driver.disk.bytes
        expect(driver, kind, Self.range(3, 2), status: 0)
        for index in 1536..<2560 { disk[index] = 0 }
        #expect(driver.disk.bytes == disk)
    }

    @Test("A range not completely within the disk ends in IOERR", arguments: kinds)
    func beyond(kind: UInt32) {
        let driver = driver()
        let ranges: [(UInt64, UInt32)] = [
            (64, 1), (63, 2), (0, 65), (65, 0), (1 << 55, 1), (1 << 63, 1), (.max, 1), (.max, 0), (.max - 7, 8),
            (60, .max),
        ]
        for (sector, count) in ranges { expect(driver, kind, Self.range(sector, count), status: 1) }
    }

    @Test("More sectors than the maximum end in IOERR, the maximum does not", arguments: kinds)
    func tooMany(kind: UInt32) {
        let driver = driver()
        driver.backend.completesAtOnce = false
        driver.backend.change { $0.capacity = 1 << 32 }
        let limit = UInt32(driver.configuration(BlockConfiguration.maximumDiscardSectors))
        #expect(limit == 1 << 16)
        #expect(driver.configuration(BlockConfiguration.maximumWriteZeroesSectors) == UInt64(limit))
        expect(driver, kind, Self.range(0, limit + 1), status: 1)
        expect(driver, kind, Self.range(0, .max), status: 1)
        driver.submit(kind, data: Self.range(5, limit))
        #expect(driver.backend.requests.first?.request.count == UInt64(limit) * 512, driver.state)
    }

    @Test("Unknown flags, and unmap in a discard, are unsupported (5.2.6.2)", arguments: 0..<32)
    func flags(bit: Int) {
        let driver = driver()
        expect(driver, Kind.discard, Self.range(0, 1, flags: 1 << bit), status: 2)
        if bit > 0 {
            for unmap in [UInt32(0), 1] {
                expect(driver, Kind.writeZeroes, Self.range(0, 1, flags: 1 << bit | unmap), status: 2)
            }
        }
    }

    @Test("Less than a range ends in IOERR, more than one is unsupported", arguments: kinds)
    func segments(kind: UInt32) {
        let driver = driver()
        let two = Self.range(0, 1) + Self.range(4, 1)
        for count in 0...32 {
            expect(driver, kind, Array(two.prefix(count)), status: count < 16 ? 1 : count == 16 ? 0 : 2)
        }
    }

    @Test("A read-only disk neither offers nor supports them", arguments: kinds)
    func readOnly(kind: UInt32) {
        let driver = driver(readOnly: true)
        #expect(driver.offered.isDisjoint(with: [BlockFeature.discard, BlockFeature.writeZeroes]))
        expect(driver, kind, Self.range(0, 1), status: 2)
        for offset in 36..<60 { #expect(driver.configuration(offset, width: 1) == 0, "offset \(offset)") }
    }

    @Test("A failure of the backend is IOERR, an operation it does not support is UNSUPP", arguments: kinds)
    func host(kind: UInt32) {
        let driver = driver()
        driver.backend.completesAtOnce = false
        let chains = (0..<2).map { _ in driver.submit(kind, data: Self.range(0, 1)) }
        driver.backend.fail(1)
        driver.backend.complete(at: 0, with: Outcome(.unsupported))
        #expect(chains.map { driver.statusByte($0) } == [1, 2], driver.state)
    }

    @Test(
        "Lifetime, secure erase and zones are unsupported (5.2.6.2)",
        arguments: [UInt32(10), 14, 15, 16, 18, 20, 22, 24, 26])
    func unknown(kind: UInt32) {
        let driver = driver()
        for data in [[], Self.range(0, 1), Self.range(0, 1) + Self.range(1, 1)] {
            expect(driver, kind, data, status: 2)
        }
        let room = driver.submit(kind, room: 64)
        #expect(driver.statusByte(room) == 2 && driver.data(room).allSatisfy { $0 == FakeMemory.pattern }, driver.state)
    }

    @Test("Writable space after a range is not written, and the used length does not cover it", arguments: kinds)
    func room(kind: UInt32) {
        let driver = driver()
        let chain = driver.submit(kind, data: Self.range(0, 1), room: 8)
        #expect(driver.statusByte(chain) == 0 && driver.data(chain).allSatisfy { $0 == FakeMemory.pattern })
        #expect(driver.takeUsed(0).map(\.length) == [0], driver.state)
    }
}
