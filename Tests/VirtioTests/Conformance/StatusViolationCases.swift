// Violations of the clauses on Status and feature negotiation.

import Testing
import Virtio
import VirtioABI

extension ViolationCase {
    static let status: [ViolationCase] = [
        ViolationCase(.statusShowsSteps, .at(.driverFeatures, 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: bad ? .acknowledge : .driver)
            driver.write(.driverFeaturesSel, 0)
            driver.write(.driverFeatures, 0)
            return driver
        },
        ViolationCase(.statusBitKept, .at(.status, 0x0e)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .queues)
            driver.write(.status, bad ? 0x0e : 0x0f)
            return driver
        },
        ViolationCase(.resetAfterFailed, .at(.status, 0x8f)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .queues)
            driver.write(.status, 0x8b)
            if !bad { driver.write(.status, 0x8b) }
            if bad { driver.write(.status, 0x8f) }
            return driver
        },
        ViolationCase(.needsResetNotUsed, .at(.queueNotify, 0, queue: 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp()
            driver.kick(0)
            driver.backend.fatal()
            // The driver cannot know before it reads Status.
            driver.kick(0)
            if bad { _ = driver.status }
            driver.kick(0)
            return driver
        },
        ViolationCase(.featureOffered, Evidence(value: 1 << 32 | 1)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .featuresOK, accepting: bad ? [.version1, Features(bit: 0)] : [.version1])
            return driver
        },
        ViolationCase(.version1Accepted, Evidence(value: Features.eventIndex.rawValue)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .featuresOK, accepting: bad ? .eventIndex : [.version1, .eventIndex])
            return driver
        },
        ViolationCase(.featuresFinal, .at(.driverFeatures, 0x2000_0000)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: bad ? .featuresOK : .features, accepting: .version1)
            driver.write(.driverFeaturesSel, 0)
            driver.write(.driverFeatures, Features.eventIndex.word(0))
            return driver
        },
        ViolationCase(.featuresRewritten, .at(.driverFeatures, 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: bad ? .featuresOK : .features)
            driver.write(.driverFeaturesSel, 0)
            driver.write(.driverFeatures, 0)
            return driver
        },
        ViolationCase(.queuesAfterFeatures, .at(.queueReady, 1, queue: 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: bad ? .features : .featuresOK)
            driver.setUp(queue: 0)
            return driver
        },
        ViolationCase(.featuresOKReadBack, .at(.status, 0x0f)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .features)
            driver.write(.status, 0x0b)
            if !bad { _ = driver.status }
            driver.write(.status, 0x0f)
            return driver
        },
        ViolationCase(.initialisationOrder, .at(.status, 2), "DRIVER alone") { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .reset)
            driver.write(.status, bad ? 2 : 3)
            return driver
        },
        ViolationCase(
            .initialisationOrder, .at(.status, 0x0f), also: [.featuresOKReadBack], "FEATURES_OK with DRIVER_OK"
        ) {
            bad in
            let driver = BlockDriver()
            driver.bringUp(to: .features)
            if !bad {
                driver.write(.status, 0x0b)
                _ = driver.status
            }
            driver.write(.status, 0x0f)
            return driver
        },
        ViolationCase(.configurationLeftAlone, .field(32, 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: bad ? .features : .featuresOK)
            driver.write(at: 0x120, width: 1, 0)
            return driver
        },
        ViolationCase(.featuresRefused, .at(.status, 0x0f), also: [.version1Accepted]) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: .features, accepting: bad ? [] : .version1)
            driver.write(.status, 0x0b)
            _ = driver.status
            driver.write(.status, 0x0f)
            return driver
        },
        ViolationCase(.notificationAfterDriverOK, .at(.queueNotify, 0, queue: 0)) { bad in
            let driver = BlockDriver()
            driver.bringUp(to: bad ? .queues : .driverOK)
            driver.kick(0)
            return driver
        },
    ]
}
