// Clauses on the MMIO transport and the device types that no check covers.

extension Clause {
    /// The MMIO transport (4.2).
    static var deviceTransportClauses: [Clause] {
        [
            Clause(
                "4.2.2.1-1", .device, .must, "The device must return 0x74726976 in MagicValue.",
                cause: "the bytes v, i, r, t stored in host byte order",
                remedy: "Return the value in little-endian byte order."),
            Clause(
                "4.2.2.1-2", .device, .must, "The device must return 2 in Version.",
                cause: "the legacy register layout, which has version 1",
                remedy: "Return 2, and implement the version 2 registers."),
            Clause(
                "4.2.2.1-3", .device, .must,
                "The device must set an event's bit in InterruptStatus from the event until the driver acknowledges it.",
                cause: "the register cleared on read, as virtio-pci does",
                remedy: "Clear bits only by InterruptACK and by reset."),
            Clause(
                "4.2.2.1-4", .device, .must, "Bits of InterruptStatus without an event must be 0.",
                cause: "both bits set for every interrupt",
                remedy: "Set bit 0 for used buffers and bit 1 for configuration changes."),
            Clause(
                "4.2.2.1-5", .device, .must,
                "On a reset, the device must clear InterruptStatus, and QueueReady of all queues.",
                cause: "only the queues in use cleared, or a bit set again by a late completion",
                remedy: "Clear them under the lock that completions take."),
            Clause(
                "4.2.2.1-6", .device, .must,
                "The device must change ConfigGeneration if a driver could otherwise see an inconsistent configuration.",
                cause: "a field changed by another thread, and ConfigGeneration changed later",
                remedy: "Change both together, under the register lock."),
            Clause(
                "4.2.2.1-7", .device, .mustNot, "The device must not access a queue's contents while QueueReady is 0.",
                cause: "a worker that still runs when QueueReady already reads 0",
                remedy: "Return 0 only when no request of the queue is in flight."),
            Clause(
                "4.2.2.1-8", .device, .must,
                "With VIRTIO_F_RING_RESET, the device must return 0 in QueueReset after a device reset.",
                cause: "an ongoing queue reset that the device reset does not end",
                remedy: "Clear QueueReset together with the queue's state."),
            Clause(
                "4.2.2.1-9", .device, .must,
                "With VIRTIO_F_RING_RESET, the device must return 0 in QueueReset after the queue is enabled.",
                cause: "the written 1 stored and returned permanently",
                remedy: "Return in QueueReset whether a queue reset is ongoing."),
            Clause(
                "4.2.2.1-10", .device, .must, "The device must reset the queue when 1 is written to QueueReset.",
                cause: "VIRTIO_F_RING_RESET offered by the transport but not implemented by the queues",
                remedy: "Implement the queue reset, or do not offer the feature."),
            Clause(
                "4.2.2.1-11", .device, .must,
                "The device must return 1 in QueueReset while the queue reset is ongoing.",
                cause: "0 returned immediately, with requests still in flight",
                remedy: "Return 1 until the last request in flight has completed."),
            Clause(
                "4.2.2.1-12", .device, .must,
                "The device must return 0 in QueueReset and QueueReady when the queue reset has completed.",
                cause: "QueueReady left at 1 because the addresses are still set",
                remedy: "End the reset by clearing the queue's state and both bits in one step."),
        ]
    }

