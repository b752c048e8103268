// The decisions of this model where the texts of SUSPEND are silent (Suspend.md).

extension Clause {
    /// The decisions.
    static var suspendDecisions: [Clause] {
        [
            Clause(
                "D-1", .device, .decision,
                "The SUSPEND dialect belongs to the device: bits 42 and 43 are never offered together, 42 never by a network device.",
                cause: "both bits offered, so that the driver chooses",
                remedy: "Make the dialect an option of the device."),
            Clause(
                "D-2", .device, .decision,
                "A Status write of 0 is a reset; otherwise the low byte sets bits, and SUSPEND is a request to the state before the write.",
                cause: "the written value stored, and then examined",
                remedy: "Derive Status from the phase of the device."),
            Clause(
                "D-3", .device, .decision,
                "During a transition Status shows the old value; 1.4 changes SUSPEND and DRIVER_OK in one step.",
                cause: "SUSPEND stored when it is written",
                remedy: "Show the new value when the transition is complete."),
            Clause(
                "D-4", .device, .decision,
                "All queue accesses and notifications come before the suspended value is readable, and after the resumed one is.",
                cause: "a completion that takes no lock", remedy: "Change Status under the lock that completions take."),
            Clause(
                "D-5", .device, .decision,
                "A suspended device ignores writes to its configuration space, to DriverFeatures and to what sets up a queue.",
                cause: "only the queues suspended", remedy: "Check the phase before every write to a register."),
            Clause(
                "D-6", .device, .decision,
                "The interrupt line is InterruptStatus != 0 in every state; InterruptACK always works.",
                cause: "the line lowered by the suspend, or InterruptACK ignored (H-3)",
                remedy: "Set the line from InterruptStatus alone."),
            Clause(
                "D-7", .device, .decision,
                "A notification of a suspended device has no effect; the resume checks every ready queue.",
                cause: "only queues served that were notified after the resume",
                remedy: "Serve all ready queues on resume."),
            Clause(
                "D-8", .device, .decision,
                "Deferred work has storage of its own, bounded by the requests in flight, apart from InterruptStatus.",
                cause: "a list of deferred events without a limit", remedy: "Keep one latch for each kind of event."),
            Clause(
                "D-9", .device, .decision,
                "A configuration change while suspended is staged: the last wins, and the resume notifies once, a reset not at all.",
                cause: "a notification for each change, or none if the last value equals the first",
                remedy: "Keep one staged configuration."),
            Clause(
                "D-10", .device, .decision,
                "A reset is complete when its Status write returns: no earlier request accesses guest memory afterwards.",
                cause: "a driver that frees its memory without polling, as Linux does",
                remedy: "Wait in the write until the backend uses no guest memory."),
            Clause(
                "D-11", .device, .decision,
                "At the drain deadline the draft retains requests and suspends, 1.4 sets DEVICE_NEEDS_RESET; Status writes never wait.",
                cause: "a vCPU that waits in a Status write", remedy: "Drain asynchronously, with a deadline."),
            Clause(
                "D-12", .device, .decision,
                "A receive buffer is taken only when there is input, so empty ones never delay a drain.",
                cause: "buffers popped in advance", remedy: "Pop a buffer when its data is there."),
            Clause(
                "D-13", .device, .decision,
                "A failed suspend shows DEVICE_NEEDS_RESET and notifies; an error while suspended is shown by 1.4, latched by the draft.",
                cause: "a driver that polls a suspend that failed",
                remedy: "End every transition in its value or in DEVICE_NEEDS_RESET."),
            Clause(
                "D-14", .device, .decision,
                "FAILED has no effect on SUSPEND: a driver that polls for the end of a transition reads one.",
                cause: "a request ignored because FAILED is set: the driver polls without end",
                remedy: "Start the transition that Status asks for, whatever FAILED is."),
            Clause(
                "D-15", .device, .decision,
                "A suspended console ignores an emergency write in the draft, and performs it in 1.4.",
                cause: "a SHOULD of 1.4 that is followed against a MUST of the console (5.3.5.1-1)",
                remedy: "Handle emerg_wr before the rule for fields, in 1.4 only."),
            Clause(
                "D-16", .device, .decision,
                "QueueReady = 0 and QueueReset = 1 written while suspended read 1; the resume performs them first.",
                cause: "the write dropped: QueueReset reads 0, and the driver frees a ring in use",
                remedy: "Keep the stop or reset pending, and perform it before any access to the queue."),
            Clause(
                "D-17", .device, .decision,
                "A resume delivers in this order: Status, queue resets, held completions, configuration, ready queues, input, line.",
                cause: "an interrupt before Status shows the device running",
                remedy: "Deliver under one lock, in this order."),
            Clause(
                "D-18", .device, .decision, "SUSPEND that was not negotiated is ignored and reads 0, in 1.4 too.",
                cause: "1.4 has a rule only for drivers", remedy: "Check the accepted features."),
            Clause(
                "D-19", .device, .decision,
                "Shared memory regions stay mapped while suspended, and the device does not write to them; here is none.",
                cause: "a region unmapped, so that the driver's accesses fail", remedy: "Leave the mapping."),
            Clause(
                "D-20", .device, .decision,
                "A suspended device cannot wake its guest; the first deferred event is reported to the host.",
                cause: "an interrupt sent to wake the guest", remedy: "Let the host wake the guest by other means."),
        ]
    }
}
