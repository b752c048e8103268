// Legal drivers of disks: running, suspended and stopped.

import Testing
import Virtio
import VirtioABI

extension BlockDriver {
    /// Sends requests of every type.
    fileprivate func sendEverything() {
        typealias Kind = BlockRequest.Kind
        let range = UInt64(1).bytes + UInt32(1).bytes + UInt32(0).bytes
        submit(Kind.read, sector: 63, room: 512)
        submit(Kind.read, sector: 62, room: 1024, cuts: [300, 700])
        handleInterrupt()
        submit(Kind.write, sector: 63, data: [UInt8](repeating: 1, count: 512), cuts: [5, 16, 100])
        submit(Kind.flush)
        handleInterrupt()
        submit(Kind.getID, room: 20)
        submit(Kind.discard, data: range)
        submit(Kind.writeZeroes, data: range.dropLast(4) + UInt32(1).bytes)
        handleInterrupt()
    }

    /// Reads every offered field, each by its width.
    fileprivate func readFields() {
        typealias Field = BlockConfiguration
        repeat {} while read(.configGeneration) != read(.configGeneration)
        for offset in [Field.capacity, Field.capacity + 4, Field.segmentMax, Field.blockSize, Field.optimalIOSize] {
            _ = configuration(offset)
        }
        for offset in stride(from: Field.maximumDiscardSectors, to: Field.writeZeroesMayUnmap, by: 4) {
            _ = configuration(offset)
        }
        _ = configuration(Field.minimumIOSize, width: 2)
        for offset in [Field.physicalBlockExponent, Field.alignmentOffset, Field.writeback, Field.writeZeroesMayUnmap] {
            _ = configuration(offset, width: 1)
        }
    }
}

extension LegalDriver {
    static let disks: [LegalDriver] = [
        LegalDriver("every request type, many times around the ring") { form, dialect in
            let driver = BlockDriver(suspend: dialect, form: form)
            for register in [Register.magicValue, .version, .deviceID, .vendorID] { _ = driver.read(register) }
            driver.bringUp()
            driver.readFields()
            driver.backend.completesAtOnce = true
            for _ in 0..<6 { driver.sendEverything() }
            driver.write(at: UInt64(Register.configuration) + UInt64(BlockConfiguration.writeback), width: 1, 0)
            driver.sendEverything()
            return driver
        },
        LegalDriver("requests completed out of order") { form, dialect in
            let driver = BlockDriver(suspend: dialect, form: form)
            driver.bringUp()
            for round in 0..<10 {
                for sector in UInt64(0)..<4 { driver.submitRead(sector) }
                while !driver.backend.requests.isEmpty {
                    driver.backend.complete(at: round % driver.backend.requests.count)
                    driver.handleInterrupt()
                }
            }
            return driver
        },
        LegalDriver("several queues, one stopped and one reset, both set up again") { form, dialect in
            let driver = BlockDriver(queues: 3, suspend: dialect, form: form)
            driver.bringUp()
            for _ in 0..<3 {
                for index in 0..<3 {
                    let parts = driver.parts(BlockDriver.header(BlockRequest.Kind.read, sector: 1), room: 513)
                    driver.add(parts, to: index)
                }
                driver.write(.queueSel, 1)
                driver.write(.queueReady, 0)
                driver.await(.queueReady, 1, queue: 1)
                driver.write(.queueSel, 2)
                driver.write(.queueReset, 1)
                driver.await(.queueReset, 1, queue: 2)
                driver.backend.complete()
                driver.await(.queueReset, 0, queue: 2)
                driver.await(.queueReady, 0, queue: 1)
                driver.handleInterrupt()
                for index in 1...2 { driver.setUp(queue: index, size: 8) }
            }
            return driver
        },
        LegalDriver("a queue stopped that is not ready, one stopped twice and then reset twice") { form, dialect in
            let driver = BlockDriver(suspend: dialect, form: form)
            driver.bringUp(to: .featuresOK)
            driver.write(.queueSel, 0)
            driver.write(.queueReady, 0)
            driver.perform(.queues)
            driver.perform(.driverOK)
            driver.submitRead()
            for _ in 0..<2 { driver.write(.queueReady, 0) }
            for _ in 0..<2 { driver.write(.queueReset, 1) }
            driver.backend.complete()
            driver.await(.queueReset, 0, queue: 0)
            driver.await(.queueReady, 0, queue: 0)
            driver.setUp(queue: 0)
            driver.expectWorks()
            return driver
        },
        LegalDriver("one event acknowledged after the other") { form, dialect in
            let driver = BlockDriver(suspend: dialect, form: form)
            driver.bringUp()
            driver.submitRead()
            driver.backend.complete()
            driver.backend.change { $0.capacity = 63 }
            let events = driver.interruptStatus
            _ = driver.takeUsed(0)
            driver.write(.interruptACK, events.intersection(.usedBuffer).rawValue)
            driver.readFields()
            driver.write(.interruptACK, events.intersection(.configurationChange).rawValue)
            // No event is pending, so the handler acknowledges nothing.
            driver.handleInterrupt()
            return driver
        },
        LegalDriver("suspended with requests, and resumed") { form, dialect in
            let driver = BlockDriver(suspend: dialect, form: form)
            driver.bringUp()
            guard let dialect else { return driver }
            for _ in 0..<3 {
                for sector in UInt64(0)..<4 { driver.submitRead(sector) }
                driver.requestSuspend()
                if dialect == .draft {
                    // The device is not suspended yet.
                    driver.kick(0)
                    driver.readFields()
                }
                for _ in 0..<20 { _ = driver.status }
                driver.backend.complete()
                driver.handleInterrupt()
                #expect(driver.statusByte == dialect.suspended, driver.state)
                _ = driver.interruptStatus
                driver.backend.change { $0.capacity -= 1 }
                driver.backend.resumesAtOnce = false
                driver.requestResume()
                for _ in 0..<20 { _ = driver.status }
                driver.backend.ready()
                driver.backend.resumesAtOnce = true
                #expect(driver.statusByte == 0x0f, driver.state)
                driver.kick(0)
                driver.readFields()
                driver.handleInterrupt()
            }
            return driver
        },
        LegalDriver("a suspend and a resume that the driver aborts, a drain that times out") {
            form, dialect in
            let driver = BlockDriver(suspend: dialect, form: form)
            driver.bringUp()
            guard dialect == .draft else { return driver }
            driver.submitRead()
            driver.requestSuspend()
            _ = driver.status
            driver.requestResume()
            _ = driver.status
            driver.submitRead(2)
            driver.requestSuspend()
            driver.backend.deadline()
            #expect(driver.statusByte == 0x1f, driver.state)
            driver.backend.complete(1)
            driver.backend.resumesAtOnce = false
            driver.requestResume()
            driver.requestSuspend()
            #expect(driver.statusByte == 0x1f, driver.state)
            driver.requestResume()
            driver.backend.ready()
            #expect(driver.statusByte == 0x0f, driver.state)
            driver.backend.complete()
            driver.handleInterrupt()
            return driver
        },
        LegalDriver("notifications without a register access, and notifications with data") { form, dialect in
            let driver = BlockDriver(suspend: dialect, form: form, adding: .notificationData)
            driver.bringUp()
            driver.submitRead(kick: false)
            driver.backend.call { $0.notified(QueueSet(queue: 0)) }
            driver.submitRead(2, kick: false)
            driver.write(.queueNotify, 5 << 16)
            driver.backend.complete()
            driver.handleInterrupt()
            return driver
        },
    ]
}
