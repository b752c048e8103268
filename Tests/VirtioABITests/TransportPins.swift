// The pins of the transport's and the virtqueues' numbers.

import UAPI
import VirtioABI

extension UAPITests {
    static let registersPins: [Pin] = [
        Pin("Register.magicValue", Register.magicValue, .macro("VIRTIO_MMIO_MAGIC_VALUE")),
        Pin("Register.version", Register.version, .macro("VIRTIO_MMIO_VERSION")),
        Pin("Register.deviceID", Register.deviceID, .macro("VIRTIO_MMIO_DEVICE_ID")),
        Pin("Register.vendorID", Register.vendorID, .macro("VIRTIO_MMIO_VENDOR_ID")),
        Pin("Register.deviceFeatures", Register.deviceFeatures, .macro("VIRTIO_MMIO_DEVICE_FEATURES")),
        Pin("Register.deviceFeaturesSel", Register.deviceFeaturesSel, .macro("VIRTIO_MMIO_DEVICE_FEATURES_SEL")),
        Pin("Register.driverFeatures", Register.driverFeatures, .macro("VIRTIO_MMIO_DRIVER_FEATURES")),
        Pin("Register.driverFeaturesSel", Register.driverFeaturesSel, .macro("VIRTIO_MMIO_DRIVER_FEATURES_SEL")),
        Pin("Register.queueSel", Register.queueSel, .macro("VIRTIO_MMIO_QUEUE_SEL")),
        Pin("Register.queueSizeMax", Register.queueSizeMax, .macro("VIRTIO_MMIO_QUEUE_NUM_MAX")),
        Pin("Register.queueSize", Register.queueSize, .macro("VIRTIO_MMIO_QUEUE_NUM")),
        Pin("Register.queueReady", Register.queueReady, .macro("VIRTIO_MMIO_QUEUE_READY")),
        Pin("Register.queueNotify", Register.queueNotify, .macro("VIRTIO_MMIO_QUEUE_NOTIFY")),
        Pin("Register.interruptStatus", Register.interruptStatus, .macro("VIRTIO_MMIO_INTERRUPT_STATUS")),
        Pin("Register.interruptACK", Register.interruptACK, .macro("VIRTIO_MMIO_INTERRUPT_ACK")),
        Pin("Register.status", Register.status, .macro("VIRTIO_MMIO_STATUS")),
        Pin("Register.queueDescLow", Register.queueDescLow, .macro("VIRTIO_MMIO_QUEUE_DESC_LOW")),
        Pin("Register.queueDescHigh", Register.queueDescHigh, .macro("VIRTIO_MMIO_QUEUE_DESC_HIGH")),
        Pin("Register.queueDriverLow", Register.queueDriverLow, .macro("VIRTIO_MMIO_QUEUE_AVAIL_LOW")),
        Pin("Register.queueDriverHigh", Register.queueDriverHigh, .macro("VIRTIO_MMIO_QUEUE_AVAIL_HIGH")),
        Pin("Register.queueDeviceLow", Register.queueDeviceLow, .macro("VIRTIO_MMIO_QUEUE_USED_LOW")),
        Pin("Register.queueDeviceHigh", Register.queueDeviceHigh, .macro("VIRTIO_MMIO_QUEUE_USED_HIGH")),
        Pin("Register.shmSel", Register.shmSel, .macro("VIRTIO_MMIO_SHM_SEL")),
        Pin("Register.shmLenLow", Register.shmLenLow, .macro("VIRTIO_MMIO_SHM_LEN_LOW")),
        Pin("Register.shmLenHigh", Register.shmLenHigh, .macro("VIRTIO_MMIO_SHM_LEN_HIGH")),
        Pin("Register.shmBaseLow", Register.shmBaseLow, .macro("VIRTIO_MMIO_SHM_BASE_LOW")),
        Pin("Register.shmBaseHigh", Register.shmBaseHigh, .macro("VIRTIO_MMIO_SHM_BASE_HIGH")),
        // 4.2.2; the headers do not define it.
        Pin("Register.queueReset", Register.queueReset, .specification(0x0c0)),
        Pin("Register.configGeneration", Register.configGeneration, .macro("VIRTIO_MMIO_CONFIG_GENERATION")),
    ]

