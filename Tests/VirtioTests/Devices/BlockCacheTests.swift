// The block device's cache mode: which requests must be durable before they complete, and the writeback field (VIRTIO
// 1.4, 5.2.5.2 and 5.2.6.2). Also the whole configuration structure, byte by byte (5.2.4).

import Testing
import Virtio
import VirtioABI

@Suite("Block cache")
struct BlockCacheTests {
    func driver(accepting features: Features? = nil) -> BlockDriver {
        let driver = BlockDriver()
        driver.backend.completesAtOnce = true
        driver.bringUp(accepting: features)
        return driver
    }

    func writeback(_ driver: BlockDriver) -> UInt64 { driver.configuration(BlockConfiguration.writeback, width: 1) }

    func setWriteback(_ driver: BlockDriver, _ value: UInt64) {
        driver.write(at: UInt64(Register.configuration) + UInt64(BlockConfiguration.writeback), width: 1, value)
    }

    /// Whether write, discard and write zeroes requests must be durable. Expects the same for all three.
    func isDurable(_ driver: BlockDriver, _ location: SourceLocation = #_sourceLocation) -> Bool? {
        let range = UInt64(1).bytes + UInt64(1).bytes
        let old = driver.disk.log.count
        driver.submit(BlockRequest.Kind.write, data: Array(repeating: 1, count: 512))
        driver.submit(BlockRequest.Kind.discard, data: range)
        driver.submit(BlockRequest.Kind.writeZeroes, data: range)
        _ = driver.takeUsed(0)
        let durable = Set(driver.disk.log[old...].map(\.durable))
        #expect(durable.count == 1, driver.state, sourceLocation: location)
        return durable.first
    }

    @Test(
        "The cache mode follows from the negotiated FLUSH and CONFIG_WCE", arguments: [false, true], [false, true])
    func negotiated(flush: Bool, switchable: Bool) {
        let ranges: Features = [.version1, BlockFeature.discard, BlockFeature.writeZeroes]
        let features = ranges.union(flush ? BlockFeature.flush : []).union(switchable ? BlockFeature.configWCE : [])
        let driver = driver(accepting: features)
        #expect(isDurable(driver) == !flush, driver.state)
        #expect(writeback(driver) == (flush ? 1 : 0), driver.state)
    }

    @Test("Writing writeback switches the cache mode of requests taken from then on")
    func switched() {
        let driver = driver()
        driver.backend.completesAtOnce = false
        driver.submit(BlockRequest.Kind.write, data: Array(repeating: 1, count: 512))
        setWriteback(driver, 0)
        driver.submit(BlockRequest.Kind.write, data: Array(repeating: 1, count: 512))
        #expect(driver.backend.requests.map(\.request.durable) == [false, true], driver.state)
        driver.backend.complete()
        driver.backend.completesAtOnce = true
        #expect(writeback(driver) == 0 && isDurable(driver) == true, driver.state)
        // FLUSH is still supported.
        #expect(driver.statusByte(driver.submit(BlockRequest.Kind.flush)) == 0, driver.state)
        for value: UInt64 in [1, 0, 0xff, 0, 2] {
            setWriteback(driver, value)
            #expect(writeback(driver) == (value == 0 ? 0 : 1) && isDurable(driver) == (value == 0), driver.state)
        }
        #expect(driver.interruptStatus == .usedBuffer, "the driver's own change is not notified")
    }

    @Test("A device reset and a negotiation restore the cache mode")
    func reset() {
        let driver = driver()
        setWriteback(driver, 0)
        driver.write(.status, 0)
        #expect(writeback(driver) == 1, driver.state)
        driver.bringUp()
        #expect(isDurable(driver) == false && writeback(driver) == 1, driver.state)
        driver.bringUp(accepting: driver.offered.subtracting(BlockFeature.flush))
        #expect(isDurable(driver) == true && writeback(driver) == 0, driver.state)
        driver.bringUp()
        #expect(isDurable(driver) == false && writeback(driver) == 1, driver.state)
    }

    @Test("writeback cannot be written without CONFIG_WCE, before FEATURES_OK, in another width, or at another offset")
    func refused() {
        let unswitchable = driver(accepting: [.version1, BlockFeature.flush])
        setWriteback(unswitchable, 0)
        #expect(writeback(unswitchable) == 1 && unswitchable.count(.fieldWritable) == 1, unswitchable.state)

        for stage in BlockDriver.Stage.allCases where stage < .featuresOK {
            let driver = BlockDriver()
            driver.bringUp(to: stage)
            setWriteback(driver, 0)
            #expect(writeback(driver) == 1 && driver.count(.configurationLeftAlone) == 1, driver.state)
        }

        let driver = driver()
        for (offset, width) in [(0x120, 2), (0x120, 4), (0x120, 8), (0x121, 1), (0x11c, 8), (0x11f, 1)]
            as [(UInt64, Int)]
        {
            driver.write(at: offset, width: width, 0)
        }
        #expect(writeback(driver) == 1, driver.state)
        driver.backend.fatal()
        setWriteback(driver, 0)
        #expect(writeback(driver) == 1, "a device that needs a reset")
    }

    @Test("A snapshot keeps the cache mode", arguments: SuspendDialect.allCases)
    func snapshot(dialect: SuspendDialect) {
        let old = BlockDriver(suspend: dialect)
        old.bringUp()
        setWriteback(old, 0)
        old.suspend()
        let new = BlockDriver(suspend: dialect)
        #expect(new.replace(old), old.state)
        #expect(writeback(new) == 0, new.state)
        new.resume()
        new.backend.completesAtOnce = true
        #expect(isDurable(new) == true, new.state)
    }

    // MARK: The structure

    /// The structure of a disk of 0x0102030405060708 sectors with all features, and 5 queues of 100 entries.
    static let whole: [UInt8] = [
        8, 7, 6, 5, 4, 3, 2, 1,  // capacity
        0, 0, 16, 0,  // size_max: 1 MiB
        98, 0, 0, 0,  // seg_max: the queue without header and status
        0, 0, 0, 0,  // geometry
        0, 2, 0, 0,  // blk_size
        3, 0, 8, 0, 0, 0, 0, 0,  // physical_block_exp, alignment_offset, min_io_size, opt_io_size
        1, 0, 5, 0,  // writeback, unused, num_queues
        0, 0, 1, 0, 1, 0, 0, 0, 8, 0, 0, 0,  // max_discard_sectors, max_discard_seg, discard_sector_alignment
        0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0,  // max_write_zeroes_sectors, max_write_zeroes_seg, may_unmap, unused
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // secure erase
    ]

    @Test("The whole structure, byte by byte, and zeros after it (5.2.4)", arguments: [false, true])
    func structure(readOnly: Bool) {
        let driver = BlockDriver(readOnly: readOnly, queues: 5, queueSize: 100, adding: BlockFeature.sizeMax)
        driver.backend.change { $0.capacity = 0x0102_0304_0506_0708 }
        var expected = Self.whole + Array(repeating: 0, count: 256 - Self.whole.count)
        if readOnly { for index in 36..<60 { expected[index] = 0 } }
        #expect((0..<256).map { UInt8(driver.configuration($0, width: 1)) } == expected)
    }

    @Test(
        "seg_max is the queue size without header and status, and at least 1",
        arguments: [1, 2, 3, 4, 256, 32768] as [UInt16])
    func segmentMax(size: UInt16) {
        let driver = BlockDriver(queueSize: size)
        #expect(driver.configuration(BlockConfiguration.segmentMax) == UInt64(max(size, 3) - 2))
    }
}
