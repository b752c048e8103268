// Constants of the network device (VIRTIO 1.4, 5.1).

/// Feature bits of the network device (5.1.3).
public enum NetworkFeature {
    public static var checksum: Features { Features(bit: 0) }
    public static var guestChecksum: Features { Features(bit: 1) }
    public static var mtu: Features { Features(bit: 3) }
    public static var mac: Features { Features(bit: 5) }
    public static var guestTSO4: Features { Features(bit: 7) }
    public static var guestTSO6: Features { Features(bit: 8) }
    public static var guestECN: Features { Features(bit: 9) }
    public static var guestUFO: Features { Features(bit: 10) }
    public static var hostTSO4: Features { Features(bit: 11) }
    public static var hostTSO6: Features { Features(bit: 12) }
    public static var hostECN: Features { Features(bit: 13) }
    public static var hostUFO: Features { Features(bit: 14) }
    public static var mergeableBuffers: Features { Features(bit: 15) }
    public static var status: Features { Features(bit: 16) }
    public static var controlQueue: Features { Features(bit: 17) }
    public static var controlReceive: Features { Features(bit: 18) }
    public static var controlVLAN: Features { Features(bit: 19) }
    public static var controlReceiveExtra: Features { Features(bit: 20) }
    public static var guestAnnounce: Features { Features(bit: 21) }
    public static var multiqueue: Features { Features(bit: 22) }
    public static var controlMAC: Features { Features(bit: 23) }
    public static var guestUSO4: Features { Features(bit: 54) }
    public static var guestUSO6: Features { Features(bit: 55) }
    public static var hostUSO: Features { Features(bit: 56) }
    public static var speedDuplex: Features { Features(bit: 63) }
}

/// Offsets in the network device's configuration space (5.1.4).
public enum NetworkConfiguration {
    /// The MAC address, 6 bytes.
    public static let mac = 0
    /// Link status and announcement, le16.
    public static let status = 6
    public static let maximumQueuePairs = 8
    public static let mtu = 10
    /// Speed in Mbit/s, le32; all ones if it is unknown.
    public static let speed = 12
    /// 0 half, 1 full, 0xff unknown.
    public static let duplex = 16
    /// The fields up to `duplex`; RSS, which has the rest, is not offered.
    public static let size = 17

    public static let linkUp: UInt16 = 1
    public static let announce: UInt16 = 2
}

/// The header in front of each frame (5.1.9).
public enum NetworkHeader {
    public static let size = 12
    public static let flagsOffset = 0
    public static let gsoTypeOffset = 1
    public static let headerLengthOffset = 2
    public static let gsoSizeOffset = 4
    public static let checksumStartOffset = 6
    public static let checksumOffsetOffset = 8
    public static let bufferCountOffset = 10

    public static let needsChecksum: UInt8 = 1
    public static let dataValid: UInt8 = 2
    public static let rscInfo: UInt8 = 4

    /// Values of `gso_type`.
    public enum Segmentation {
        public static let none: UInt8 = 0
        public static let tcp4: UInt8 = 1
        public static let udp: UInt8 = 3
        public static let tcp6: UInt8 = 4
        public static let udpL4: UInt8 = 5
        /// A bit beside the type.
        public static let ecn: UInt8 = 0x80
    }
}

/// The network device's queues (5.1.2). The control queue follows the last pair.
public enum NetworkQueue {
    public static func receive(pair: Int) -> Int { 2 * pair }
    public static func transmit(pair: Int) -> Int { 2 * pair + 1 }
}

/// A command of the control queue (5.1.9.5): class, command, data; then a writable byte for the answer.
public enum NetworkControl {
    public static let ok: UInt8 = 0
    public static let error: UInt8 = 1

    /// Classes.
    public enum Class {
        public static let receive: UInt8 = 0
        public static let mac: UInt8 = 1
        public static let vlan: UInt8 = 2
        public static let announce: UInt8 = 3
        public static let multiqueue: UInt8 = 4
    }

    /// Commands of class `receive`: one byte, 0 for off.
    public enum Receive {
        public static let promiscuous: UInt8 = 0
        public static let allMulticast: UInt8 = 1
        public static let allUnicast: UInt8 = 2
        public static let noMulticast: UInt8 = 3
        public static let noUnicast: UInt8 = 4
        public static let noBroadcast: UInt8 = 5
    }

    public static let macTableSet: UInt8 = 0
    public static let macAddressSet: UInt8 = 1
    public static let vlanAdd: UInt8 = 0
    public static let vlanDelete: UInt8 = 1
    public static let announceAcknowledge: UInt8 = 0
    public static let queuePairsSet: UInt8 = 0
}
