// Violations of the clauses on registers and the configuration space.

import Testing
import Virtio
import VirtioABI

extension ViolationCase {
    static let registers: [ViolationCase] = [
        ViolationCase(.registerDefined, .at(.status, nil).moved(to: 0x28)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .reset)
            if bad { driver.write(at: 0x28, width: 4, 4096) } else { driver.write(.queueSel, 0) }
            return driver
        },
        ViolationCase(.registerWritable, .at(.interruptStatus, 1)) { bad in
            let driver = BlockDriver()
            driver.bringUp()
            driver.submit(BlockRequest.Kind.flush)
            driver.backend.complete()
            let events = driver.interruptStatus.rawValue
            driver.write(bad ? .interruptStatus : .interruptACK, events)
            return driver
        },
        ViolationCase(.registerReadable, .at(.queueNotify)) { bad in
            let driver = BlockDriver()
            driver.bringUp()
            _ = driver.read(bad ? .queueNotify : .status)
            return driver
        },
        ViolationCase(.registerWidth, .at(.status, 1)) { bad in
            let driver = BlockDriver()
            _ = driver.read(at: 0x70, width: bad ? 1 : 4)
            return driver
        },
        ViolationCase(.deviceFeaturesSelected, .at(.deviceFeatures, 0)) { bad in
            let driver = BlockDriver()
            if !bad { driver.write(.deviceFeaturesSel, 0) }
            _ = driver.read(.deviceFeatures)
            return driver
        },
        ViolationCase(.driverFeaturesSelected, .at(.driverFeatures, 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .driver)
            if !bad { driver.write(.driverFeaturesSel, 0) }
            driver.write(.driverFeatures, 0)
            return driver
        },
        ViolationCase(.queueSelected, .at(.queueSizeMax, 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .featuresOK)
            if !bad { driver.write(.queueSel, 0) }
            _ = driver.read(.queueSizeMax)
            return driver
        },
        ViolationCase(.queueSizeAllowed, .at(.queueSize, 512, queue: 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .featuresOK)
            driver.write(.queueSel, 0)
            driver.write(.queueSize, bad ? 512 : 256)
            return driver
        },
        ViolationCase(.readyQueueLeftAlone, .at(.queueSize, 8, queue: 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .queues)
            if !bad {
                driver.write(.queueReady, 0)
                _ = driver.read(.queueReady)
            }
            driver.write(.queueSize, 8)
            return driver
        },
        ViolationCase(.queueStopReadBack, .at(.queueReady, 1, queue: 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .queues)
            driver.write(.queueReady, 0)
            if !bad { _ = driver.read(.queueReady) }
            driver.write(.queueReady, 1)
            return driver
        },
        ViolationCase(.queueEndSeen, .at(.queueSize, 8, queue: 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .queues)
            driver.write(.queueReady, 0)
            if !bad { _ = driver.read(.queueReady) }
            driver.write(.queueSize, 8)
            _ = driver.read(.queueReady)
            driver.write(.queueReady, 0)
            return driver
        },
        ViolationCase(.queueResetNegotiated, .at(.queueReset, 1, queue: 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp(accepting: bad ? .version1 : [.version1, .ringReset])
            driver.write(.queueSel, 0)
            driver.write(.queueReset, 1)
            return driver
        },
        ViolationCase(.ringEmptyWhenReady, .at(.queueReady, 1, queue: 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp()
            driver.submit(BlockRequest.Kind.flush)
            driver.backend.complete()
            driver.write(.queueReset, 1)
            _ = driver.read(.queueReset)
            let old = driver[queue: 0]
            if !bad { old.setAvailableIndex(0) }
            driver.configure(
                0, size: UInt32(old.size), descriptors: old.areas[0], available: old.areas[1], used: old.areas[2])
            driver.write(.queueReady, 1)
            return driver
        },
        ViolationCase(.eventPending, .at(.interruptACK, 3), also: [.interruptStatusRead]) { bad in
            let driver = interrupted()
            _ = driver.interruptStatus
            driver.write(.interruptACK, bad ? 3 : 1)
            return driver
        },
        ViolationCase(.definedEvents, .at(.interruptACK, 5)) { bad in
            let driver = interrupted()
            _ = driver.interruptStatus
            driver.write(.interruptACK, bad ? 5 : 1)
            return driver
        },
        ViolationCase(.interruptStatusRead, .at(.interruptACK, 1)) { bad in
            let driver = interrupted()
            if !bad { _ = driver.interruptStatus }
            driver.write(.interruptACK, 1)
            return driver
        },
        ViolationCase(.queueResetAwaited, .at(.queueReady, 1, queue: 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp()
            driver.write(.queueReset, 1)
            if !bad { _ = driver.read(.queueReset) }
            _ = driver.read(.queueReady)
            driver.memory.fill(0, at: 0, count: 0x1000)
            for (register, value): (Register, UInt32) in [
                (.queueDescLow, 0), (.queueDriverLow, 0x400), (.queueDeviceLow, 0x800),
            ] {
                driver.write(register, value)
            }
            driver.write(.queueSize, 8)
            driver.write(.queueReady, 1)
            return driver
        },
        ViolationCase(.noSharedMemory, .at(.shmSel, 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp()
            if bad { driver.write(.shmSel, 0) }
            return driver
        },
        ViolationCase(.notifiedQueueExists, .at(.queueNotify, 1, queue: 1)) { bad in
            let driver = BlockDriver()
            driver.bringUp()
            driver.write(.queueNotify, bad ? 1 : 0)
            return driver
        },
        ViolationCase(.notifiedQueueReady, .at(.queueNotify, 0, queue: 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp()
            if bad {
                driver.write(.queueReady, 0)
                _ = driver.read(.queueReady)
            }
            driver.write(.queueNotify, 0)
            return driver
        },
    ]

    static let configuration: [ViolationCase] = [
        ViolationCase(.fieldOffered, .field(20)) { bad in
            let driver = BlockDriver(withholding: bad ? BlockFeature.blockSize : [])
            _ = driver.configuration(BlockConfiguration.blockSize)
            return driver
        },
        ViolationCase(.registerDefined, .field(12), "past the last field") { bad in
            let driver = ConsoleDriver()
            _ = driver.configuration(bad ? 12 : 8)
            return driver
        },
        ViolationCase(.fieldWidth, .field(0), "a 64-bit field at once") { bad in
            let driver = BlockDriver()
            _ = driver.configuration(BlockConfiguration.capacity, width: bad ? 8 : 4)
            return driver
        },
        ViolationCase(.fieldWidth, .field(0), "16 bits as 32") { bad in
            let driver = ConsoleDriver()
            _ = driver.configuration(ConsoleConfiguration.columns, width: bad ? 4 : 2)
            return driver
        },
        ViolationCase(.fieldWritable, .field(0, 1)) { bad in
            let driver = BlockDriver()
            driver.bringUp()
            driver.write(at: bad ? 0x100 : 0x120, width: bad ? 4 : 1, 1)
            return driver
        },
    ]

    /// A disk that has used a buffer and raised the interrupt.
    static func interrupted() -> BlockDriver {
        let driver = BlockDriver()
        driver.bringUp()
        driver.submit(BlockRequest.Kind.flush)
        driver.backend.complete()
        return driver
    }
}

extension Evidence {
    /// The evidence with `offset` only.
    fileprivate func moved(to offset: UInt64) -> Evidence { Evidence(offset: offset) }
}
