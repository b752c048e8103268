// Clauses on the device status, the features and the registers.

extension Check {
    /// The clause of a check on the transport; nil for other checks.
    var transportClause: Clause? {
        switch self {
        case .statusShowsSteps:
            Clause(
                "2.1.1-1", .driver, .must,
                "The driver must set status bits as it completes initialization steps: DRIVER before it writes features.",
                cause: "feature negotiation called before the driver sets DRIVER",
                remedy: "Write DRIVER to Status, then write DriverFeatures.")
        case .statusBitKept:
            Clause(
                "2.1.1-2", .driver, .mustNot, "The driver must not clear a status bit, except by a reset.",
                cause: "a constant written to Status instead of the current bits plus one",
                remedy: "Keep every set bit in each write to Status, except in the write of 0.")
        case .resetAfterFailed:
            Clause(
                "2.1.1-3", .driver, .must,
                "After the driver sets FAILED, it must reset the device before it initializes it again.",
                cause: "a retry that starts at ACKNOWLEDGE", remedy: "Write 0 to Status first.")
        case .needsResetNotUsed:
            Clause(
                "2.1.1-4", .driver, .shouldNot,
                "While DEVICE_NEEDS_RESET is set, the driver should not rely on operations to complete: it has read the bit, and notifies.",
                cause: "no handler for the configuration change notification that reports DEVICE_NEEDS_RESET",
                remedy: "Reset the device, then fail or resubmit the requests that were in flight.")
        case .featureOffered:
            Clause(
                "2.2.1-1", .driver, .mustNot, "The driver must not accept a feature that the device does not offer.",
                cause: "the driver's own feature list written back without a mask, or the wrong word selected",
                remedy: "Accept the intersection of DeviceFeatures and the features that the driver implements.")
        case .featuresRewritten:
            Clause(
                "VMM-4", .driver, .advice,
                "The driver should not write DriverFeatures after FEATURES_OK, even without new bits: the device ignores it.",
                cause: "an unwanted feature removed after negotiation",
                remedy: "Choose the features before FEATURES_OK, or reset the device and start again.")
        case .queuesAfterFeatures:
            Clause(
                "3.1.1-1c", .driver, .must,
                "The driver must set FEATURES_OK before it sets up queues: until then the device ignores QueueReady.",
                cause: "queues set up in the probe function, or together with the transport",
                remedy: "Write queue registers after FEATURES_OK is read back.")
        case .initialisationOrder:
            Clause(
                "3.1.1-1a", .driver, .must,
                "The driver must set ACKNOWLEDGE, DRIVER, FEATURES_OK and DRIVER_OK in this order.",
                cause: "several steps combined in one write",
                remedy: "Set FEATURES_OK and DRIVER_OK in separate writes.")
        case .featuresOKReadBack:
            Clause(
                "3.1.1-1b", .driver, .must,
                "After setting FEATURES_OK, the driver must read Status to check that the bit is still set.",
                cause: "a driver tested only with devices that always accept FEATURES_OK",
                remedy: "Read Status, and stop if FEATURES_OK is not set.")
        case .configurationLeftAlone:
            Clause(
                "3.1.1-3", .driver, .mustNot,
                "The driver must not write the configuration space before it sets FEATURES_OK.",
                cause: "device setup done in the probe function",
                remedy: "Write the configuration space after FEATURES_OK is read back.")
        case .featuresFinal:
            Clause(
                "3.1.1-4", .driver, .mustNot,
                "The driver must not accept new feature bits after it sets FEATURES_OK: DriverFeatures is then final.",
                cause: "a feature turned on or off after negotiation",
                remedy: "Choose the features before FEATURES_OK, or reset the device and start again.")
        case .featuresRefused:
            Clause(
                "3.1.1-6", .driver, .mustNot,
                "The driver must not continue initialization after the device refuses FEATURES_OK.",
                cause: "the Status value read back is not checked", remedy: "Set FAILED and stop.")
        case .notificationAfterDriverOK:
            Clause(
                "3.1.1-7", .driver, .mustNot,
                "The driver must not send an available buffer notification before it sets DRIVER_OK.",
                cause: "receive buffers added and notified during queue setup", remedy: "Set DRIVER_OK, then notify.")
        case .version1Accepted:
            Clause(
                "6.1-1", .driver, .must, "The driver must accept VIRTIO_F_VERSION_1 (bit 32) if the device offers it.",
                cause: "only feature word 0 is negotiated", remedy: "Also select feature word 1, and set its bit 0.")
        case .fieldOffered:
            Clause(
                "2.5.1-3", .driver, .must,
                "The driver must check that a feature is offered before it accesses a configuration field that depends on it.",
                cause: "the whole configuration structure copied at once",
                remedy: "Check DeviceFeatures before accessing the field.")
        case .registerDefined:
            Clause(
                "4.2.2.2-1", .driver, .mustNot,
                "The driver must not access registers or configuration fields that the specification does not describe.",
                cause: "a driver for virtio-mmio version 1, or a structure larger than the device's",
                remedy: "Use the version 2 registers, and derive the size of the fields from the offered features.")
        case .registerWritable:
            Clause(
                "4.2.2.2-2", .driver, .mustNot, "The driver must not write to read-only registers.",
                cause: "InterruptStatus written instead of InterruptACK",
                remedy: "Write to the writable register for that purpose.")
        case .fieldWritable:
            Clause(
                "VMM-5", .driver, .advice,
                "The driver should write only configuration fields that its device type lets it write: the device ignores others.",
                cause: "writeback written without VIRTIO_BLK_F_CONFIG_WCE negotiated",
                remedy: "Check the negotiated features before writing a field.")
        case .registerReadable:
            Clause(
                "4.2.2.2-3", .driver, .mustNot, "The driver must not read from write-only registers.",
                cause: "a read-modify-write, or a selector read back", remedy: "Keep the written value in the driver.")
        case .registerWidth:
            Clause(
                "4.2.2.2-4", .driver, .must,
                "The driver must access control registers only by aligned 32-bit reads and writes.",
                cause: "a memcpy, a byte access to Status, or a 64-bit store to a pair of address registers",
                remedy: "Use 32-bit accessors for all offsets below 0x100.")
        case .fieldWidth:
            Clause(
                "4.2.2.2-5", .driver, .must,
                "The driver must access a configuration field by an aligned access of its width, 64-bit fields by two of 32 bits.",
                cause: "a memcpy that the compiler widened or split",
                remedy: "Read each field with an accessor of its width.")
        case .deviceFeaturesSelected:
            Clause(
                "4.2.2.2-12", .driver, .must, "The driver must write DeviceFeaturesSel before it reads DeviceFeatures.",
                cause: "the selector assumed to be 0 after a reset",
                remedy: "Write the number of the feature word first, even for word 0.")
        case .driverFeaturesSelected:
            Clause(
                "4.2.2.2-13", .driver, .must,
                "The driver must write DriverFeaturesSel before it writes DriverFeatures.",
                cause: "the selector assumed to be 0 after a reset",
                remedy: "Write the number of the feature word first, even for word 0.")
        case .queueSelected:
            Clause(
                "4.2.3.2-0", .driver, .advice,
                "The driver should write QueueSel before it accesses queue registers: its value after a reset is not specified.",
                cause: "the selector assumed to be 0 after a reset",
                remedy: "Write the queue index first, even for queue 0.")
        case .queueSizeAllowed:
            Clause(
                "4.2.2.2-14", .driver, .must, "The driver must write a QueueSize that is at most QueueSizeMax.",
                cause: "a fixed queue size",
                remedy: "Use the smaller of QueueSizeMax and the size that the driver wants.")
        case .readyQueueLeftAlone:
            Clause(
                "4.2.2.2-15", .driver, .mustNot,
                "The driver must not access QueueSize or the queue address registers while QueueReady is not 0.",
                cause: "a queue set up twice without a reset",
                remedy: "Write 0 to QueueReady and read it back, or reset the queue.")
        case .queueStopReadBack:
            Clause(
                "4.2.2.2-17", .driver, .must,
                "After writing 0 to QueueReady, the driver must read it back: here, before it makes the queue ready again.",
                cause: "the queue assumed to be stopped when the write returns",
                remedy: "Read QueueReady until it is 0.")
        case .queueEndSeen:
            Clause(
                "VMM-6", .driver, .advice,
                "After stopping or resetting a queue, the driver should write its registers only when QueueReady has read 0.",
                cause: "QueueReady or QueueReset read once, while a request was in flight, or not at all",
                remedy: "Read QueueReady, or after a queue reset QueueReset, until it is 0.")
        case .eventPending:
            Clause(
                "4.2.2.2-19", .driver, .must,
                "The driver must write to InterruptACK the events that it handled: none that has not occurred since the reset.",
                cause: "a constant written to InterruptACK",
                remedy: "Write the value that was read from InterruptStatus.")
        case .definedEvents:
            Clause(
                "4.2.2.2-20", .driver, .mustNot,
                "The driver must not set undefined bits in InterruptACK: only bits 0 and 1 are defined.",
                cause: "all ones written to acknowledge every event",
                remedy: "Write the value that was read from InterruptStatus.")
        case .queueResetNegotiated:
            Clause(
                "VMM-9", .driver, .advice,
                "The driver should write QueueReset only if VIRTIO_F_RING_RESET was negotiated: the device ignores it otherwise.",
                cause: "QueueReset reads 0 at once, so the driver frees a ring that the device still uses",
                remedy: "Accept the feature, or stop the queue by QueueReady = 0.")
        case .ringEmptyWhenReady:
            Clause(
                "VMM-10", .driver, .advice,
                "When QueueReady is written 1, no buffer should be available: the available idx is 0, the packed ring is clear.",
                cause: "the ring of an earlier use not cleared: the device takes its old entries again",
                remedy: "Clear all parts of the queue before QueueReady = 1, and add buffers after it.")
        case .queueResetAwaited:
            Clause(
                "4.2.2.2-21", .driver, .mustNot,
                "The driver must not consider a queue reset complete, or make the queue ready again, before QueueReset reads 0.",
                cause: "the queue assumed to be reset when the write returns",
                remedy: "Read QueueReset until it is 0.")
        case .noSharedMemory:
            Clause(
                "VMM-8", .driver, .advice,
                "The driver should not use the shared memory registers of a device type without shared memory (4.2.3.1.1-5).",
                cause: "a transport that probes shared memory regions for every device",
                remedy: "Read these registers only for device types that define shared memory regions.")
        case .interruptStatusRead:
            Clause(
                "VMM-7", .driver, .advice,
                "The driver should acknowledge only events that it has read from InterruptStatus since it last acknowledged them.",
                cause: "a handler that assumes the cause of the interrupt: an event that arrives in between is lost",
                remedy: "Read InterruptStatus, handle its events, then write the value to InterruptACK.")
        case .notifiedQueueExists:
            Clause(
                "4.2.3.3-0", .driver, .stated,
                "The value written to QueueNotify names an existing queue of the device.",
                cause: "an address or a bit mask written, or VIRTIO_F_NOTIFICATION_DATA ignored",
                remedy: "Write the queue index; with VIRTIO_F_NOTIFICATION_DATA, write the full 32-bit value.")
        case .notifiedQueueReady:
            Clause(
                "VMM-1", .driver, .advice,
                "The driver should notify only queues that are ready: the device discards other notifications.",
                cause: "a notification that races with the queue being stopped",
                remedy: "Set QueueReady before notifying, and stop notifying before stopping the queue.")
        default: nil
        }
    }
}
