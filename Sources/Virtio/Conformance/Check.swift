// What the device looks at of its driver, and the clause behind each check: the transport's and the device types' here, the rings' and
// SUSPEND's in files of their own. The order is that of the specification.

/// A clause that a driver is checked for.
public enum Check: UInt8, CaseIterable, Sendable {
    // Status, features, reset
    case statusShowsSteps, statusBitKept, resetAfterFailed, deadDeviceLeftAlone
    case featureOffered, version1Accepted, featuresFinal, featuresOKReadBack, initialisationOrder
    case configurationLeftAlone, featuresRefused, kickAfterDriverOK
    // Registers
    case fieldOffered, registerDefined, registerWritable, registerReadable, registerWidth, fieldWidth
    case deviceFeaturesSelected, driverFeaturesSelected, queueSelected, queueSizeAllowed, readyQueueLeftAlone
    case queueStopReadBack, eventPending, definedEvents, interruptStatusRead, queueResetAwaited, noSharedMemory
    case notifiedQueueExists, notifiedQueueReady
    // Queues of both forms
    case addressInMemory, bufferOffRings
    // Split rings
    case splitSize, splitAlignment, splitWritableLast, splitDescriptorKept, splitNoLoop, splitNextInTable
    case splitInOrder, tableInOrder, splitIndirectNegotiated, splitOneTable, splitLength, splitTableEndsChain,
        tableWhole
    case availableIndexAdvances, headInTable, headFree, availableFlags, availableFlagsZero
    // Packed rings
    case packedAlignment, packedDescriptorKept, packedLength, packedNoLoop, packedWritableLast, packedRoom
    case packedWholeList, packedIndirectNegotiated, packedTableFlags, packedTableAlone
    // Block
    case writebackAfterFeatures, requestFramed, requestNegotiated, diskWritable, requestOnDisk, flushSectorZero
    case flushWithoutData, wholeSectors, wholeRanges, identityLength, discardRanges, writeZeroesRanges, rangeLength
    case discardUnmapZero
    // Console
    case receiveWritable, transmitReadable, controlMessageMeansSomething
    // SUSPEND, the draft
    case draftBitKept, draftNegotiated, draftAfterDriverOK, draftAwaited, draftConfigurationLeftAlone
    case draftBuffersKept, draftNoNewBuffers, draftNoKick, draftNoReadModifyWrite
    // SUSPEND, 1.4
    case ratifiedAfterDriverOK, ratifiedVerified, ratifiedNoNewBuffers, ratifiedNoKick, ratifiedConfigurationKept
    case ratifiedResumeAwaited, ratifiedBitKept

