// The clauses of the network device (VIRTIO 1.4, 5.1) that no check covers: on its driver, and on the device.

extension Clause {
    /// The configuration space, and frames from the driver.
    static var networkTransmitClauses: [Clause] {
        [
            Clause(
                "5.1.4.1-1", .device, .must,
                "A device that offers VIRTIO_NET_F_MQ must set max_virtqueue_pairs to 1 to 0x8000.",
                cause: "the number of the host's queues, which may be 0",
                remedy: "Limit the number, and do not offer the feature for 0."),
            Clause(
                "5.1.4.1-2", .device, .must,
                "A device that offers VIRTIO_NET_F_MTU must set mtu to 68 to 65535.",
                cause: "the host interface's MTU, 65536 for the loopback interface",
                remedy: "Limit the number."),
            Clause(
                "5.1.4.1-3", .device, .should,
                "A device that offers VIRTIO_NET_F_MTU should set mtu to at least 1280.",
                cause: "an MTU below what IPv6 needs",
                remedy: "Do not offer the feature for a smaller number."),
            Clause(
                "5.1.4.1-6", .device, .must,
                "With VIRTIO_NET_F_MTU, the device must forward frames of up to mtu plus the Ethernet header, not fragmented.",
                cause: "a buffer for 1514 bytes",
                remedy: "Take buffers of mtu + 14 bytes."),
            Clause(
                "5.1.4.1-10", .device, .must,
                "With VIRTIO_NET_F_SPEED_DUPLEX, speed must be in units of 1 Mbit/s, or all ones if it is unknown.",
                cause: "0 for unknown",
                remedy: "Set 0xffffffff."),
            Clause(
                "5.1.4.1-11", .device, .must,
                "With VIRTIO_NET_F_SPEED_DUPLEX, duplex must be 0, 1, or 0xff if it is unknown.",
                cause: "0 for unknown",
                remedy: "Set 0xff; the specification gives 0 and 1 both meanings (5.1.4, 5.1.4.1)."),
            Clause(
                "5.1.4.1-12", .device, .shouldNot,
                "The device should not change speed and duplex while VIRTIO_NET_S_LINK_UP is set.",
                cause: "the host's values copied whenever they are read",
                remedy: "Change them only while the link is down."),
            Clause(
                "5.1.4.1-14", .device, .shouldNot,
                "The device should not offer VIRTIO_NET_F_CTRL_RX_EXTRA without VIRTIO_NET_F_CTRL_VQ.",
                cause: "an option that removes the control queue only",
                remedy: "Remove all features that need it."),
            Clause(
                "5.1.9.2.2-1", .device, .must,
                "The device must ignore flags in a transmit buffer that it does not know.",
                cause: "a header that is refused for them",
                remedy: "Use the bits that are defined, and mask the others."),
            Clause(
                "5.1.9.2.2-2", .device, .mustNot,
                "Without VIRTIO_NET_HDR_F_NEEDS_CSUM, the device must not use csum_start and csum_offset.",
                cause: "both checked before the flag",
                remedy: "Check the flag first."),
            Clause(
                "5.1.9.2.2-6", .device, .may,
                "The device may take hdr_len for a hint about the length of the headers.",
                cause: "hdr_len taken for their length",
                remedy: "Parse the headers where their length matters."),
            Clause(
                "5.1.9.2.2-7", .device, .mustNot,
                "The device must not rely on hdr_len to be correct.",
                cause: "hdr_len bytes copied without a check",
                remedy: "Check it against the frame, or do not use it."),
            Clause(
                "5.1.9.2.2-11", .device, .mustNot,
                "Without VIRTIO_NET_HDR_F_NEEDS_CSUM, the device must not rely on the checksum in the frame.",
                cause: "the frame marked as checked for the receiver",
                remedy: "Pass the frame on without a claim about its checksum."),
            Clause(
                "5.1.9.2.2-12", .device, .mustNot,
                "Without VIRTIO_NET_HDR_F_SECURITY, the device must not use resource_id and resource_type.",
                cause: "a header of 20 bytes read where 12 were agreed on",
                remedy: "Read only the fields of the negotiated features."),
        ]
    }

