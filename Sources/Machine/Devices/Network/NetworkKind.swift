// The network device's row in the registry: a board has one for each --net.

import Glibc
import Virtio
import VirtioABI

extension Machine.Configuration {
    /// A network device.
    public struct NetworkDevice: Equatable, Sendable {
        /// What it is connected to.
        public enum Target: Equatable, Sendable {
            /// Nothing: frames of the guest are dropped.
            case null
            /// A TAP interface of the host.
            case tap(String)
            /// A server at a Unix stream socket, such as passt.
            case unix(String)
            /// A Unix datagram socket; `local` is the name of this end, nil for one that the kernel chooses.
            case datagram(String, local: String?)
        }

        /// What it is connected to.
        public var target: Target
        /// The MAC address; nil for one that is made from the target and the device's slot.
        public var mac: UInt64?
        /// The MTU that it offers; nil for none.
        public var mtu: UInt16?
        /// Queue pairs, 1 to `Network.maximumPairs`.
        public var pairs = 1
        /// The frames that may wake a suspended guest.
        public var wake = Network.Wake.any
        /// The file of a capture of its frames; nil for none.
        public var capture: String?
        /// What it offers.
        public var offer = Offer()

        /// A device connected to `target`.
        public init(_ target: Target) { self.target = target }

        /// Reads a target, the words of `DeviceKind.network`, and those that every device has.
        public init(option: String) throws(OptionError) {
            let option = try DeviceOption(option, of: .network)
            let word = try OptionWord(option.value, Self.forms)
            switch (word.key, word.value) {
            case ("tap", let name?): target = .tap(name)
            case ("unix", let path?): target = .unix(path)
            case ("unix-dgram", let path?): target = .datagram(path, local: option["local"])
            default: target = .null
            }
            if case .tap(let name) = target, name.utf8.count >= 16 || name.contains("/") {
                throw OptionError("tap= takes the name of an interface, 15 bytes at most, not '\(name)'")
            }
            offer = option.offer
            guard offer.suspend != .own(.draft) else {
                throw OptionError(
                    "suspend=draft is not possible: its feature bit, 42, is VIRTIO_NET_F_GUEST_RSC6 in a network device; use "
                        + "suspend=1.4 or suspend=off")
            }
            if let text = option["mac"] { mac = try Self.mac(text) }
            if let text = option["mtu"] {
                guard let number = UInt16(text), number >= 68 else {
                    throw OptionError("mtu= takes 68 to 65535, not '\(text)'")
                }
                mtu = number
            }
            if let text = option["queues"] {
                guard let number = Int(text), 1...Network.maximumPairs ~= number else {
                    throw OptionError("queues= takes 1 to \(Network.maximumPairs) pairs of queues, not '\(text)'")
                }
                if number > 1, isSocket {
                    throw OptionError("queues=\(number) needs tap=: a socket has one stream of frames")
                }
                pairs = number
            }
            if let mode = option["wake"].flatMap({ Network.Wake(rawValue: $0) }) { wake = mode }
            capture = option["pcap"]
            if option.has("local"), option["local"] != local {
                throw OptionError("local= needs unix-dgram=: it is the name of this end of a datagram socket")
            }
            if isSocket,
                let name = DeviceKind.network.features.first(where: {
                    offer.features.adding.contains($0.feature) && Network.offloads.contains($0.feature)
                })?.name
            {
                throw OptionError("the feature \(name) needs tap=: frames of a socket have no virtio header")
            }
        }

        /// The forms of the target.
        static let forms = ["null", "tap=NAME", "unix=PATH", "unix-dgram=PATH"]

        /// Whether frames have no virtio header, and one stream.
        private var isSocket: Bool {
            switch target {
            case .unix, .datagram: true
            case .null, .tap: false
            }
        }

        /// The name of this end of a datagram socket.
        var local: String? { if case .datagram(_, let local) = target { local } else { nil } }

        /// Reads six bytes in hexadecimal, separated by colons, that are the address of one interface.
        private static func mac(_ text: String) throws(OptionError) -> UInt64 {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            let octets = parts.compactMap { $0.count == 2 ? UInt8($0, radix: 16) : nil }
            guard octets.count == 6, parts.count == 6 else {
                throw OptionError("mac= takes six bytes as 52:54:00:12:34:56, not '\(text)'")
            }
            let mac = octets.reduce(0) { $0 << 8 | UInt64($1) }
            guard octets[0] & 1 == 0, mac != 0 else {
                throw OptionError("mac=\(text) is not the address of one interface; use one like 52:54:00:12:34:56")
            }
            return mac
        }
    }
}

