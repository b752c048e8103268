// Constants of the network device (VIRTIO 1.4, 5.1).

/// Feature bits of the network device (5.1.3).
public enum NetworkFeature {
    /// VIRTIO_NET_F_CSUM, bit 0: the device completes checksums of transmitted frames.
    public static var checksum: Features { Features(bit: 0) }
    /// VIRTIO_NET_F_GUEST_CSUM, bit 1: the driver accepts received frames without a complete checksum.
    public static var guestChecksum: Features { Features(bit: 1) }
    /// VIRTIO_NET_F_MTU, bit 3: `mtu` has the maximum IP packet size.
    public static var mtu: Features { Features(bit: 3) }
    /// VIRTIO_NET_F_MAC, bit 5: `mac` has the device's address.
    public static var mac: Features { Features(bit: 5) }
    /// VIRTIO_NET_F_GUEST_TSO4, bit 7: the driver accepts unsegmented TCP over IPv4.
    public static var guestTSO4: Features { Features(bit: 7) }
    /// VIRTIO_NET_F_GUEST_TSO6, bit 8: the driver accepts unsegmented TCP over IPv6.
    public static var guestTSO6: Features { Features(bit: 8) }
    /// VIRTIO_NET_F_GUEST_ECN, bit 9: the driver accepts unsegmented TCP with ECN.
    public static var guestECN: Features { Features(bit: 9) }
    /// VIRTIO_NET_F_GUEST_UFO, bit 10: the driver accepts unfragmented UDP.
    public static var guestUFO: Features { Features(bit: 10) }
    /// VIRTIO_NET_F_HOST_TSO4, bit 11: the device segments TCP over IPv4.
    public static var hostTSO4: Features { Features(bit: 11) }
    /// VIRTIO_NET_F_HOST_TSO6, bit 12: the device segments TCP over IPv6.
    public static var hostTSO6: Features { Features(bit: 12) }
    /// VIRTIO_NET_F_HOST_ECN, bit 13: the device segments TCP with ECN.
    public static var hostECN: Features { Features(bit: 13) }
    /// VIRTIO_NET_F_HOST_UFO, bit 14: the device fragments UDP.
    public static var hostUFO: Features { Features(bit: 14) }
    /// VIRTIO_NET_F_MRG_RXBUF, bit 15: a received frame may be spread over several buffers.
    public static var mergeableBuffers: Features { Features(bit: 15) }
    /// VIRTIO_NET_F_STATUS, bit 16: `status` has the state of the link.
    public static var status: Features { Features(bit: 16) }
    /// VIRTIO_NET_F_CTRL_VQ, bit 17: the control queue exists.
    public static var controlQueue: Features { Features(bit: 17) }
    /// VIRTIO_NET_F_CTRL_RX, bit 18: the commands PROMISC and ALLMULTI, and the table of MAC addresses.
    public static var controlReceive: Features { Features(bit: 18) }
    /// VIRTIO_NET_F_CTRL_VLAN, bit 19: commands that filter by VLAN.
    public static var controlVLAN: Features { Features(bit: 19) }
    /// VIRTIO_NET_F_CTRL_RX_EXTRA, bit 20: the commands ALLUNI, NOMULTI, NOUNI and NOBCAST.
    public static var controlReceiveExtra: Features { Features(bit: 20) }
    /// VIRTIO_NET_F_GUEST_ANNOUNCE, bit 21: the device can ask the driver to announce its address.
    public static var guestAnnounce: Features { Features(bit: 21) }
    /// VIRTIO_NET_F_MQ, bit 22: several queue pairs.
    public static var multiqueue: Features { Features(bit: 22) }
    /// VIRTIO_NET_F_CTRL_MAC_ADDR, bit 23: the command that sets the MAC address.
    public static var controlMAC: Features { Features(bit: 23) }
    /// VIRTIO_NET_F_GUEST_USO4, bit 54: the driver accepts unsegmented UDP over IPv4.
    public static var guestUSO4: Features { Features(bit: 54) }
    /// VIRTIO_NET_F_GUEST_USO6, bit 55: the driver accepts unsegmented UDP over IPv6.
    public static var guestUSO6: Features { Features(bit: 55) }
    /// VIRTIO_NET_F_HOST_USO, bit 56: the device segments UDP.
    public static var hostUSO: Features { Features(bit: 56) }
    /// VIRTIO_NET_F_SPEED_DUPLEX, bit 63: `speed` and `duplex` exist.
    public static var speedDuplex: Features { Features(bit: 63) }
}

/// Offsets in the network device's configuration space (5.1.4).
public enum NetworkConfiguration {
    /// The MAC address, 6 bytes.
    public static let mac = 0
    /// Link status and announcement, le16.
    public static let status = 6
    /// Maximum number of queue pairs, le16, with VIRTIO_NET_F_MQ.
    public static let maximumQueuePairs = 8
    /// Maximum IP packet size in bytes, le16.
    public static let mtu = 10
    /// Speed in Mbit/s, le32; all ones if it is unknown.
    public static let speed = 12
    /// 0 half, 1 full, 0xff unknown.
    public static let duplex = 16
    /// The fields up to `duplex`; RSS, which has the rest, is not offered.
    public static let size = 17

    /// VIRTIO_NET_S_LINK_UP, a bit of `status`.
    public static let linkUp: UInt16 = 1
    /// VIRTIO_NET_S_ANNOUNCE, a bit of `status`: the driver has to announce its address.
    public static let announce: UInt16 = 2
}

