// The register file before and after DRIVER_OK (VIRTIO 1.4, 4.2.2): every offset, width and direction.

import Testing
import Virtio
import VirtioABI

@Suite("Register file")
struct RegisterTests {
    /// The two stages at which the registers are tested.
    static let columns: [BlockDriver.Stage] = [.reset, .driverOK]

    /// Word 0 of a disk's features: SEG_MAX, BLK_SIZE, FLUSH, TOPOLOGY, CONFIG_WCE, DISCARD, WRITE_ZEROES,
    /// INDIRECT_DESC and EVENT_IDX.
    static let features: UInt32 = 0x3000_6e44

    /// The expected value of a register by default.
    static func expected(_ register: Register, live: Bool) -> UInt32 {
        switch register {
        case .magicValue: 0x7472_6976
        case .version: 2
        case .deviceID: 2
        case .vendorID: 0x204d_4d56
        case .deviceFeatures: features
        case .queueSizeMax: 256
        case .queueReady: live ? 1 : 0
        case .status: live ? 0x0f : 0
        case .shmLenLow, .shmLenHigh, .shmBaseLow, .shmBaseHigh: 0xffff_ffff
        default: 0
        }
    }

    /// The check that counts an access that is not to a register.
    static func check(_ offset: UInt64, _ width: Int) -> Check {
        width != 4 || offset % 4 != 0 ? .registerWidth : .registerDefined
    }

    /// Whether an access is to a register, by offset and width.
    static func isRegister(_ offset: UInt64, _ width: Int) -> Bool {
        width == 4 && Register(rawValue: UInt32(offset)) != nil
    }