extension DeviceKind {
    /// The network device (virtio-net): `--net`.
    public static let network = DeviceKind(
        id: DeviceID.network, name: "net", option: "net",
        words: [
            "mac=MAC", "mtu=N", "queues=N", "wake=\(Network.Wake.allCases.map(\.rawValue).joined(separator: "|"))",
            "pcap=FILE", "local=PATH",
        ],
        features: [
            ("csum", NetworkFeature.checksum), ("guest_csum", NetworkFeature.guestChecksum),
            ("host_tso4", NetworkFeature.hostTSO4), ("host_tso6", NetworkFeature.hostTSO6),
            ("host_ecn", NetworkFeature.hostECN), ("host_ufo", NetworkFeature.hostUFO),
            ("host_uso", NetworkFeature.hostUSO), ("guest_tso4", NetworkFeature.guestTSO4),
            ("guest_tso6", NetworkFeature.guestTSO6), ("guest_ecn", NetworkFeature.guestECN),
            ("guest_ufo", NetworkFeature.guestUFO), ("guest_uso4", NetworkFeature.guestUSO4),
            ("guest_uso6", NetworkFeature.guestUSO6), ("mrg_rxbuf", NetworkFeature.mergeableBuffers),
            ("status", NetworkFeature.status), ("ctrl_vq", NetworkFeature.controlQueue),
            ("ctrl_rx", NetworkFeature.controlReceive), ("ctrl_rx_extra", NetworkFeature.controlReceiveExtra),
            ("ctrl_vlan", NetworkFeature.controlVLAN), ("ctrl_mac_addr", NetworkFeature.controlMAC),
            ("guest_announce", NetworkFeature.guestAnnounce), ("mq", NetworkFeature.multiqueue),
            ("mac", NetworkFeature.mac), ("speed_duplex", NetworkFeature.speedDuplex),
        ],
        fixedFeatures: [("mtu", NetworkFeature.mtu)],
        commands: ["x-hold", "x-release", "x-input", "x-output", "x-link"],
        open: { (configuration, purpose) throws(MachineError) in
            var opened: [any OpenedDevice] = []
            for device in configuration.networks + (purpose.isSample ? [.init(.null)] : []) {
                opened.append(OpenedNetwork(device: device, link: try device.link(purpose), isQTest: purpose.isQTest))
            }
            return opened
        },
        replay: { traced, memory in
            guard var parameters = traced.network, traced.dialect != .draft else { return nil }
            parameters.queueSize = traced.queueSize
            parameters.pairs = traced.offered.contains(NetworkFeature.multiqueue) ? Int(traced.queues / 2) : 1
            guard 1...Network.maximumPairs ~= parameters.pairs else { return nil }
            return ReplayedTransport(
                Network(parameters), traced, memory, onInput: Replay<Network>.offerInput)
        })
}

extension Machine.Configuration.NetworkDevice {
    /// Opens the link. A qtest client is at the other end of every link.
    fileprivate func link(_ purpose: BoardPurpose) throws(MachineError) -> any NetworkBackend {
        if purpose.isQTest { return NullLink() }
        switch target {
        case .null: return NullLink()
        case .tap(let name): return try TAPLink(name: name, pairs: pairs)
        case .unix(let path): return try StreamLink(path: path)
        case .datagram(let path, let local): return try DatagramLink(path: path, local: local)
        }
    }

    /// A MAC address of the locally administered ones that depends on the target and the slot, and not on the run.
    fileprivate func defaultMAC(slot: Int) -> UInt64 {
        // FNV-1a.
        let hash = "\(target) \(slot)".utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01b3
        }
        return 0x5254_0000_0000 | hash & 0xffff_ffff
    }
}

/// A network device and its link.
private struct OpenedNetwork: OpenedDevice {
    let device: Machine.Configuration.NetworkDevice
    let link: any NetworkBackend
    let isQTest: Bool

    func make(_ factory: DeviceFactory, name: String, slot: Int) throws(MachineError) -> BoardDevice {
        let link = factory.torture(device.offer, slot: slot).flatMap { FaultyLink(self.link, $0) } ?? self.link
        var offer = device.offer
        // The draft's feature bit is another feature here: without a choice of its own the device offers no SUSPEND.
        if offer.suspend.dialect(or: factory.configuration.suspend) == .draft { offer.suspend = .own(nil) }
        offer.features.withholding.formUnion(Network.offloads.subtracting(link.offloads))
        var parameters = Network.Parameters(
            mac: device.mac ?? device.defaultMAC(slot: slot), mtu: device.mtu, pairs: device.pairs)
        parameters.wake = device.wake
        return try NetworkSlot(
            name: name, transport: factory.transport(Network(parameters), offer, slot: slot),
            context: factory.context(slot),
            link: link, keepsOutput: isQTest,
            capture: try device.capture.map { path throws(MachineError) in try FrameCapture(path: path, name: name) })
    }
}
