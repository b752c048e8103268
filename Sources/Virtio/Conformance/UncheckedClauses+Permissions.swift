// Clauses that leave the device a choice (`TortureChoice`), and those of virtio-mmio version 3. Of the text of version 3 only the
// proposal's description was at hand (virtio-spec issue 246, accepted in May 2026): V3-DEV-2, -4 and -5 are this model's reading of it.

extension Clause {
    /// What a device may do, and a driver has to expect.
    static var permissions: [Clause] {
        [
            Clause(
                "2.6-0", .device, .stated,
                "The device uses buffers when it has done with them: in any order, unless VIRTIO_F_IN_ORDER was negotiated.",
                cause: "a driver that takes the oldest request for the one that has ended",
                remedy: "Find the request by the id of its used buffer."),
            Clause(
                "2.7.8-0", .device, .stated,
                "The device may write several used entries before it updates the used idx.",
                cause: "a driver that takes one buffer for each interrupt",
                remedy:
                    "After an interrupt take all used buffers, and look once more after interrupts are enabled again."),
            Clause(
                "2.7.10.2-2", .device, .may,
                "Without VIRTIO_F_EVENT_IDX, the device may set flags of the used ring to 1 to suppress notifications.",
                cause: "a driver that reads flags once",
                remedy: "Read flags, behind a full barrier, each time after the available idx was updated."),
            Clause(
                "2.7.10.2-4", .device, .may,
                "With VIRTIO_F_EVENT_IDX, the device may suppress notifications up to the entry whose index is avail_event.",
                cause: "a driver that notifies the device for each buffer or for none",
                remedy: "Notify when the entries added since the last check pass avail_event."),
            Clause(
                "5.2.6-0d", .device, .stated, "VIRTIO_BLK_S_IOERR reports an error of the device or the driver.",
                cause: "a driver that looks at the used length instead of the status byte",
                remedy: "Read the status byte of each request, also of a write."),
            Clause(
                "5.3.6-0", .device, .stated,
                "A used buffer of a receiveq has as many bytes of input as its used length says.",
                cause: "a driver that waits for full buffers",
                remedy: "Take the used length for the number of bytes, from 1 upward."),
        ]
    }

    /// Resets in virtio-mmio version 3.
    static var versionThreeClauses: [Clause] {
        [
            Clause(
                "V3-DEV-1", .device, .must,
                "In version 3, a reset is over when Status reads 0. From then on the device uses nothing older in guest memory.",
                cause: "Status set to 0 in the write, while a thread still reads or writes buffers",
                remedy: "Show the old Status until the last request in flight has ended."),
            Clause(
                "V3-DEV-2", .device, .decision,
                "While a reset is in progress, Status shows what it showed before, and every write but InterruptACK and emergency output is ignored: SUSPEND, the queues' registers, notifications.",
                cause: "a write of Status that ends or restarts the reset",
                remedy: "Ignore it: the reset goes on to its end."),
            Clause(
                "V3-DEV-3", .device, .stated, "A device whose Status reads 0 is reset at once.",
                cause: "a reset in progress that Status does not show",
                remedy: "Complete the reset in the write."),
            Clause(
                "V3-DEV-4", .device, .decision,
                "From the write of 0 on, the device pops and uses no buffer and raises no interrupt. Requests in flight may still access their own buffers until Status reads 0.",
                cause: "a completion that writes the used ring during the reset",
                remedy: "Drop what ends during the reset."),
            Clause(
                "V3-DEV-5", .device, .decision,
                "InterruptStatus keeps its bits until the reset is over, so that the interrupt that was asserted can be acknowledged. A configuration that changes meanwhile is shown afterwards, without an interrupt.",
                cause: "InterruptStatus cleared while a handler reads it",
                remedy: "Clear it when Status becomes 0."),
        ]
    }
}