    /// The clause.
    public var clause: Clause {
        switch self {
        case .statusShowsSteps:
            Clause(
                "2.1.1-1", .driver, .must,
                "The status bits tell which steps of the initialisation are done: DRIVER comes before features.",
                cause: "negotiation code called before the status was set",
                remedy: "Write DRIVER to Status, then DriverFeatures.")
        case .statusBitKept:
            Clause(
                "2.1.1-2", .driver, .mustNot, "A status bit that is set is not cleared, but by a reset.",
                cause: "a constant written to Status in place of the bits read and one more",
                remedy: "Keep the bits that are set in every write but 0.")
        case .resetAfterFailed:
            Clause(
                "2.1.1-3", .driver, .must, "After FAILED the device is reset before it is initialised again.",
                cause: "a retry that starts at ACKNOWLEDGE", remedy: "Write 0 to Status first.")
        case .deadDeviceLeftAlone:
            Clause(
                "2.1.1-4", .driver, .shouldNot, "Nothing is expected of a device that shows DEVICE_NEEDS_RESET.",
                cause: "no handler for the configuration change notification that announces it",
                remedy: "Reset the device, and fail or repeat what was in flight.")
        case .featureOffered:
            Clause(
                "2.2.1-1", .driver, .mustNot, "Only features that the device offers are accepted.",
                cause: "the driver's own list written back without a mask, or the wrong word selected",
                remedy: "Accept the intersection of DeviceFeatures and what the driver knows.")
        case .initialisationOrder:
            Clause(
                "3.1.1-1a", .driver, .must,
                "ACKNOWLEDGE, DRIVER, FEATURES_OK and DRIVER_OK are set one after the other.",
                cause: "several steps folded into one write",
                remedy: "Set FEATURES_OK and DRIVER_OK each in a write of its own.")
        case .featuresOKReadBack:
            Clause(
                "3.1.1-1b", .driver, .must,
                "Status is read after FEATURES_OK was written, to see whether the device kept it.",
                cause: "a driver written against a device that never refuses",
                remedy: "Read Status and give up if FEATURES_OK is not set.")
        case .configurationLeftAlone:
            Clause(
                "3.1.1-3", .driver, .mustNot, "The configuration space is not written before FEATURES_OK.",
                cause: "device setup done in the probe function", remedy: "Write it after FEATURES_OK was read back.")
        case .featuresFinal:
            Clause(
                "3.1.1-4", .driver, .mustNot, "DriverFeatures is not written after FEATURES_OK.",
                cause: "a feature turned off late", remedy: "Decide before FEATURES_OK, or reset and start again.")
        case .featuresRefused:
            Clause(
                "3.1.1-6", .driver, .mustNot, "Initialisation does not go on when the device refused FEATURES_OK.",
                cause: "the value read back is not looked at", remedy: "Set FAILED and stop.")
        case .kickAfterDriverOK:
            Clause(
                "3.1.1-7", .driver, .mustNot, "No queue is notified before DRIVER_OK.",
                cause: "receive buffers put up and kicked during setup", remedy: "Set DRIVER_OK, then notify.")
        case .version1Accepted:
            Clause(
                "6.1-1", .driver, .must, "VIRTIO_F_VERSION_1 (bit 32) is accepted when it is offered.",
                cause: "only the first word of features is negotiated", remedy: "Select word 1 too, and set its bit 0.")
        case .fieldOffered:
            Clause(
                "2.5.1-3", .driver, .must,
                "A field of the configuration space that belongs to a feature is not touched unless the feature is offered.",
                cause: "the whole structure copied at once", remedy: "Look at DeviceFeatures before the field.")
        case .registerDefined:
            Clause(
                "4.2.2.2-1", .driver, .mustNot, "Nothing but the registers and fields that are described is accessed.",
                cause: "a driver of virtio-mmio version 1, or a structure larger than the device's",
                remedy: "Use the version 2 registers, and look at the device's features for the size of its fields.")
        case .registerWritable:
            Clause(
                "4.2.2.2-2", .driver, .mustNot, "Read-only registers and fields are not written.",
                cause: "InterruptStatus written in place of InterruptACK",
                remedy: "Write the register that is meant for it.")
        case .registerReadable:
            Clause(
                "4.2.2.2-3", .driver, .mustNot, "Write-only registers are not read.",
                cause: "a read-modify-write, or a read back of a selector", remedy: "Keep the value in the driver.")
        case .registerWidth:
            Clause(
                "4.2.2.2-4", .driver, .must, "Control registers are accessed by aligned 32-bit loads and stores.",
                cause: "a memcpy, a byte access to Status, or a 64-bit store to a pair of address registers",
                remedy: "Use 32-bit accessors for everything below 0x100.")
        case .fieldWidth:
            Clause(
                "4.2.2.2-5", .driver, .must,
                "A field of the configuration space is accessed by its own width, a 64-bit one by two of 32 bits.",
                cause: "a memcpy that the compiler widened or split",
                remedy: "Read each field by an accessor of its width.")
        case .deviceFeaturesSelected:
            Clause(
                "4.2.2.2-12", .driver, .must, "DeviceFeaturesSel is written before DeviceFeatures is read.",
                cause: "the selector is taken to be 0 after a reset", remedy: "Write the word's number first, 0 too.")
        case .driverFeaturesSelected:
            Clause(
                "4.2.2.2-13", .driver, .must, "DriverFeaturesSel is written before DriverFeatures is.",
                cause: "the selector is taken to be 0 after a reset", remedy: "Write the word's number first, 0 too.")
        case .queueSelected:
            Clause(
                "4.2.3.2-0", .driver, .advice,
                "QueueSel is written before the registers of a queue are used: no text says what it is after a reset.",
                cause: "the selector is taken to be 0 after a reset", remedy: "Write the queue's index first, 0 too.")
        case .queueSizeAllowed:
            Clause(
                "4.2.2.2-14", .driver, .must, "QueueSize is at most QueueSizeMax.",
                cause: "a fixed ring size", remedy: "Use the smaller of QueueSizeMax and what the driver wants.")
        case .readyQueueLeftAlone:
            Clause(
                "4.2.2.2-15", .driver, .mustNot,
                "QueueSize and a queue's addresses are left alone while QueueReady is not 0.",
                cause: "a queue set up twice without a reset",
                remedy: "Write 0 to QueueReady and read it back, or reset the queue.")
        case .queueStopReadBack:
            Clause(
                "4.2.2.2-17", .driver, .must,
                "After QueueReady was written 0 it is read back before the queue is used otherwise.",
                cause: "the write is taken to stop the device at once", remedy: "Read QueueReady until it is 0.")
        case .eventPending:
            Clause(
                "4.2.2.2-19", .driver, .must, "InterruptACK names events that InterruptStatus showed, and no others.",
                cause: "a constant written to InterruptACK: it loses an event that comes between",
                remedy: "Write back what was read from InterruptStatus.")
        case .definedEvents:
            Clause(
                "4.2.2.2-20", .driver, .mustNot, "InterruptACK has no bit but 0 and 1.",
                cause: "all ones written to acknowledge everything",
                remedy: "Write back what was read from InterruptStatus.")
        case .queueResetAwaited:
            Clause(
                "4.2.2.2-21", .driver, .mustNot,
                "A queue that is being reset is not set up again before QueueReset was read as 0.",
                cause: "the write is taken to reset at once", remedy: "Read QueueReset until it is 0.")
        case .noSharedMemory:
            Clause(
                "4.2.3.1.1-5", .driver, .mustNot,
                "The shared memory registers are left alone by drivers of devices that have no such memory.",
                cause: "a transport that looks for regions of every device",
                remedy: "Look only where the device type has them.")
        case .interruptStatusRead:
            Clause(
                "4.2.3.4.1-1", .driver, .must, "InterruptStatus is read before an interrupt is acknowledged.",
                cause: "a handler that knows what to expect", remedy: "Read InterruptStatus, act on it, write it back.")
        case .notifiedQueueExists:
            Clause(
                "4.2.3.3-0", .driver, .stated, "QueueNotify is written the index of a queue of the device.",
                cause: "a doorbell's address or a bit mask written, or VIRTIO_F_NOTIFICATION_DATA forgotten",
                remedy: "Write the queue's index, or with VIRTIO_F_NOTIFICATION_DATA the whole word.")
        case .notifiedQueueReady:
            Clause(
                "VMM-1", .driver, .advice,
                "Only queues that are ready are notified: a notification of another is lost.",
                cause: "a kick that races with the end of its queue",
                remedy: "Set QueueReady first, and stop kicks before it goes.")
        default: ringClause ?? deviceTypeClause ?? suspendClause
        }
    }
}
