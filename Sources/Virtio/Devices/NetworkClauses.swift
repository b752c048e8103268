// The clauses of the network device (VIRTIO 1.4, 5.1): those of the features that this device offers.

extension Check {
    /// The clause, if it belongs to the network device.
    var networkClause: Clause? {
        switch self {
        case .frameWithinMTU:
            Clause(
                "5.1.4.2-9", .driver, .mustNot,
                "With VIRTIO_NET_F_MTU, the driver must not transmit an unsegmented frame longer than mtu plus the Ethernet header.",
                cause: "mtu not read, or the interface's MTU set above it",
                remedy: "Limit the interface's MTU to the field mtu.")
        case .frameDirection:
            Clause(
                "5.1.9-0", .driver, .stated,
                "Buffers of a transmitq are device-readable, and those of a receiveq device-writable.",
                cause: "receive and transmit queues exchanged, or VIRTQ_DESC_F_WRITE missing",
                remedy: "Use even queues to receive and odd ones to transmit; set VIRTQ_DESC_F_WRITE to receive.")
        case .frameWhole:
            Clause(
                "5.1.9.2.1-1", .driver, .must,
                "A transmit buffer begins with a virtio_net_hdr of the same size as in receive buffers, 12 bytes here, then the frame.",
                cause: "the header of 10 bytes that legacy devices had", remedy: "Always include num_buffers.")
        case .bufferCountZero:
            Clause(
                "5.1.9.2.1-2", .driver, .must, "The driver must set num_buffers to 0 in a transmit buffer.",
                cause: "a header that was not cleared, or the value 1 of received frames", remedy: "Clear the header.")
        case .frameFlagsZero:
            Clause(
                "5.1.9.2.1-3", .driver, .must,
                "Without VIRTIO_NET_F_CSUM, the driver must set flags to 0 in a transmit buffer.",
                cause: "checksum offload enabled without the feature",
                remedy: "Complete the checksum, and set flags to 0.")
        case .segmentationNegotiated:
            Clause(
                "5.1.9.2.1-7", .driver, .mustNot,
                "The driver must not set gso_type to a kind of segmentation whose feature was not negotiated (also -9, -11, -13).",
                cause: "one feature of segmentation taken for all of them",
                remedy: "Check VIRTIO_NET_F_HOST_TSO4, TSO6, UFO and USO each.")
        case .checksumInFrame:
            Clause(
                "5.1.9.2.1-30", .driver, .must,
                "With VIRTIO_NET_HDR_F_NEEDS_CSUM, csum_start and csum_offset must name a checksum in the frame.",
                cause: "offsets that count the virtio_net_hdr", remedy: "Count from the Ethernet header.")
        case .segmentationNeedsChecksum:
            Clause(
                "5.1.9.2.1-32", .driver, .must,
                "With a gso_type other than NONE, the driver must set VIRTIO_NET_HDR_F_NEEDS_CSUM.",
                cause: "segments whose checksums cannot be right in advance",
                remedy: "Set the flag, csum_start and csum_offset.")
        case .segmentSizeGiven:
            Clause(
                "5.1.9.2.1-33", .driver, .must, "With a gso_type other than NONE, the driver must set gso_size.",
                cause: "gso_type left over in a reused header", remedy: "Set gso_size to the segment's payload.")
        case .receiveFlagsUnused:
            Clause(
                "5.1.9.2.1-45", .driver, .mustNot,
                "The driver must not set VIRTIO_NET_HDR_F_DATA_VALID or RSC_INFO in a transmit buffer.",
                cause: "the header of a received frame used to forward it", remedy: "Clear the header of each frame.")
        case .receiveBufferHoldsFrame:
            Clause(
                "5.1.9.3.1-2", .driver, .should,
                "Without VIRTIO_NET_F_MRG_RXBUF, receive buffers should have 1526 bytes, or 65601 with segmentation (-1).",
                cause: "no room for the header, or GUEST_TSO accepted with buffers for one frame",
                remedy: "Add larger buffers, or accept VIRTIO_NET_F_MRG_RXBUF.")
        case .mergeableBufferHoldsHeader:
            Clause(
                "5.1.9.3.1-3", .driver, .must,
                "With VIRTIO_NET_F_MRG_RXBUF, each receive buffer must have 12 bytes at least.",
                cause: "the header's size not added", remedy: "Add larger buffers.")
        case .commandFramed:
            Clause(
                "5.1.9.5-0", .driver, .stated,
                "A control command is class, command and the command's data, device-readable, then a device-writable byte.",
                cause: "data cut or padded, or the byte for the answer missing",
                remedy: "Send class, command, the data of that command, and a byte for the answer.")
        case .receiveModeNegotiated:
            Clause(
                "5.1.9.5.1.2-1", .driver, .mustNot,
                "Without VIRTIO_NET_F_CTRL_RX, the driver must not send PROMISC or ALLMULTI.",
                cause: "only VIRTIO_NET_F_CTRL_VQ checked", remedy: "Check VIRTIO_NET_F_CTRL_RX.")
        case .extraModeNegotiated:
            Clause(
                "5.1.9.5.1.2-2", .driver, .mustNot,
                "Without VIRTIO_NET_F_CTRL_RX_EXTRA, the driver must not send ALLUNI, NOMULTI, NOUNI or NOBCAST.",
                cause: "only VIRTIO_NET_F_CTRL_RX checked", remedy: "Check VIRTIO_NET_F_CTRL_RX_EXTRA.")
        case .macCommandNegotiated:
            Clause(
                "5.1.9.5.2.2-1", .driver, .mustNot,
                "Without VIRTIO_NET_F_CTRL_RX, the driver must not send commands of class MAC.",
                cause: "only VIRTIO_NET_F_CTRL_MAC_ADDR checked", remedy: "Check VIRTIO_NET_F_CTRL_RX too.")
        case .macTableWhole:
            Clause(
                "5.1.9.5.2.2-3", .driver, .must,
                "MAC_TABLE_SET has a number and as many unicast addresses, then a number and as many multicast addresses.",
                cause: "one table for both kinds, or the length in bytes",
                remedy: "Send both tables, each behind its number of addresses.")
        case .queuePairsExist:
            Clause(
                "5.1.9.5.6.1-2", .driver, .mustNot,
                "The driver must not request 0 queue pairs, or more than max_virtqueue_pairs.",
                cause: "the number of processors requested", remedy: "Limit it to max_virtqueue_pairs.")
        case .transmitPairEnabled:
            Clause(
                "5.1.9.5.6.1-4", .driver, .mustNot,
                "The driver must not use transmit queues of pairs that it has not enabled by VQ_PAIRS_SET (also -3).",
                cause: "VIRTIO_NET_F_MQ accepted and the command not sent",
                remedy: "Send VQ_PAIRS_SET, and wait for its answer.")
        default: nil
        }
    }
}

