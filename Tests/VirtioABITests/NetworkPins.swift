// The pins of the network device's numbers.

import UAPI
import VirtioABI

extension UAPITests {
    static let networkPins: [Pin] = [
        Pin("NetworkFeature.checksum", NetworkFeature.checksum, .bit("VIRTIO_NET_F_CSUM")),
        Pin("NetworkFeature.guestChecksum", NetworkFeature.guestChecksum, .bit("VIRTIO_NET_F_GUEST_CSUM")),
        Pin("NetworkFeature.mtu", NetworkFeature.mtu, .bit("VIRTIO_NET_F_MTU")),
        Pin("NetworkFeature.mac", NetworkFeature.mac, .bit("VIRTIO_NET_F_MAC")),
        Pin("NetworkFeature.guestTSO4", NetworkFeature.guestTSO4, .bit("VIRTIO_NET_F_GUEST_TSO4")),
        Pin("NetworkFeature.guestTSO6", NetworkFeature.guestTSO6, .bit("VIRTIO_NET_F_GUEST_TSO6")),
        Pin("NetworkFeature.guestECN", NetworkFeature.guestECN, .bit("VIRTIO_NET_F_GUEST_ECN")),
        Pin("NetworkFeature.guestUFO", NetworkFeature.guestUFO, .bit("VIRTIO_NET_F_GUEST_UFO")),
        Pin("NetworkFeature.hostTSO4", NetworkFeature.hostTSO4, .bit("VIRTIO_NET_F_HOST_TSO4")),
        Pin("NetworkFeature.hostTSO6", NetworkFeature.hostTSO6, .bit("VIRTIO_NET_F_HOST_TSO6")),
        Pin("NetworkFeature.hostECN", NetworkFeature.hostECN, .bit("VIRTIO_NET_F_HOST_ECN")),
        Pin("NetworkFeature.hostUFO", NetworkFeature.hostUFO, .bit("VIRTIO_NET_F_HOST_UFO")),
        Pin("NetworkFeature.mergeableBuffers", NetworkFeature.mergeableBuffers, .bit("VIRTIO_NET_F_MRG_RXBUF")),
        Pin("NetworkFeature.status", NetworkFeature.status, .bit("VIRTIO_NET_F_STATUS")),
        Pin("NetworkFeature.controlQueue", NetworkFeature.controlQueue, .bit("VIRTIO_NET_F_CTRL_VQ")),
        Pin("NetworkFeature.controlReceive", NetworkFeature.controlReceive, .bit("VIRTIO_NET_F_CTRL_RX")),
        Pin("NetworkFeature.controlVLAN", NetworkFeature.controlVLAN, .bit("VIRTIO_NET_F_CTRL_VLAN")),
        Pin(
            "NetworkFeature.controlReceiveExtra", NetworkFeature.controlReceiveExtra, .bit("VIRTIO_NET_F_CTRL_RX_EXTRA")
        ),
        Pin("NetworkFeature.guestAnnounce", NetworkFeature.guestAnnounce, .bit("VIRTIO_NET_F_GUEST_ANNOUNCE")),
        Pin("NetworkFeature.multiqueue", NetworkFeature.multiqueue, .bit("VIRTIO_NET_F_MQ")),
        Pin("NetworkFeature.controlMAC", NetworkFeature.controlMAC, .bit("VIRTIO_NET_F_CTRL_MAC_ADDR")),
        Pin("NetworkFeature.guestUSO4", NetworkFeature.guestUSO4, .newBit("VIRTIO_NET_F_GUEST_USO4", 54)),
        Pin("NetworkFeature.guestUSO6", NetworkFeature.guestUSO6, .newBit("VIRTIO_NET_F_GUEST_USO6", 55)),
        Pin("NetworkFeature.hostUSO", NetworkFeature.hostUSO, .newBit("VIRTIO_NET_F_HOST_USO", 56)),
        Pin("NetworkFeature.speedDuplex", NetworkFeature.speedDuplex, .bit("VIRTIO_NET_F_SPEED_DUPLEX")),
        Pin("NetworkConfiguration.mac", NetworkConfiguration.mac, layout: UAPI_NET_MAC),
        Pin("NetworkConfiguration.status", NetworkConfiguration.status, layout: UAPI_NET_STATUS),
        Pin(
            "NetworkConfiguration.maximumQueuePairs", NetworkConfiguration.maximumQueuePairs, layout: UAPI_NET_MAX_PAIRS
        ),
        Pin("NetworkConfiguration.mtu", NetworkConfiguration.mtu, layout: UAPI_NET_MTU),
        Pin("NetworkConfiguration.speed", NetworkConfiguration.speed, layout: UAPI_NET_SPEED),
        Pin("NetworkConfiguration.duplex", NetworkConfiguration.duplex, layout: UAPI_NET_DUPLEX),
        // 5.1.4: the fields behind are those of RSS.
        Pin("NetworkConfiguration.size", NetworkConfiguration.size, layout: UAPI_NET_RSS_KEY),
        Pin("NetworkConfiguration.linkUp", NetworkConfiguration.linkUp, .macro("VIRTIO_NET_S_LINK_UP")),
        Pin("NetworkConfiguration.announce", NetworkConfiguration.announce, .macro("VIRTIO_NET_S_ANNOUNCE")),
        Pin("NetworkHeader.size", NetworkHeader.size, layout: UAPI_NET_HDR_SIZE),
        Pin("NetworkHeader.flagsOffset", NetworkHeader.flagsOffset, layout: UAPI_NET_HDR_FLAGS),
        Pin("NetworkHeader.gsoTypeOffset", NetworkHeader.gsoTypeOffset, layout: UAPI_NET_HDR_GSO_TYPE),
        Pin("NetworkHeader.headerLengthOffset", NetworkHeader.headerLengthOffset, layout: UAPI_NET_HDR_HDR_LEN),
        Pin("NetworkHeader.gsoSizeOffset", NetworkHeader.gsoSizeOffset, layout: UAPI_NET_HDR_GSO_SIZE),
        Pin("NetworkHeader.checksumStartOffset", NetworkHeader.checksumStartOffset, layout: UAPI_NET_HDR_CSUM_START),
        Pin("NetworkHeader.checksumOffsetOffset", NetworkHeader.checksumOffsetOffset, layout: UAPI_NET_HDR_CSUM_OFFSET),
        Pin("NetworkHeader.bufferCountOffset", NetworkHeader.bufferCountOffset, layout: UAPI_NET_HDR_NUM_BUFFERS),
        Pin("NetworkHeader.needsChecksum", NetworkHeader.needsChecksum, .macro("VIRTIO_NET_HDR_F_NEEDS_CSUM")),
        Pin("NetworkHeader.dataValid", NetworkHeader.dataValid, .macro("VIRTIO_NET_HDR_F_DATA_VALID")),
        Pin("NetworkHeader.rscInfo", NetworkHeader.rscInfo, .macro("VIRTIO_NET_HDR_F_RSC_INFO")),
        Pin("NetworkHeader.Segmentation.none", NetworkHeader.Segmentation.none, .macro("VIRTIO_NET_HDR_GSO_NONE")),
        Pin("NetworkHeader.Segmentation.tcp4", NetworkHeader.Segmentation.tcp4, .macro("VIRTIO_NET_HDR_GSO_TCPV4")),
        Pin("NetworkHeader.Segmentation.udp", NetworkHeader.Segmentation.udp, .macro("VIRTIO_NET_HDR_GSO_UDP")),
        Pin("NetworkHeader.Segmentation.tcp6", NetworkHeader.Segmentation.tcp6, .macro("VIRTIO_NET_HDR_GSO_TCPV6")),
        Pin(
            "NetworkHeader.Segmentation.udpL4", NetworkHeader.Segmentation.udpL4,
            .newMacro("VIRTIO_NET_HDR_GSO_UDP_L4", 5)),
        Pin("NetworkHeader.Segmentation.ecn", NetworkHeader.Segmentation.ecn, .macro("VIRTIO_NET_HDR_GSO_ECN")),
    ]

