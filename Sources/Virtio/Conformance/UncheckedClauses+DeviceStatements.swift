// What the specification and the texts of SUSPEND say of devices without a key word or with MAY, and the hazards of
// SUSPEND for devices.

extension Clause {
    /// VIRTIO 1.4, except SUSPEND.
    static var deviceStatements: [Clause] {
        [
            Clause(
                "2.1-0", .device, .stated, "Status is 0 at first and after a reset.",
                cause: "DEVICE_NEEDS_RESET computed from an error that the reset does not clear",
                remedy: "Clear everything from which Status is derived."),
            Clause(
                "3.2.1-0", .device, .stated,
                "A change of the configuration space by the device, and DEVICE_NEEDS_RESET, cause a configuration change notification.",
                cause: "a field that a thread updates without the transport",
                remedy: "Change fields only on a path that sets bit 1 of InterruptStatus."),
            Clause(
                "4.2.2-0a", .device, .stated, "QueueSizeMax reads 0 if the selected queue does not exist.",
                cause: "QueueSel used as an index without a check, or limited to the last queue",
                remedy: "Return 0 for every queue from the number of queues on."),
            Clause(
                "4.2.2-0b", .device, .stated,
                "QueueReady reads the last value written to it; here, after 0, it reads 1 until no request is in flight.",
                cause: "0 returned while the backend still uses the queue's buffers",
                remedy: "Return 0 only when the queue is no longer accessed (4.2.2.1-7)."),
            Clause(
                "4.2.2-0c", .device, .stated,
                "SHMLen and SHMBase read all ones, as 64 bits, for a region that does not exist.",
                cause: "0 returned, which is an empty region at address 0",
                remedy: "Return 0xffffffff from all four registers."),
            Clause(
                "4.2.3.4-0", .device, .stated,
                "There is one interrupt, asserted while InterruptStatus is not 0, in every state of the device (D-6).",
                cause: "a pulse for each event: the driver misses an event whose bit is set already",
                remedy: "Set the line from InterruptStatus after each change of it."),
            Clause(
                "4.2.5-0", .both, .stated,
                "VIRTIO_F_ADMIN_VQ is not for virtio-mmio; the feature bits of SUSPEND are not excluded.",
                cause: "the feature bits of a PCI device offered over virtio-mmio",
                remedy: "Offer only features that exist for the transport."),
        ]
    }

    /// SUSPEND, in the draft and in 1.4.
    static var suspendStatements: [Clause] {
        [
            Clause(
                "V5-DEF-1", .both, .stated,
                "SUSPEND is bit 16 of Status, with a meaning only if negotiated: the device is suspended.",
                cause: "16 read as a bit number", remedy: "Use the mask 0x10."),
            Clause(
                "V5-FEAT-1", .both, .stated, "The draft's VIRTIO_F_SUSPEND is feature bit 42.",
                cause: "bit 43, which is that of 1.4, with the draft's behaviour",
                remedy: "Choose the behaviour by the bit that was negotiated."),
            Clause(
                "V5-INF-1", .both, .stated,
                "Setting SUSPEND suspends a live device and clearing it resumes the device, which keeps what it needs to continue.",
                cause: "a reset in place of a resume, after which all requests are lost",
                remedy: "Clear SUSPEND in Status, and poll."),
            Clause(
                "V5-INF-2", .both, .stated, "SUSPEND is independent of the transport's own suspend.",
                cause: "a PCI device that treats D3 as SUSPEND", remedy: "Handle the two separately."),
            Clause(
                "V5-DEV-9", .device, .may,
                "Until it shows SUSPEND, the device may notify, access queues and change configuration fields.",
                cause: "completions held back from the write of SUSPEND on",
                remedy: "Apply the rules for a suspended device from the acknowledgement on."),
            Clause(
                "V5-DEV-10", .both, .stated, "The device acknowledges a suspend by a Status that shows SUSPEND.",
                cause: "the bit stored when it is written, so that it reads back at once",
                remedy: "Show the old value until the drain is complete (D-3)."),
            Clause(
                "V5-DEV-12", .device, .may,
                "A suspended device may retain buffers that it cannot finish, such as empty receive buffers.",
                cause: "a drain that waits for input to fill receive buffers",
                remedy: "Acknowledge without them, and use them after the resume."),
            Clause(
                "V14-DEF-1", .both, .stated, "SUSPEND is bit 16 of Status, with a meaning only if negotiated.",
                cause: "16 read as a bit number", remedy: "Use the mask 0x10."),
            Clause(
                "V14-FEAT-1", .both, .stated, "In 1.4, VIRTIO_F_SUSPEND is feature bit 43.",
                cause: "bit 42, which is the draft's, with the behaviour of 1.4",
                remedy: "Choose the behaviour by the bit that was negotiated."),
            Clause(
                "V14-INF-1", .device, .stated, "When it is suspended, the device clears DRIVER_OK.",
                cause: "only SUSPEND set: Status 0x1f is not the suspended value of 1.4",
                remedy: "Change both bits in one step: 0x1b."),
            Clause(
                "V14-INF-2", .both, .stated,
                "The driver sets DRIVER_OK to resume the device, which clears SUSPEND when it runs.",
                cause: "SUSPEND cleared by the driver, as in the draft", remedy: "Write 0x1f, and poll for 0x0f."),
            Clause(
                "H-3", .device, .advice,
                "A device should not take DRIVER_OK for a sign of a live driver: a suspended 1.4 device shows 0.",
                cause: "InterruptACK ignored without DRIVER_OK, so that a pending interrupt never ends",
                remedy: "Keep the phase of the device apart from the bits of Status."),
            Clause(
                "H-4", .device, .advice,
                "A suspend or a resume should not wait for InterruptACK: the driver may poll with interrupts masked.",
                cause: "the acknowledgement delayed until InterruptStatus is 0",
                remedy: "Acknowledge with InterruptStatus as it is (D-6)."),
        ]
    }
}
