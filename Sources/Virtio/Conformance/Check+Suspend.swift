// Clauses on SUSPEND, in both dialects, and on the reset of virtio-mmio version 3 (Suspend.md).

extension Check {
    /// The clause of a check on SUSPEND.
    var suspendClause: Clause {
        switch self {
        case .draftBitKept:
            Clause(
                "V5-DRV-1", .driver, .mustNot, "The driver must not clear a status bit other than SUSPEND.",
                cause: "0 or a constant written to resume",
                remedy: "Write the value read from Status, with SUSPEND cleared.")
        case .draftNegotiated:
            Clause(
                "V5-DRV-3", .driver, .mustNot,
                "The driver must not set SUSPEND unless VIRTIO_F_SUSPEND was negotiated.",
                cause: "the feature bit of the other dialect (42 is the draft's, 43 is that of 1.4)",
                remedy: "Accept the bit that is offered, and check it before suspending.")
        case .draftAfterDriverOK:
            Clause(
                "V5-DRV-4", .driver, .mustNot, "The driver must not set SUSPEND while DRIVER_OK is clear.",
                cause: "a system suspend during driver initialization", remedy: "Suspend only devices that are live.")
        case .draftAwaited:
            Clause(
                "V5-DRV-5", .driver, .must,
                "After changing SUSPEND, the driver must poll Status until it reads back the value written.",
                cause: "the device assumed to be suspended when the write returns",
                remedy: "Poll Status for SUSPEND, with a timeout, before any other access.")
        case .draftConfigurationLeftAlone:
            Clause(
                "V5-DRV-7", .driver, .mustNot,
                "The driver must not access the configuration space of a suspended device.",
                cause: "a size or a cache mode read during system suspend", remedy: "Resume the device first.")
        case .draftBuffersKept:
            Clause(
                "V5-DRV-9", .driver, .mustNot,
                "The driver must not change available buffers or their descriptors while the device is suspended.",
                cause: "ring memory not preserved across the suspend, or buffers taken back",
                remedy: "Leave rings and buffers unchanged until the resume.")
        case .draftNoNewBuffers:
            Clause(
                "V5-DRV-10", .driver, .mustNot, "The driver must not make buffers available to a suspended device.",
                cause: "upper-layer queues not stopped before the suspend",
                remedy: "Stop submitting requests, then suspend.")
        case .draftNoNotification:
            Clause(
                "VMM-3", .driver, .advice,
                "The driver should not notify a suspended device: the draft lets the device discard the notification.",
                cause: "a notification that races with the system suspend",
                remedy: "Notify every queue after the resume.")
        case .draftNoReadModifyWrite:
            Clause(
                "H-2", .driver, .advice,
                "The driver should not read, modify and write Status during a suspend: SUSPEND still reads 0, so the write aborts.",
                cause:
                    "another code path sets a bit in Status; the device aborts the suspend, and the driver waits for it indefinitely",
                remedy: "Do not write Status between the request and its acknowledgement, except to abort.")
        case .ratifiedAfterDriverOK:
            Clause(
                "V14-DRV-1", .driver, .shouldNot,
                "The driver should not set SUSPEND while DRIVER_OK is clear or without VIRTIO_F_SUSPEND negotiated.",
                cause: "a driver written for the draft, or a suspend before initialization is complete",
                remedy: "Check the feature and Status first.")
        case .ratifiedVerified:
            Clause(
                "V14-DRV-2", .driver, .must,
                "After setting SUSPEND, the driver must read Status to verify that SUSPEND = 1 and DRIVER_OK = 0.",
                cause: "the device assumed to be suspended when the write returns",
                remedy:
                    "Write once, then poll for 0x1b or DEVICE_NEEDS_RESET: a failed suspend stays at 0x4f (V14-DEV-8).")
        case .ratifiedRequestedOnce:
            Clause(
                "H-1", .driver, .advice,
                "Until it reads the suspend or resume in Status, the driver should not write Status: 0x1f requests either.",
                cause: "a request that is repeated while the driver polls: it resumes a device that has just suspended",
                remedy: "Write once, then only poll.")
        case .ratifiedNoNewBuffers:
            Clause(
                "V14-DRV-3", .driver, .mustNot, "After setting SUSPEND, the driver must not make buffers available.",
                cause: "upper-layer queues not stopped before the suspend",
                remedy: "Stop submitting requests, then suspend.")
        case .ratifiedNoNotification:
            Clause(
                "V14-DRV-4", .driver, .mustNot, "After setting SUSPEND, the driver must not notify any queue.",
                cause: "a notification that races with the system suspend",
                remedy: "Hold notifications back, and notify every queue after the resume.")
        case .ratifiedConfigurationKept:
            Clause(
                "V14-DRV-5", .driver, .mustNot,
                "After setting SUSPEND, the driver must not change the configuration space.",
                cause: "a cache mode changed during system suspend", remedy: "Resume the device first.")
        case .ratifiedResumeAwaited:
            Clause(
                "V14-DRV-6", .driver, .must,
                "After setting DRIVER_OK to resume, the driver must wait for SUSPEND = 0 and DRIVER_OK = 1 before normal operation.",
                cause: "queues restarted immediately after the write",
                remedy: "Poll Status for both bits, with a timeout.")
        case .ratifiedBitKept:
            Clause(
                "V14-DRV-7", .driver, .mustNot,
                "The driver must not clear a status bit, including SUSPEND: the device clears it.",
                cause: "a driver for the draft, which resumes by clearing SUSPEND",
                remedy: "Write the bits read from Status, plus DRIVER_OK.")
        case .suspendedQueuesLeftAlone:
            Clause(
                "VMM-15", .driver, .advice,
                "The driver should not set up queues of a device that it suspends: a suspended device ignores it (D-5).",
                cause: "queues added or enlarged during a system suspend", remedy: "Resume the device first.")
        case .resetAwaited:
            Clause(
                "V3-DRV-1", .driver, .must,
                "In version 3, after writing 0 to Status, the driver must read Status until it reads 0 before it uses the device.",
                cause: "a reset taken for complete when the write returns, as in version 2",
                remedy: "Poll Status for 0, with a timeout, before any other write and before buffers are freed.")
        default: preconditionFailure("a check without a clause")
        }
    }
}
