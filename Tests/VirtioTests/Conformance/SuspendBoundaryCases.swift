// Boundary cases of the clauses on SUSPEND, and places not covered by SuspendViolationCases.

import Testing
import Virtio
import VirtioABI

extension ViolationCase {
    /// A disk that is suspending with a flush in flight.
    private static func suspending(_ dialect: SuspendDialect) -> BlockDriver {
        let driver = running(dialect)
        driver.submit(BlockRequest.Kind.flush)
        driver.write(.status, 0x1f)
        return driver
    }

    /// Completes the flush, and reads the suspended Status.
    private static func completeSuspend(_ driver: BlockDriver) {
        driver.backend.complete()
        _ = driver.status
    }

    /// An action before the requested resume has been read from Status, or after it.
    private static func afterResume(
        _ dialect: SuspendDialect, _ name: String, _ evidence: Evidence,
        _ act: @escaping @Sendable (BlockDriver) -> Void
    ) -> ViolationCase {
        ViolationCase(dialect == .draft ? .draftAwaited : .ratifiedResumeAwaited, evidence, name) { bad in
            let driver = suspended(dialect)
            driver.write(.status, dialect.resume)
            if !bad { _ = driver.status }
            act(driver)
            return driver
        }
    }

    /// An action on a suspended disk, or on a resumed one.
    private static func whileSuspended(
        _ check: Check, _ name: String, _ evidence: Evidence, _ act: @escaping @Sendable (BlockDriver) -> Void
    ) -> ViolationCase {
        ViolationCase(check, evidence, name) { bad in
            let driver = suspended("\(check)".hasPrefix("ratified") ? .ratified : .draft)
            if !bad { resume(driver) }
            act(driver)
            return driver
        }
    }

    static let resumeEdges: [ViolationCase] = SuspendDialect.allCases.flatMap { dialect in
        [
            afterResume(dialect, "a queue stopped", .at(.queueReady, 0, queue: 0)) {
                $0.write(.queueReady, 0)
                _ = $0.read(.queueReady)
            },
            afterResume(dialect, "a field written", .field(32, 0)) { $0.write(at: 0x120, width: 1, 0) },
            afterResume(dialect, "a field read", .field(0)) { _ = $0.configuration(0) },
            afterResume(dialect, "a notification without a register access", .at(.queueNotify)) {
                $0.backend.call { $0.notified(QueueSet(queue: 0)) }
            },
        ]
    }

    static let suspendEdges: [ViolationCase] = [
        // The byte that requested the resume requests a suspend of a running device (H-1).
        ViolationCase(.ratifiedRequestedOnce, .at(.status, 0x1f), "a resume") { bad in
            let driver = suspended(.ratified)
            driver.write(.status, 0x1f)
            if !bad { _ = driver.status }
            driver.write(.status, 0x1f)
            _ = driver.status
            return driver
        },
        whileSuspended(.draftNoNotification, "without a register access", .at(.queueNotify)) {
            $0.backend.call { $0.notified(QueueSet(queue: 0)) }
        },
        whileSuspended(.draftConfigurationLeftAlone, "written", .field(32, 0)) { $0.write(at: 0x120, width: 1, 0) },
        whileSuspended(.ratifiedNoNotification, "when it is suspended", .at(.queueNotify, 0, queue: 0)) { $0.kick(0) },
        ViolationCase(.draftBitKept, .at(.status, 0x0e), "by an abort") { bad in
            let driver = suspending(.draft)
            driver.write(.status, bad ? 0x0e : 0x0f)
            _ = driver.status
            driver.backend.complete()
            return driver
        },
        ViolationCase(.draftNoNewBuffers, Evidence(queue: 0, value: 2), "packed") { bad in
            let driver = BlockDriver(suspend: .draft, form: Form(packed: true))
            driver.bringUp()
            driver.write(.status, 0x1f)
            _ = driver.status
            if bad { driver.submit(BlockRequest.Kind.flush, kick: false) }
            resume(driver)
            if !bad { driver.submit(BlockRequest.Kind.flush) }
            return driver
        },
        ViolationCase(.draftBuffersKept, .chain(0), also: [.packedDescriptorKept], "a packed ring's table") { bad in
            let driver = BlockDriver(suspend: .draft, form: Form(packed: true, layout: .table(shift: 0), tidy: true))
            driver.bringUp()
            driver.submit(BlockRequest.Kind.flush)
            driver.write(.status, 0x1f)
            driver.backend.deadline()
            _ = driver.status
            // The table was allocated last: this is the length of its second descriptor.
            let length = driver.nextFree - 8
            if bad { driver.memory.store(UInt32(2), at: length) }
            driver.backend.complete()
            resume(driver)
            if !bad { driver.memory.store(UInt32(2), at: length) }
            return driver
        },
        ViolationCase(.suspendedQueuesLeftAlone, .at(.queueReady, 1, queue: 0), "before it is suspended") { bad in
            let driver = suspending(.ratified)
            if !bad {
                completeSuspend(driver)
                resume(driver)
            }
            driver.write(.queueReady, 1)
            if bad { completeSuspend(driver) }
            return driver
        },
        whileSuspended(.suspendedQueuesLeftAlone, "the draft", .at(.queueReady, 1, queue: 0)) {
            $0.write(.queueReady, 1)
        },
        ViolationCase(.ratifiedVerified, .at(.status, 0x0f), "an abort, which 1.4 does not have") { bad in
            let driver = suspending(.ratified)
            if bad { driver.write(.status, 0x0f) }
            completeSuspend(driver)
            return driver
        },
        ViolationCase(.ratifiedConfigurationKept, .field(32, 0), "before it is suspended") { bad in
            let driver = running(.ratified)
            driver.submit(BlockRequest.Kind.flush)
            if !bad { driver.write(at: 0x120, width: 1, 0) }
            driver.write(.status, 0x1f)
            if bad { driver.write(at: 0x120, width: 1, 0) }
            completeSuspend(driver)
            return driver
        },
        ViolationCase(.ratifiedNoNewBuffers, Evidence(queue: 0, value: 1), "before it is suspended") { bad in
            let driver = suspending(.ratified)
            if bad { driver.submit(BlockRequest.Kind.flush, kick: false) }
            completeSuspend(driver)
            resume(driver)
            if !bad { driver.submit(BlockRequest.Kind.flush) }
            return driver
        },
        ViolationCase(.ratifiedBitKept, .at(.status, 0x1e), "ACKNOWLEDGE, by the resume") { bad in
            let driver = suspended(.ratified)
            driver.write(.status, bad ? 0x1e : 0x1f)
            _ = driver.status
            return driver
        },
    ]
}
