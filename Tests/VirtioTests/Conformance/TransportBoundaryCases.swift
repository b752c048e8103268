// Boundary cases of the clauses on the transport, and places not covered by TransportViolationCases.

import Testing
import Virtio
import VirtioABI

extension ViolationCase {
    /// Notifies queue 0 without a register access, as an ioeventfd does.
    private static func notifyByEventFD(_ driver: BlockDriver) {
        driver.backend.call { $0.notified(QueueSet(queue: 0)) }
    }

    /// Evidence at `offset` of the device's window.
    private static func place(_ offset: UInt64, _ value: UInt64? = nil) -> Evidence {
        Evidence(offset: offset, value: value)
    }

    private static let withoutAccess = place(UInt64(Register.queueNotify.rawValue))

    /// A feature bit from 64 on that the driver leaves set, or takes back.
    private static func highFeature(_ bit: UInt64) -> ViolationCase {
        ViolationCase(.featureOffered, .at(.driverFeaturesSel, bit / 32), "bit \(bit)") { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .features, accepting: .version1)
            driver.write(.driverFeaturesSel, UInt32(bit / 32))
            driver.write(.driverFeatures, 1 << UInt32(bit % 32))
            if !bad { driver.write(.driverFeatures, 0) }
            driver.perform(.featuresOK)
            return driver
        }
    }

    static let statusEdges: [ViolationCase] = [
        highFeature(64), highFeature(127), highFeature(128), highFeature(32 * 0xffff_ffff),
        ViolationCase(.featureOffered, .at(.driverFeaturesSel, 9), "more words than a device records") { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .features, accepting: .version1)
            for word: UInt32 in 2...9 where bad || word % 2 == 0 {
                driver.write(.driverFeaturesSel, word)
                driver.write(.driverFeatures, 1)
            }
            for word: UInt32 in 2...9 {
                driver.write(.driverFeaturesSel, word)
                driver.write(.driverFeatures, 0)
            }
            driver.perform(.featuresOK)
            return driver
        },
        ViolationCase(.initialisationOrder, .at(.status, 7), "DRIVER_OK without FEATURES_OK") { bad in
            let driver = BlockDriver()
            driver.bringUp(to: bad ? .features : .featuresOK)
            driver.write(.status, bad ? 7 : 0x0f)
            return driver
        },
        ViolationCase(
            .initialisationOrder, .at(.status, 0x0b), also: [.version1Accepted], "FEATURES_OK together with DRIVER"
        ) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: bad ? .acknowledge : .features)
            driver.write(.status, 0x0b)
            return driver
        },
        ViolationCase(.statusBitKept, .at(.status, 0x0b), "FAILED taken back") { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .queues)
            driver.write(.status, 0x8b)
            driver.write(.status, bad ? 0x0b : 0x8b)
            return driver
        },
        ViolationCase(.featuresOKReadBack, .at(.status, 0x0f), "read before, not after") { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .features)
            if bad { _ = driver.status }
            driver.write(.status, 0x0b)
            if !bad { _ = driver.status }
            driver.write(.status, 0x0f)
            return driver
        },
        ViolationCase(.needsResetNotUsed, withoutAccess, "without a register access") { bad in
            let driver = BlockDriver()
            driver.bringUp()
            driver.backend.fatal()
            if bad { _ = driver.status }
            notifyByEventFD(driver)
            return driver
        },
        ViolationCase(.notificationAfterDriverOK, withoutAccess, "without a register access") { bad in
            let driver = BlockDriver()
            driver.bringUp(to: bad ? .queues : .driverOK)
            notifyByEventFD(driver)
            return driver
        },
        ViolationCase(.notifiedQueueReady, withoutAccess, "without a register access") { bad in
            let driver = BlockDriver()
            driver.bringUp(to: bad ? .featuresOK : .queues)
            driver.perform(.driverOK)
            notifyByEventFD(driver)
            return driver
        },
    ]

    /// A queue register written before FEATURES_OK.
    private static func early(_ register: Register, _ value: UInt32) -> ViolationCase {
        ViolationCase(.queuesAfterFeatures, .at(register, UInt64(value), queue: 0), "\(register)") { bad in
            let driver = BlockDriver()
            driver.bringUp(to: bad ? .features : .featuresOK)
            driver.write(.queueSel, 0)
            // A driver may write QueueReady = 0 at any time, as Linux does after a reset.
            driver.write(.queueReady, 0)
            driver.write(register, value)
            return driver
        }
    }

    static let registerEdges: [ViolationCase] = [
        early(.queueSize, 8), early(.queueDescLow, 0), early(.queueDeviceHigh, 0), early(.queueReset, 1),
        ViolationCase(
            .featuresRefused, .at(.queueSize, 8, queue: 0), also: [.version1Accepted], "a queue set up"
        ) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .featuresOK, accepting: bad ? [] : .version1)
            driver.write(.queueSel, 0)
            driver.write(.queueSize, 8)
            if !bad { driver.write(.status, 0x0f) }
            return driver
        },
        ViolationCase(.ringEmptyWhenReady, .at(.queueReady, 1, queue: 0), "packed") { bad in
            let driver = BlockDriver(form: .plainPacked)
            driver.bringUp(to: .featuresOK)
            driver.memory.fill(0, at: 0x1000, count: 128)
            if bad { driver.memory.store(FakePackedQueue.available, at: 0x100e) }
            ready(driver, size: 8)
            return driver
        },
        ViolationCase(.registerWidth, place(0x80, 8), "64 bits for a pair of registers") { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .featuresOK)
            driver.write(.queueSel, 0)
            if bad { driver.write(at: 0x80, width: 8, 0x1000) } else { driver.write(.queueDescLow, 0x1000) }
            return driver
        },
        ViolationCase(.registerWidth, place(0x72, 4), "between two registers") { bad in
            let driver = BlockDriver()
            _ = driver.read(at: bad ? 0x72 : 0x70, width: 4)
            return driver
        },
        ViolationCase(.registerDefined, place(0xf8), "read") { bad in
            let driver = BlockDriver()
            _ = driver.read(at: bad ? 0xf8 : 0xfc, width: 4)
            return driver
        },
        ViolationCase(.queueSelected, .at(.queueReady, 0), "read") { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .featuresOK)
            if !bad { driver.write(.queueSel, 0) }
            _ = driver.read(.queueReady)
            return driver
        },
        ViolationCase(.queueSelected, .at(.queueSize, 8), "written, after a reset") { bad in
            let driver = BlockDriver()
            driver.bringUp()
            driver.bringUp(to: .featuresOK)
            if !bad { driver.write(.queueSel, 0) }
            driver.write(.queueSize, 8)
            return driver
        },
        ViolationCase(.deviceFeaturesSelected, .at(.deviceFeatures, 0), "after a reset") { bad in
            let driver = BlockDriver()
            driver.bringUp()
            driver.write(.status, 0)
            if !bad { driver.write(.deviceFeaturesSel, 0) }
            _ = driver.read(.deviceFeatures)
            return driver
        },
        ViolationCase(.readyQueueLeftAlone, .at(.queueDeviceHigh, 0, queue: 0), "an address") { bad in
            let driver = BlockDriver()
            driver.bringUp(to: bad ? .queues : .featuresOK)
            driver.write(.queueSel, 0)
            driver.write(.queueDeviceHigh, 0)
            return driver
        },
        ViolationCase(.queueEndSeen, .at(.queueReady, 1, queue: 0), "read once, while a request was in flight") { bad in
            let driver = BlockDriver()
            driver.bringUp()
            driver.submit(BlockRequest.Kind.flush)
            driver.write(.queueReady, 0)
            _ = driver.read(.queueReady)
            driver.backend.complete()
            if !bad { _ = driver.read(.queueReady) }
            driver[queue: 0].setAvailableIndex(0)
            driver.write(.queueReady, 1)
            return driver
        },
        ViolationCase(.queueEndSeen, .at(.queueDescLow, 0, queue: 0), "an address") { bad in
            let driver = BlockDriver()
            driver.bringUp()
            driver.submit(BlockRequest.Kind.flush)
            driver.write(.queueReady, 0)
            if bad { _ = driver.read(.queueReady) }
            driver.backend.complete()
            if !bad { _ = driver.read(.queueReady) }
            driver.write(.queueDescLow, 0)
            return driver
        },
        ViolationCase(.queueEndSeen, .at(.queueSize, 8, queue: 0), "after a queue reset") { bad in
            let driver = BlockDriver()
            driver.bringUp()
            driver.submit(BlockRequest.Kind.flush)
            driver.write(.queueReset, 1)
            if bad { _ = driver.read(.queueReset) }
            driver.backend.complete()
            if !bad { _ = driver.read(.queueReset) }
            driver.write(.queueSize, 8)
            return driver
        },
        ViolationCase(.interruptStatusRead, .at(.interruptACK, 3), "one that arrived after the read") { bad in
            let driver = interrupted()
            _ = driver.interruptStatus
            driver.backend.change { $0.capacity = 1 }
            driver.write(.interruptACK, bad ? 3 : 1)
            return driver
        },
        ViolationCase(.interruptStatusRead, .at(.interruptACK, 2), "one that is acknowledged already") { bad in
            let driver = interrupted()
            driver.backend.change { $0.capacity = 1 }
            _ = driver.interruptStatus
            driver.write(.interruptACK, bad ? 2 : 1)
            driver.write(.interruptACK, 2)
            return driver
        },
        ViolationCase(.interruptStatusRead, .at(.interruptACK, 1), "for the interrupt before") { bad in
            let driver = interrupted()
            driver.handleInterrupt()
            driver.submit(BlockRequest.Kind.flush)
            driver.backend.complete()
            if !bad { _ = driver.interruptStatus }
            driver.write(.interruptACK, 1)
            return driver
        },
        ViolationCase(.noSharedMemory, .at(.shmLenLow, 0), "read") { bad in
            let driver = BlockDriver()
            driver.bringUp()
            if bad { _ = driver.read(.shmLenLow) }
            return driver
        },
        ViolationCase(.notifiedQueueExists, .at(.queueNotify, 0x5_0001, queue: 1), "with data") { bad in
            let driver = BlockDriver(adding: .notificationData)
            driver.bringUp()
            driver.write(.queueNotify, bad ? 0x5_0001 : 0x5_0000)
            return driver
        },
        ViolationCase(
            .notifiedQueueExists, .at(.queueNotify, 0x5_0000, queue: 0), "with data, which was not negotiated"
        ) {
            bad in
            let driver = BlockDriver(adding: bad ? [] : .notificationData)
            driver.bringUp()
            driver.write(.queueNotify, 0x5_0000)
            return driver
        },
        ViolationCase(.fieldWidth, place(0x102, 4), "in the middle of two fields") { bad in
            let driver = BlockDriver()
            _ = driver.read(at: bad ? 0x102 : 0x104, width: 4)
            return driver
        },
        ViolationCase(.fieldWidth, .field(0), "16 bits by halves") { bad in
            let driver = ConsoleDriver()
            _ = driver.configuration(ConsoleConfiguration.columns, width: bad ? 1 : 2)
            return driver
        },
        ViolationCase(.fieldOffered, .field(4), "of a console with one port") { bad in
            let driver = ConsoleDriver(ports: bad ? [] : ["a"])
            _ = driver.configuration(ConsoleConfiguration.maximumPorts)
            return driver
        },
        ViolationCase(.registerDefined, place(0x160), "past the structure of a disk") { bad in
            let driver = BlockDriver()
            // The padding and the fields of zoned devices are described (5.2.4).
            for offset in [33, 57, 59] { _ = driver.configuration(offset, width: 1) }
            if bad { _ = driver.configuration(96) }
            return driver
        },
        ViolationCase(.fieldOffered, place(0x148), "of a zoned disk") { bad in
            let driver = BlockDriver()
            _ = driver.configuration(bad ? 72 : 48)
            return driver
        },
        ViolationCase(.fieldWritable, .field(32, 0), "writeback, which was not negotiated") { bad in
            let driver = BlockDriver()
            driver.bringUp(accepting: bad ? [.version1] : [.version1, BlockFeature.configWCE])
            driver.write(at: 0x120, width: 1, 0)
            return driver
        },
    ]
}
