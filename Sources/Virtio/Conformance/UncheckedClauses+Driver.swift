// Clauses on drivers that no check covers: breaking them leaves no trace, or no certain one, in what a device observes.

extension Clause {
    /// All unchecked clauses on drivers.
    static var otherDriverClauses: [Clause] {
        baseDriverClauses + entropyDriverClauses + networkDriverClauses + networkDriverPermissions + driverPermissions
            + driverSuspendClauses
    }

    /// VIRTIO 1.4, except SUSPEND.
    static var baseDriverClauses: [Clause] {
        [
            Clause(
                "2.2.1-2", .driver, .mustNot,
                "The driver must not accept a feature that requires another feature that it does not accept.",
                cause: "features disabled one by one: VIRTIO_NET_F_HOST_TSO4 kept without VIRTIO_NET_F_CSUM",
                remedy: "Also disable the features that depend on it."),
            Clause(
                "2.6.1.1.2-1", .driver, .must,
                "After requesting a queue reset, the driver must verify that the queue has been reset: see 4.2.2.2-21.",
                cause: "a driver that frees the ring immediately after the write",
                remedy: "Read QueueReset until it is 0, then free the ring."),
            Clause(
                "2.8.16-3", .driver, .must,
                "When notifying, the driver must set next_off and next_wrap to the next descriptor not yet made available.",
                cause: "the position of the added list; a device can detect it only if no more lists are added",
                remedy: "Use the position and wrap counter after the last added list."),
            Clause(
                "2.8.19-3", .driver, .mustNot,
                "The driver must not create an indirect list longer than the device allows: see 2.8.17-1.",
                cause: "a table limited only by memory", remedy: "Split the request, or check seg_max."),
            Clause(
                "4.2.2.2-16", .driver, .must, "To stop using a queue, the driver must write 0 to QueueReady.",
                cause: "a driver that only stops adding buffers and frees the ring",
                remedy: "Write 0 to QueueReady, read it back, then free the ring."),
            Clause(
                "5.3.6.2.2-1", .driver, .must,
                "With VIRTIO_CONSOLE_F_MULTIPORT, the driver must send VIRTIO_CONSOLE_DEVICE_READY.",
                cause: "control queues set up but not used, so that the device announces no port",
                remedy: "Send VIRTIO_CONSOLE_DEVICE_READY with value 1 after DRIVER_OK."),
            Clause(
                "5.3.6.2.2-3", .driver, .must,
                "The driver must answer VIRTIO_CONSOLE_CONSOLE_PORT with VIRTIO_CONSOLE_PORT_OPEN.",
                cause: "the message treated as information only",
                remedy: "Send VIRTIO_CONSOLE_PORT_OPEN with value 1."),
            Clause(
                "2.2.1-3", .driver, .must, "The driver must validate the feature bits that the device offers.",
                cause: "a feature used without checking that it is offered",
                remedy: "Compare DeviceFeatures with the features that the driver requires."),
            Clause(
                "2.2.1-4", .driver, .must,
                "The driver must ignore offered bits that are unknown, reserved, or not for this transport or device type.",
                cause: "a bit of one device type interpreted for all types",
                remedy: "First mask DeviceFeatures with the driver's features for this type."),
            Clause(
                "2.2.1-5", .driver, .mustNot,
                "The driver must not accept a bit that is unknown, reserved, or not for this transport or device type.",
                cause: "DeviceFeatures copied to DriverFeatures unchanged",
                remedy: "List each feature that the driver accepts."),
            Clause(
                "2.2.1-6", .driver, .should,
                "If a feature that it understands is not offered, the driver should use its backwards compatible mode.",
                cause: "indirect tables or event indices treated as required",
                remedy: "Keep a code path that works without the feature."),
            Clause(
                "2.2.1-7", .driver, .must,
                "A driver that cannot work without a missing feature must set FAILED and stop initialization.",
                cause: "a probe function that returns an error and leaves DRIVER in Status",
                remedy: "Write FAILED on that path."),
            Clause(
                "2.2.1-8", .driver, .mustNot,
                "The driver must not fail only because the device offers a feature that the driver does not know.",
                cause: "DeviceFeatures compared with a constant",
                remedy: "Test only the bits that the driver requires."),
            Clause(
                "2.4.2-1", .driver, .should, "The driver should consider its reset complete when Status reads 0.",
                cause: "rings freed immediately after 0 is written",
                remedy: "Read Status until it is 0, then free the rings."),
            Clause(
                "2.5.1-1", .driver, .mustNot,
                "The driver must not assume that reads of a field wider than 32 bits, or of several fields, are atomic.",
                cause: "capacity combined from two halves, with a resize between the reads",
                remedy: "Compare ConfigGeneration before and after the reads."),
            Clause(
                "2.5.1-2", .driver, .should,
                "The driver should repeat reading fields until ConfigGeneration is the same before and after.",
                cause: "ConfigGeneration read only once, in the probe function",
                remedy: "Repeat the reads until both values are equal."),
            Clause(
                "2.5.1-4", .driver, .mustNot, "The driver must not limit the size of the configuration space.",
                cause: "a check that the region has exactly the size of the structure",
                remedy: "Accept a larger configuration space."),
            Clause(
                "2.5.1-5", .driver, .should,
                "The driver should check only that the configuration space is large enough for the fields it needs.",
                cause: "the size of the newest structure required although its last fields are not used",
                remedy: "Compare with the end of the last field that the driver uses."),
            Clause(
                "2.6.1.2.2-1", .driver, .must,
                "When re-enabling a queue, the driver must configure it as during initialization.",
                cause: "only QueueReady written, although the reset cleared the addresses",
                remedy: "Use the code that sets up a new queue."),
            Clause(
                "2.7.4.2-2", .driver, .shouldNot,
                "The driver should not use an excessive number of descriptors for a buffer.",
                cause: "a buffer divided into single bytes or words",
                remedy: "Merge adjacent pieces before mapping them."),
            Clause(
                "2.7.7.1-5", .driver, .must, "The driver must handle spurious notifications from the device.",
                cause: "a handler that takes one used entry for each interrupt",
                remedy: "First compare the used idx with the driver's position."),
            Clause(
                "2.7.8.3-1", .driver, .mustNot,
                "The driver must not make assumptions about data beyond the first len bytes of a buffer.",
                cause: "a device that returns less than requested, and a driver that ignores len",
                remedy: "Compare len with the length needed before using the data."),
            Clause(
                "2.7.8.3-2", .driver, .should, "The driver should ignore data beyond the first len bytes of a buffer.",
                cause: "a receive buffer passed on whole, including its old contents",
                remedy: "Truncate the buffer to len."),
            Clause(
                "2.7.10.1-1", .driver, .must,
                "The driver must initialize flags of the used ring to 0 when it allocates the ring.",
                cause: "reused memory, where a flag of 1 suppresses every notification",
                remedy: "Clear the ring before setting QueueReady."),
            Clause(
                "2.7.10.1-2", .driver, .must, "Without VIRTIO_F_EVENT_IDX, the driver must ignore avail_event.",
                cause: "a queue that keeps the features from before a reset",
                remedy: "Set the queue's mode from DriverFeatures each time."),
            Clause(
                "2.7.10.1-3", .driver, .shouldNot,
                "Without VIRTIO_F_EVENT_IDX, the driver should not notify while flags of the used ring is 1.",
                cause: "QueueNotify written for each buffer, which costs an exit each time",
                remedy: "Check VIRTQ_USED_F_NO_NOTIFY first."),
            Clause(
                "2.7.10.1-4", .driver, .must,
                "Without VIRTIO_F_EVENT_IDX, the driver must notify after adding a buffer if flags of the used ring is 0.",
                cause: "flags read before the available idx is visible: the device stops polling in between",
                remedy: "Read flags after a barrier that follows the store of idx."),
            Clause(
                "2.7.10.1-5", .driver, .must,
                "With VIRTIO_F_EVENT_IDX, the driver must ignore bit 0 of flags in the used ring.",
                cause: "flags checked before avail_event", remedy: "Check only avail_event."),
            Clause(
                "2.7.10.1-6", .driver, .must,
                "With VIRTIO_F_EVENT_IDX, the driver must notify when it writes the available entry whose index is avail_event.",
                cause: "several buffers added, and avail_event compared only with the last",
                remedy: "Check whether avail_event is among all entries added since the last check, modulo 2^16."),
            Clause(
                "2.7.10.1-7", .driver, .shouldNot,
                "With VIRTIO_F_EVENT_IDX, the driver should not notify for other entries.",
                cause: "the feature accepted, but avail_event never read",
                remedy: "Notify only if avail_event is among the new entries."),
            Clause(
                "2.7.13.3.1-1", .driver, .must,
                "The driver must use a suitable memory barrier before it updates the available idx.",
                cause: "a plain store of idx that the compiler or the CPU moves before the entries",
                remedy: "Order idx after the entries by a write barrier or a release store."),
            Clause(
                "2.7.13.4.1-1", .driver, .must,
                "The driver must use a suitable memory barrier before it reads flags or avail_event.",
                cause: "only a release store of idx: the load passes it, and the notification is lost",
                remedy: "Use a full barrier between the store of idx and the load, on x86 too."),
            Clause(
                "2.8.16-2", .driver, .mustNot,
                "The driver must not change a packed descriptor after it changes VIRTQ_DESC_F_AVAIL in it.",
                cause: "len corrected after the data is known",
                remedy: "Fill in the descriptor first, and write flags last."),
            Clause(
                "2.8.17-4", .driver, .mustNot,
                "The driver must not depend on the device using more descriptors to make room for the rest of a list.",
                cause: "descriptors written one by one, with a wait for used ones in between",
                remedy: "Delay the request until the ring has space for the whole list."),
            Clause(
                "2.8.21.1.1-1", .driver, .must,
                "The driver must use a suitable memory barrier before it updates the flags of a packed descriptor.",
                cause: "the descriptor stored as one structure",
                remedy: "Store flags separately, with release ordering."),
            Clause(
                "2.8.21.3.1-1", .driver, .must,
                "The driver must use a suitable memory barrier before it reads the device event suppression structure.",
                cause: "the structure read too early, while it still disables notifications",
                remedy: "Use a full barrier between the store of flags and the load."),
            Clause(
                "3.1.1-5", .driver, .should, "If initialization fails irrecoverably, the driver should set FAILED.",
                cause: "an early return when a ring cannot be allocated",
                remedy: "Set FAILED before releasing the device."),
            Clause(
                "3.3.1-2", .driver, .must,
                "The driver must reset the device before it removes buffers that are available.",
                cause: "memory freed when a request times out",
                remedy: "Reset the device, wait until Status reads 0, then free."),
            Clause(
                "4.2.2.2-6", .driver, .must, "The driver must ignore a device whose MagicValue is not 0x74726976.",
                cause: "a wrong address in the device tree or on the command line",
                remedy: "Check MagicValue before any write."),
            Clause(
                "4.2.2.2-8", .driver, .must, "The driver must ignore a device whose Version is not 2.",
                cause: "a legacy device treated as version 2, although its queue registers differ",
                remedy: "Check Version, and stop if the driver does not implement it."),
            Clause(
                "4.2.2.2-10", .driver, .must, "The driver must ignore a device whose DeviceID is 0.",
                cause: "an empty slot bound to a driver that matches any type", remedy: "Skip the slot."),
            Clause(
                "4.2.2.2-11", .driver, .mustNot, "The driver must not report an error for a DeviceID of 0.",
                cause: "one error message for all failing probes", remedy: "Return without a message."),
            Clause(
                "4.2.2.2-18", .driver, .must, "The driver must ignore undefined bits in InterruptStatus.",
                cause: "a handler that compares the whole value", remedy: "Test bit 0 and bit 1 separately."),
            Clause(
                "4.2.3.1.1-1", .driver, .must,
                "The driver must start initialization by reading and checking MagicValue and Version.",
                cause: "Status written before the driver has checked that this is a virtio device",
                remedy: "Read both registers before the first write."),
            Clause(
                "4.2.3.1.1-2", .driver, .must, "If MagicValue and Version are valid, the driver must read DeviceID.",
                cause: "the device type taken from a board table", remedy: "Choose the driver by DeviceID."),
            Clause(
                "4.2.3.1.1-3", .driver, .must, "If DeviceID is 0, the driver must abort initialization.",
                cause: "ACKNOWLEDGE and DRIVER set before a driver is selected",
                remedy: "Return before writing Status."),
            Clause(
                "4.2.3.1.1-4", .driver, .mustNot, "If DeviceID is 0, the driver must not access any other register.",
                cause: "VendorID read for a log message", remedy: "Read no register after DeviceID."),
            Clause(
                "4.2.3.1.1-5", .driver, .mustNot,
                "The driver must not use the shared memory registers if it does not expect shared memory: see VMM-8.",
                cause:
                    "a transport that probes regions for every device; the device cannot see what the driver expects",
                remedy: "Read these registers only for device types that define shared memory regions."),
            Clause(
                "4.2.3.1.1-6", .driver, .must,
                "After DeviceID, the driver must continue with the general device initialization sequence.",
                cause: "queues set up with the transport, before feature negotiation",
                remedy: "Set up queues after FEATURES_OK."),
            Clause(
                "4.2.3.4.1-1", .driver, .must,
                "After an interrupt, the driver must read InterruptStatus to learn the cause: see VMM-7.",
                cause:
                    "a handler that assumes the cause; the device cannot see whether the driver takes interrupts or polls",
                remedy: "Read InterruptStatus, handle its events, then write the value to InterruptACK."),
            Clause(
                "4.2.3.4.1-2", .driver, .should,
                "The driver should treat bit 0 of InterruptStatus as a used buffer notification for each active queue.",
                cause: "a handler that checks only the queue notified last", remedy: "Check every queue in use."),
            Clause(
                "4.2.3.4.1-3", .driver, .must,
                "After handling an interrupt, the driver must acknowledge the handled events in InterruptACK.",
                cause: "an early return that leaves the interrupt line asserted",
                remedy: "Write InterruptACK on every path of the handler."),
            Clause(
                "5.2.5.1-1", .driver, .shouldNot,
                "A driver that cannot send flush requests should not negotiate VIRTIO_BLK_F_FLUSH.",
                cause: "a boot loader that accepts all offered features, so that its writes remain in the cache",
                remedy: "Do not accept the feature; the device then uses writethrough."),
            Clause(
                "5.2.5.1-3", .driver, .should,
                "With VIRTIO_BLK_F_FLUSH but no VIRTIO_BLK_F_CONFIG_WCE, the driver should assume a writeback cache.",
                cause: "writeback read as 0 although the field is not offered",
                remedy: "Send flushes whenever the feature was negotiated."),
            Clause(
                "5.2.6.1-1", .driver, .should,
                "On a configuration change notification, the driver should check whether capacity has changed.",
                cause: "no handler, so that a resized disk keeps its old size",
                remedy: "Read capacity in the handler, and resize the disk."),
            Clause(
                "5.2.6.1-3", .driver, .should, "The driver should accept VIRTIO_BLK_F_RO if it is offered.",
                cause: "a feature list written for writable disks",
                remedy: "Accept it, and reject writes in the driver."),
            Clause(
                "5.2.6.1-13", .driver, .mustNot,
                "After writing 0 to writeback, the driver must not assume that earlier volatile writes are on persistent storage.",
                cause: "the cache switched off instead of a final flush", remedy: "Send a flush after switching."),
            Clause(
                "5.2.6.1-15", .driver, .mustNot,
                "The driver must not assume anything about the data read from a discarded range.",
                cause: "a discard used to zero sectors", remedy: "Use write zeroes instead."),
            Clause(
                "5.2.6.1-16", .driver, .mustNot,
                "After VIRTIO_BLK_S_IOERR for several segments, the driver must not assume the outcome of any single segment.",
                cause: "a retry that skips segments assumed to be complete",
                remedy: "Repeat the whole request, or send one segment per request."),
            Clause(
                "5.3.6.2.2-2", .driver, .should,
                "The driver should treat a port named in VIRTIO_CONSOLE_CONSOLE_PORT as a text console.",
                cause: "every port registered as a plain character device",
                remedy: "Register the port as a system console."),
            Clause(
                "5.3.6.2.2-4", .driver, .must,
                "The VIRTIO_CONSOLE_PORT_OPEN that answers VIRTIO_CONSOLE_CONSOLE_PORT must have value 1.",
                cause: "a zeroed message in which only id and event are set", remedy: "Set value to 1."),
            Clause(
                "6.1-6", .driver, .should, "The driver should accept VIRTIO_F_RING_PACKED if it is offered.",
                cause: "a driver that implements only split virtqueues",
                remedy: "Implement packed virtqueues; without the feature, split virtqueues are used."),
        ]
    }
}
