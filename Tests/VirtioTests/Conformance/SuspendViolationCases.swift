// Violations of the clauses on SUSPEND, in both dialects.

import Testing
import Virtio
import VirtioABI

extension ViolationCase {
    /// A running disk that offers SUSPEND.
    static func running(_ dialect: SuspendDialect?) -> BlockDriver {
        let driver = BlockDriver(suspend: dialect)
        driver.bringUp()
        return driver
    }

    /// A suspended disk whose driver has read the suspended Status.
    static func suspended(_ dialect: SuspendDialect) -> BlockDriver {
        let driver = running(dialect)
        driver.write(.status, 0x1f)
        _ = driver.status
        return driver
    }

    /// Resumes the disk, and reads the running Status.
    static func resume(_ driver: BlockDriver) {
        driver.write(.status, driver.dialect == .draft ? 0x0f : 0x1f)
        _ = driver.status
    }

    static let drafts: [ViolationCase] = [
        ViolationCase(.draftBitKept, .at(.status, 0x0e)) { bad in
            let driver = suspended(.draft)
            driver.write(.status, bad ? 0x0e : 0x0f)
            _ = driver.status
            return driver
        },
        ViolationCase(.draftNegotiated, .at(.status, 0x1f)) { bad in
            let driver = BlockDriver(suspend: .draft)
            driver.bringUp(accepting: bad ? .version1 : [.version1, .suspendDraft])
            driver.write(.status, 0x1f)
            _ = driver.status
            return driver
        },
        ViolationCase(.draftAfterDriverOK, .at(.status, 0x1b)) { bad in
            let driver = BlockDriver(suspend: .draft)
            driver.bringUp(to: bad ? .queues : .driverOK)
            driver.write(.status, bad ? 0x1b : 0x1f)
            _ = driver.status
            return driver
        },
        ViolationCase(.draftAwaited, .at(.queueNotify, 0, queue: 0)) { bad in
            let driver = suspended(.draft)
            driver.write(.status, 0x0f)
            if !bad { _ = driver.status }
            driver.kick(0)
            return driver
        },
        ViolationCase(.draftAwaited, .field(0), "a field") { bad in
            let driver = suspended(.draft)
            driver.write(.status, 0x0f)
            if !bad { _ = driver.status }
            _ = driver.configuration(0)
            return driver
        },
        ViolationCase(.draftConfigurationLeftAlone, .field(0)) { bad in
            let driver = suspended(.draft)
            if !bad { resume(driver) }
            _ = driver.configuration(0)
            return driver
        },
        ViolationCase(.draftBuffersKept, .chain(0), also: [.splitDescriptorKept]) { bad in
            let driver = running(.draft)
            let chain = driver.submit(BlockRequest.Kind.flush)
            driver.write(.status, 0x1f)
            driver.backend.deadline()
            _ = driver.status
            let length = driver[queue: 0].descriptors + 16 * UInt64(chain.head) + 8
            if bad { driver.memory.store(UInt32(2), at: length) }
            driver.backend.complete()
            resume(driver)
            if !bad { driver.memory.store(UInt32(2), at: length) }
            return driver
        },
        ViolationCase(.draftNoNewBuffers, Evidence(queue: 0, value: 1)) { bad in
            let driver = suspended(.draft)
            if bad { driver.submit(BlockRequest.Kind.flush, kick: false) }
            resume(driver)
            if !bad { driver.submit(BlockRequest.Kind.flush) }
            return driver
        },
        ViolationCase(.draftNoNotification, .at(.queueNotify, 0, queue: 0)) { bad in
            let driver = suspended(.draft)
            if !bad { resume(driver) }
            driver.kick(0)
            return driver
        },
        ViolationCase(.draftNoReadModifyWrite, .at(.status, 0x0f)) { bad in
            let driver = running(.draft)
            driver.submit(BlockRequest.Kind.flush)
            driver.write(.status, 0x1f)
            // Another code path sets a bit that is already set, and the driver continues to poll. A driver that aborts
            // on purpose does not.
            let status = driver.status
            driver.write(.status, UInt32(status.rawValue) | 0x04)
            for _ in 0..<(bad ? 16 : 15) { _ = driver.status }
            driver.backend.complete()
            _ = driver.interruptStatus
            for _ in 0..<16 { _ = driver.status }
            return driver
        },
    ]

    static let ratified: [ViolationCase] = [
        ViolationCase(.ratifiedAfterDriverOK, .at(.status, 0x1b)) { bad in
            let driver = BlockDriver(suspend: .ratified)
            driver.bringUp(to: bad ? .queues : .driverOK)
            driver.write(.status, bad ? 0x1b : 0x1f)
            _ = driver.status
            return driver
        },
        ViolationCase(.ratifiedAfterDriverOK, .at(.status, 0x1f), "without the feature") { bad in
            let driver = running(bad ? nil : .ratified)
            driver.write(.status, 0x1f)
            _ = driver.status
            return driver
        },
        ViolationCase(.ratifiedVerified, .at(.status, 0x1f)) { bad in
            let driver = running(.ratified)
            driver.write(.status, 0x1f)
            if !bad { _ = driver.status }
            driver.write(.status, 0x1f)
            _ = driver.status
            return driver
        },
        ViolationCase(.ratifiedRequestedOnce, .at(.status, 0x1f)) { bad in
            let driver = running(.ratified)
            driver.submit(BlockRequest.Kind.flush)
            driver.write(.status, 0x1f)
            _ = driver.status
            if bad { driver.write(.status, 0x1f) }
            driver.backend.complete()
            _ = driver.status
            return driver
        },
        ViolationCase(.resetAwaited, .at(.deviceFeaturesSel, 0)) { bad in
            let driver = BlockDriver(version: .three)
            driver.bringUp()
            driver.write(.status, 0)
            if !bad { _ = driver.status }
            driver.write(.deviceFeaturesSel, 0)
            return driver
        },
        ViolationCase(.suspendedQueuesLeftAlone, .at(.queueReady, 1, queue: 0)) { bad in
            let driver = suspended(.ratified)
            if !bad { resume(driver) }
            driver.write(.queueReady, 1)
            return driver
        },
        ViolationCase(.ratifiedNoNewBuffers, Evidence(queue: 0, value: 1)) { bad in
            let driver = suspended(.ratified)
            if bad { driver.submit(BlockRequest.Kind.flush, kick: false) }
            resume(driver)
            if !bad { driver.submit(BlockRequest.Kind.flush) }
            return driver
        },
        ViolationCase(.ratifiedNoNotification, .at(.queueNotify, 0, queue: 0)) { bad in
            let driver = running(.ratified)
            driver.submit(BlockRequest.Kind.flush)
            driver.write(.status, 0x1f)
            if bad { driver.kick(0) }
            driver.backend.complete()
            _ = driver.status
            resume(driver)
            driver.kick(0)
            return driver
        },
        ViolationCase(.ratifiedConfigurationKept, .field(32, 0)) { bad in
            let driver = suspended(.ratified)
            if !bad { resume(driver) }
            driver.write(at: 0x120, width: 1, 0)
            return driver
        },
        ViolationCase(.ratifiedResumeAwaited, .at(.queueNotify, 0, queue: 0)) { bad in
            let driver = suspended(.ratified)
            driver.write(.status, 0x1f)
            if !bad { _ = driver.status }
            driver.kick(0)
            return driver
        },
        ViolationCase(.ratifiedBitKept, .at(.status, 0x0f)) { bad in
            let driver = suspended(.ratified)
            driver.write(.status, bad ? 0x0f : 0x1f)
            _ = driver.status
            return driver
        },
    ]
}
