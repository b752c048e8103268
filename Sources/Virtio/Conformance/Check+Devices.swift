// Clauses on the device types.

extension Check {
    /// The clause of a check on a device type; nil for other checks.
    var deviceTypeClause: Clause? {
        switch self {
        case .writebackAfterFeatures:
            Clause(
                "5.2.5.1-4", .driver, .mustNot, "The driver must not read writeback before it sets FEATURES_OK.",
                cause: "the whole configuration space read in the probe function",
                remedy: "Read writeback after FEATURES_OK is read back.")
        case .requestFramed:
            Clause(
                "5.2.6-0a", .driver, .stated,
                "A request starts with 16 readable header bytes and ends with a writable status byte.",
                cause: "the status byte missing or not writable, or a short header",
                remedy: "Add header, data and status, in this order.")
        case .requestReserved:
            Clause(
                "VMM-14", .driver, .advice,
                "The reserved parts of a request should be 0: flags of a segment, and the header's word except an ioprio of 16 bits.",
                cause:
                    "memory that was not cleared; Linux writes an I/O priority to the header, as legacy devices had it",
                remedy: "Clear header and segments before filling them in.")
        case .dataDirection:
            Clause(
                "VMM-13", .driver, .advice,
                "Read and GET_ID data should be only device-writable, other data device-readable: the rest is not transferred.",
                cause: "VIRTQ_DESC_F_WRITE missing in the data of a read, or set in that of a write: S_OK, and no data",
                remedy: "Set VIRTQ_DESC_F_WRITE in data that the device fills, and only there.")
        case .requestNegotiated:
            Clause(
                "5.2.6-0b", .driver, .advice,
                "The driver should send a request type that depends on a feature only if the feature was negotiated.",
                cause: "a flush or discard sent to every disk", remedy: "Check the negotiated features first.")
        case .diskWritable:
            Clause(
                "5.2.3-0", .driver, .advice,
                "The driver should send no write requests to a disk that offers VIRTIO_BLK_F_RO: they fail.",
                cause: "VIRTIO_BLK_F_RO not checked",
                remedy: "Mark the disk read-only if VIRTIO_BLK_F_RO is offered.")
        case .requestOnDisk:
            Clause(
                "5.2.6.1-2", .driver, .mustNot,
                "The driver must not submit a request that reads or writes beyond capacity.",
                cause: "sectors counted in blocks instead of units of 512 bytes, or a disk that became smaller",
                remedy: "Count sectors of 512 bytes, and read capacity again after a configuration change notification."
            )
        case .flushSectorZero:
            Clause(
                "5.2.6.1-4", .driver, .must, "The driver must set sector to 0 in a flush request.",
                cause: "a reused header that was not cleared", remedy: "Clear the header of every request.")
        case .flushWithoutData:
            Clause(
                "5.2.6.1-5", .driver, .shouldNot, "The driver should not include data in a flush request.",
                cause: "a write request changed to a flush only by its type", remedy: "Send only header and status.")
        case .wholeSectors:
            Clause(
                "5.2.6.1-6", .driver, .must,
                "The data length of a read or write request must be a multiple of 512 bytes.",
                cause: "a byte length passed on from a file system, or the status byte counted as data",
                remedy: "Transfer whole sectors, and use a separate byte for the status.")
        case .rangeGiven:
            Clause(
                "5.2.6-0c", .driver, .stated, "The data of a discard or write zeroes request has at least one segment.",
                cause: "a segment that is not device-readable", remedy: "Send one segment, or no request.")
        case .wholeRanges:
            Clause(
                "5.2.6.1-7", .driver, .must,
                "The data length of a discard or write zeroes request must be a multiple of 16 bytes, the size of a segment.",
                cause: "a segment structure with padding",
                remedy: "Send structures of sector, num_sectors and flags, 16 bytes each.")
        case .identityLength:
            Clause(
                "5.2.6.1-8", .driver, .must, "The data length of a GET_ID request must be 20 bytes.",
                cause: "a buffer of one sector, or of 21 bytes to hold a NUL",
                remedy: "Provide 20 bytes, and append the NUL in the driver.")
        case .discardRanges:
            Clause(
                "5.2.6.1-9", .driver, .mustNot,
                "A discard request must not contain more segments than max_discard_seg.",
                cause: "segments merged without checking the limit", remedy: "Send several requests.")
        case .writeZeroesRanges:
            Clause(
                "5.2.6.1-11", .driver, .mustNot,
                "A write zeroes request must not contain more segments than max_write_zeroes_seg.",
                cause: "segments merged without checking the limit", remedy: "Send several requests.")
        case .rangeLength:
            Clause(
                "5.2.5-0", .driver, .advice,
                "A segment should have at most max_discard_sectors or max_write_zeroes_sectors sectors.",
                cause: "a whole disk discarded in one request", remedy: "Split the segment.")
        case .discardUnmapZero:
            Clause(
                "5.2.6.1-14", .driver, .must,
                "In a discard request, the driver must set unmap to 0.",
                cause: "the same structure used for discard and write zeroes",
                remedy: "Set unmap only in write zeroes requests.")
        case .receiveWritable:
            Clause(
                "5.3.6.1-1", .driver, .mustNot, "The driver must not put a device-readable buffer in a receiveq.",
                cause: "VIRTQ_DESC_F_WRITE not set", remedy: "Set VIRTQ_DESC_F_WRITE in input buffers.")
        case .transmitReadable:
            Clause(
                "5.3.6.1-2", .driver, .mustNot, "The driver must not put a device-writable buffer in a transmitq.",
                cause: "receive and transmit queues exchanged",
                remedy: "Use queue 0 to receive and queue 1 to transmit, and so on in pairs.")
        case .controlMessageValid:
            Clause(
                "5.3.6.2-0", .driver, .stated,
                "A control message is 8 bytes long and has a known event and the number of an existing port.",
                cause: "wrong byte order, or a port number not below max_nr_ports",
                remedy: "Send id, event and value as defined in 5.3.6.2.")
        default: nil
        }
    }
}
