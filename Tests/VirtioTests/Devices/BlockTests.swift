// The block device's requests and their results (VIRTIO 1.4, 5.2.6; traps 10 and 13). BlockFramingTests tests the
// framing.

import Testing
import Virtio
import VirtioABI

@Suite("Block device")
struct BlockTests {
    typealias Kind = BlockRequest.Kind
    static let sectors = 8

    func driver(readOnly: Bool = false, accepting features: Features? = nil) -> BlockDriver {
        let driver = BlockDriver(sectors: Self.sectors, readOnly: readOnly)
        driver.backend.completesAtOnce = true
        driver.bringUp(accepting: features)
        return driver
    }

    /// Data to write that differs from the contents of the disk.
    static func bytes(_ count: Int) -> [UInt8] { Array(repeating: 9, count: count) }

    /// Expects one used element for `chain` with `length`, and its status byte.
    func expect(
        _ driver: BlockDriver, _ chain: Chain, status: UInt8, length: UInt32,
        _ location: SourceLocation = #_sourceLocation
    ) {
        #expect(driver.statusByte(chain) == status, driver.state, sourceLocation: location)
        let used = driver.takeUsed(0)
        #expect(used == [UsedElement(id: UInt32(chain.head), length: length)], driver.state, sourceLocation: location)
    }

    @Test("IN fills the buffers from the disk", arguments: [(0, 1), (0, 8), (7, 1), (3, 4)])
    func read(sector: Int, count: Int) {
        let driver = driver()
        let chain = driver.submit(Kind.read, sector: UInt64(sector), room: 512 * count)
        expect(driver, chain, status: 0, length: UInt32(512 * count + 1))
        #expect(driver.data(chain) == Array(driver.disk.bytes[(512 * sector)..<(512 * (sector + count))]))
    }

    @Test("OUT writes the buffers to the disk", arguments: [(0, 1), (0, 8), (7, 1), (3, 4)])
    func write(sector: Int, count: Int) {
        let driver = driver()
        let data = (0..<(512 * count)).map { UInt8(truncatingIfNeeded: $0 / 3) }
        var disk = driver.disk.bytes
        disk.replaceSubrange((512 * sector)..<(512 * (sector + count)), with: data)
        let chain = driver.submit(Kind.write, sector: UInt64(sector), data: data)
        expect(driver, chain, status: 0, length: 1)
        #expect(driver.disk.bytes == disk)
    }

    @Test("FLUSH reaches the disk")
    func flush() {
        let driver = driver()
        expect(driver, driver.submit(Kind.flush), status: 0, length: 1)
        #expect(driver.disk.log.map(\.operation) == [.flush])
    }

    @Test(
        "A request without data succeeds at any sector of the disk and at its end", arguments: [Kind.read, Kind.write])
    func noData(kind: UInt32) {
        let driver = driver()
        for sector in [UInt64(0), 7, 8] { expect(driver, driver.submit(kind, sector: sector), status: 0, length: 1) }
        expect(driver, driver.submit(kind, sector: 9), status: 1, length: 1)
    }

    /// Start sectors and counts with at least one sector beyond the disk.
    static let beyondDisk: [(UInt64, Int)] = [
        (8, 1), (7, 2), (0, 9), (9, 1), (1 << 32, 1), (1 << 55, 1), ((1 << 55) - 1, 1), (1 << 63, 1), (.max, 1),
        (.max - 7, 8),
        (.max / 512, 1),
    ]

    @Test("Sectors beyond the disk end in IOERR, and no byte is transferred", arguments: beyondDisk)
    func outOfRange(sector: UInt64, count: Int) {
        let driver = driver()
        let disk = driver.disk.bytes
        let read = driver.submit(Kind.read, sector: sector, room: 512 * count)
        let write = driver.submit(Kind.write, sector: sector, data: Self.bytes(512 * count))
        #expect(driver.statusByte(read) == 1 && driver.statusByte(write) == 1, driver.state)
        #expect(driver.takeUsed(0).count == 2)
        #expect(driver.disk.bytes == disk && driver.disk.log.isEmpty)
        #expect(driver.data(read).allSatisfy { $0 == FakeMemory.pattern })
    }

    @Test(
        "A sector does not overflow with a capacity beyond any real disk",
        arguments: [1 << 55, 1 << 63, .max - 1] as [UInt64])
    func hugeCapacity(sector: UInt64) {
        let driver = driver()
        driver.backend.change { $0.capacity = .max }
        let chain = driver.submit(Kind.read, sector: sector, room: 512)
        #expect(driver.statusByte(chain) == 1 && driver.disk.log.isEmpty, driver.state)
    }

    @Test("Data not a multiple of 512 bytes ends in IOERR", arguments: [1, 511, 513, 1023])
    func partialSector(count: Int) {
        let driver = driver()
        let disk = driver.disk.bytes
        let read = driver.submit(Kind.read, room: count)
        let write = driver.submit(Kind.write, data: Self.bytes(count))
        #expect(driver.statusByte(read) == 1 && driver.statusByte(write) == 1, driver.state)
        #expect(driver.disk.bytes == disk && driver.disk.log.isEmpty)
    }