/// The header in front of each frame (5.1.9).
public enum NetworkHeader {
    /// Size of the header in bytes; hash reports and tunnels, for which it is longer, are not offered.
    public static let size = 12
    /// Offset of the flags, u8.
    public static let flagsOffset = 0
    /// Offset of `gso_type`, u8: see `Segmentation`.
    public static let gsoTypeOffset = 1
    /// Offset of `hdr_len`, le16: bytes of the headers up to the transport's, a hint.
    public static let headerLengthOffset = 2
    /// Offset of `gso_size`, le16: bytes of payload in each segment.
    public static let gsoSizeOffset = 4
    /// Offset of `csum_start`, le16: the byte of the frame from which the checksum is made.
    public static let checksumStartOffset = 6
    /// Offset of `csum_offset`, le16: where the checksum stands, from `csum_start` on.
    public static let checksumOffsetOffset = 8
    /// Offset of `num_buffers`, le16: the buffers of a received frame.
    public static let bufferCountOffset = 10

    /// VIRTIO_NET_HDR_F_NEEDS_CSUM: the checksum is to be completed.
    public static let needsChecksum: UInt8 = 1
    /// VIRTIO_NET_HDR_F_DATA_VALID: the device has checked the checksum of a received frame.
    public static let dataValid: UInt8 = 2
    /// VIRTIO_NET_HDR_F_RSC_INFO: the checksum's fields have the counts of coalesced segments.
    public static let rscInfo: UInt8 = 4

    /// Values of `gso_type`.
    public enum Segmentation {
        /// VIRTIO_NET_HDR_GSO_NONE: not segmented.
        public static let none: UInt8 = 0
        /// VIRTIO_NET_HDR_GSO_TCPV4: TCP over IPv4.
        public static let tcp4: UInt8 = 1
        /// VIRTIO_NET_HDR_GSO_UDP: UDP fragmentation.
        public static let udp: UInt8 = 3
        /// VIRTIO_NET_HDR_GSO_TCPV6: TCP over IPv6.
        public static let tcp6: UInt8 = 4
        /// VIRTIO_NET_HDR_GSO_UDP_L4: UDP segmentation.
        public static let udpL4: UInt8 = 5
        /// A bit beside the type.
        public static let ecn: UInt8 = 0x80
    }
}

/// The network device's queues (5.1.2). The control queue follows the last pair.
public enum NetworkQueue {
    /// Index of the receive queue of a pair; pairs count from 0.
    public static func receive(pair: Int) -> Int { 2 * pair }
    /// Index of the transmit queue of a pair; pairs count from 0.
    public static func transmit(pair: Int) -> Int { 2 * pair + 1 }
}

/// A command of the control queue (5.1.9.5): class, command, data; then a writable byte for the answer.
public enum NetworkControl {
    /// VIRTIO_NET_OK: the answer to a command that was carried out.
    public static let ok: UInt8 = 0
    /// VIRTIO_NET_ERR: the answer to a command that was not carried out.
    public static let error: UInt8 = 1

    /// Classes.
    public enum Class {
        /// VIRTIO_NET_CTRL_RX: receive modes (5.1.9.5.1).
        public static let receive: UInt8 = 0
        /// VIRTIO_NET_CTRL_MAC: MAC addresses (5.1.9.5.2).
        public static let mac: UInt8 = 1
        /// VIRTIO_NET_CTRL_VLAN: filtering by VLAN (5.1.9.5.3).
        public static let vlan: UInt8 = 2
        /// VIRTIO_NET_CTRL_ANNOUNCE: announcement of the driver's address (5.1.9.5.4).
        public static let announce: UInt8 = 3
        /// VIRTIO_NET_CTRL_MQ: queue pairs (5.1.9.5.6).
        public static let multiqueue: UInt8 = 4
    }

    /// Commands of class `receive`: one byte, 0 for off.
    public enum Receive {
        /// VIRTIO_NET_CTRL_RX_PROMISC: receive every frame.
        public static let promiscuous: UInt8 = 0
        /// VIRTIO_NET_CTRL_RX_ALLMULTI: receive every multicast frame.
        public static let allMulticast: UInt8 = 1
        /// VIRTIO_NET_CTRL_RX_ALLUNI: receive every unicast frame.
        public static let allUnicast: UInt8 = 2
        /// VIRTIO_NET_CTRL_RX_NOMULTI: receive no multicast frame.
        public static let noMulticast: UInt8 = 3
        /// VIRTIO_NET_CTRL_RX_NOUNI: receive no unicast frame.
        public static let noUnicast: UInt8 = 4
        /// VIRTIO_NET_CTRL_RX_NOBCAST: receive no broadcast frame.
        public static let noBroadcast: UInt8 = 5
    }

    /// VIRTIO_NET_CTRL_MAC_TABLE_SET: the unicast and the multicast addresses to receive, each table behind its le32
    /// length.
    public static let macTableSet: UInt8 = 0
    /// VIRTIO_NET_CTRL_MAC_ADDR_SET: the device's address, 6 bytes.
    public static let macAddressSet: UInt8 = 1
    /// VIRTIO_NET_CTRL_VLAN_ADD: receive a VLAN, le16.
    public static let vlanAdd: UInt8 = 0
    /// VIRTIO_NET_CTRL_VLAN_DEL: do not receive a VLAN, le16.
    public static let vlanDelete: UInt8 = 1
    /// VIRTIO_NET_CTRL_ANNOUNCE_ACK: the driver has seen the announcement bit; no data.
    public static let announceAcknowledge: UInt8 = 0
    /// VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET: the number of queue pairs in use, le16.
    public static let queuePairsSet: UInt8 = 0
}
