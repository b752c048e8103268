// The network device (VIRTIO 1.4, 5.1): up to eight pairs of queues and a control queue. Frames from the host wait in a buffer of
// fixed size for each receive queue until the driver has buffers for them, or the suspended device resumes; when it is full, the
// host keeps the rest. So a drain never waits for receive buffers (D-12).
//
//   Network.swift           features, configuration, snapshots
//   NetworkBuffers.swift    frames both ways
//   NetworkFrame.swift      the header in front of a frame
//   NetworkFilter.swift     what the driver wants to receive
//   NetworkControl.swift    the control queue
//   NetworkClauses.swift    the clauses of 5.1

import VirtioABI

/// A virtio network device.
public struct Network: VirtioDevice, ~Copyable, Sendable {
    /// A frame that the backend transmits.
    public struct Request: Sendable {
        /// The queue pair.
        public let pair: Int
        /// The header, with what the driver negotiated and nothing else.
        public let header: FrameHeader
        /// The frame, in guest memory: 14 bytes at least.
        public let data: Segments
    }

    /// The part of the configuration space that the host can change.
    public struct Configuration: Equatable, Sendable {
        /// VIRTIO_NET_S_LINK_UP: the driver sees the link up.
        public var isLinkUp: Bool

        /// Creates the configuration of a device whose link is up or down.
        public init(isLinkUp: Bool = true) { self.isLinkUp = isLinkUp }
    }

    /// What is fixed when the device is made.
    public struct Parameters: Equatable, Sendable {
        /// The MAC address, its first byte the highest of the lower 48 bits.
        public var mac: UInt64
        /// The MTU, 68 to 65535; nil if the device offers none. It never changes (5.1.4.1).
        public var mtu: UInt16?
        /// Queue pairs, 1 to `maximumPairs`.
        public var pairs: Int
        /// Which frames are an event that may wake a suspended guest.
        public var wake = Wake.any
        /// QueueSizeMax of each queue of a pair, in elements.
        public var queueSize: UInt16 = 256

        /// Creates the parameters of a device that any frame may wake.
        public init(mac: UInt64, mtu: UInt16? = nil, pairs: Int = 1) {
            (self.mac, self.mtu, self.pairs) = (mac, mtu, pairs)
        }
    }

    /// Which frames at a suspended device are reported to the host as a deferred event (D-20).
    public enum Wake: String, CaseIterable, Sendable {
        /// Every frame.
        case any
        /// A frame with six bytes of 0xff and then the device's MAC address 16 times: wake-on-LAN.
        case magic
        /// No frame.
        case none
    }

    /// Maximum number of queue pairs.
    public static let maximumPairs = 8
    /// Maximum length of a frame, without its header: Ethernet header, VLAN tag, and an IP packet.
    public static let maximumFrame = 65535 + 18

    public static var deviceID: UInt32 { DeviceID.network }
    public static var features: Features { defaultFeatures }
    public static var defaultFeatures: Features {
        offloads.union([
            NetworkFeature.mac, NetworkFeature.mtu, NetworkFeature.status, NetworkFeature.speedDuplex,
            NetworkFeature.mergeableBuffers, NetworkFeature.controlQueue, NetworkFeature.controlReceive,
            NetworkFeature.controlReceiveExtra, NetworkFeature.controlVLAN, NetworkFeature.controlMAC,
            NetworkFeature.guestAnnounce, NetworkFeature.multiqueue,
        ])
    }
    /// The features that a backend must have too. A device whose backend has no virtio header withholds all of them.
    public static var offloads: Features {
        [
            NetworkFeature.checksum, NetworkFeature.hostTSO4, NetworkFeature.hostTSO6, NetworkFeature.hostECN,
            NetworkFeature.hostUFO, NetworkFeature.hostUSO, NetworkFeature.guestChecksum, NetworkFeature.guestTSO4,
            NetworkFeature.guestTSO6, NetworkFeature.guestECN, NetworkFeature.guestUFO, NetworkFeature.guestUSO4,
            NetworkFeature.guestUSO6,
        ]
    }

    private(set) var parameters: Parameters
    private var offered: Features = []
    var accepted: Features = []
    var filter: NetworkFilter
    /// Queue pairs in use: 1 until the driver enables more (5.1.9.5.6).
    var activePairs = 1
    /// VIRTIO_NET_S_ANNOUNCE: the driver is asked to announce itself.
    var asksForAnnouncement = false
    var isLinkUp = true
    public private(set) var configurationEdits: UInt32 = 0
    /// Frames that wait for receive buffers, by queue pair.
    var waiting = InlineArray<8, FrameQueue> { _ in FrameQueue() }
    /// The frame that `take` is delivering: bytes in the buffers so far, their number, and where that number goes.
    var delivery = Delivery()
    /// Frames so far.
    public internal(set) var counts = FrameCounts()

    /// Creates a device, whose link is up.
    public init(_ parameters: Parameters) {
        precondition(1...Self.maximumPairs ~= parameters.pairs)
        self.parameters = parameters
        filter = NetworkFilter(mac: parameters.mac)
    }