    @Test("A read-only disk offers RO, answers OUT with IOERR and still reads")
    func readOnly() {
        let driver = driver(readOnly: true)
        #expect(
            driver.offered.contains(BlockFeature.readOnly) && !self.driver().offered.contains(BlockFeature.readOnly))
        let disk = driver.disk.bytes
        expect(driver, driver.submit(Kind.write, data: Self.bytes(512)), status: 1, length: 1)
        expect(driver, driver.submit(Kind.read, room: 512), status: 0, length: 513)
        expect(driver, driver.submit(Kind.flush), status: 0, length: 1)
        #expect(driver.disk.bytes == disk)
    }

    @Test("A read-only disk answers OUT with IOERR even if the driver did not accept RO")
    func readOnlyNotAccepted() {
        let driver = driver(readOnly: true, accepting: .version1)
        expect(driver, driver.submit(Kind.write, data: Self.bytes(512)), status: 1, length: 1)
    }

    @Test(
        "An unknown type ends in UNSUPP (trap 13)",
        arguments: [UInt32(2), 3, 5, 7, 9, 10, 12, 14, 15, 16, 18, 20, 22, 24, 26, 0x100, 0x8000_0000, .max])
    func unknownType(kind: UInt32) {
        let driver = driver()
        expect(driver, driver.submit(kind), status: 2, length: 1)
        expect(driver, driver.submit(kind, sector: .max, data: [1, 2, 3]), status: 2, length: 1)
        let room = driver.submit(kind, room: 512)
        #expect(driver.statusByte(room) == 2 && driver.disk.log.isEmpty, driver.state)
    }

    @Test("A header of less than 16 bytes ends in IOERR", arguments: 0..<16)
    func shortHeader(count: Int) {
        let driver = driver()
        let header = Array(BlockDriver.header(Kind.flush, sector: 0).prefix(count))
        let chain = driver.add(driver.parts(header, room: 1), to: 0)
        expect(driver, chain, status: 1, length: 1)
    }

    @Test("The header's reserved word is ignored")
    func reservedWord() {
        let driver = driver()
        var header = BlockDriver.header(Kind.read, sector: 2)
        header.replaceSubrange(4..<8, with: [0xff, 0xff, 0xff, 0xff])
        let chain = driver.add(driver.parts(header, room: 513), to: 0)
        expect(driver, chain, status: 0, length: 513)
        #expect(driver.data(chain) == Array(driver.disk.bytes[1024..<1536]))
    }

    @Test("Without FLUSH negotiated, writes are durable and FLUSH is unsupported (5.2.6.2)")
    func durable() {
        let driver = driver(accepting: .version1)
        expect(driver, driver.submit(Kind.write, data: Self.bytes(512)), status: 0, length: 1)
        expect(driver, driver.submit(Kind.flush), status: 2, length: 1)
        #expect(driver.disk.log.map(\.durable) == [true])
        driver.bringUp()
        expect(driver, driver.submit(Kind.write, data: Self.bytes(512)), status: 0, length: 1)
        #expect(driver.disk.log.map(\.durable) == [true, false])
        driver.bringUp(accepting: .version1)
        expect(driver, driver.submit(Kind.write, data: Self.bytes(512)), status: 0, length: 1)
        #expect(driver.disk.log.map(\.durable) == [true, false, true])
    }

    @Test("GET_ID returns 20 bytes padded with NULs, and no more than the buffer holds", arguments: [0, 1, 11, 19, 20])
    func identity(room: Int) {
        let driver = driver()
        let identity = Array("memory disk".utf8) + Array(repeating: 0, count: 9)
        let chain = driver.submit(Kind.getID, sector: .max, room: room)
        expect(driver, chain, status: 0, length: UInt32(room + 1))
        #expect(driver.data(chain) == Array(identity.prefix(room)))
    }

    @Test("GET_ID does not write past 20 bytes of a larger buffer")
    func identityWithRoom() {
        let driver = driver()
        driver.disk.identity = Array("exactly twenty bytes and more".utf8)
        let chain = driver.submit(Kind.getID, room: 512)
        #expect(
            driver.data(chain) == Array("exactly twenty bytes".utf8) + Array(repeating: FakeMemory.pattern, count: 492))
        #expect(driver.statusByte(chain) == 0, driver.state)
    }

    @Test("A failure of the backend is IOERR for the request, and the device continues")
    func backendFailure() {
        let driver = driver()
        driver.backend.completesAtOnce = false
        let failed = driver.submit(Kind.read, room: 512)
        let unsupported = driver.submit(Kind.flush)
        let good = driver.submit(Kind.read, room: 512)
        driver.backend.fail(1)
        driver.backend.complete(at: 0, with: Outcome(.unsupported))
        driver.backend.complete()
        #expect([failed, unsupported, good].map { driver.statusByte($0) } == [1, 2, 0], driver.state)
        #expect(driver.takeUsed(0).count == 3 && driver.status.rawValue == 0x0f, driver.state)
    }

    @Test(
        "The used length counts from the first writable byte and covers only bytes that the device wrote (2.7.8.2; trap 10)"
    )
    func lengthCoversWrittenBytesOnly() {
        let driver = driver()
        driver.submit(Kind.getID, room: 512)
        driver.submit(99, room: 512)
        driver.submit(Kind.read, sector: 99, room: 512)
        driver.submit(Kind.write, data: Self.bytes(512), room: 512)
        #expect(driver.takeUsed(0).map(\.length) == [20, 0, 0, 0], driver.state)
        driver.backend.completesAtOnce = false
        let partly = driver.submit(Kind.read, room: 512)
        driver.backend.complete(at: 0, with: Outcome(.ioError, written: 100))
        #expect(driver.takeUsed(0).map(\.length) == [100] && driver.statusByte(partly) == 1, driver.state)
    }

    @Test("A new capacity, larger or smaller, takes effect immediately")
    func capacity() {
        let driver = driver()
        driver.backend.change { $0.capacity = 2 }
        #expect(driver.statusByte(driver.submit(Kind.read, sector: 2, room: 512)) == 1, driver.state)
        driver.backend.change { $0.capacity = 8 }
        #expect(driver.statusByte(driver.submit(Kind.read, sector: 7, room: 512)) == 0, driver.state)
    }
}