    /// Frames to the driver.
    static var networkReceiveClauses: [Clause] {
        [
            Clause(
                "5.1.9.3.2-1", .device, .must,
                "The device must set num_buffers to the number of descriptors that hold the frame.",
                cause: "the field left 0, as in the legacy interface",
                remedy: "Set it to 1, or to the number of merged buffers."),
            Clause(
                "5.1.9.3.2-2", .device, .must,
                "Without VIRTIO_NET_F_MRG_RXBUF, the device must use one buffer for a frame.",
                cause: "a long frame spread over several buffers",
                remedy: "Drop a frame that does not fit."),
            Clause(
                "5.1.9.4.1-1", .device, .must,
                "Without VIRTIO_NET_F_MRG_RXBUF, the device must set num_buffers to 1.",
                cause: "the field left 0",
                remedy: "Set it to 1."),
            Clause(
                "5.1.9.4.1-2", .device, .must,
                "With VIRTIO_NET_F_MRG_RXBUF, num_buffers must be the number of buffers that the frame is spread over.",
                cause: "the number written before the last buffer is known",
                remedy: "Write the header of the first buffer last."),
            Clause(
                "5.1.9.4.1-3", .device, .must,
                "The device must fill each buffer of a frame but the last completely.",
                cause: "a buffer that ends with a descriptor",
                remedy: "Fill all descriptors of a buffer before the next one."),
            Clause(
                "5.1.9.4.1-6", .device, .should,
                "Without VIRTIO_NET_F_GUEST_CSUM, the device should deliver frames with complete checksums.",
                cause: "a host's frame whose checksum is left to its receiver",
                remedy: "Tell the host which offloads the driver accepted."),
            Clause(
                "5.1.9.4.1-7", .device, .mustNot,
                "Without VIRTIO_NET_F_GUEST_TSO4, the device must not set gso_type to TCPV4.",
                cause: "the header of the host passed on as it is",
                remedy: "Tell the host which offloads the driver accepted, and drop what needs others."),
            Clause(
                "5.1.9.4.1-8", .device, .mustNot,
                "Without VIRTIO_NET_F_GUEST_UFO, the device must not set gso_type to UDP.",
                cause: "the header of the host passed on as it is",
                remedy: "Tell the host which offloads the driver accepted, and drop what needs others."),
            Clause(
                "5.1.9.4.1-9", .device, .mustNot,
                "Without VIRTIO_NET_F_GUEST_TSO6, the device must not set gso_type to TCPV6.",
                cause: "the header of the host passed on as it is",
                remedy: "Tell the host which offloads the driver accepted, and drop what needs others."),
            Clause(
                "5.1.9.4.1-10", .device, .mustNot,
                "Without VIRTIO_NET_F_GUEST_USO4 and USO6, the device must not set gso_type to UDP_L4.",
                cause: "the header of the host passed on as it is",
                remedy: "Tell the host which offloads the driver accepted, and drop what needs others."),
            Clause(
                "5.1.9.4.1-13", .device, .shouldNot,
                "Without VIRTIO_NET_F_GUEST_ECN, the device should not deliver segmented frames with the ECN bit.",
                cause: "the header of the host passed on as it is",
                remedy: "Tell the host which offloads the driver accepted."),
            Clause(
                "5.1.9.4.1-14", .device, .must,
                "With VIRTIO_NET_F_GUEST_ECN, the device must set VIRTIO_NET_HDR_GSO_ECN for segmented frames with the ECN bit.",
                cause: "the bit masked out with unknown ones",
                remedy: "Keep the bit."),
            Clause(
                "5.1.9.4.1-17", .device, .may,
                "With VIRTIO_NET_F_GUEST_CSUM, the device may set VIRTIO_NET_HDR_F_NEEDS_CSUM.",
                cause: "a driver that computes no checksum",
                remedy: "Negotiate the feature only with code for it."),
            Clause(
                "5.1.9.4.1-18", .device, .must,
                "With NEEDS_CSUM, the device must have validated the checksum, and those in front of it.",
                cause: "a frame of the link marked as valid without a check",
                remedy: "Set the flag only if the host did."),
            Clause(
                "5.1.9.4.1-19", .device, .must,
                "With NEEDS_CSUM, the checksum in the frame must be that of the pseudo header.",
                cause: "the field left 0",
                remedy: "Pass on what the host computed."),
            Clause(
                "5.1.9.4.1-20", .device, .must,
                "With NEEDS_CSUM, csum_start and csum_offset must name the checksum.",
                cause: "offsets that count the virtio_net_hdr",
                remedy: "Count from the Ethernet header."),
            Clause(
                "5.1.9.4.1-26", .device, .must,
                "Without a feature for segmentation, the device must set gso_type to NONE.",
                cause: "the header of the host passed on as it is",
                remedy: "Tell the host which offloads the driver accepted, and drop what needs others."),
            Clause(
                "5.1.9.4.1-27", .device, .must,
                "With a gso_type other than NONE, the device must set VIRTIO_NET_HDR_F_NEEDS_CSUM.",
                cause: "flags cleared, and gso_type kept",
                remedy: "Pass on both, or drop the frame."),
            Clause(
                "5.1.9.4.1-28", .device, .must,
                "With a gso_type other than NONE, the device must set gso_size.",
                cause: "a header of which only the first bytes are passed on",
                remedy: "Pass on the whole header."),
            Clause(
                "5.1.9.4.1-30", .device, .mustNot,
                "Without VIRTIO_NET_F_RSC_EXT, the device must not set VIRTIO_NET_HDR_F_RSC_INFO.",
                cause: "the header of the host passed on as it is",
                remedy: "Mask the flags."),
            Clause(
                "5.1.9.4.1-31", .device, .should,
                "With segmentation, hdr_len should be at least the length of the headers.",
                cause: "the field left 0",
                remedy: "Pass on what the host gives."),
            Clause(
                "5.1.9.4.1-32", .device, .may,
                "With VIRTIO_NET_F_GUEST_CSUM, the device may set VIRTIO_NET_HDR_F_DATA_VALID.",
                cause: "a driver that computes no checksum",
                remedy: "Negotiate the feature only with code for it."),
            Clause(
                "5.1.9.4.1-33", .device, .must,
                "With DATA_VALID, the device must have validated the checksum.",
                cause: "the flag set for every frame of the host",
                remedy: "Set it only if the host did."),
        ]
    }