    // MARK: Features and configuration

    public mutating func offer(_ wanted: Features) -> Features {
        offered = wanted
        if parameters.mtu == nil { offered.remove(NetworkFeature.mtu) }
        if parameters.pairs == 1 { offered.remove(NetworkFeature.multiqueue) }
        offered = Self.withRequirements(offered)
        return offered
    }

    public mutating func limit(by torture: Torture) {
        guard torture.contains(.limits), let mtu = parameters.mtu else { return }
        parameters.mtu = min(mtu, UInt16(1280 + torture.word(.limits, 0) % 220))
    }

    /// The link is down.
    public func passing(_ configuration: Configuration, _ word: UInt64) -> Configuration {
        Configuration(isLinkUp: false)
    }

    /// `features` without those that require a feature which is not among them (5.1.3.1).
    static func withRequirements(_ features: Features) -> Features {
        var features = features
        func require(_ needed: Features, for dependent: Features) {
            if features.isDisjoint(with: needed) { features.subtract(dependent) }
        }
        require(
            NetworkFeature.checksum,
            for: [NetworkFeature.hostTSO4, NetworkFeature.hostTSO6, NetworkFeature.hostUFO, NetworkFeature.hostUSO])
        require(
            NetworkFeature.guestChecksum,
            for: [
                NetworkFeature.guestTSO4, NetworkFeature.guestTSO6, NetworkFeature.guestUFO, NetworkFeature.guestUSO4,
                NetworkFeature.guestUSO6,
            ])
        require([NetworkFeature.hostTSO4, NetworkFeature.hostTSO6], for: NetworkFeature.hostECN)
        require([NetworkFeature.guestTSO4, NetworkFeature.guestTSO6], for: NetworkFeature.guestECN)
        require(
            NetworkFeature.controlQueue,
            for: [
                NetworkFeature.controlReceive, NetworkFeature.controlReceiveExtra, NetworkFeature.controlVLAN,
                NetworkFeature.controlMAC, NetworkFeature.guestAnnounce, NetworkFeature.multiqueue,
            ])
        return features
    }

    public func queueCount(_ features: Features) -> Int {
        2 * pairs(features) + (features.contains(NetworkFeature.controlQueue) ? 1 : 0)
    }

    /// Queue pairs that a driver which accepted `features` can use.
    func pairs(_ features: Features) -> Int { features.contains(NetworkFeature.multiqueue) ? parameters.pairs : 1 }

    public func queueSizeMax(_ index: Int) -> UInt16 { parameters.queueSize }

    public var initialConfiguration: Configuration { Configuration() }

    public func bytes(of configuration: Configuration) -> ConfigurationBytes {
        typealias Field = NetworkConfiguration
        var bytes = ConfigurationBytes(size: Field.size)
        for index in 0..<6 { bytes.store(filter.mac.octet(index), at: Field.mac + index) }
        if offered.contains(NetworkFeature.status) {
            let announce = asksForAnnouncement ? Field.announce : 0
            bytes.store((configuration.isLinkUp ? Field.linkUp : 0) | announce, at: Field.status)
        }
        if offered.contains(NetworkFeature.multiqueue) {
            bytes.store(UInt16(parameters.pairs), at: Field.maximumQueuePairs)
        }
        if let mtu = parameters.mtu, offered.contains(NetworkFeature.mtu) { bytes.store(mtu, at: Field.mtu) }
        if offered.contains(NetworkFeature.speedDuplex) {
            bytes.store(UInt32.max, at: Field.speed)
            bytes.store(UInt8.max, at: Field.duplex)
        }
        return bytes
    }

    public static func field(at offset: Int) -> ConfigurationField? {
        typealias Field = NetworkConfiguration
        return switch offset {
        case 0..<6: ConfigurationField(offset, 1)
        case 6..<8: ConfigurationField(Field.status, 2, NetworkFeature.status)
        case 8..<10: ConfigurationField(Field.maximumQueuePairs, 2, NetworkFeature.multiqueue)
        case 10..<12: ConfigurationField(Field.mtu, 2, NetworkFeature.mtu)
        case 12..<16: ConfigurationField(Field.speed, 4, NetworkFeature.speedDuplex)
        case 16: ConfigurationField(Field.duplex, 1, NetworkFeature.speedDuplex)
        default: nil
        }
    }

    public static func summary(of request: Request) -> RequestSummary {
        RequestSummary(.output, place: UInt64(request.pair), count: UInt64(request.data.byteCount))
    }

    public static func word(of configuration: Configuration) -> UInt64 { configuration.isLinkUp ? 1 : 0 }
    public func configuration(of word: UInt64) -> Configuration { Configuration(isLinkUp: word != 0) }

    public mutating func negotiated(_ features: Features) {
        // What requires a feature that the driver did not accept is not in use.
        accepted = Self.withRequirements(features)
        filter.negotiated(accepted)
    }

    /// Forgets the driver's settings and the frames that wait for it.
    public mutating func reset() {
        accepted = []
        activePairs = 1
        asksForAnnouncement = false
        setMAC(parameters.mac)
        filter = NetworkFilter(mac: parameters.mac)
        delivery = Delivery()
        for pair in waiting.indices { dropWaiting(pair) }
    }

