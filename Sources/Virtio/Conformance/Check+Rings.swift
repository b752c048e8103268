// Clauses on virtqueues.

extension Check {
    /// The clause of a check on virtqueues; nil for other checks.
    var ringClause: Clause? {
        switch self {
        case .addressInMemory:
            Clause(
                "6.1-5", .driver, .must,
                "Without VIRTIO_F_ACCESS_PLATFORM, the driver must pass only physical addresses, all within guest memory.",
                cause: "a virtual address, a freed page, or a length that goes past the end of memory",
                remedy: "Translate the address, and check that address plus length is within memory.")
        case .bufferOutsideRings:
            Clause(
                "VMM-2", .driver, .advice, "The driver should not place buffers inside the rings of their queue.",
                cause: "a buffer allocated from the page that also holds the ring",
                remedy: "Allocate separate memory for the rings: the device may write to buffers at any time.")
        case .splitSize:
            Clause(
                "2.7-0", .driver, .stated, "The Queue Size of a split virtqueue is a power of two, and not 0.",
                cause: "QueueReady written before QueueSize, or a size derived from the available memory",
                remedy: "Round down to a power of two before writing QueueSize.")
        case .splitAlignment:
            Clause(
                "2.7.1-1", .driver, .must,
                "The driver must align the parts of a split virtqueue: 16 bytes, 2 bytes and 4 bytes.",
                cause: "parts placed one after the other without padding", remedy: "Align each part separately.")
        case .splitWritableLast:
            Clause(
                "2.7.4.2-1", .driver, .must,
                "In a chain, the driver must place device-writable descriptors after device-readable ones.",
                cause: "the status byte placed before the data of a write",
                remedy: "Order the descriptors: first all readable ones, then all writable ones.")
        case .splitNoLoop:
            Clause(
                "2.7.5.2-1", .driver, .mustNot,
                "The driver must not add a descriptor chain that loops or is longer than 2^32 bytes in total.",
                cause: "VIRTQ_DESC_F_NEXT left set in the last descriptor of a reused chain",
                remedy: "Clear VIRTQ_DESC_F_NEXT in the last descriptor.")
        case .splitInOrder:
            Clause(
                "2.7.5.2-2", .driver, .must,
                "With VIRTIO_F_IN_ORDER, the driver must set next to the following table index, and to 0 in the last descriptor.",
                cause: "descriptors allocated from a free list", remedy: "Use the descriptor table as a ring.")
        case .splitNextInTable:
            Clause(
                "2.7.5-0", .driver, .stated, "next is the index of a descriptor in the same table.",
                cause: "next in an indirect table counted from the start of the ring's table, or wrong byte order",
                remedy: "Count next from 0 in each table.")
        case .splitIndirectNegotiated:
            Clause(
                "2.7.5.3.1-1", .driver, .mustNot,
                "The driver must not set VIRTQ_DESC_F_INDIRECT unless VIRTIO_F_INDIRECT_DESC was negotiated.",
                cause: "the feature is offered but never accepted",
                remedy: "Accept the feature, or use chained descriptors.")
        case .splitOneTable:
            Clause(
                "2.7.5.3.1-2", .driver, .mustNot,
                "The driver must not set VIRTQ_DESC_F_INDIRECT in a descriptor of an indirect table.",
                cause: "flags copied from the descriptor that refers to the table",
                remedy: "Clear VIRTQ_DESC_F_INDIRECT in indirect tables.")
        case .splitLength:
            Clause(
                "2.7.5.3.1-3", .driver, .mustNot,
                "The driver must not create a chain longer than the device's Queue Size, including its indirect table: QueueSizeMax.",
                cause: "scatter lists limited only by the table; this device accepts up to 128 regardless",
                remedy: "Split the request, or limit it to the device's seg_max.")
        case .splitLengthOfQueue:
            Clause(
                "VMM-11", .driver, .advice,
                "The driver should not create a chain longer than the QueueSize that it has written: 2.7.5.3.1-3 may mean this size.",
                cause: "seg_max used as the limit of a queue that is smaller than QueueSizeMax",
                remedy: "Limit a chain to the size of the queue, including its indirect table.")
        case .splitTableEndsChain:
            Clause(
                "2.7.5.3.1-4", .driver, .mustNot,
                "The driver must not set both VIRTQ_DESC_F_INDIRECT and VIRTQ_DESC_F_NEXT in a descriptor.",
                cause: "a descriptor chained after an indirect table", remedy: "Put that descriptor into the table.")
        case .tableInOrder:
            Clause(
                "2.7.5.3.1-5", .driver, .must,
                "With VIRTIO_F_IN_ORDER, indirect descriptors must be sequential: next is 1 in the first, 2 in the second.",
                cause: "an indirect table filled from a free list", remedy: "Set next to 1, 2, 3 and so on.")
        case .tableWhole:
            Clause(
                "2.7.5.3-0", .driver, .stated,
                "An indirect table holds at least one descriptor, and its length is a multiple of 16 bytes.",
                cause: "the number of descriptors given instead of the number of bytes",
                remedy: "Set len to 16 times the number of descriptors.")
        case .availableIndexAdvances:
            Clause(
                "2.7.6.1-1", .driver, .mustNot,
                "The driver must not decrement the available idx; the device takes a step of more than Queue Size for one.",
                cause: "idx reset or masked by the queue size, or the queue set up again without telling the device",
                remedy: "Let idx increase freely, modulo 2^16.")
        case .headInTable:
            Clause(
                "2.7.6-0", .driver, .stated, "An available ring entry is the index of a descriptor in the table.",
                cause: "the entry written after idx, a missing barrier, or a wrong ring mask",
                remedy: "Write the entry, then a barrier, then idx.")
        case .headFree:
            Clause(
                "2.7.13-0", .driver, .stated, "A descriptor is not made available again before the device has used it.",
                cause: "a free list that receives descriptors too early",
                remedy: "Free a chain after its used entry has been read.")
        case .availableFlags:
            Clause(
                "2.7.7.1-1", .driver, .must,
                "Without VIRTIO_F_EVENT_IDX, the driver must set flags of the available ring to 0 or 1.",
                cause: "ring memory that was not cleared",
                remedy: "Clear the ring, and set no bit other than VIRTQ_AVAIL_F_NO_INTERRUPT.")
        case .availableFlagsZero:
            Clause(
                "2.7.7.1-3", .driver, .must,
                "With VIRTIO_F_EVENT_IDX, the driver must set flags of the available ring to 0.",
                cause: "interrupts disabled by flags instead of used_event",
                remedy: "Use used_event, and keep flags 0.")
        case .splitDescriptorKept:
            Clause(
                "3.3.1-1", .driver, .mustNot,
                "The driver must not alter descriptors of a buffer that is available and not yet used.",
                cause: "an indirect table freed or reused too early, or two users of one free list",
                remedy: "Change descriptors and tables only after the used entry has been read.")
        case .packedAlignment:
            Clause(
                "2.8.11-1", .driver, .must,
                "The driver must align the parts of a packed virtqueue: 16 bytes, 4 bytes and 4 bytes.",
                cause: "parts placed one after the other without padding", remedy: "Align each part separately.")
        case .packedDescriptorKept:
            Clause(
                "2.8.16-1", .driver, .mustNot,
                "The driver must not change a descriptor, or its indirect table, before the device marks the descriptor used.",
                cause: "an indirect table freed or reused too early",
                remedy: "Change it only after VIRTQ_DESC_F_USED has changed.")
        case .packedLength:
            Clause(
                "2.8.17-1", .driver, .mustNot,
                "The driver must not create a descriptor list longer than the device allows.",
                cause: "scatter lists longer than the device's seg_max", remedy: "Split the request.")
        case .packedNoLoop:
            Clause(
                "2.8.17-2", .driver, .mustNot,
                "The driver must not create a list longer than the Queue Size.",
                cause: "VIRTQ_DESC_F_NEXT set in every descriptor of the ring",
                remedy: "Clear VIRTQ_DESC_F_NEXT in the last descriptor of a list.")
        case .packedBytes:
            Clause(
                "VMM-12", .driver, .advice,
                "A list of a packed virtqueue should have at most 2^32 bytes: 2.7.5.2-1 limits split chains, this device both.",
                cause: "a length that is not initialized, or a transfer that is not split",
                remedy: "Split the request.")
        case .packedWritableLast:
            Clause(
                "2.8.17-3", .driver, .must,
                "In a list, the driver must place device-writable descriptors after device-readable ones.",
                cause: "the status byte placed before the data of a write",
                remedy: "Order the descriptors: first all readable ones, then all writable ones.")
        case .packedRoom:
            Clause(
                "2.8.17-5", .driver, .must,
                "The driver must make sure that the ring has space for the whole list before making its first descriptor available.",
                cause: "free descriptors counted incorrectly",
                remedy: "Count the descriptors of a list as free only after the list is used.")
        case .packedWholeList:
            Clause(
                "2.8.17-6", .driver, .mustNot,
                "The driver must not make the first descriptor of a list available before all the others.",
                cause: "flags written in list order",
                remedy: "Write the flags of the first descriptor last, after a barrier.")
        case .packedIndirectNegotiated:
            Clause(
                "2.8.19-1", .driver, .mustNot,
                "In a packed virtqueue, the driver must not set VIRTQ_DESC_F_INDIRECT without VIRTIO_F_INDIRECT_DESC.",
                cause: "the feature is offered but never accepted",
                remedy: "Accept the feature, or use chained descriptors.")
        case .packedTableFlags:
            Clause(
                "2.8.19-2", .driver, .mustNot,
                "In an indirect table of a packed virtqueue, the driver must not set any flag except VIRTQ_DESC_F_WRITE.",
                cause: "a table built as for a split virtqueue, with VIRTQ_DESC_F_NEXT",
                remedy: "Set VIRTQ_DESC_F_WRITE or no flag.")
        case .packedTableAlone:
            Clause(
                "2.8.19-4", .driver, .mustNot,
                "In a packed virtqueue, the driver must not chain a descriptor that refers to an indirect table.",
                cause: "a header chained before an indirect table", remedy: "Put the header into the table.")
        default: nil
        }
    }
}
