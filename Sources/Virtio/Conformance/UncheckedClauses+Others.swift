// What VIRTIO 1.4 permits, and what it asks of devices and drivers of another kind than these.

extension Clause {
    static var devicePermissions: [Clause] {
        [
            Clause(
                "2.7.4.1-2", .device, .may,
                "The device may limit the number of descriptors in a chain: here QueueSizeMax.",
                cause: "a chain with a descriptor for each page of a large buffer",
                remedy: "Use at most QueueSizeMax descriptors for a buffer."),
            Clause(
                "2.7.5.1-3", .device, .may,
                "The device may read a device-writable buffer for debugging: this one does not.",
                cause: "a driver that reads its old data back",
                remedy: "Expect only the first len bytes to be defined."),
            Clause(
                "2.7.8.2-3", .device, .may,
                "The device may write more than len bytes: the status byte behind data that was not written is not counted here.",
                cause: "a driver that takes len for all that was written",
                remedy: "Do not rely on what lies behind the first len bytes."),
            Clause(
                "2.8.12-3", .device, .may,
                "The device may reorder writes of used descriptors once they are started: this one does not.",
                cause: "a driver that looks at more than the next used descriptor",
                remedy: "Poll only the next one."),
            Clause(
                "2.8.18-2", .device, .may,
                "The device may limit the number of buffers in a list of a packed virtqueue: here QueueSizeMax.",
                cause: "a list with a descriptor for each page of a large buffer",
                remedy: "Use at most QueueSizeMax descriptors for a list."),
            Clause(
                "2.10.2-1", .device, .mustNot,
                "A shared memory region must not expose what controls the device, nor stream data: here is no region.",
                cause: "registers in a region",
                remedy: "Use regions for shared data only."),
            Clause(
                "5.2.6.2-1", .device, .may,
                "The device may change capacity while it runs.",
                cause: "a driver that reads capacity once",
                remedy: "Read it again after each configuration change notification."),
            Clause(
                "5.2.6.2-7", .device, .may,
                "The device may deallocate discarded sectors.",
                cause: "a driver that reads them back",
                remedy: "Write what has to be read again."),
            Clause(
                "5.2.6.2-8", .device, .may,
                "With unmap in write zeroes, the device may deallocate the sectors.",
                cause: "storage that is needed later",
                remedy: "Clear unmap to keep the sectors allocated."),
            Clause(
                "5.2.6.2-11", .device, .may,
                "The device may change write_zeroes_may_unmap while it runs: this one does not.",
                cause: "a driver that reads it once",
                remedy: "Read it again after each configuration change notification."),
            Clause(
                "5.2.6.2-14", .device, .may,
                "A disk that does not offer VIRTIO_BLK_F_FLUSH may commit writes before it completes them: this one does.",
                cause: "a disk without the feature taken for a safe one",
                remedy: "Offer the feature, and let the driver flush."),
            Clause(
                "5.2.6.2-15", .device, .should,
                "A disk whose storage has lifetime metrics should offer VIRTIO_BLK_F_LIFETIME: a file has none.",
                cause: "metrics of the host's disk given for a file on it",
                remedy: "Do not offer the feature for a file."),
            Clause(
                "5.4.6.2-2", .device, .may,
                "The device may use less than the whole buffer.",
                cause: "a driver that takes the whole buffer for random",
                remedy: "Use the used length."),
            Clause(
                "6.2-2", .device, .may,
                "A device may fail to operate if VIRTIO_F_VERSION_1 is not accepted: this one refuses FEATURES_OK.",
                cause: "a legacy driver",
                remedy: "Accept bit 32."),
            Clause(
                "6.2-3", .device, .should,
                "A device behind an IOMMU, or with access to some memory only, should offer VIRTIO_F_ACCESS_PLATFORM: not this one.",
                cause: "an IOMMU that the driver does not know of",
                remedy: "Offer the feature if addresses are translated."),
        ]
    }

    static var driverPermissions: [Clause] {
        [
            Clause(
                "2.6.1.1.2-2", .driver, .may,
                "After a queue reset, the driver may free the queue's memory.",
                cause: "memory freed before QueueReset reads 0",
                remedy: "Wait for 0."),
            Clause(
                "2.7.7.1-2", .driver, .may,
                "Without VIRTIO_F_EVENT_IDX, the driver may set flags of the available ring to 1 to suppress interrupts.",
                cause: "an interrupt for each buffer while the driver polls",
                remedy: "Set flags to 1 while polling."),
            Clause(
                "2.7.7.1-4", .driver, .may,
                "With VIRTIO_F_EVENT_IDX, the driver may suppress interrupts by used_event.",
                cause: "an interrupt for each buffer",
                remedy: "Set used_event to the entry that is waited for."),
            Clause(
                "2.8.16-4", .driver, .may,
                "The driver may send several notifications without making new descriptors available.",
                cause: "a device that takes each for a buffer",
                remedy: "Look into the ring."),
            Clause(
                "3.1.1-2", .driver, .may,
                "During feature negotiation the driver may read the configuration space.",
                cause: "a driver that accepts a device which it cannot drive",
                remedy: "Read the fields of the offered features."),
            Clause(
                "4.2.2.2-7", .driver, .may,
                "The driver may report an error for a device with another MagicValue (-9: Version).",
                cause: "a device that is silently ignored",
                remedy: "Say which value was read."),
            Clause(
                "4.2.2.2-22", .driver, .may,
                "After a queue reset, the driver may make the queue ready again, with other values if it likes (-23).",
                cause: "registers left as they were, whose values are not specified",
                remedy: "Write all registers of the queue, then QueueReady."),
            Clause(
                "5.2.5.1-2", .driver, .may,
                "With neither VIRTIO_BLK_F_CONFIG_WCE nor VIRTIO_BLK_F_FLUSH, the driver may deduce a writethrough cache.",
                cause: "flush requests, which such a disk does not need",
                remedy: "Send no flush requests."),
            Clause(
                "5.2.6.1-12", .driver, .may,
                "With VIRTIO_BLK_F_CONFIG_WCE, the driver may switch the cache by writing 0 or 1 to writeback.",
                cause: "another value written",
                remedy: "Write 0 or 1, as one byte."),
            Clause(
                "6.1-2", .driver, .may,
                "The driver may fail to operate further if VIRTIO_F_VERSION_1 is not offered.",
                cause: "a legacy device",
                remedy: "Set FAILED."),
            Clause(
                "6.1-3", .driver, .should,
                "The driver should accept VIRTIO_F_ACCESS_PLATFORM if it is offered: this board does not offer it.",
                cause: "physical addresses given to a device behind an IOMMU",
                remedy: "Use the platform's DMA addresses."),
            Clause(
                "6.1-7", .driver, .should,
                "The driver should accept VIRTIO_F_ORDER_PLATFORM if it is offered: this board does not offer it.",
                cause: "barriers for processors only, with a device in hardware",
                remedy: "Use the barriers for devices if it was accepted."),
            Clause(
                "6.1-13", .driver, .should,
                "The driver should accept VIRTIO_F_NOTIF_CONFIG_DATA if it is offered: virtio-mmio has no such data.",
                cause: "the queue index written instead",
                remedy: "Write what the device gave."),
        ]
    }
}
