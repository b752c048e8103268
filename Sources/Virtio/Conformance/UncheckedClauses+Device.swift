// Clauses on devices that no check covers: the device keeps them by construction, and its tests show that. Here those
// of chapter 2.

extension Clause {
    /// All clauses on devices.
    static var deviceClauses: [Clause] {
        deviceFacilityClauses + permissions + devicePermissions + deviceTransportClauses + deviceTypeClauses
            + entropyDeviceClauses + networkDeviceClauses + networkTransmitClauses + networkReceiveClauses
            + networkCommandClauses + deviceStatements + versionThreeClauses + deviceSuspendClauses
            + suspendStatements + suspendDecisions
    }

    /// Status, features, reset and virtqueues (2).
    static var deviceFacilityClauses: [Clause] {
        [
            Clause(
                "2.1.2-1", .device, .mustNot,
                "The device must not consume buffers or send used buffer notifications before DRIVER_OK.",
                cause: "a worker thread that starts at QueueReady",
                remedy: "Start serving queues when DRIVER_OK is accepted."),
            Clause(
                "2.1.2-2", .device, .should,
                "The device should set DEVICE_NEEDS_RESET when it enters an error state that needs a reset.",
                cause: "an error path that only logs and stops the queue",
                remedy: "Set the bit wherever a queue stops permanently."),
            Clause(
                "2.1.2-3", .device, .must,
                "With DRIVER_OK set, the device must send a configuration change notification after it sets DEVICE_NEEDS_RESET.",
                cause: "the bit set by a thread that cannot raise the interrupt",
                remedy: "Set bit 1 of InterruptStatus together with DEVICE_NEEDS_RESET."),
            Clause(
                "2.2.2-1", .device, .mustNot,
                "The device must not offer a feature that requires another feature that it does not offer.",
                cause: "one bit removed by an option, but not the bits that depend on it",
                remedy: "Remove the dependent features together with it."),
            Clause(
                "2.2.2-2", .device, .should, "The device should accept any valid subset of the offered features.",
                cause: "a backend tested only with the features that Linux accepts",
                remedy: "Test each offered feature accepted and not accepted."),
            Clause(
                "2.2.2-3", .device, .must,
                "If it does not support the accepted features, the device must leave FEATURES_OK clear.",
                cause: "Status stored exactly as written",
                remedy: "Check DriverFeatures when FEATURES_OK is written, and leave the bit clear in Status."),
            Clause(
                "2.2.2-4", .device, .mustNot,
                "The device must not offer features it would not support: unknown, reserved, or of another transport or type.",
                cause: "the feature bits of a backend passed on without a mask",
                remedy: "Offer only the features that the transport and the device type implement."),
            Clause(
                "2.2.2-5", .device, .shouldNot,
                "The device should not refuse, after a reset, a set of features that it has accepted before.",
                cause: "offered features computed again at each reset from a backend that has changed",
                remedy: "Fix the offered features when the device is created."),
            Clause(
                "2.4.1-1", .device, .must, "On a reset, the device must set Status to 0.",
                cause: "DEVICE_NEEDS_RESET or FAILED kept across the reset",
                remedy: "Clear every bit of Status, including those that the device sets."),
            Clause(
                "2.4.1-2", .device, .mustNot,
                "After a reset, the device must not notify or access queues until the driver initializes it again.",
                cause: "a completion that arrives after the reset",
                remedy: "Number the resets, and discard completions from before the current one."),
            Clause(
                "2.5.2-1", .device, .must,
                "The device must allow reading every field whose feature is offered before FEATURES_OK is set.",
                cause: "fields filled in only when features are accepted",
                remedy: "Derive the fields from the offered features, not from the accepted ones."),
            Clause(
                "2.6.1.1.1-1", .device, .mustNot,
                "After a queue reset, the device must not execute requests of the queue or notify the driver for it.",
                cause: "a request taken before the reset and completed after it",
                remedy: "Wait for the backend, or discard its completions, before QueueReset reads 0."),
            Clause(
                "2.6.1.1.1-2", .device, .must,
                "A queue reset must reset all state of the queue, including its available and used positions.",
                cause: "addresses cleared, but the last available idx kept",
                remedy: "Discard the queue's state, and create it again at QueueReady = 1."),
            Clause(
                "2.6.1.2.1-1", .device, .must,
                "When a queue is enabled again, the device must use the configuration that the driver has set for it.",
                cause: "queue size and mapped addresses cached by the worker thread",
                remedy: "Read QueueSize and the addresses at every QueueReady = 1."),
            Clause(
                "2.7.4.1-1", .device, .mustNot,
                "The device must not make assumptions about how a buffer is divided into descriptors.",
                cause: "a header expected in a descriptor of its own",
                remedy: "Find header, data and status by their byte positions."),
            Clause(
                "2.7.5.1-1", .device, .mustNot, "The device must not write to a device-readable buffer.",
                cause: "the status written to the last descriptor regardless of its flags",
                remedy: "Write only where VIRTQ_DESC_F_WRITE is set."),
            Clause(
                "2.7.5.1-2", .device, .shouldNot, "The device should not read a device-writable buffer.",
                cause: "the header parsed from the first descriptor even if it is writable",
                remedy: "Parse input only from the readable part."),
            Clause(
                "2.7.5.1-4", .device, .mustNot, "The device must not write to the descriptor table.",
                cause: "next or flags changed in place while a chain is walked",
                remedy: "Copy each descriptor, and use the copy."),
            Clause(
                "2.7.5.3.2-1", .device, .must,
                "The device must ignore VIRTQ_DESC_F_WRITE in a descriptor that refers to an indirect table.",
                cause: "the descriptor treated as writable, so that readable ones in the table seem misplaced",
                remedy: "Check VIRTQ_DESC_F_INDIRECT before any other flag."),
            Clause(
                "2.7.5.3.2-2", .device, .must,
                "The device must handle normal descriptors chained before the one that refers to an indirect table.",
                cause: "VIRTQ_DESC_F_INDIRECT checked only in the head of a chain",
                remedy: "Check the flag in each descriptor of the chain."),
            Clause(
                "2.7.7.2-1", .device, .must, "Without VIRTIO_F_EVENT_IDX, the device must ignore used_event.",
                cause: "used_event compared regardless of the negotiated features",
                remedy: "Use flags or used_event depending on the accepted features."),
            Clause(
                "2.7.7.2-2", .device, .shouldNot,
                "Without VIRTIO_F_EVENT_IDX, the device should not notify while flags of the available ring is 1.",
                cause: "an interrupt raised unconditionally for each used buffer",
                remedy: "Read flags before raising the interrupt."),
            Clause(
                "2.7.7.2-3", .device, .must,
                "Without VIRTIO_F_EVENT_IDX, the device must notify after using a buffer if flags of the available ring is 0.",
                cause: "flags read before idx is visible: a driver that enables interrupts in between gets none",
                remedy: "Put a full barrier between the store of idx and the load of flags."),
            Clause(
                "2.7.7.2-4", .device, .must,
                "With VIRTIO_F_EVENT_IDX, the device must ignore bit 0 of flags in the available ring.",
                cause: "both conditions checked, so that a set bit suppresses all interrupts of the queue",
                remedy: "Check only used_event."),
            Clause(
                "2.7.7.2-5", .device, .must,
                "With VIRTIO_F_EVENT_IDX, the device must notify when it writes the used entry whose index is used_event.",
                cause: "used_event compared only with the last entry of a batch",
                remedy: "Check whether used_event is among the new entries, modulo 2^16."),
            Clause(
                "2.7.7.2-6", .device, .shouldNot,
                "With VIRTIO_F_EVENT_IDX, the device should not notify for other used entries.",
                cause: "new entries counted from the start of the queue, so that used_event is always among them",
                remedy: "Count from the used position of the last such check."),
            Clause(
                "2.7.8.2-1", .device, .must, "The device must set len of a used entry before it updates the used idx.",
                cause: "entry and idx stored in program order without a barrier",
                remedy: "Store idx with release ordering."),
            Clause(
                "2.7.8.2-2", .device, .must,
                "The device must write at least len bytes from the start of the writable part before it updates the used idx.",
                cause: "the buffer size reported for a read that failed or was short",
                remedy: "Report only bytes written contiguously from the start."),
            Clause(
                "2.7.10.2-1", .device, .must,
                "Without VIRTIO_F_EVENT_IDX, the device must set flags of the used ring to 0 or 1.",
                cause: "unused bits of flags used for device state", remedy: "Store only VIRTQ_USED_F_NO_NOTIFY or 0."),
            Clause(
                "2.7.10.2-3", .device, .must,
                "With VIRTIO_F_EVENT_IDX, the device must set flags of the used ring to 0.",
                cause: "polling that sets VIRTQ_USED_F_NO_NOTIFY regardless of the negotiated features",
                remedy: "To suppress notifications, leave avail_event at an old value."),
            Clause(
                "2.7.10.2-5", .device, .must,
                "The device must handle a spurious notification, sent when no new buffer is available.",
                cause: "a handler that takes one entry for each notification",
                remedy: "Compare the available idx with the device's position before taking each chain."),
            Clause(
                "2.8.12-1", .device, .must,
                "In a packed virtqueue, the device must start processing descriptors in ring order.",
                cause: "several workers that each look for an available descriptor",
                remedy: "Take descriptors in one place, under the queue's lock."),
            Clause(
                "2.8.12-2", .device, .must,
                "In a packed virtqueue, the device must start writing used descriptors in the order in which requests complete.",
                cause: "completions collected by each worker and written later",
                remedy: "Write the used descriptor when the request completes."),
            Clause(
                "2.8.15-1", .device, .mustNot,
                "In a packed virtqueue, the device must not write to a device-readable buffer.",
                cause: "a reply written after the header, at a fixed position of the list",
                remedy: "Split the list by VIRTQ_DESC_F_WRITE before writing."),
            Clause(
                "2.8.15-2", .device, .shouldNot,
                "In a packed virtqueue, the device should not read a device-writable buffer.",
                cause: "a buffer read, modified and written back to fill a part of it",
                remedy: "Store only the new bytes."),
            Clause(
                "2.8.15-3", .device, .mustNot,
                "The device must not use a packed descriptor before it observes that VIRTQ_DESC_F_AVAIL has changed.",
                cause: "a wrap counter not inverted at the end of the ring",
                remedy: "Compare the flag with the wrap counter, with acquire ordering, then read the rest."),
            Clause(
                "2.8.15-4", .device, .mustNot,
                "The device must not change a packed descriptor after it changes VIRTQ_DESC_F_USED in it.",
                cause: "id and len stored after flags", remedy: "Store id and len, then flags with release ordering."),
            Clause(
                "2.8.18-1", .device, .must,
                "The device must use the descriptors of a packed list in the order in which they were made available.",
                cause: "segments sorted by address to merge adjacent ones",
                remedy: "Walk the list from its first descriptor, and keep that order."),
        ]
    }
}