    /// Block, console and the reserved feature bits (5.2, 5.3, 6.2).
    static var deviceTypeClauses: [Clause] {
        [
            Clause(
                "5.2.5.2-1", .device, .should, "A disk should always offer VIRTIO_BLK_F_FLUSH.",
                cause: "a backend opened for direct I/O that is assumed to be durable",
                remedy: "Offer the feature, and sync the backend for each flush."),
            Clause(
                "5.2.5.2-2", .device, .must,
                "A disk that offers VIRTIO_BLK_F_CONFIG_WCE must offer VIRTIO_BLK_F_FLUSH.",
                cause: "an option that removes VIRTIO_BLK_F_FLUSH but not VIRTIO_BLK_F_CONFIG_WCE",
                remedy: "Remove both features together."),
            Clause(
                "5.2.5.2-3", .device, .must,
                "With VIRTIO_BLK_F_CONFIG_WCE but no VIRTIO_BLK_F_FLUSH, the device must initialize writeback to 0.",
                cause: "writeback set to 1 when the device is created, before features are negotiated",
                remedy: "Initialize writeback when FEATURES_OK is accepted."),
            Clause(
                "5.2.5.2-4", .device, .must, "The device must initialize the padding bytes unused0 and unused1 to 0.",
                cause: "a host structure copied with uninitialized padding",
                remedy: "Clear the whole structure before storing the fields."),
            Clause(
                "5.2.5.2-5", .device, .shouldNot, "A disk that is not zoned should not offer VIRTIO_BLK_F_ZONED.",
                cause: "the bit offered for every disk, with model VIRTIO_BLK_Z_NONE",
                remedy: "Offer it only for zoned backends."),
            Clause(
                "5.2.5.2-7", .device, .should,
                "If the driver does not accept VIRTIO_BLK_F_ZONED, the device should continue, with all zoned fields 0.",
                cause: "a structure filled in from the backend, whatever was negotiated",
                remedy: "Leave the zoned fields 0 unless the feature is offered."),
            Clause(
                "5.2.6.2-2", .device, .should,
                "When capacity changes, the device should send a configuration change notification.",
                cause: "an image resized on the host, with only the field updated",
                remedy: "Change capacity on the path that also notifies the driver."),
            Clause(
                "5.2.6.2-3", .device, .must,
                "A disk that offers VIRTIO_BLK_F_RO must answer a write request with VIRTIO_BLK_S_IOERR.",
                cause: "the type treated as unknown and answered with VIRTIO_BLK_S_UNSUPP",
                remedy: "Answer such a write before it reaches the backend."),
            Clause(
                "5.2.6.2-4", .device, .mustNot, "A disk that offers VIRTIO_BLK_F_RO must not write any data.",
                cause: "the feature offered for a file that is open for writing",
                remedy: "Open the file read-only too."),
            Clause(
                "5.2.6.2-5", .device, .must,
                "The device must answer a discard, secure erase or write zeroes with an unknown flag with VIRTIO_BLK_S_UNSUPP.",
                cause: "unknown flags masked out", remedy: "Reject requests with any flag other than unmap."),
            Clause(
                "5.2.6.2-6", .device, .must,
                "The device must answer a discard that has unmap set with VIRTIO_BLK_S_UNSUPP.",
                cause: "flags of discard and write zeroes checked with the same mask",
                remedy: "Allow no flag in a discard."),
            Clause(
                "5.2.6.2-9", .device, .must,
                "After write zeroes, reads of the range must return zeroes, with or without unmap.",
                cause: "a host discard that may leave the old data",
                remedy: "Write zeroes where unmapping does not guarantee them."),
            Clause(
                "5.2.6.2-10", .device, .should,
                "The device should clear write_zeroes_may_unmap if and only if write zeroes cannot deallocate sectors.",
                cause: "a constant value that does not depend on the backend",
                remedy: "Ask the backend whether it can deallocate zeroed sectors."),
            Clause(
                "5.2.6.2-12", .device, .should,
                "When write_zeroes_may_unmap changes, the device should send a configuration change notification.",
                cause: "a backend replaced at run time",
                remedy: "Keep the field constant, or change it on the path that changes capacity."),
            Clause(
                "5.2.6.2-13", .device, .must,
                "With persistent storage, the device must commit stable writes to it before it completes the write or flush.",
                cause: "a flush completed before fdatasync returns, or writethrough only to the host's page cache",
                remedy: "Sync the file before writing the status byte."),
            Clause(
                "5.2.6.2-16", .device, .mustNot,
                "The device must not offer VIRTIO_BLK_F_LIFETIME if its storage has no such metrics.",
                cause: "the feature offered for an image file, with made-up values",
                remedy: "Answer VIRTIO_BLK_T_GET_LIFETIME with VIRTIO_BLK_S_UNSUPP."),
            Clause(
                "5.2.6.2-18", .device, .must,
                "Without VIRTIO_BLK_F_ZONED, the device must reject all VIRTIO_BLK_T_ZONE_ requests with VIRTIO_BLK_S_UNSUPP.",
                cause: "an unknown type answered with VIRTIO_BLK_S_IOERR",
                remedy: "Answer every type that the device does not implement with VIRTIO_BLK_S_UNSUPP."),
            Clause(
                "5.3.5.1-1", .device, .must, "The device must allow a write to emerg_wr, even before it is configured.",
                cause: "configuration writes ignored until FEATURES_OK",
                remedy: "Handle emerg_wr before checking Status."),
            Clause(
                "5.3.5.1-2", .device, .should,
                "The device should send the low byte written to emerg_wr to a log or another output.",
                cause: "the byte queued after output that waits for a driver",
                remedy: "Send it to the log or the terminal immediately."),
            Clause(
                "5.3.6.2.1-1", .device, .mustNot,
                "In VIRTIO_CONSOLE_DEVICE_ADD, the device must not name a port that exists or is not below max_nr_ports.",
                cause: "all ports announced again at a second VIRTIO_CONSOLE_DEVICE_READY",
                remedy: "Record which ports were announced since the reset."),
            Clause(
                "5.3.6.2.1-2", .device, .mustNot,
                "In VIRTIO_CONSOLE_DEVICE_REMOVE, the device must not name a port that was not added before.",
                cause: "a port removed before the driver was told about it",
                remedy: "Cancel the VIRTIO_CONSOLE_DEVICE_ADD if it has not been sent."),
            Clause(
                "6.2-1", .device, .must, "The device must offer VIRTIO_F_VERSION_1.",
                cause: "a device with features only in word 0", remedy: "Set bit 0 in word 1 of DeviceFeatures."),
            Clause(
                "6.2-5", .device, .must,
                "With VIRTIO_F_IN_ORDER, the device must use buffers in the order in which they were made available.",
                cause: "requests returned in the order in which the host's I/O completes",
                remedy: "Hold a completed request until all earlier ones have completed."),
            Clause(
                "6.2-9", .device, .mustNot,
                "The device must not offer VIRTIO_F_SR_IOV unless it is a PCI device with the SR-IOV capability.",
                cause: "the feature bits of a PCI device offered over virtio-mmio",
                remedy: "Offer only features that exist for the transport."),
        ]
    }
}