    @Test("Every register reads what the table says", arguments: columns)
    func reads(stage: BlockDriver.Stage) {
        let driver = BlockDriver()
        driver.bringUp(to: stage)
        for selector in [Register.deviceFeaturesSel, .driverFeaturesSel, .queueSel, .shmSel] {
            driver.write(selector, 0)
        }
        for register in Register.allCases {
            #expect(
                driver.read(register) == Self.expected(register, live: stage == .driverOK),
                "\(register)\n\(driver.state)")
        }
    }

    @Test("A read of anything else gives 0 and is counted, width 1, 2, 4 and 8", arguments: columns)
    func strayReads(stage: BlockDriver.Stage) {
        let driver = BlockDriver()
        driver.bringUp(to: stage)
        let before = driver.dump()
        for width in [1, 2, 4, 8] {
            for offset in UInt64(0)..<0x100 where !Self.isRegister(offset, width) {
                let kind = Self.check(offset, width)
                let count = driver.count(kind)
                #expect(driver.read(at: offset, width: width) == 0, "offset \(offset), width \(width)")
                #expect(driver.count(kind) == count + 1, "offset \(offset), width \(width)")
            }
        }
        #expect(driver.dump() == before, driver.state)
    }

    @Test("A write to anything else changes nothing and is counted", arguments: columns)
    func strayWrites(stage: BlockDriver.Stage) {
        let driver = BlockDriver()
        driver.bringUp(to: stage)
        let before = driver.dump()
        let memory = driver.memory.snapshot()
        for value in [UInt64(0), 1, .max] {
            for width in [1, 2, 4, 8] {
                for offset in UInt64(0)..<0x100 where !Self.isRegister(offset, width) {
                    let kind = Self.check(offset, width)
                    let count = driver.count(kind)
                    #expect(driver.write(at: offset, width: width, value) == Effects())
                    #expect(driver.count(kind) == count + 1, "offset \(offset), width \(width)")
                }
            }
        }
        #expect(driver.dump() == before, driver.state)
        #expect(driver.memory.changes(since: memory) == [])
    }

    @Test("Legacy registers do not exist in version 2", arguments: [UInt64(0x028), 0x03c, 0x040])
    func legacy(offset: UInt64) {
        let driver = BlockDriver()
        driver.bringUp(to: .featuresOK)
        driver.write(.queueSel, 0)
        driver.write(at: offset, width: 4, 0x1000)
        #expect(driver.read(at: offset, width: 4) == 0)
        #expect(driver.read(.queueReady) == 0)
        #expect(driver.count(.registerDefined) == 2)
    }

    @Test("Read-only registers cannot be written", arguments: Register.allCases.filter { $0.direction == .read })
    func readOnly(register: Register) {
        let driver = BlockDriver()
        driver.bringUp()
        driver.write(.queueSel, 0)
        let before = driver.read(register)
        for value in [UInt32(0), 1, .max] { #expect(driver.write(register, value) == Effects()) }
        #expect(driver.read(register) == before)
        #expect(driver.count(.registerWritable) == 3)
    }

    @Test("Write-only registers read 0", arguments: Register.allCases.filter { $0.direction == .write })
    func writeOnly(register: Register) {
        let driver = BlockDriver()
        driver.bringUp(to: .driver)
        driver.write(register, 1)
        #expect(driver.read(register) == 0)
        #expect(driver.count(.registerReadable) == 1)
    }

    @Test("DeviceFeatures has words 0 and 1, and zeros after them, in every state", arguments: columns)
    func deviceFeatures(stage: BlockDriver.Stage) {
        let driver = BlockDriver(suspend: .ratified)
        driver.bringUp(to: stage)
        let words: [(UInt32, UInt32)] = [
            (0, Self.features), (1, 1 << 0 | 1 << 8 | 1 << 11), (2, 0), (3, 0), (0x8000_0000, 0), (.max, 0),
            (0, Self.features),
        ]
        for (selector, word) in words {
            driver.write(.deviceFeaturesSel, selector)
            #expect(driver.read(.deviceFeatures) == word, "word \(selector)")
        }
    }

    @Test("The suspend bit is offered in its dialect only (T01, T02)")
    func suspendBit() {
        #expect(BlockDriver().offered.isDisjoint(with: [.suspend, .suspendDraft]))
        #expect(BlockDriver(suspend: .draft).offered.intersection([.suspend, .suspendDraft]) == .suspendDraft)
        #expect(BlockDriver(suspend: .ratified).offered.intersection([.suspend, .suspendDraft]) == .suspend)
    }

    @Test("QueueSel outside the device selects no queue", arguments: [UInt32(2), 31, 32, 0xffff, 0x1_0000, .max])
    func noQueue(selector: UInt32) {
        let driver = ConsoleDriver()
        driver.bringUp(to: .featuresOK)
        let before = driver.dump()
        driver.configure(Int(selector), size: 16, descriptors: 0x1000, available: 0x2000, used: 0x3000)
        #expect(driver.read(.queueSizeMax) == 0)
        driver.write(.queueReady, 1)
        #expect(driver.read(.queueReady) == 0)
        driver.write(.queueReady, 0)
        driver.write(.queueReset, 1)
        #expect(driver.read(.queueReset) == 0)
        #expect(driver.dump() == before, driver.state)
    }

    @Test("Each queue has registers of its own")
    func queuesAreSeparate() {
        let driver = ConsoleDriver(queueSize: 32)
        driver.bringUp(to: .featuresOK)
        driver.setUp(queue: 1, size: 8)
        #expect(!driver.isReady(0) && driver.isReady(1), driver.state)
        driver.setUp(queue: 0, size: 32)
        #expect(driver.isReady(0) && driver.isReady(1), driver.state)
        driver.write(.status, 0x0f)
        driver.backend.completesAtOnce = true
        driver.print([1, 2, 3])
        driver.type([4])
        driver.post(1)
        #expect(driver.takeUsed(0).count == 1 && driver.takeUsed(1).count == 1, driver.state)
    }

    @Test("A ready queue's registers are closed (MM-11)")
    func readyQueueIsClosed() {
        let driver = ConsoleDriver()
        driver.bringUp()
        driver.backend.completesAtOnce = true
        driver.configure(1, size: 4, descriptors: 0, available: 0, used: 0)
        #expect(driver.count(.readyQueueLeftAlone) == 7)
        driver.write(.queueReady, 1)
        let chain = driver.print(Array("still there".utf8))
        #expect(driver.takeUsed(1) == [UsedElement(id: UInt32(chain.head), length: 0)], driver.state)
        #expect(driver.terminal.output == Array("still there".utf8))
    }

    @Test("A notification for no ready queue is counted and has no effect", arguments: [UInt32(0), 2, 0x1_0001, .max])
    func uselessKick(value: UInt32) {
        let driver = ConsoleDriver()
        driver.bringUp(to: .featuresOK)
        driver.setUp(queue: 1)
        driver.write(.status, 0x0f)
        driver.print([1], kick: false)
        #expect(driver.write(.queueNotify, value) == Effects())
        #expect(driver.backend.requests.isEmpty, driver.state)
        #expect(driver.count(value == 0 ? .notifiedQueueReady : .notifiedQueueExists) == 1)
    }

    @Test("InterruptACK clears what it names, and the line follows")
    func acknowledge() {
        let driver = BlockDriver()
        driver.bringUp()
        driver.backend.completesAtOnce = true
        driver.submit(BlockRequest.Kind.flush)
        driver.backend.change { $0.capacity = 8 }
        #expect(driver.interruptStatus == [.usedBuffer, .configurationChange])
        driver.write(.interruptACK, 0xffff_fffc)
        #expect(driver.interruptStatus == [.usedBuffer, .configurationChange])
        driver.write(.interruptACK, 1)
        #expect(driver.interruptStatus == .configurationChange)
        #expect(driver.backend.line.level, driver.state)
        driver.write(.interruptACK, 1)
        #expect(driver.interruptStatus == .configurationChange)
        driver.write(.interruptACK, .max)
        #expect(driver.interruptStatus == [])
        #expect(!driver.backend.line.level && driver.backend.line.risingEdges == 1, driver.state)
    }

    @Test("Reading changes nothing (T12)")
    func readsHaveNoEffect() {
        let driver = BlockDriver()
        driver.bringUp()
        driver.submit(BlockRequest.Kind.flush)
        driver.backend.complete()
        let before = driver.dump()
        let memory = driver.memory.snapshot()
        for _ in 0..<100 { #expect(driver.dump(selecting: false).lines.count > 0) }
        #expect(driver.dump() == before)
        #expect(driver.memory.changes(since: memory) == [])
        #expect(driver.backend.line.risingEdges == 1)
    }
}
