// The clauses that no check looks at: those of the device, which this one keeps by construction and its tests show, and those of
// a driver that leave no trace, or no sure one, in what a device sees.

extension Clause {
    /// The device's clauses.
    static var deviceClauses: [Clause] {
        [
            Clause(
                "2.1.2-1", .device, .mustNot,
                "No buffer is used and no used-buffer notification is sent before DRIVER_OK.",
                cause: "a worker that starts at QueueReady",
                remedy: "Start serving queues when DRIVER_OK is accepted."),
            Clause(
                "2.1.2-2", .device, .should, "A device that can not go on without a reset sets DEVICE_NEEDS_RESET.",
                cause: "an error path that logs, and leaves the queue standing still",
                remedy: "Set the bit wherever a queue is given up for good."),
            Clause(
                "2.1.2-3", .device, .must,
                "If DRIVER_OK is set, a configuration change notification follows DEVICE_NEEDS_RESET.",
                cause: "the bit set by a worker that has no way to raise the interrupt",
                remedy: "Set bit 1 of InterruptStatus along with DEVICE_NEEDS_RESET."),
            Clause(
                "2.2.2-1", .device, .mustNot, "A feature is offered only together with the features it needs.",
                cause: "one bit withheld by an option, and not the bits that build on it",
                remedy: "Withhold what depends on a feature together with it."),
            Clause(
                "2.2.2-2", .device, .should, "Any valid subset of the offered features will do.",
                cause: "a backend tried only with the features that Linux accepts",
                remedy: "Test each offered feature accepted and not accepted."),
            Clause(
                "2.2.2-3", .device, .must,
                "FEATURES_OK stays clear in Status when the device can not work with the features accepted.",
                cause: "Status stored as it is written",
                remedy: "Judge DriverFeatures at the write of FEATURES_OK, and leave the bit out of Status."),
            Clause(
                "2.2.2-4", .device, .mustNot,
                "No feature is offered that would not work: none that is unknown, reserved, or not for this transport or type.",
                cause: "the feature bits of a backend passed on unmasked",
                remedy: "Offer what transport and device type implement, and nothing else."),
            Clause(
                "2.2.2-5", .device, .shouldNot, "Features that were accepted once are not refused after a reset.",
                cause: "an offer computed anew at each reset, from a backend that has changed",
                remedy: "Fix the offer when the device is made."),
            Clause(
                "2.4.1-1", .device, .must, "A reset takes Status back to 0.",
                cause: "DEVICE_NEEDS_RESET or FAILED kept over the reset",
                remedy: "Clear every bit of Status, the device's own too."),
            Clause(
                "2.4.1-2", .device, .mustNot,
                "From when Status reads 0 until it is initialised again, the device sends no notification and leaves the queues alone.",
                cause: "a completion that arrives after the reset",
                remedy: "Number the resets, and drop completions of an older number."),
            Clause(
                "2.5.2-1", .device, .must, "Every field whose feature is offered can be read before FEATURES_OK.",
                cause: "fields filled in when the features are accepted",
                remedy: "Derive the fields from the offered features, not the accepted ones."),
            Clause(
                "2.6.1.1.1-1", .device, .mustNot,
                "After its reset no request of a queue is executed, and no notification is sent for it.",
                cause: "a request popped before the reset, and completed behind it",
                remedy: "Wait for the backend, or cut it off, before QueueReset reads 0."),
            Clause(
                "2.6.1.1.1-2", .device, .must,
                "A queue's reset takes its state back to the start, its place in the available and the used ring too.",
                cause: "addresses cleared, and the last seen idx kept",
                remedy: "Throw the queue's object away, and make a new one at QueueReady."),
            Clause(
                "2.6.1.2.1-1", .device, .must,
                "A queue that is enabled again has the size and the addresses set for it then.",
                cause: "size and mapped addresses cached in the worker since the first time",
                remedy: "Read QueueSize and the addresses at every QueueReady = 1."),
            Clause(
                "2.7.4.1-1", .device, .mustNot, "How a buffer is cut into descriptors has no meaning.",
                cause: "a header expected in a descriptor of its own",
                remedy: "Find header, data and status by their byte positions."),
            Clause(
                "2.7.5.1-1", .device, .mustNot, "A device-readable buffer is not written.",
                cause: "the status stored in the last descriptor whatever its flags are",
                remedy: "Write only where VIRTQ_DESC_F_WRITE is set."),
            Clause(
                "2.7.5.1-2", .device, .shouldNot, "A device-writable buffer is not read.",
                cause: "the header parsed from the first descriptor, writable or not",
                remedy: "Parse what comes in from the readable part alone."),
            Clause(
                "2.7.5.1-4", .device, .mustNot, "The descriptor table is not written.",
                cause: "next or flags changed in place while a chain is walked",
                remedy: "Copy each descriptor, and work on the copy."),
            Clause(
                "2.7.5.3.2-1", .device, .must,
                "VIRTQ_DESC_F_WRITE is ignored in a descriptor that refers to an indirect table.",
                cause: "the descriptor taken for a writable one, so that readable ones in the table seem misplaced",
                remedy: "Look at VIRTQ_DESC_F_INDIRECT before any other flag."),
            Clause(
                "2.7.5.3.2-2", .device, .must,
                "Plain descriptors may come before the one that refers to an indirect table.",
                cause: "VIRTQ_DESC_F_INDIRECT looked for in the head of a chain only",
                remedy: "Look for the flag in each descriptor of the chain."),
            Clause(
                "2.7.7.2-1", .device, .must, "Without VIRTIO_F_EVENT_IDX used_event is ignored.",
                cause: "used_event compared whatever was negotiated",
                remedy: "Choose between flags and used_event by the accepted features."),
            Clause(
                "2.7.7.2-2", .device, .shouldNot,
                "Without VIRTIO_F_EVENT_IDX no notification is sent while flags of the available ring is 1.",
                cause: "an interrupt raised by habit for each used buffer",
                remedy: "Read flags before the interrupt is raised."),
            Clause(
                "2.7.7.2-3", .device, .must,
                "Without VIRTIO_F_EVENT_IDX a used buffer is notified when flags of the available ring is 0.",
                cause: "flags read before idx is out: a driver that turns interrupts on meanwhile hears nothing",
                remedy: "Put a full barrier between the store of idx and the load of flags."),
            Clause(
                "2.7.7.2-4", .device, .must, "With VIRTIO_F_EVENT_IDX bit 0 of flags in the available ring is ignored.",
                cause: "both tests made, so that a bit left set silences the queue",
                remedy: "Look at used_event alone."),
            Clause(
                "2.7.7.2-5", .device, .must,
                "With VIRTIO_F_EVENT_IDX a notification follows the used entry that used_event names.",
                cause: "used_event compared with the last entry of a batch only",
                remedy: "See whether used_event lies among the new entries, modulo 2^16."),
            Clause(
                "2.7.7.2-6", .device, .shouldNot, "With VIRTIO_F_EVENT_IDX other used entries are not notified.",
                cause: "the range of new entries counted from the queue's start, so that used_event is always in it",
                remedy: "Count from where the device stood when it last decided."),
            Clause(
                "2.7.8.2-1", .device, .must, "len of a used entry is written before the used idx.",
                cause: "entry and idx stored in program order, with nothing to keep the order",
                remedy: "Store idx with release ordering."),
            Clause(
                "2.7.8.2-2", .device, .must,
                "len bytes of the writable part, from its start, are written before the used idx moves.",
                cause: "the size of the buffer reported for a read that failed or was short",
                remedy: "Report only the bytes written without a gap from the start."),
            Clause(
                "2.7.10.2-1", .device, .must, "Without VIRTIO_F_EVENT_IDX flags of the used ring is 0 or 1.",
                cause: "spare bits of flags used for the device's own ends",
                remedy: "Store VIRTQ_USED_F_NO_NOTIFY or 0."),
            Clause(
                "2.7.10.2-3", .device, .must, "With VIRTIO_F_EVENT_IDX flags of the used ring is 0.",
                cause: "a poll mode that sets VIRTQ_USED_F_NO_NOTIFY whatever was negotiated",
                remedy: "Leave avail_event behind when no notification is wanted."),
            Clause(
                "2.7.10.2-5", .device, .must, "A notification of a queue with nothing new does no harm.",
                cause: "a handler that pops an entry for each kick",
                remedy: "Compare the available idx with the device's own place before each pop."),
            Clause(
                "2.8.12-1", .device, .must, "In a packed ring requests are begun in the order of the ring.",
                cause: "several workers, each of which looks for an available descriptor",
                remedy: "Pop at one place, under the queue's lock."),
            Clause(
                "2.8.12-2", .device, .must,
                "Used descriptors go into a packed ring in the order in which requests complete.",
                cause: "completions collected by each worker and written later",
                remedy: "Write the used descriptor when the completion comes in."),
            Clause(
                "2.8.15-1", .device, .mustNot, "In a packed ring a device-readable buffer is not written.",
                cause: "an answer put behind the header, at a fixed place of the list",
                remedy: "Divide the list by VIRTQ_DESC_F_WRITE before anything is written."),
            Clause(
                "2.8.15-2", .device, .shouldNot, "In a packed ring a device-writable buffer is not read.",
                cause: "a buffer read, changed and written back because only a part of it is filled",
                remedy: "Store just the bytes that are new."),
            Clause(
                "2.8.15-3", .device, .mustNot,
                "A packed descriptor is not used before VIRTQ_DESC_F_AVAIL in it has changed for this lap.",
                cause: "a wrap counter that is not flipped at the end of the ring",
                remedy: "Compare the flag with the wrap counter, with acquire ordering, and then read the rest."),
            Clause(
                "2.8.15-4", .device, .mustNot,
                "A packed descriptor is not touched after VIRTQ_DESC_F_USED in it was changed.",
                cause: "id and len stored after flags",
                remedy: "Store id and len, then flags with release ordering."),
            Clause(
                "2.8.18-1", .device, .must,
                "The descriptors of a packed list are used in the order in which they were made available.",
                cause: "segments sorted by address to merge neighbours",
                remedy: "Walk the list from its first slot on, and keep that order."),
            Clause(
                "4.2.2.1-1", .device, .must, "MagicValue reads 0x74726976.",
                cause: "the bytes v, i, r, t stored as a number of the host",
                remedy: "Return the number, little-endian."),
            Clause(
                "4.2.2.1-2", .device, .must, "Version reads 2.",
                cause: "a model of the legacy registers, which says 1",
                remedy: "Return 2, and implement the registers that go with it."),
            Clause(
                "4.2.2.1-3", .device, .must,
                "An event's bit is set in InterruptStatus from the event on until the driver acknowledges it.",
                cause: "the register cleared by a read, as virtio-pci does",
                remedy: "Clear bits by InterruptACK and by reset only."),
            Clause(
                "4.2.2.1-4", .device, .must, "A bit of InterruptStatus is 0 without an event of its kind.",
                cause: "both bits set for every interrupt",
                remedy: "Set bit 0 for used buffers and bit 1 for the configuration."),
            Clause(
                "4.2.2.1-5", .device, .must, "A reset clears InterruptStatus and QueueReady of every queue.",
                cause: "a loop over the queues in use, or a bit that a late completion sets again",
                remedy: "Clear them under the lock that completions take."),
            Clause(
                "4.2.2.1-6", .device, .must,
                "ConfigGeneration changes whenever a driver could otherwise read half an old and half a new configuration.",
                cause: "a field changed by another thread, and the generation some time later",
                remedy: "Change both together, under the lock of the registers."),
            Clause(
                "4.2.2.1-7", .device, .mustNot, "A queue's memory is not accessed while QueueReady is 0.",
                cause: "a worker that still runs when QueueReady already reads 0",
                remedy: "Show 0 only when no request of the queue is left."),
            Clause(
                "4.2.2.1-8", .device, .must, "With VIRTIO_F_RING_RESET QueueReset reads 0 after a device reset.",
                cause: "a queue's reset under way, which the device's reset does not end",
                remedy: "Clear QueueReset with the rest of the queue's state."),
            Clause(
                "4.2.2.1-9", .device, .must, "With VIRTIO_F_RING_RESET QueueReset reads 0 once the queue is enabled.",
                cause: "the written 1 stored, and read back ever after",
                remedy: "Compute QueueReset from whether a reset is under way."),
            Clause(
                "4.2.2.1-10", .device, .must, "A write of 1 to QueueReset resets the queue.",
                cause: "VIRTIO_F_RING_RESET offered by the transport, and unknown to the queues",
                remedy: "Implement the reset of one queue, or do not offer the feature."),
            Clause(
                "4.2.2.1-11", .device, .must, "QueueReset reads 1 for as long as the reset of the queue takes.",
                cause: "a write that returns at once, with requests still in the backend",
                remedy: "Show 1 until the last of them is back."),
            Clause(
                "4.2.2.1-12", .device, .must, "QueueReset and QueueReady read 0 when the reset of the queue is done.",
                cause: "QueueReady left at 1, as the addresses are still there",
                remedy: "End the reset by dropping the queue and both bits in one step."),
            Clause(
                "5.2.5.2-1", .device, .should, "A disk offers VIRTIO_BLK_F_FLUSH.",
                cause: "a backend opened for direct I/O, which is taken to be durable",
                remedy: "Offer it, and sync the backend for each flush."),
            Clause(
                "5.2.5.2-2", .device, .must, "A disk that offers VIRTIO_BLK_F_CONFIG_WCE offers VIRTIO_BLK_F_FLUSH.",
                cause: "an option that withholds flush and forgets the cache switch",
                remedy: "Remove the switch with the flush."),
            Clause(
                "5.2.5.2-3", .device, .must,
                "With VIRTIO_BLK_F_CONFIG_WCE but no VIRTIO_BLK_F_FLUSH writeback starts at 0.",
                cause: "writeback set to 1 when the device is made, before features are known",
                remedy: "Set writeback when FEATURES_OK is accepted."),
            Clause(
                "5.2.5.2-4", .device, .must, "unused0 and unused1 are 0.",
                cause: "a host structure copied with what its padding held",
                remedy: "Clear the space before the fields are stored."),
            Clause(
                "5.2.5.2-5", .device, .shouldNot, "A disk without zones does not offer VIRTIO_BLK_F_ZONED.",
                cause: "the bit offered for every disk, with model VIRTIO_BLK_Z_NONE",
                remedy: "Offer it for zoned backends alone."),
            Clause(
                "5.2.6.2-2", .device, .should, "A configuration change notification tells of a new capacity.",
                cause: "an image grown on the host, and only the field updated",
                remedy: "Change capacity by the same path as any other field that notifies."),
            Clause(
                "5.2.6.2-3", .device, .must, "A write to a disk that offers VIRTIO_BLK_F_RO gets VIRTIO_BLK_S_IOERR.",
                cause: "the type not served, so that it is answered VIRTIO_BLK_S_UNSUPP",
                remedy: "Answer such a write before the backend sees it."),
            Clause(
                "5.2.6.2-4", .device, .mustNot, "A write to a disk that offers VIRTIO_BLK_F_RO changes no data.",
                cause: "the feature a mere label on a file that is open for writing",
                remedy: "Open the file read-only too."),
            Clause(
                "5.2.6.2-5", .device, .must,
                "A discard, secure erase or write zeroes with an unknown flag gets VIRTIO_BLK_S_UNSUPP.",
                cause: "unknown flags masked away", remedy: "Refuse a request that has any other flag than unmap."),
            Clause(
                "5.2.6.2-6", .device, .must, "A discard with unmap set gets VIRTIO_BLK_S_UNSUPP.",
                cause: "flags checked for discard and write zeroes by the same mask",
                remedy: "Allow a discard no flag at all."),
            Clause(
                "5.2.6.2-9", .device, .must, "After a write zeroes the range reads as zeroes, with unmap or without.",
                cause: "a discard of the host's disk used for it, which may leave old data",
                remedy: "Write zeroes where unmapping does not promise them."),
            Clause(
                "5.2.6.2-10", .device, .should,
                "write_zeroes_may_unmap is 0 if no write zeroes can free sectors, and otherwise not.",
                cause: "a constant, whatever the backend can do",
                remedy: "Ask the backend whether it frees what it zeroes."),
            Clause(
                "5.2.6.2-12", .device, .should,
                "A configuration change notification tells of a new write_zeroes_may_unmap.",
                cause: "a backend exchanged at run time",
                remedy: "Keep the field as it was, or change it as capacity is changed."),
            Clause(
                "5.2.6.2-13", .device, .must,
                "Before a stable write or its flush is reported done, it is on persistent storage.",
                cause: "a flush answered before fdatasync returns, or writethrough to the host's page cache",
                remedy: "Sync the file before the status byte is written."),
            Clause(
                "5.3.5.1-1", .device, .must, "emerg_wr takes a write at any time, before the device is set up too.",
                cause: "configuration writes dropped until FEATURES_OK",
                remedy: "Let emerg_wr pass ahead of the checks of Status."),
            Clause(
                "5.3.5.1-2", .device, .should, "The low byte of what is written to emerg_wr comes out somewhere.",
                cause: "the byte queued behind output that waits for a driver",
                remedy: "Send it to the log or the terminal at once."),
            Clause(
                "5.3.6.2.1-1", .device, .mustNot,
                "VIRTIO_CONSOLE_DEVICE_ADD names a new port, and one below max_nr_ports.",
                cause: "all ports announced again at a second VIRTIO_CONSOLE_DEVICE_READY",
                remedy: "Remember which ports were announced since the reset."),
            Clause(
                "5.3.6.2.1-2", .device, .mustNot, "VIRTIO_CONSOLE_DEVICE_REMOVE names a port that was added before.",
                cause: "a port unplugged before the driver was told of it",
                remedy: "Cancel a VIRTIO_CONSOLE_DEVICE_ADD that has not been sent."),
            Clause(
                "6.2-1", .device, .must, "VIRTIO_F_VERSION_1 is offered.",
                cause: "a device with features in word 0 only", remedy: "Set bit 0 in word 1 of DeviceFeatures."),
            Clause(
                "6.2-5", .device, .must,
                "With VIRTIO_F_IN_ORDER buffers are used in the order in which they were made available.",
                cause: "requests given back as the host's I/O completes",
                remedy: "Hold a finished request until those before it are finished."),
            Clause(
                "V5-DEV-1", .device, .must,
                "If VIRTIO_F_SUSPEND of the draft was negotiated, SUSPEND works as the draft says.",
                cause: "1.4's behaviour behind bit 42: DRIVER_OK cleared by the device",
                remedy: "Choose the dialect by the feature bit: 42 is the draft's, 43 that of 1.4."),
            Clause(
                "V5-DEV-2", .device, .must, "SUSPEND is ignored if VIRTIO_F_SUSPEND was not negotiated.",
                cause: "the bit acted on because it was offered",
                remedy: "Look at the accepted features, and mask SUSPEND out."),
            Clause(
                "V5-DEV-3", .device, .must, "SUSPEND is ignored while DRIVER_OK is clear.",
                cause: "a write of both bits judged by the new value of Status",
                remedy: "Judge SUSPEND by what Status read before the write."),
            Clause(
                "V5-DEV-4", .device, .must, "After the resume the driver sees what it saw before the suspension.",
                cause: "InterruptStatus, QueueSel or a queue's indices lost when the backend was put away",
                remedy: "Keep the registers and the queues' state; put away only what can be made again."),
            Clause(
                "V5-DEV-5", .device, .must,
                "A suspended device ignores writes to the configuration space, Status apart.",
                cause: "emerg_wr or writeback served by the device type, which does not know of the suspension",
                remedy: "Ask for the suspension before the device type gets the write."),
            Clause(
                "V5-DEV-6", .device, .mustNot, "A suspended device sends no notification.",
                cause: "a backend that raises the interrupt line on its own",
                remedy: "Park its completions, and notify after the resume."),
            Clause(
                "V5-DEV-7", .device, .mustNot, "A suspended device accesses no queue.",
                cause: "an ioeventfd that wakes the worker past the register file",
                remedy: "Ask the lifecycle before every pop, whoever woke the worker."),
            Clause(
                "V5-DEV-8", .device, .mustNot, "A suspended device changes no field of its configuration space.",
                cause: "a disk grown or a terminal resized by the host meanwhile",
                remedy: "Stage the new value, and commit it on resume."),
            Clause(
                "V5-DEV-11", .device, .should,
                "Before SUSPEND is shown, every buffer that can be finished is used and notified.",
                cause: "the acknowledgement given in the write of Status, with I/O in flight",
                remedy: "Drain first, with a limit, and show SUSPEND then."),
            Clause(
                "V5-DEV-13", .device, .should, "A suspended device takes less of the host's resources.",
                cause: "polling threads and timers that run on",
                remedy: "Let workers sleep from the acknowledgement to the resume."),
            Clause(
                "V14-DEV-1", .device, .must, "SUSPEND is ignored until the device is initialised.",
                cause: "a write of SUSPEND after FEATURES_OK taken, with no queue served yet",
                remedy: "Take SUSPEND only where DRIVER_OK was accepted since the reset."),
            Clause(
                "V14-DEV-2", .device, .should,
                "A suspended device ignores writes to its configuration space, Status apart.",
                cause: "only the queues frozen, and a write of writeback switches the cache",
                remedy: "Freeze the fields with the queues."),
            Clause(
                "V14-DEV-3", .device, .mustNot, "A suspended device sends no used-buffer notification.",
                cause: "bit 0 of InterruptStatus set by a completion that races with the acknowledgement",
                remedy: "Count requests in flight, and show the suspension at 0."),
            Clause(
                "V14-DEV-4", .device, .mustNot, "A suspended device accesses no queue.",
                cause: "console input put into the receiveq as it arrives",
                remedy: "Keep input with the host until the resume."),
            Clause(
                "V14-DEV-5", .device, .mustNot, "A suspended device changes no field of its configuration space.",
                cause: "capacity updated at once, and only its notification held back", remedy: "Hold back both."),
            Clause(
                "V14-DEV-6", .device, .mustNot,
                "A change that comes up during the suspension is not notified while that lasts.",
                cause: "a handler for window size changes that sets bit 1 of InterruptStatus itself",
                remedy: "Note that a notification is owed."),
            Clause(
                "V14-DEV-7", .device, .must, "The resume brings the notification of a change that was held back.",
                cause: "the new value put in place without a word",
                remedy: "Set bit 1 of InterruptStatus once Status shows DRIVER_OK again."),
            Clause(
                "V14-DEV-8", .device, .must, "Asked to suspend, the device suspends or sets DEVICE_NEEDS_RESET.",
                cause: "a drain that waits for ever for an I/O that hangs",
                remedy: "Limit the drain, and set DEVICE_NEEDS_RESET when the time is over."),
            Clause(
                "V14-DEV-9", .device, .must, "Asked to resume, the device resumes or sets DEVICE_NEEDS_RESET.",
                cause: "a backend that can not be opened again, and an error that nobody looks at",
                remedy: "Make that error DEVICE_NEEDS_RESET."),
            Clause(
                "V14-DEV-10", .device, .should, "Before it shows itself suspended, the device stops taking buffers.",
                cause: "a drain that goes on as long as the driver adds buffers",
                remedy: "Pop nothing after the write of SUSPEND."),
            Clause(
                "V14-DEV-11", .device, .should,
                "Before it shows itself suspended, the device uses the buffers it has taken.",
                cause: "requests in the backend dropped, or put off to the resume",
                remedy: "Wait until the backend has answered all of them."),
            Clause(
                "V14-DEV-12", .device, .should,
                "Before it shows itself suspended, the device notifies of the buffers it has used.",
                cause: "Status changed ahead of InterruptStatus: a driver that polls Status misses the last ones",
                remedy: "Set InterruptStatus first, then Status."),
        ]
    }