    static let networkControlPins: [Pin] = [
        Pin("NetworkControl.ok", NetworkControl.ok, .macro("VIRTIO_NET_OK")),
        Pin("NetworkControl.error", NetworkControl.error, .macro("VIRTIO_NET_ERR")),
        Pin("NetworkControl.Class.receive", NetworkControl.Class.receive, .macro("VIRTIO_NET_CTRL_RX")),
        Pin("NetworkControl.Class.mac", NetworkControl.Class.mac, .macro("VIRTIO_NET_CTRL_MAC")),
        Pin("NetworkControl.Class.vlan", NetworkControl.Class.vlan, .macro("VIRTIO_NET_CTRL_VLAN")),
        Pin("NetworkControl.Class.announce", NetworkControl.Class.announce, .macro("VIRTIO_NET_CTRL_ANNOUNCE")),
        Pin("NetworkControl.Class.multiqueue", NetworkControl.Class.multiqueue, .macro("VIRTIO_NET_CTRL_MQ")),
        Pin(
            "NetworkControl.Receive.promiscuous", NetworkControl.Receive.promiscuous,
            .macro("VIRTIO_NET_CTRL_RX_PROMISC")),
        Pin(
            "NetworkControl.Receive.allMulticast", NetworkControl.Receive.allMulticast,
            .macro("VIRTIO_NET_CTRL_RX_ALLMULTI")),
        Pin(
            "NetworkControl.Receive.allUnicast", NetworkControl.Receive.allUnicast, .macro("VIRTIO_NET_CTRL_RX_ALLUNI")),
        Pin(
            "NetworkControl.Receive.noMulticast", NetworkControl.Receive.noMulticast,
            .macro("VIRTIO_NET_CTRL_RX_NOMULTI")),
        Pin("NetworkControl.Receive.noUnicast", NetworkControl.Receive.noUnicast, .macro("VIRTIO_NET_CTRL_RX_NOUNI")),
        Pin(
            "NetworkControl.Receive.noBroadcast", NetworkControl.Receive.noBroadcast,
            .macro("VIRTIO_NET_CTRL_RX_NOBCAST")),
        Pin("NetworkControl.macTableSet", NetworkControl.macTableSet, .macro("VIRTIO_NET_CTRL_MAC_TABLE_SET")),
        Pin("NetworkControl.macAddressSet", NetworkControl.macAddressSet, .macro("VIRTIO_NET_CTRL_MAC_ADDR_SET")),
        Pin("NetworkControl.vlanAdd", NetworkControl.vlanAdd, .macro("VIRTIO_NET_CTRL_VLAN_ADD")),
        Pin("NetworkControl.vlanDelete", NetworkControl.vlanDelete, .macro("VIRTIO_NET_CTRL_VLAN_DEL")),
        Pin(
            "NetworkControl.announceAcknowledge", NetworkControl.announceAcknowledge,
            .macro("VIRTIO_NET_CTRL_ANNOUNCE_ACK")),
        Pin("NetworkControl.queuePairsSet", NetworkControl.queuePairsSet, .macro("VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET")),
    ]
}