    /// A link that comes up may lead to another place than before: the driver is asked to announce itself (5.1.9.5.4).
    public mutating func configurationChanged(to new: Configuration) -> QueueSet {
        if new.isLinkUp && !isLinkUp { asksForAnnouncement = accepted.contains(NetworkFeature.guestAnnounce) }
        isLinkUp = new.isLinkUp
        return []
    }

    /// Sets the MAC address that the driver reads.
    mutating func setMAC(_ mac: UInt64) {
        guard mac != filter.mac else { return }
        filter.mac = mac
        configurationEdits &+= 1
    }

    /// Ends the request to announce itself.
    mutating func announced() {
        guard asksForAnnouncement else { return }
        asksForAnnouncement = false
        configurationEdits &+= 1
    }

    /// Drops the frames that wait for receive queue `pair`.
    mutating func dropWaiting(_ pair: Int) {
        counts.droppedReceiving &+= UInt64(waiting[pair].count)
        waiting[pair].removeAll()
    }

    // MARK: Buffers

    /// Whether queue `index` is the control queue.
    private func isControl(_ index: Int) -> Bool { index == 2 * pairs(accepted) }

    public func wantsBuffer(queue index: Int) -> Bool {
        // Until VIRTIO_NET_F_MQ is accepted the control queue of eight pairs has an index behind the last pair's.
        index % 2 == 1 || isControl(index) || index / 2 < activePairs && !waiting[index / 2].isEmpty
    }

    public mutating func take(
        _ chain: inout DescriptorChain, queue index: Int, _ configuration: Configuration
    ) -> TakeResult<Request> {
        if isControl(index) { return .done(command(&chain)) }
        return index % 2 == 0 ? deliver(into: &chain, pair: index / 2) : transmit(&chain, pair: index / 2)
    }

    public mutating func finish(_ outcome: Outcome, reply: Reply?) -> UsedLength {
        if outcome.result == .ok { counts.transmitted &+= 1 } else { counts.droppedTransmitting &+= 1 }
        return UsedLength()
    }

    /// A frame that fits in no buffers that the driver could still add is dropped.
    public static var mergesBuffers: Bool { true }

    public mutating func buffersEnded(queue index: Int, mayCome: Bool) {
        delivery = Delivery()
        if !mayCome { dropFirst(index / 2) }
    }

    // MARK: Snapshots

    public var savedState: [UInt8] {
        var state = filter.savedState
        state += [UInt8(activePairs), asksForAnnouncement ? 1 : 0, isLinkUp ? 1 : 0]
        state.append(littleEndian: configurationEdits)
        for pair in 0..<parameters.pairs {
            let contents = waiting[pair].contents
            state.append(littleEndian: UInt32(contents.count))
            state += contents
        }
        return state
    }

    public mutating func restore(_ state: [UInt8]) {
        var rest = state[...]
        filter.restore(from: &rest)
        guard rest.count >= 7 else { return }
        activePairs = min(max(1, Int(rest.removeFirst())), pairs(accepted))
        asksForAnnouncement = rest.removeFirst() != 0
        isLinkUp = rest.removeFirst() != 0
        configurationEdits = rest.removeLittleEndian()
        for pair in 0..<parameters.pairs where rest.count >= 4 {
            let length = Int(rest.removeLittleEndian() as UInt32)
            waiting[pair].restore(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
    }
}

/// Frames of a network device.
public struct FrameCounts: Equatable, Sendable {
    /// Delivered to the driver.
    public internal(set) var received: UInt64 = 0
    /// Passed to the backend.
    public internal(set) var transmitted: UInt64 = 0
    /// Not delivered: filtered, of a form that was not negotiated, without a buffer, or the driver is not ready.
    public internal(set) var droppedReceiving: UInt64 = 0
    /// Not transmitted: malformed, of a queue pair that is not enabled, with the link down, or cancelled.
    public internal(set) var droppedTransmitting: UInt64 = 0

    /// The same when the backend lost `lost` of the transmitted frames.
    public func lacking(_ lost: UInt64) -> FrameCounts {
        var counts = self
        counts.transmitted &-= lost
        counts.droppedTransmitting &+= lost
        return counts
    }
}

extension UInt64 {
    /// Byte `index` of a MAC address.
    func octet(_ index: Int) -> UInt8 { UInt8(truncatingIfNeeded: self >> UInt64(40 - 8 * index)) }
}

extension [UInt8] {
    mutating func append<Value: FixedWidthInteger>(littleEndian value: Value) {
        for index in 0..<(Value.bitWidth / 8) { append(UInt8(truncatingIfNeeded: value >> Value(index * 8))) }
    }
}

extension ArraySlice<UInt8> {
    /// Removes a little-endian number, which is there, from the front.
    mutating func removeLittleEndian<Value: FixedWidthInteger>() -> Value {
        var value: Value = 0
        for index in 0..<(Value.bitWidth / 8) { value |= Value(removeFirst()) << Value(index * 8) }
        return value
    }
}
