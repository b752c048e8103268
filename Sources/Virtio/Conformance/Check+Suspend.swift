// The clauses of SUSPEND, in both dialects (Suspend.md).

extension Check {
    /// The clause, if it is about SUSPEND.
    var suspendClause: Clause {
        switch self {
        case .draftBitKept:
            Clause(
                "V5-DRV-1", .driver, .mustNot, "No status bit but SUSPEND is cleared.",
                cause: "0 or a constant written to resume",
                remedy: "Write the bits read from Status without SUSPEND.")
        case .draftNegotiated:
            Clause(
                "V5-DRV-3", .driver, .mustNot, "SUSPEND is not set unless VIRTIO_F_SUSPEND was negotiated.",
                cause: "the feature bit of the other dialect (42 is the draft's, 43 that of 1.4)",
                remedy: "Accept the bit that is offered, and look at it before.")
        case .draftAfterDriverOK:
            Clause(
                "V5-DRV-4", .driver, .mustNot, "SUSPEND is not set while DRIVER_OK is clear.",
                cause: "a system that suspends while a driver is still being set up",
                remedy: "Suspend only devices that are live.")
        case .draftAwaited:
            Clause(
                "V5-DRV-5", .driver, .must,
                "After SUSPEND was written, Status is read until it shows the value written.",
                cause: "the write is taken to act at once",
                remedy: "Poll Status for SUSPEND, with a limit, before anything else.")
        case .draftConfigurationLeftAlone:
            Clause(
                "V5-DRV-7", .driver, .mustNot,
                "The configuration space of a suspended device is neither read nor written.",
                cause: "a size or a cache mode looked up while the system sleeps", remedy: "Resume the device first.")
        case .draftBuffersKept:
            Clause(
                "V5-DRV-9", .driver, .mustNot,
                "While the device is suspended, buffers that are available and their descriptors stay as they are.",
                cause: "memory of the rings not kept over the suspend, or buffers taken back",
                remedy: "Leave rings and buffers to the device.")
        case .draftNoNewBuffers:
            Clause(
                "V5-DRV-10", .driver, .mustNot, "No buffer is made available to a suspended device.",
                cause: "queues of the upper layers not stopped before", remedy: "Stop requests, then suspend.")
        case .draftNoKick:
            Clause(
                "VMM-3", .driver, .advice, "A suspended device is not notified: the draft lets it forget that.",
                cause: "a kick that the system's suspend overtook", remedy: "Notify every queue after the resume.")
        case .draftNoReadModifyWrite:
            Clause(
                "H-2", .driver, .advice,
                "Status is not read, modified and written while a suspend is under way: it reads SUSPEND = 0, and that is what is written back.",
                cause:
                    "another path of the driver adds a bit to Status; the device takes it for an abort, and the driver waits for ever",
                remedy: "Write no Status between the request and its acknowledgement, but to abort.")
        case .ratifiedAfterDriverOK:
            Clause(
                "V14-DRV-1", .driver, .shouldNot,
                "SUSPEND is not set while DRIVER_OK is clear, nor without VIRTIO_F_SUSPEND.",
                cause: "a driver of the draft, or one that suspends before it is set up",
                remedy: "Look at the feature and at Status before.")
        case .ratifiedVerified:
            Clause(
                "V14-DRV-2", .driver, .must,
                "After SUSPEND was written, Status is read until it shows SUSPEND = 1 and DRIVER_OK = 0.",
                cause: "the write is taken to act at once",
                remedy: "Write once, then only poll: the same byte again asks for the resume.")
        case .ratifiedNoNewBuffers:
            Clause(
                "V14-DRV-3", .driver, .mustNot, "From the write of SUSPEND on, no buffer is made available.",
                cause: "queues of the upper layers not stopped before", remedy: "Stop requests, then suspend.")
        case .ratifiedNoKick:
            Clause(
                "V14-DRV-4", .driver, .mustNot, "From the write of SUSPEND on, no queue is notified.",
                cause: "a kick that the system's suspend overtook",
                remedy: "Hold kicks back, and notify every queue after the resume.")
        case .ratifiedConfigurationKept:
            Clause(
                "V14-DRV-5", .driver, .mustNot, "From the write of SUSPEND on, the configuration space is not written.",
                cause: "a cache mode changed while the system sleeps", remedy: "Resume the device first.")
        case .ratifiedResumeAwaited:
            Clause(
                "V14-DRV-6", .driver, .must,
                "After DRIVER_OK was set to resume, nothing is done before Status shows SUSPEND = 0 and DRIVER_OK = 1.",
                cause: "queues restarted right after the write", remedy: "Poll Status for both bits, with a limit.")
        case .ratifiedBitKept:
            Clause(
                "V14-DRV-7", .driver, .mustNot, "The driver clears no status bit, SUSPEND neither: the device does.",
                cause: "a driver of the draft, which resumes by clearing SUSPEND",
                remedy: "Write the bits read from Status, and DRIVER_OK.")
        default: preconditionFailure("a check without a clause")
        }
    }
}