    static let transportPins: [Pin] = [
        // 4.2.2; 4.2.2.1.
        Pin("Register.magic", Register.magic, .specification(0x7472_6976)),
        Pin("Register.mmioVersion", Register.mmioVersion, .specification(2)),
        Pin("Register.configuration", Register.configuration, .macro("VIRTIO_MMIO_CONFIG")),
        // One page: this board's choice.
        Pin("Register.window", Register.window, .specification(4096)),
        Pin("InterruptStatus.usedBuffer", InterruptStatus.usedBuffer, .macro("VIRTIO_MMIO_INT_VRING")),
        Pin(
            "InterruptStatus.configurationChange", InterruptStatus.configurationChange,
            .macro("VIRTIO_MMIO_INT_CONFIG")),

        Pin("DeviceStatus.acknowledge", DeviceStatus.acknowledge, .macro("VIRTIO_CONFIG_S_ACKNOWLEDGE")),
        Pin("DeviceStatus.driver", DeviceStatus.driver, .macro("VIRTIO_CONFIG_S_DRIVER")),
        Pin("DeviceStatus.driverOK", DeviceStatus.driverOK, .macro("VIRTIO_CONFIG_S_DRIVER_OK")),
        Pin("DeviceStatus.featuresOK", DeviceStatus.featuresOK, .macro("VIRTIO_CONFIG_S_FEATURES_OK")),
        // 2.1.
        Pin("DeviceStatus.suspend", DeviceStatus.suspend, .specification(16)),
        Pin("DeviceStatus.needsReset", DeviceStatus.needsReset, .macro("VIRTIO_CONFIG_S_NEEDS_RESET")),
        Pin("DeviceStatus.failed", DeviceStatus.failed, .macro("VIRTIO_CONFIG_S_FAILED")),
        Pin("DeviceStatus.running", DeviceStatus.running, .specification(0x0f)),

        Pin("Features.indirectDescriptors", Features.indirectDescriptors, .bit("VIRTIO_RING_F_INDIRECT_DESC")),
        Pin("Features.eventIndex", Features.eventIndex, .bit("VIRTIO_RING_F_EVENT_IDX")),
        Pin("Features.version1", Features.version1, .bit("VIRTIO_F_VERSION_1")),
        Pin("Features.accessPlatform", Features.accessPlatform, .bit("VIRTIO_F_ACCESS_PLATFORM")),
        Pin("Features.ringPacked", Features.ringPacked, .bit("VIRTIO_F_RING_PACKED")),
        Pin("Features.inOrder", Features.inOrder, .bit("VIRTIO_F_IN_ORDER")),
        Pin("Features.orderPlatform", Features.orderPlatform, .bit("VIRTIO_F_ORDER_PLATFORM")),
        Pin("Features.notificationData", Features.notificationData, .newBit("VIRTIO_F_NOTIFICATION_DATA", 38)),
        Pin("Features.ringReset", Features.ringReset, .bit("VIRTIO_F_RING_RESET")),
        // The draft, and 6.
        Pin("Features.suspendDraft", Features.suspendDraft, .specification(1 << 42)),
        Pin("Features.suspend", Features.suspend, .specification(1 << 43)),

        Pin("DeviceID.network", DeviceID.network, .macro("VIRTIO_ID_NET")),
        Pin("DeviceID.block", DeviceID.block, .macro("VIRTIO_ID_BLOCK")),
        Pin("DeviceID.console", DeviceID.console, .macro("VIRTIO_ID_CONSOLE")),
        Pin("DeviceID.entropy", DeviceID.entropy, .macro("VIRTIO_ID_RNG")),
    ]

