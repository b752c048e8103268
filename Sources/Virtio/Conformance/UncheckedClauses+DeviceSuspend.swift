// Clauses on SUSPEND in both dialects that no check covers.

extension Clause {
    /// SUSPEND, in the draft and in 1.4 (Suspend.md).
    static var deviceSuspendClauses: [Clause] {
        [
            Clause(
                "V5-DEV-1", .device, .must,
                "If the draft's VIRTIO_F_SUSPEND was negotiated, the device must handle SUSPEND as the draft describes.",
                cause: "the behaviour of 1.4 for bit 42: DRIVER_OK cleared by the device",
                remedy: "Choose the dialect by the feature bit: 42 is the draft's, 43 is that of 1.4."),
            Clause(
                "V5-DEV-2", .device, .must, "The device must ignore SUSPEND if VIRTIO_F_SUSPEND was not negotiated.",
                cause: "SUSPEND handled because the feature was offered",
                remedy: "Check the accepted features, and mask SUSPEND out."),
            Clause(
                "V5-DEV-3", .device, .must, "The device must ignore SUSPEND while DRIVER_OK is clear.",
                cause: "a write of both bits checked against the new value of Status",
                remedy: "Check SUSPEND against the value of Status before the write."),
            Clause(
                "V5-DEV-4", .device, .must,
                "After the resume, the device must show the driver the same state as before the suspend.",
                cause: "InterruptStatus, QueueSel or queue positions lost when the backend was released",
                remedy: "Keep registers and queue state; release only what can be created again."),
            Clause(
                "V5-DEV-5", .device, .must,
                "A suspended device must ignore writes to the configuration space, except Status.",
                cause: "emerg_wr or writeback handled by the device type, which does not know the suspend state",
                remedy: "Check for suspension before passing the write to the device type."),
            Clause(
                "V5-DEV-6", .device, .mustNot, "A suspended device must not send notifications.",
                cause: "a backend that raises the interrupt on its own",
                remedy: "Hold its completions, and notify after the resume."),
            Clause(
                "V5-DEV-7", .device, .mustNot, "A suspended device must not access queues.",
                cause: "an ioeventfd that wakes the worker without a register access",
                remedy: "Check the suspend state before taking each chain."),
            Clause(
                "V5-DEV-8", .device, .mustNot, "A suspended device must not change configuration fields.",
                cause: "a disk or terminal resized by the host during the suspend",
                remedy: "Stage the new value, and commit it on resume."),
            Clause(
                "V5-DEV-11", .device, .should,
                "Before showing SUSPEND, the device should use and notify every buffer that it can finish.",
                cause: "the suspend acknowledged in the write of Status, with requests in flight",
                remedy: "Drain first, up to a deadline, then show SUSPEND."),
            Clause(
                "V5-DEV-13", .device, .should, "A suspended device should use fewer resources.",
                cause: "polling threads and timers that continue to run",
                remedy: "Let worker threads sleep from the acknowledgement to the resume."),
            Clause(
                "V14-DEV-1", .device, .must, "The device must ignore SUSPEND until it is completely initialized.",
                cause: "SUSPEND accepted after FEATURES_OK, before DRIVER_OK",
                remedy: "Accept SUSPEND only if DRIVER_OK was accepted since the reset."),
            Clause(
                "V14-DEV-2", .device, .should,
                "A suspended device should ignore writes to its configuration space, except Status.",
                cause: "only the queues suspended, so that a write to writeback changes the cache mode",
                remedy: "Ignore writes to fields while suspended."),
            Clause(
                "V14-DEV-3", .device, .mustNot, "A suspended device must not send used buffer notifications.",
                cause: "bit 0 of InterruptStatus set by a completion that races with the acknowledgement",
                remedy: "Count requests in flight, and show the device suspended when none is left."),
            Clause(
                "V14-DEV-4", .device, .mustNot, "A suspended device must not access queues.",
                cause: "console input written to the receiveq as it arrives",
                remedy: "Keep input on the host until the resume."),
            Clause(
                "V14-DEV-5", .device, .mustNot, "A suspended device must not change configuration fields.",
                cause: "capacity updated immediately, and only the notification deferred", remedy: "Defer both."),
            Clause(
                "V14-DEV-6", .device, .mustNot, "A suspended device must not send configuration change notifications.",
                cause: "a window size handler that sets bit 1 of InterruptStatus directly",
                remedy: "Record that a notification is pending."),
            Clause(
                "V14-DEV-7", .device, .must,
                "If the configuration changed during the suspend, the device must notify the driver when it resumes.",
                cause: "the new value committed without a notification",
                remedy: "Set bit 1 of InterruptStatus after Status shows DRIVER_OK again."),
            Clause(
                "V14-DEV-8", .device, .must,
                "When asked to suspend, the device must suspend or set DEVICE_NEEDS_RESET.",
                cause: "a drain that waits without a deadline for I/O that does not complete",
                remedy: "Limit the drain, and set DEVICE_NEEDS_RESET when it times out."),
            Clause(
                "V14-DEV-9", .device, .must, "When asked to resume, the device must resume or set DEVICE_NEEDS_RESET.",
                cause: "a backend that cannot be reopened, and an error that is ignored",
                remedy: "Set DEVICE_NEEDS_RESET on that error."),
            Clause(
                "V14-DEV-10", .device, .should,
                "Before showing itself suspended, the device should stop consuming buffers.",
                cause: "a drain that continues as long as the driver adds buffers",
                remedy: "Take no buffer after the write of SUSPEND."),
            Clause(
                "V14-DEV-11", .device, .should,
                "Before showing itself suspended, the device should wait until all buffers being processed are used.",
                cause: "requests in flight discarded or deferred to the resume",
                remedy: "Wait until the backend has completed all of them."),
            Clause(
                "V14-DEV-12", .device, .should,
                "Before showing itself suspended, the device should send the used buffer notifications.",
                cause: "Status changed before InterruptStatus: a driver that polls Status misses the last ones",
                remedy: "Set InterruptStatus first, then Status."),
        ]
    }
}
