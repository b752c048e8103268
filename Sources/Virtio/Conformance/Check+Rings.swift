// The clauses of the rings.

extension Check {
    /// The clause, if it is about rings.
    var ringClause: Clause? {
        switch self {
        case .addressInMemory:
            Clause(
                "6.1-5", .driver, .must,
                "What the driver gives as an address is physical memory of the guest, all of it.",
                cause: "a virtual address, a freed page, or a length that runs past the end of memory",
                remedy: "Translate the address, and check the length with it.")
        case .bufferOffRings:
            Clause(
                "VMM-2", .driver, .advice, "Buffers lie outside the rings of their queue.",
                cause: "a buffer carved from the page that also holds the ring",
                remedy: "Give the rings memory of their own: the device writes into buffers at any time.")
        case .splitSize:
            Clause(
                "2.7-0", .driver, .stated, "The size of a split ring is a power of two, and not 0.",
                cause: "QueueReady written before QueueSize, or a size computed from memory at hand",
                remedy: "Round down to a power of two before QueueSize is written.")
        case .splitAlignment:
            Clause(
                "2.7.1-1", .driver, .must, "The parts of a split ring are aligned: 16 bytes, 2 and 4.",
                cause: "parts laid one behind the other without padding", remedy: "Align each part on its own.")
        case .splitWritableLast:
            Clause(
                "2.7.4.2-1", .driver, .must, "In a chain, what the device writes comes after what it reads.",
                cause: "the status byte put before the data of a write",
                remedy: "Order the descriptors: all readable, then all writable.")
        case .splitNoLoop:
            Clause(
                "2.7.5.2-1", .driver, .mustNot, "A chain ends, and names at most 2^32 bytes.",
                cause: "VIRTQ_DESC_F_NEXT left in the last descriptor of a chain used before",
                remedy: "Clear the flag in the last descriptor.")
        case .splitInOrder:
            Clause(
                "2.7.5.2-2", .driver, .must,
                "With VIRTIO_F_IN_ORDER a chain goes on in the next descriptor of the table, from the last in the first.",
                cause: "descriptors taken from a free list", remedy: "Use the table as a ring.")
        case .splitNextInTable:
            Clause(
                "2.7.5-0", .driver, .stated, "next is the index of a descriptor of the same table.",
                cause: "next in a table of indirect descriptors counted in the ring's table, or byte order",
                remedy: "Count from 0 in each table.")
        case .splitIndirectNegotiated:
            Clause(
                "2.7.5.3.1-1", .driver, .mustNot, "VIRTQ_DESC_F_INDIRECT is used only with VIRTIO_F_INDIRECT_DESC.",
                cause: "the feature is offered and never accepted", remedy: "Accept the feature, or chain descriptors.")
        case .splitOneTable:
            Clause(
                "2.7.5.3.1-2", .driver, .mustNot, "A descriptor in an indirect table does not refer to another table.",
                cause: "flags copied from the descriptor that refers to the table",
                remedy: "Clear VIRTQ_DESC_F_INDIRECT in tables.")
        case .splitLength:
            Clause(
                "2.7.5.3.1-3", .driver, .mustNot,
                "A chain has at most Queue Size descriptors, those in its table included.",
                cause: "scatter lists as long as the table, not as the queue; this device takes up to 128 all the same",
                remedy: "Split the request, or limit it by the device's seg_max.")
        case .splitTableEndsChain:
            Clause(
                "2.7.5.3.1-4", .driver, .mustNot, "VIRTQ_DESC_F_INDIRECT and VIRTQ_DESC_F_NEXT are not set together.",
                cause: "a descriptor added behind a table", remedy: "Put it into the table.")
        case .tableInOrder:
            Clause(
                "2.7.5.3.1-5", .driver, .must, "With VIRTIO_F_IN_ORDER the descriptors of a table follow each other.",
                cause: "a table filled from a free list", remedy: "Set next to 1, 2, 3 and so on.")
        case .tableWhole:
            Clause(
                "2.7.5.3-0", .driver, .stated,
                "An indirect table has at least one descriptor and is a multiple of 16 bytes long.",
                cause: "the number of descriptors given in place of their bytes",
                remedy: "Set len to 16 times the number.")
        case .availableIndexAdvances:
            Clause(
                "2.7.6.1-1", .driver, .mustNot,
                "The available idx only goes forward, and no further than the ring has entries.",
                cause:
                    "an index reset or masked by the queue's size, or a queue set up again without telling the device",
                remedy: "Let idx run free through 16 bits.")
        case .headInTable:
            Clause(
                "2.7.6-0", .driver, .stated, "An entry of the available ring is the index of a descriptor.",
                cause: "an entry written after idx, without a barrier, or the wrong ring mask",
                remedy: "Write the entry, then a barrier, then idx.")
        case .headFree:
            Clause(
                "2.7.13-0", .driver, .stated, "A descriptor is not made available again before the device has used it.",
                cause: "a free list that gets descriptors back too early",
                remedy: "Free a chain when its used entry was read.")
        case .availableFlags:
            Clause(
                "2.7.7.1-1", .driver, .must, "flags of the available ring is 0 or 1.",
                cause: "memory of the ring that was not cleared",
                remedy: "Clear the ring, and set no bit but VIRTQ_AVAIL_F_NO_INTERRUPT.")
        case .availableFlagsZero:
            Clause(
                "2.7.7.1-3", .driver, .must, "With VIRTIO_F_EVENT_IDX flags of the available ring is 0.",
                cause: "interrupts turned off by the flag in place of used_event",
                remedy: "Use used_event, and leave flags 0.")
        case .splitDescriptorKept:
            Clause(
                "3.3.1-1", .driver, .mustNot,
                "The descriptors of a buffer are left alone from when it is available until it is used.",
                cause: "an indirect table freed or used again too early, or two users of one free list",
                remedy: "Touch descriptors and tables only after the used entry was read.")
        case .packedAlignment:
            Clause(
                "2.8.11-1", .driver, .must, "The parts of a packed ring are aligned: 16 bytes, 4 and 4.",
                cause: "parts laid one behind the other without padding", remedy: "Align each part on its own.")
        case .packedDescriptorKept:
            Clause(
                "2.8.16-1", .driver, .mustNot,
                "A descriptor, or a table it refers to, is left alone until the device has used it.",
                cause: "an indirect table freed or used again too early",
                remedy: "Touch it only after its used flag has flipped.")
        case .packedLength:
            Clause(
                "2.8.17-1", .driver, .mustNot, "A list has no more descriptors than the device allows.",
                cause: "scatter lists longer than the device's seg_max", remedy: "Split the request.")
        case .packedNoLoop:
            Clause(
                "2.8.17-2", .driver, .mustNot,
                "A list has at most Queue Size descriptors, and names at most 2^32 bytes.",
                cause: "VIRTQ_DESC_F_NEXT in every descriptor of the ring",
                remedy: "Clear the flag in the last descriptor of a list.")
        case .packedWritableLast:
            Clause(
                "2.8.17-3", .driver, .must, "In a list, what the device writes comes after what it reads.",
                cause: "the status byte put before the data of a write",
                remedy: "Order the descriptors: all readable, then all writable.")
        case .packedRoom:
            Clause(
                "2.8.17-5", .driver, .must, "There is room in the ring for a whole list before it is made available.",
                cause: "free descriptors counted wrongly",
                remedy: "Count a list's descriptors free only when the list was used.")
        case .packedWholeList:
            Clause(
                "2.8.17-6", .driver, .mustNot,
                "The first descriptor of a list becomes available after all others of it.",
                cause: "flags written in the order of the list",
                remedy: "Write the first descriptor's flags last, behind a barrier.")
        case .packedIndirectNegotiated:
            Clause(
                "2.8.19-1", .driver, .mustNot,
                "VIRTQ_DESC_F_INDIRECT is used in a packed ring only with VIRTIO_F_INDIRECT_DESC.",
                cause: "the feature is offered and never accepted", remedy: "Accept the feature, or chain descriptors.")
        case .packedTableFlags:
            Clause(
                "2.8.19-2", .driver, .mustNot,
                "A descriptor in a table of a packed ring has no flag but VIRTQ_DESC_F_WRITE.",
                cause: "a table built as for a split ring, with VIRTQ_DESC_F_NEXT",
                remedy: "Set VIRTQ_DESC_F_WRITE or nothing.")
        case .packedTableAlone:
            Clause(
                "2.8.19-4", .driver, .mustNot,
                "In a packed ring a descriptor that refers to a table is alone in its list.",
                cause: "a header chained before a table", remedy: "Put the header into the table.")
        default: nil
        }
    }
}