    static let ringsPins: [Pin] = [
        Pin("Descriptor.Flags.next", Descriptor.Flags.next, .macro("VRING_DESC_F_NEXT")),
        Pin("Descriptor.Flags.write", Descriptor.Flags.write, .macro("VRING_DESC_F_WRITE")),
        Pin("Descriptor.Flags.indirect", Descriptor.Flags.indirect, .macro("VRING_DESC_F_INDIRECT")),
        Pin("SplitRing.noInterrupt", SplitRing.noInterrupt, .macro("VRING_AVAIL_F_NO_INTERRUPT")),
        Pin("SplitRing.noNotify", SplitRing.noNotify, .macro("VRING_USED_F_NO_NOTIFY")),
        Pin("SplitRing.descriptorAlignment", SplitRing.descriptorAlignment, .macro("VRING_DESC_ALIGN_SIZE")),
        Pin("SplitRing.availableAlignment", SplitRing.availableAlignment, .macro("VRING_AVAIL_ALIGN_SIZE")),
        Pin("SplitRing.usedAlignment", SplitRing.usedAlignment, .macro("VRING_USED_ALIGN_SIZE")),
        Pin("SplitRing.descriptorSize", SplitRing.descriptorSize, layout: UAPI_DESC_SIZE),
        Pin("SplitRing.flags", SplitRing.flags, layout: UAPI_AVAIL_FLAGS),
        Pin("SplitRing.index", SplitRing.index, layout: UAPI_AVAIL_IDX),
        Pin("SplitRing.ring", SplitRing.ring, layout: UAPI_AVAIL_RING),
        Pin("SplitRing.availableEntrySize", SplitRing.availableEntrySize, layout: UAPI_AVAIL_ENTRY_SIZE),
        Pin("SplitRing.usedEntrySize", SplitRing.usedEntrySize, layout: UAPI_USED_ENTRY_SIZE),
        // 2.7.
        Pin("SplitRing.maximumSize", SplitRing.maximumSize, .specification(32768)),
    ]

    static let packedRingPins: [Pin] = [
        Pin("PackedRing.descriptorSize", PackedRing.descriptorSize, layout: UAPI_PACKED_DESC_SIZE),
        // 2.8.
        Pin("PackedRing.descriptorAlignment", PackedRing.descriptorAlignment, .specification(16)),
        Pin("PackedRing.eventAlignment", PackedRing.eventAlignment, .specification(4)),
        Pin("PackedRing.length", PackedRing.length, layout: UAPI_PACKED_DESC_LEN),
        Pin("PackedRing.id", PackedRing.id, layout: UAPI_PACKED_DESC_ID),
        Pin("PackedRing.flags", PackedRing.flags, layout: UAPI_PACKED_DESC_FLAGS),
        Pin("PackedRing.availableBit", PackedRing.availableBit, .bit("VRING_PACKED_DESC_F_AVAIL")),
        Pin("PackedRing.usedBit", PackedRing.usedBit, .bit("VRING_PACKED_DESC_F_USED")),
        Pin("PackedRing.ownerBits", PackedRing.ownerBits, .specification(0x8080)),
        Pin("PackedRing.eventSize", PackedRing.eventSize, layout: UAPI_PACKED_EVENT_SIZE),
        Pin("PackedRing.eventFlags", PackedRing.eventFlags, layout: UAPI_PACKED_EVENT_FLAGS),
        // 2.8.14: two bits of flags.
        Pin("PackedRing.eventFlagsMask", PackedRing.eventFlagsMask, .specification(3)),
        Pin("PackedRing.eventEnable", PackedRing.eventEnable, .macro("VRING_PACKED_EVENT_FLAG_ENABLE")),
        Pin("PackedRing.eventDisable", PackedRing.eventDisable, .macro("VRING_PACKED_EVENT_FLAG_DISABLE")),
        Pin("PackedRing.eventDescriptor", PackedRing.eventDescriptor, .macro("VRING_PACKED_EVENT_FLAG_DESC")),
        Pin("PackedRing.eventWrapBit", PackedRing.eventWrapBit, .bit("VRING_PACKED_EVENT_F_WRAP_CTR")),
    ]

    /// The same offsets in both rings of a split queue.
    static let usedRing: [(UInt64, Int)] = [
        (SplitRing.flags, UAPI_USED_FLAGS), (SplitRing.index, UAPI_USED_IDX), (SplitRing.ring, UAPI_USED_RING),
    ]
}