extension Clause {
    /// The clauses on its driver that no check covers.
    static let networkDriverClauses = [
        Clause(
            "5.1.4.2-3", .driver, .must,
            "A driver that accepts VIRTIO_NET_F_MAC must use mac as the interface's address.",
            cause: "a random address: frames for it are filtered", remedy: "Read mac, one byte at a time."),
        Clause(
            "5.1.4.2-6", .driver, .should,
            "With VIRTIO_NET_F_STATUS, the driver should read the link's state from the lowest bit of status.",
            cause: "a link that never goes down",
            remedy: "Read status at the start and after each configuration change notification."),
        Clause(
            "5.1.4.2-8", .driver, .must,
            "With VIRTIO_NET_F_MTU, the driver must supply receive buffers for a frame of mtu plus the Ethernet header.",
            cause: "buffers of 1526 bytes for a larger mtu: such frames are dropped",
            remedy: "Add larger buffers, or enough that can be merged."),
        Clause(
            "5.1.9.5.4.1-2", .driver, .must,
            "A driver that sees VIRTIO_NET_S_ANNOUNCE must send the command ANNOUNCE_ACK.",
            cause: "the bit ignored: a later announcement cannot be seen",
            remedy: "Announce the interface, then send the command."),
        Clause(
            "5.1.9.5.6.1-1", .driver, .must,
            "The driver must configure virtqueues before it enables them by VQ_PAIRS_SET.",
            cause: "the command sent first: frames wait for a queue that does not exist",
            remedy: "Set up every queue before DRIVER_OK."),
    ]

    /// The clauses on the device.
    static let networkDeviceClauses = [
        Clause(
            "5.1.4.1-4", .device, .mustNot, "The device must not modify mtu once it has been set.",
            cause: "an interface of the host whose MTU changed", remedy: "Offer another MTU to the next machine."),
        Clause(
            "5.1.4.1-5", .device, .mustNot,
            "With VIRTIO_NET_F_MTU, the device must not pass on unsegmented frames longer than mtu plus the Ethernet header.",
            cause: "a link with jumbo frames", remedy: "Drop such frames."),
        Clause(
            "5.1.9.4.1-4", .device, .must,
            "The device must use the buffers of one frame together, so that the driver sees num_buffers of them used.",
            cause: "each buffer used as soon as it is full", remedy: "Publish all of them by one index."),
        Clause(
            "5.1.9.4.1-5", .device, .must,
            "Without VIRTIO_NET_F_GUEST_CSUM, the device must set flags to 0 in a receive buffer.",
            cause: "the header of the host passed on as it is",
            remedy: "Tell the host which offloads the driver accepted, and drop what needs others."),
        Clause(
            "5.1.9.5.2.1-1", .device, .must, "The device must have an empty MAC filtering table on reset.",
            cause: "the table of the boot loader's driver kept", remedy: "Empty the table on reset."),
        Clause(
            "5.1.9.5.2.1-3", .device, .must,
            "The device must update mac in the configuration space before it uses the buffer of MAC_ADDR_SET.",
            cause: "the change made later, by another thread", remedy: "Update it first."),
        Clause(
            "5.1.9.5.4.2-1", .device, .must,
            "The device must clear VIRTIO_NET_S_ANNOUNCE before it uses the buffer of ANNOUNCE_ACK.",
            cause: "the bit cleared by the next configuration change", remedy: "Clear it first."),
        Clause(
            "5.1.9.5.6.2-1", .device, .must, "After a reset, the device must queue frames only on receiveq1.",
            cause: "the number of queue pairs kept over a reset", remedy: "Return to one pair."),
    ]
}