    /// The driver's clauses that a device can not see broken, or not tell from something else that is allowed.
    static var otherDriverClauses: [Clause] {
        [
            Clause(
                "2.2.1-2", .driver, .mustNot, "A feature that needs another is accepted only with that other.",
                cause: "features turned off one by one; none that is offered here needs another",
                remedy: "Drop the feature with the one it rests on."),
            Clause(
                "2.6.1.1.2-1", .driver, .must,
                "After a queue was reset the driver makes sure that it is: see 4.2.2.2-21.",
                cause: "a driver that frees the ring right after the write",
                remedy: "Read QueueReset until it is 0, then free the ring."),
            Clause(
                "2.8.16-3", .driver, .must,
                "With VIRTIO_F_NOTIFICATION_DATA, next_off and next_wrap name the first descriptor that is not available yet.",
                cause: "the place of the list that was added; a device sees it only if nobody adds more meanwhile",
                remedy: "Use the place and wrap counter behind the last list added."),
            Clause(
                "2.8.19-3", .driver, .mustNot,
                "A list by a table has no more descriptors than the device allows: see 2.8.17-1.",
                cause: "a table as long as memory allows", remedy: "Split the request, or look at seg_max."),
            Clause(
                "4.2.2.2-16", .driver, .must, "A queue is stopped by QueueReady = 0, and by nothing less.",
                cause: "a driver that only stops adding buffers and frees the ring",
                remedy: "Write 0 to QueueReady, read it back, then free the ring."),
            Clause(
                "5.3.6.2.2-1", .driver, .must,
                "With VIRTIO_CONSOLE_F_MULTIPORT the driver says that it is there by DEVICE_READY.",
                cause: "the control queues set up and never used: no port is ever announced",
                remedy: "Send VIRTIO_CONSOLE_DEVICE_READY with value 1 after DRIVER_OK."),
            Clause(
                "5.3.6.2.2-3", .driver, .must, "A port that is said to be a console is answered by PORT_OPEN.",
                cause: "the message taken for information only", remedy: "Send VIRTIO_CONSOLE_PORT_OPEN with value 1."),
            Clause(
                "2.2.1-3", .driver, .must, "The driver checks that the offered features are enough for it.",
                cause: "a feature that the driver's author always had, used without a look",
                remedy: "Compare DeviceFeatures with what the driver can not do without."),
            Clause(
                "2.2.1-4", .driver, .must,
                "The driver ignores offered bits that are unknown, reserved, or not for this transport or type.",
                cause: "a bit of one device type interpreted for all",
                remedy: "Mask DeviceFeatures with the driver's list for the type first."),
            Clause(
                "2.2.1-5", .driver, .mustNot,
                "The driver accepts no bit that is unknown, reserved, or not for this transport or type, even if it is offered.",
                cause: "DeviceFeatures copied to DriverFeatures whole",
                remedy: "Name each feature that is to be accepted."),
            Clause(
                "2.2.1-6", .driver, .should,
                "Where a feature is not offered, the driver works in the way of devices that never had it.",
                cause: "indirect tables or event indices made a condition",
                remedy: "Keep the path that needs no feature."),
            Clause(
                "2.2.1-7", .driver, .must,
                "A driver that can not work without a missing feature sets FAILED and stops.",
                cause: "a probe function that returns an error, and leaves Status at DRIVER",
                remedy: "Write FAILED in that path."),
            Clause(
                "2.2.1-8", .driver, .mustNot,
                "The driver does not fail because it does not know a feature that is offered.",
                cause: "DeviceFeatures compared with a constant",
                remedy: "Test the bits that must be there, and no others."),
            Clause(
                "2.4.2-1", .driver, .should, "The driver takes its reset for done when Status reads 0.",
                cause: "rings freed right after 0 was written", remedy: "Read Status until it is 0, and free then."),
            Clause(
                "2.5.1-1", .driver, .mustNot,
                "A 64-bit field, or several fields, are not taken to be read at one time.",
                cause: "capacity put together from two halves, with a resize between the reads",
                remedy: "Compare ConfigGeneration before and after."),
            Clause(
                "2.5.1-2", .driver, .should, "Fields are read between two equal values of ConfigGeneration.",
                cause: "ConfigGeneration read once, in the probe function",
                remedy: "Repeat the reads until both values agree."),
            Clause(
                "2.5.1-4", .driver, .mustNot, "The driver sets no upper limit to the configuration space.",
                cause: "a check that the region is exactly as large as the structure",
                remedy: "Accept a larger one."),
            Clause(
                "2.5.1-5", .driver, .should,
                "The driver checks only that the configuration space has room for the fields it needs.",
                cause: "the size of the newest structure demanded, for fields that are not used",
                remedy: "Compare with the end of the last field that is read."),
            Clause(
                "2.6.1.2.2-1", .driver, .must,
                "A queue that is enabled again is set up in full, as for the first time.",
                cause: "QueueReady written alone: the reset made the device forget the addresses",
                remedy: "Run the code that sets up a new queue."),
            Clause(
                "2.7.4.2-2", .driver, .shouldNot, "A buffer is not cut into more descriptors than it needs.",
                cause: "a descriptor for each page of memory that is in one piece",
                remedy: "Merge neighbours before they are mapped."),
            Clause(
                "2.7.7.1-5", .driver, .must, "A notification with nothing behind it does no harm.",
                cause: "a handler that takes a used entry for each interrupt",
                remedy: "Compare the used idx with the driver's own place first."),
            Clause(
                "2.7.8.3-1", .driver, .mustNot, "Nothing is assumed of a buffer behind its first len bytes.",
                cause: "a device that answers with less than was asked for, and a length that nobody looks at",
                remedy: "Compare len with what is needed before data is used."),
            Clause(
                "2.7.8.3-2", .driver, .should, "What a buffer holds behind its first len bytes is ignored.",
                cause: "a receive buffer passed up whole, with what was in it before",
                remedy: "Cut the buffer at len."),
            Clause(
                "2.7.10.1-1", .driver, .must, "flags of the used ring is 0 when the ring is set up.",
                cause: "memory used before: a 1 left in it stops every kick",
                remedy: "Clear the ring before QueueReady."),
            Clause(
                "2.7.10.1-2", .driver, .must, "Without VIRTIO_F_EVENT_IDX avail_event is ignored.",
                cause: "a queue that remembers the features of the time before the reset",
                remedy: "Set the queue's mode from DriverFeatures each time."),
            Clause(
                "2.7.10.1-3", .driver, .shouldNot,
                "Without VIRTIO_F_EVENT_IDX the device is not notified while flags of the used ring is 1.",
                cause: "a write of QueueNotify for each buffer, which costs an exit",
                remedy: "Look at VIRTQ_USED_F_NO_NOTIFY before."),
            Clause(
                "2.7.10.1-4", .driver, .must,
                "Without VIRTIO_F_EVENT_IDX a new buffer is notified when flags of the used ring is 0.",
                cause: "flags read before the available idx is out: the device goes to sleep meanwhile",
                remedy: "Read flags after a barrier that follows idx."),
            Clause(
                "2.7.10.1-5", .driver, .must, "With VIRTIO_F_EVENT_IDX bit 0 of flags in the used ring is ignored.",
                cause: "a test of flags kept in front of that of avail_event",
                remedy: "Let avail_event alone decide."),
            Clause(
                "2.7.10.1-6", .driver, .must,
                "With VIRTIO_F_EVENT_IDX the device is notified of the entry that avail_event names.",
                cause: "several buffers added, and avail_event compared with the last one",
                remedy: "See whether it is among all entries since the last comparison, modulo 2^16."),
            Clause(
                "2.7.10.1-7", .driver, .shouldNot, "With VIRTIO_F_EVENT_IDX other new entries are not notified.",
                cause: "the feature accepted, and avail_event never read",
                remedy: "Notify only if avail_event is among the new entries."),
            Clause(
                "2.7.13.3.1-1", .driver, .must,
                "A barrier stands between the ring's entries and the available idx that shows them.",
                cause: "a plain store of idx, which compiler or CPU may move up",
                remedy: "Order idx behind the entries by a write barrier or a release store."),
            Clause(
                "2.7.13.4.1-1", .driver, .must,
                "A full barrier stands between the store of idx and the load of flags or avail_event.",
                cause: "a release store taken for enough: the load overtakes it, and the kick is lost",
                remedy: "Use a full fence, on x86 too."),
            Clause(
                "2.8.16-2", .driver, .mustNot,
                "A packed descriptor is not touched after VIRTQ_DESC_F_AVAIL in it was changed.",
                cause: "len corrected once the data is known",
                remedy: "Fill the descriptor first; flags come last."),
            Clause(
                "2.8.17-4", .driver, .mustNot,
                "A list is not begun in the hope that the device frees the slots for its end.",
                cause: "slots taken one by one, with a wait for used ones in the middle",
                remedy: "Put the request off until the ring has room for all of it."),
            Clause(
                "2.8.21.1.1-1", .driver, .must,
                "A barrier stands between a packed descriptor's other fields and its flags.",
                cause: "the descriptor stored as one structure",
                remedy: "Store flags on its own, with release ordering."),
            Clause(
                "2.8.21.3.1-1", .driver, .must,
                "A full barrier stands between the store of flags and the load of the device's event suppression structure.",
                cause: "the structure read early: it still says that no kick is wanted",
                remedy: "Put a full fence before the load."),
            Clause(
                "3.1.1-5", .driver, .should, "A driver that can not finish the initialisation sets FAILED.",
                cause: "an early return when a ring can not be allocated",
                remedy: "Set FAILED before the driver lets go of the device."),
            Clause(
                "3.3.1-2", .driver, .must, "Buffers that are available are taken back only after the device was reset.",
                cause: "memory freed when a request times out",
                remedy: "Reset the device, see Status read 0, then free."),
            Clause(
                "4.2.2.2-6", .driver, .must, "A device whose MagicValue is not 0x74726976 is left alone.",
                cause: "a wrong address in the device tree or on the command line",
                remedy: "Check MagicValue before anything is written."),
            Clause(
                "4.2.2.2-8", .driver, .must, "A device whose Version is not 2 is left alone.",
                cause: "a legacy device taken for a new one: its queues are set up by other registers",
                remedy: "Check Version, and give up on a value the driver does not implement."),
            Clause(
                "4.2.2.2-10", .driver, .must, "A device whose DeviceID is 0 is left alone.",
                cause: "an empty slot bound to a driver that matches any type", remedy: "Skip the slot."),
            Clause(
                "4.2.2.2-11", .driver, .mustNot, "A DeviceID of 0 is not reported as an error.",
                cause: "one message for all probes that fail", remedy: "Return without a message."),
            Clause(
                "4.2.2.2-18", .driver, .must, "Undefined bits of InterruptStatus are ignored.",
                cause: "a handler that switches on the whole value", remedy: "Test bits 0 and 1, each on its own."),
            Clause(
                "4.2.3.1.1-1", .driver, .must, "Initialisation begins with MagicValue and Version, read and checked.",
                cause: "Status written 0 before anybody looked whether this is virtio",
                remedy: "Read both before the first write."),
            Clause(
                "4.2.3.1.1-2", .driver, .must, "DeviceID is read after MagicValue and Version.",
                cause: "the type taken from a table of the board", remedy: "Choose the driver by DeviceID."),
            Clause(
                "4.2.3.1.1-3", .driver, .must, "A DeviceID of 0 ends the initialisation.",
                cause: "ACKNOWLEDGE and DRIVER set before a driver is looked for",
                remedy: "Return before Status is written."),
            Clause(
                "4.2.3.1.1-4", .driver, .mustNot, "Where DeviceID is 0 no further register is accessed.",
                cause: "VendorID read for the log", remedy: "Make DeviceID the last read."),
            Clause(
                "4.2.3.1.1-6", .driver, .must,
                "After DeviceID was read, initialisation takes the same steps as on any transport.",
                cause: "queues set up with the transport, before features are negotiated",
                remedy: "Set up queues after FEATURES_OK."),
            Clause(
                "4.2.3.4.1-2", .driver, .should, "Bit 0 of InterruptStatus is taken to mean every active queue.",
                cause: "a handler that looks only at the queue notified last", remedy: "Look at each queue in use."),
            Clause(
                "4.2.3.4.1-3", .driver, .must, "An interrupt that was handled is acknowledged by InterruptACK.",
                cause: "a path that returns early, and leaves the line asserted",
                remedy: "Write InterruptACK on every path of the handler."),
            Clause(
                "5.2.5.1-1", .driver, .shouldNot, "VIRTIO_BLK_F_FLUSH is not accepted by a driver that sends no flush.",
                cause: "a boot loader that accepts all it is offered: its writes stay in the cache",
                remedy: "Leave the feature, and the device writes through."),
            Clause(
                "5.2.5.1-3", .driver, .should,
                "With VIRTIO_BLK_F_FLUSH but no VIRTIO_BLK_F_CONFIG_WCE the cache is taken for writeback.",
                cause: "writeback read as 0 where it is not offered",
                remedy: "Send flushes whenever the feature was negotiated."),
            Clause(
                "5.2.6.1-1", .driver, .should,
                "After a configuration change notification the driver looks at capacity.",
                cause: "no handler: a disk that grew keeps its old size",
                remedy: "Read capacity in the handler, and resize the disk."),
            Clause(
                "5.2.6.1-3", .driver, .should, "VIRTIO_BLK_F_RO is accepted where it is offered.",
                cause: "a list of features made for writable disks",
                remedy: "Accept it, and refuse writes in the driver."),
            Clause(
                "5.2.6.1-13", .driver, .mustNot, "writeback set to 0 is not taken to make earlier writes durable.",
                cause: "the cache switched off in place of a last flush", remedy: "Send a flush after the switch."),
            Clause(
                "5.2.6.1-15", .driver, .mustNot, "Nothing is assumed of what a discarded range reads as.",
                cause: "a discard used to clear blocks", remedy: "Use write zeroes for that."),
            Clause(
                "5.2.6.1-16", .driver, .mustNot,
                "When a request of several ranges fails with VIRTIO_BLK_S_IOERR, nothing is assumed of any of them.",
                cause: "a retry that leaves out the ranges thought to be done",
                remedy: "Repeat the whole request, or a range at a time."),
            Clause(
                "5.3.6.2.2-2", .driver, .should,
                "A port that VIRTIO_CONSOLE_CONSOLE_PORT names is treated as a text console.",
                cause: "every port made a plain character device",
                remedy: "Register it as a console of the system."),
            Clause(
                "5.3.6.2.2-4", .driver, .must,
                "The VIRTIO_CONSOLE_PORT_OPEN that answers VIRTIO_CONSOLE_CONSOLE_PORT has value 1.",
                cause: "a message that was cleared, and given id and event alone", remedy: "Set value to 1."),
            Clause(
                "6.1-6", .driver, .should, "VIRTIO_F_RING_PACKED is accepted where it is offered.",
                cause: "a driver that knows split rings only",
                remedy: "Implement packed rings; until then leave the bit, and split rings are used."),
            Clause(
                "V5-DRV-2", .driver, .must, "SUSPEND is used as the draft says, and for nothing else.",
                cause: "Status saved and written back whole by the system's own suspend",
                remedy: "Write SUSPEND in the driver's suspend and resume functions only."),
            Clause(
                "V5-DRV-11", .driver, .should,
                "After SUSPEND the transport's own, deeper suspend is used, if there is one.",
                cause: "a PCI function left in D0 once SUSPEND reads 1",
                remedy: "Go on to the transport's power state; virtio-mmio has none."),
        ]
    }
}