    /// Commands of the control queue.
    static var networkCommandClauses: [Clause] {
        [
            Clause(
                "5.1.9.5.1.1-1", .device, .must,
                "With VIRTIO_NET_F_CTRL_RX, the device must support PROMISC and ALLMULTI.",
                cause: "commands answered with VIRTIO_NET_ERR",
                remedy: "Implement both, or do not offer the feature."),
            Clause(
                "5.1.9.5.1.1-2", .device, .should,
                "While PROMISC is on, the device should receive all frames.",
                cause: "a filter in front of the mode",
                remedy: "Check the mode first."),
            Clause(
                "5.1.9.5.1.1-3", .device, .should,
                "PROMISC should take effect whatever the other modes are.",
                cause: "NOMULTI and the like checked first",
                remedy: "Check PROMISC first."),
            Clause(
                "5.1.9.5.1.1-4", .device, .should,
                "While ALLMULTI is on, the device should let all multicast frames pass.",
                cause: "the table of addresses checked only",
                remedy: "Check the mode too."),
            Clause(
                "5.1.9.5.1.1-5", .device, .must,
                "With VIRTIO_NET_F_CTRL_RX_EXTRA, the device must support ALLUNI, NOMULTI, NOUNI and NOBCAST.",
                cause: "commands answered with VIRTIO_NET_ERR",
                remedy: "Implement all four, or do not offer the feature."),
            Clause(
                "5.1.9.5.1.1-6", .device, .should,
                "While ALLUNI is on, the device should let all unicast frames pass.",
                cause: "the table of addresses checked only",
                remedy: "Check the mode too."),
            Clause(
                "5.1.9.5.1.1-7", .device, .shouldNot,
                "While NOMULTI is on, the device should not deliver multicast frames.",
                cause: "the table of addresses checked first",
                remedy: "Check the mode first."),
            Clause(
                "5.1.9.5.1.1-8", .device, .should,
                "NOMULTI should take effect even if ALLMULTI is on.",
                cause: "ALLMULTI checked first",
                remedy: "Check NOMULTI first."),
            Clause(
                "5.1.9.5.1.1-9", .device, .shouldNot,
                "NOMULTI should not apply to broadcast frames.",
                cause: "the lowest bit of the address checked only",
                remedy: "Check for the broadcast address first."),
            Clause(
                "5.1.9.5.1.1-10", .device, .shouldNot,
                "While NOUNI is on, the device should not deliver unicast frames.",
                cause: "the device's own address checked first",
                remedy: "Check the mode first."),
            Clause(
                "5.1.9.5.1.1-11", .device, .should,
                "NOUNI should take effect even if ALLUNI is on.",
                cause: "ALLUNI checked first",
                remedy: "Check NOUNI first."),
            Clause(
                "5.1.9.5.1.1-12", .device, .shouldNot,
                "While NOBCAST is on, the device should not deliver broadcast frames.",
                cause: "broadcast always let through",
                remedy: "Check the mode first."),
            Clause(
                "5.1.9.5.1.1-13", .device, .should,
                "NOBCAST should take effect even if ALLMULTI is on.",
                cause: "a broadcast frame taken for a multicast one",
                remedy: "Check for the broadcast address first."),
            Clause(
                "5.1.9.5.2.1-2", .device, .must,
                "The device must update the MAC filtering table before it uses the buffer of MAC_TABLE_SET.",
                cause: "the change made later, by another thread",
                remedy: "Update it first."),
            Clause(
                "5.1.9.5.2.1-4", .device, .should,
                "The device should drop frames whose destination is neither its address nor in the table.",
                cause: "a filter left to the host",
                remedy: "Filter by address, except in a mode that lets such frames pass."),
            Clause(
                "5.1.9.5.3.1-1", .device, .must,
                "Without VIRTIO_NET_F_CTRL_VLAN, the device must accept all frames with a VLAN tag.",
                cause: "an empty table applied",
                remedy: "Apply the table only if the feature was negotiated."),
            Clause(
                "5.1.9.5.3.1-2", .device, .must,
                "With VIRTIO_NET_F_CTRL_VLAN, the device must accept frames of the VLANs in its table.",
                cause: "the priority compared with the number",
                remedy: "Compare the low 12 bits of the tag."),
            Clause(
                "5.1.9.5.3.1-3", .device, .should,
                "With VIRTIO_NET_F_CTRL_VLAN, the device should drop frames of other VLANs.",
                cause: "a table that is kept and not used",
                remedy: "Check it for each frame with a tag."),
            Clause(
                "5.1.9.5.6.2-2", .device, .mustNot,
                "Once VQ_PAIRS_SET is used, the device must not queue frames on receive queues above virtqueue_pairs.",
                cause: "a frame that already waits for a queue",
                remedy: "Drop such frames when the command is carried out."),
            Clause(
                "5.1.9.5.6.2-3", .device, .should,
                "If the receive queue of a frame is being reset, the device should choose another one.",
                cause: "a frame kept for a queue that may never be ready again",
                remedy: "Choose among the queues that are ready."),
            Clause(
                "5.1.9.5.6.2-4", .device, .must,
                "If all receive queues are being reset, the device must drop the frame.",
                cause: "frames kept for the time after the reset",
                remedy: "Drop them at once."),
        ]
    }
}
