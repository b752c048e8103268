// The clauses of the device types.

extension Check {
    /// The clause, if it is about a device type.
    var deviceTypeClause: Clause? {
        switch self {
        case .writebackAfterFeatures:
            Clause(
                "5.2.5.1-4", .driver, .mustNot, "writeback is not read before FEATURES_OK.",
                cause: "the configuration space read as a whole in the probe function",
                remedy: "Read it after FEATURES_OK was read back.")
        case .requestFramed:
            Clause(
                "5.2.6-0a", .driver, .stated,
                "A request has 16 readable bytes of header, and at its end a writable byte for the status.",
                cause: "the status byte forgotten or not writable, or a short header",
                remedy: "Add header, data and status, in this order.")
        case .requestNegotiated:
            Clause(
                "5.2.6-0b", .driver, .stated, "Only request types whose feature was negotiated are sent.",
                cause: "a flush or discard sent to every disk", remedy: "Look at the negotiated features before.")
        case .diskWritable:
            Clause(
                "5.2.3-0", .driver, .stated, "A disk that offers VIRTIO_BLK_F_RO is not written.",
                cause: "the feature not looked at: every write fails",
                remedy: "Mark the disk read-only where VIRTIO_BLK_F_RO is offered.")
        case .requestOnDisk:
            Clause(
                "5.2.6.1-2", .driver, .mustNot, "No request goes beyond capacity.",
                cause: "sectors counted in the disk's block size and not in 512 bytes, or a disk that shrank",
                remedy: "Count in 512 bytes, and read capacity again after a configuration change.")
        case .flushSectorZero:
            Clause(
                "5.2.6.1-4", .driver, .must, "sector is 0 in a flush.", cause: "a header used before and not cleared",
                remedy: "Clear the header of every request.")
        case .flushWithoutData:
            Clause(
                "5.2.6.1-5", .driver, .shouldNot, "A flush has no data.",
                cause: "a write turned into a flush by its type alone",
                remedy: "Send header and status only.")
        case .wholeSectors:
            Clause(
                "5.2.6.1-6", .driver, .must, "Reads and writes have data of a multiple of 512 bytes.",
                cause: "a length in bytes passed on from a file system, or the status byte counted as data",
                remedy: "Read and write whole sectors; give the status a byte of its own.")
        case .wholeRanges:
            Clause(
                "5.2.6.1-7", .driver, .must, "The data of a discard or write zeroes is a multiple of 16 bytes.",
                cause: "a range structure with padding, or none",
                remedy: "Send structures of sector, num_sectors and flags.")
        case .identityLength:
            Clause(
                "5.2.6.1-8", .driver, .must, "The data of GET_ID is 20 bytes.",
                cause: "a buffer of a sector, or of 21 bytes for a NUL",
                remedy: "Give 20 bytes, and add the NUL in the driver.")
        case .discardRanges:
            Clause(
                "5.2.6.1-9", .driver, .mustNot, "A discard has no more ranges than max_discard_seg.",
                cause: "ranges merged without a look at the limit", remedy: "Send several requests.")
        case .writeZeroesRanges:
            Clause(
                "5.2.6.1-11", .driver, .mustNot, "A write zeroes has no more ranges than max_write_zeroes_seg.",
                cause: "ranges merged without a look at the limit", remedy: "Send several requests.")
        case .rangeLength:
            Clause(
                "5.2.5-0", .driver, .stated,
                "A range has no more sectors than max_discard_sectors or max_write_zeroes_sectors.",
                cause: "a whole disk discarded at once", remedy: "Split the range.")
        case .discardUnmapZero:
            Clause(
                "5.2.6.1-14", .driver, .must, "unmap, and every reserved flag, is 0 in a discard.",
                cause: "one structure filled for discard and write zeroes alike",
                remedy: "Set unmap in write zeroes only.")
        case .receiveWritable:
            Clause(
                "5.3.6.1-1", .driver, .mustNot, "A receiveq has no device-readable buffers.",
                cause: "VIRTQ_DESC_F_WRITE forgotten", remedy: "Set VIRTQ_DESC_F_WRITE in buffers for input.")
        case .transmitReadable:
            Clause(
                "5.3.6.1-2", .driver, .mustNot, "A transmitq has no device-writable buffers.",
                cause: "receive and transmit queues mixed up",
                remedy: "Queue 0 receives and queue 1 transmits, and so on by pairs.")
        case .controlMessageMeansSomething:
            Clause(
                "5.3.6.2-0", .driver, .stated,
                "A control message has eight bytes, a known event, and the number of a port.",
                cause: "byte order, or a number at or above max_nr_ports",
                remedy: "Send id, event and value as in 5.3.6.2.")
        default: nil
        }
    }
}
