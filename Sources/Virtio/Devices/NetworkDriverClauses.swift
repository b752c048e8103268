// The clauses on a network device's driver (VIRTIO 1.4, 5.1) that no check covers, beside those in NetworkClauses.swift.

extension Clause {
    static var networkDriverPermissions: [Clause] {
        [
            Clause(
                "5.1.4.2-1", .driver, .mustNot,
                "The driver must not write to a field of the configuration space: see VMM-5.",
                cause: "mac written, as in the legacy interface",
                remedy: "Use the command MAC_ADDR_SET."),
            Clause(
                "5.1.4.2-2", .driver, .should,
                "The driver should accept VIRTIO_NET_F_MAC if it is offered.",
                cause: "a random address: others cannot know it",
                remedy: "Accept the feature, and use mac."),
            Clause(
                "5.1.4.2-4", .driver, .should,
                "Without VIRTIO_NET_F_MAC, the driver should use a locally administered address.",
                cause: "an address with random first byte",
                remedy: "Set bit 1 and clear bit 0 of the first byte."),
            Clause(
                "5.1.4.2-5", .driver, .should,
                "Without VIRTIO_NET_F_STATUS, the driver should assume that the link is active.",
                cause: "status read as 0",
                remedy: "Read the field only with the feature."),
            Clause(
                "5.1.4.2-7", .driver, .should,
                "The driver should accept VIRTIO_NET_F_MTU if it is offered.",
                cause: "longer frames, which the device drops",
                remedy: "Accept the feature, and use mtu."),
            Clause(
                "5.1.4.2-11", .driver, .must,
                "The driver must take speed above 0x7fffffff, and duplex other than 0 and 1, for unknown.",
                cause: "all ones shown as a speed",
                remedy: "Compare the values."),
            Clause(
                "5.1.4.2-12", .driver, .should,
                "The driver should read speed and duplex again after a configuration change notification.",
                cause: "the values of the start kept",
                remedy: "Read both again."),
            Clause(
                "5.1.4.2-14", .driver, .shouldNot,
                "The driver should not accept VIRTIO_NET_F_CTRL_RX_EXTRA without VIRTIO_NET_F_CTRL_VQ.",
                cause: "features disabled one by one",
                remedy: "Also disable the features that need the control queue."),
            Clause(
                "5.1.9.2.1-4", .driver, .should,
                "Without VIRTIO_NET_F_CSUM, the driver should supply frames with complete checksums.",
                cause: "the checksum left to the device",
                remedy: "Compute it before the frame is queued."),
            Clause(
                "5.1.9.2.1-6", .driver, .may,
                "With VIRTIO_NET_F_HOST_TSO4, TSO6, UFO or USO, the driver may leave that segmentation to the device (-8, -10, -12).",
                cause: "frames segmented by the driver, at the cost of time",
                remedy: "Negotiate the feature and set gso_type."),
            Clause(
                "5.1.9.2.1-14", .driver, .shouldNot,
                "Without VIRTIO_NET_F_HOST_ECN, the driver should not leave frames with the ECN bit to the device's segmentation.",
                cause: "one feature of segmentation taken for all of them",
                remedy: "Segment such frames before they are queued."),
            Clause(
                "5.1.9.2.1-15", .driver, .must,
                "For segmentation of a frame with the ECN bit, the driver must set VIRTIO_NET_HDR_GSO_ECN.",
                cause: "gso_type set from the protocol only",
                remedy: "Look at the TCP header's flags too."),
            Clause(
                "5.1.9.2.1-27", .driver, .may,
                "With VIRTIO_NET_F_CSUM, the driver may set VIRTIO_NET_HDR_F_NEEDS_CSUM.",
                cause: "checksums computed by the driver, at the cost of time",
                remedy: "Set the flag, csum_start and csum_offset."),
            Clause(
                "5.1.9.2.1-28", .driver, .must,
                "With NEEDS_CSUM, the driver must have validated the checksums in front of the one that it names.",
                cause: "a forwarded frame of a tunnel",
                remedy: "Complete the outer checksum first."),
            Clause(
                "5.1.9.2.1-29", .driver, .must,
                "With NEEDS_CSUM, the checksum in the frame must be that of the pseudo header.",
                cause: "the field left 0",
                remedy: "Store the sum of the pseudo header there."),
            Clause(
                "5.1.9.2.1-31", .driver, .must,
                "Without a feature for segmentation, the driver must set gso_type to NONE: see -7.",
                cause: "a forwarded frame's header passed on as it is",
                remedy: "Segment the frame first."),
            Clause(
                "5.1.9.2.1-35", .driver, .should,
                "With segmentation, hdr_len should be at least the length of the headers.",
                cause: "the field left 0",
                remedy: "Set it to the offset of the data."),
            Clause(
                "5.1.9.3.1-1", .driver, .should,
                "With segmentation and no VIRTIO_NET_F_MRG_RXBUF, receive buffers should have 65601 bytes: see -2.",
                cause: "buffers of a page: longer frames are dropped",
                remedy: "Add larger buffers, or negotiate VIRTIO_NET_F_MRG_RXBUF."),
            Clause(
                "5.1.9.3.1-4", .driver, .must,
                "The size of virtio_net_hdr depends on the negotiated features: 12 bytes here.",
                cause: "a header of 10 bytes, as in the legacy interface",
                remedy: "Use 12 bytes."),
            Clause(
                "5.1.9.3.1-5", .driver, .should,
                "With VIRTIO_NET_F_MQ, the driver should fill each receive queue that will be used.",
                cause: "buffers in receiveq1 only: frames for the others are dropped",
                remedy: "Fill all queues before VQ_PAIRS_SET."),
            Clause(
                "5.1.9.4.2-1", .driver, .must,
                "The driver must ignore flags in a receive buffer that it does not know.",
                cause: "a frame that is refused for them",
                remedy: "Use the bits that are defined."),
            Clause(
                "5.1.9.4.2-4", .driver, .mustNot,
                "Without NEEDS_CSUM, the driver must not use csum_start and csum_offset.",
                cause: "both checked before the flag",
                remedy: "Check the flag first."),
            Clause(
                "5.1.9.4.2-6", .driver, .mustNot,
                "The driver must not rely on hdr_len to be correct (-5: it may take it for a hint).",
                cause: "hdr_len bytes pulled without a check",
                remedy: "Check it against the frame."),
            Clause(
                "5.1.9.4.2-7", .driver, .mustNot,
                "Without NEEDS_CSUM and DATA_VALID, the driver must not rely on the checksum in the frame.",
                cause: "all frames of the device taken for checked",
                remedy: "Check the frame."),
            Clause(
                "5.1.9.5.2.2-2", .driver, .should,
                "With VIRTIO_NET_F_CTRL_RX, the driver should tell another address than mac by MAC_ADDR_SET.",
                cause: "frames to the new address, which the device drops",
                remedy: "Send the command whenever the address changes."),
            Clause(
                "5.1.9.5.2.2-4", .driver, .may,
                "Either number of a MAC_TABLE_SET command may be 0.",
                cause: "the second number left out",
                remedy: "Send both numbers."),
            Clause(
                "5.1.9.5.4.1-1", .driver, .should,
                "A driver that sees VIRTIO_NET_S_ANNOUNCE should tell its peers where it is.",
                cause: "only the command sent",
                remedy: "Send gratuitous ARP and the like."),
            Clause(
                "5.1.9.5.6.1-3", .driver, .must,
                "Before VQ_PAIRS_SET, the driver must transmit only on transmitq1: see -4.",
                cause: "queues chosen by processor from the start",
                remedy: "Choose among the enabled pairs."),
        ]
    }
}
