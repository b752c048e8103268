// Compares every constant of VirtioABI with the Linux UAPI headers, or with the specification where the headers have
// none. A constant that is not in these tables fails a test, and so does a macro of the headers that is neither in them
// nor in the list of macros that VirtioABI lacks, with the reason.

import Testing
import UAPI
import VirtioABI

@Suite("Numbers and the Linux UAPI")
struct UAPITests {
    static let pins =
        transportPins + registersPins + ringsPins + packedRingPins + blockPins + blockConfigurationPins + consolePins
        + consoleEventPins + networkPins + networkControlPins

    @Test("Transport", arguments: transportPins + registersPins)
    func transport(pin: Pin) { #expect(pin.ours == pin.expected) }

    @Test("Virtqueues", arguments: ringsPins + packedRingPins)
    func rings(pin: Pin) { #expect(pin.ours == pin.expected) }

    @Test("Devices", arguments: blockPins + blockConfigurationPins + consolePins + consoleEventPins)
    func devices(pin: Pin) { #expect(pin.ours == pin.expected) }

    @Test("The network device", arguments: networkPins + networkControlPins)
    func network(pin: Pin) { #expect(pin.ours == pin.expected) }

    @Test("Every constant of VirtioABI is pinned, and once")
    func complete() {
        // Ports and TestDevice have numbers of this board, not of virtio.
        let files = [
            "Block", "Console", "DeviceStatus", "Features", "Network", "PackedRing", "Register", "SplitRing",
        ]
        let constants = Set(Constants.names(files: files)).subtracting(Self.notNumbers)
        let names = Self.pins.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(constants.subtracting(names).sorted() == [], "in VirtioABI, not pinned")
        #expect(Set(names).subtracting(constants).sorted() == [], "pinned, not in VirtioABI")
    }

    @Test("The tables have as many registers, statuses and events as the types")
    func enumerations() {
        #expect(Self.registersPins.map(\.ours).sorted() == Register.allCases.map { UInt64($0.rawValue) }.sorted())
        let constants = Constants.names(files: ["Register", "Block"])
        #expect(constants.filter { $0.hasPrefix("Register.") }.count >= Register.allCases.count)
        #expect(constants.filter { $0.hasPrefix("BlockRequest.Status.") }.count == 3)
        #expect(Self.consoleEventPins.map(\.ours) == ConsoleControl.Event.allCases.map { UInt64($0.rawValue) })
    }

    @Test("Every macro of the headers is pinned, or is absent for a reason")
    func macros() {
        let pinned = Set(Self.pins.compactMap(\.macro))
        let absent = Self.absent.flatMap { $0.names } + Self.legacyRegisters
        #expect(pinned.intersection(absent).sorted() == [], "both pinned and absent")
        let known = pinned.union(absent)
        // Ids of other device types, and PCI ids, are not listed one by one.
        let others = KernelHeaders.macros.keys.filter {
            !known.contains($0) && !$0.hasPrefix("VIRTIO_ID_") && !$0.hasPrefix("VIRTIO_TRANS_ID_")
        }
        #expect(others.sorted() == [], "in the headers, neither pinned nor known to be absent")
        #expect(KernelHeaders.macros.count > 100)
    }

    @Test("The registers that only legacy devices have")
    func legacy() {
        #expect(Register.legacy.map { UInt64($0) } == Self.legacyRegisters.map { KernelHeaders.macros[$0] })
    }

    // MARK: Absent macros

    /// Constants of VirtioABI that are not numbers of the specification.
    static let notNumbers: Set = [
        "SuspendDialect.draft", "SuspendDialect.ratified", "Register.legacy", "Register.Direction.read",
        "Register.Direction.write", "Register.Direction.both",
    ]

    /// The registers of `Register.legacy`.
    static let legacyRegisters = ["VIRTIO_MMIO_GUEST_PAGE_SIZE", "VIRTIO_MMIO_QUEUE_ALIGN", "VIRTIO_MMIO_QUEUE_PFN"]

    /// Macros of the headers, up to those of Linux 6.16, that VirtioABI has no constant for.
    static let absent: [(reason: String, names: [String])] = [
        (
            "legacy devices only",
            [
                "VIRTIO_F_NOTIFY_ON_EMPTY", "VIRTIO_F_ANY_LAYOUT", "VIRTIO_BLK_F_BARRIER", "VIRTIO_BLK_F_SCSI",
                "VIRTIO_BLK_T_SCSI_CMD", "VIRTIO_BLK_T_BARRIER", "VIRTIO_NET_F_GSO",
            ]
        ),
        (
            "another name of a pinned macro",
            ["VIRTIO_F_IOMMU_PLATFORM", "VIRTIO_BLK_F_WCE", "vring_used_event(vr)", "vring_avail_event(vr)"]
        ),
        ("PCI only", ["VIRTIO_F_SR_IOV", "VIRTIO_F_NOTIF_CONFIG_DATA", "VIRTIO_F_ADMIN_VQ"]),
        ("a range of bits, not a bit", ["VIRTIO_TRANSPORT_F_START", "VIRTIO_TRANSPORT_F_END"]),
        ("Linux's own, not the specification's", ["VIRTIO_CONSOLE_BAD_ID"]),
        (
            "network features that are not offered",
            [
                "VIRTIO_NET_F_CTRL_GUEST_OFFLOADS", "VIRTIO_NET_F_NOTF_COAL", "VIRTIO_NET_F_HASH_REPORT",
                "VIRTIO_NET_F_RSS", "VIRTIO_NET_F_RSC_EXT", "VIRTIO_NET_F_STANDBY",
                "VIRTIO_NET_RSS_HASH_TYPE_IPv4", "VIRTIO_NET_RSS_HASH_TYPE_TCPv4",
                "VIRTIO_NET_RSS_HASH_TYPE_UDPv4", "VIRTIO_NET_RSS_HASH_TYPE_IPv6",
                "VIRTIO_NET_RSS_HASH_TYPE_TCPv6", "VIRTIO_NET_RSS_HASH_TYPE_UDPv6",
                "VIRTIO_NET_RSS_HASH_TYPE_IP_EX", "VIRTIO_NET_RSS_HASH_TYPE_TCP_EX",
                "VIRTIO_NET_RSS_HASH_TYPE_UDP_EX", "VIRTIO_NET_HASH_REPORT_NONE", "VIRTIO_NET_HASH_REPORT_IPv4",
                "VIRTIO_NET_HASH_REPORT_TCPv4", "VIRTIO_NET_HASH_REPORT_UDPv4", "VIRTIO_NET_HASH_REPORT_IPv6",
                "VIRTIO_NET_HASH_REPORT_TCPv6", "VIRTIO_NET_HASH_REPORT_UDPv6", "VIRTIO_NET_HASH_REPORT_IPv6_EX",
                "VIRTIO_NET_HASH_REPORT_TCPv6_EX", "VIRTIO_NET_HASH_REPORT_UDPv6_EX",
                "VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN", "VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MAX",
                "VIRTIO_NET_CTRL_MQ_RSS_CONFIG", "VIRTIO_NET_CTRL_MQ_HASH_CONFIG",
                "VIRTIO_NET_CTRL_GUEST_OFFLOADS", "VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET",
                "VIRTIO_NET_CTRL_NOTF_COAL", "VIRTIO_NET_CTRL_NOTF_COAL_TX_SET",
                "VIRTIO_NET_CTRL_NOTF_COAL_RX_SET", "VIRTIO_NET_F_DEVICE_STATS", "VIRTIO_NET_F_HASH_TUNNEL",
                "VIRTIO_NET_F_VQ_NOTF_COAL",
            ]
        ),
        (
            "zoned disks",
            [
                "VIRTIO_BLK_T_ZONE_APPEND", "VIRTIO_BLK_T_ZONE_REPORT", "VIRTIO_BLK_T_ZONE_OPEN",
                "VIRTIO_BLK_T_ZONE_CLOSE", "VIRTIO_BLK_T_ZONE_FINISH", "VIRTIO_BLK_T_ZONE_RESET",
                "VIRTIO_BLK_T_ZONE_RESET_ALL", "VIRTIO_BLK_Z_NONE", "VIRTIO_BLK_Z_HM", "VIRTIO_BLK_Z_HA",
                "VIRTIO_BLK_ZT_CONV", "VIRTIO_BLK_ZT_SWR", "VIRTIO_BLK_ZT_SWP", "VIRTIO_BLK_ZS_NOT_WP",
                "VIRTIO_BLK_ZS_EMPTY", "VIRTIO_BLK_ZS_IOPEN", "VIRTIO_BLK_ZS_EOPEN", "VIRTIO_BLK_ZS_CLOSED",
                "VIRTIO_BLK_ZS_RDONLY", "VIRTIO_BLK_ZS_FULL", "VIRTIO_BLK_ZS_OFFLINE", "VIRTIO_BLK_S_ZONE_INVALID_CMD",
                "VIRTIO_BLK_S_ZONE_UNALIGNED_WP", "VIRTIO_BLK_S_ZONE_OPEN_RESOURCE",
                "VIRTIO_BLK_S_ZONE_ACTIVE_RESOURCE",
            ]
        ),
    ]

    // MARK: Layouts

    @Test("The areas are as long as the kernel's, event words included", arguments: (0...15).map { UInt16(1) << $0 })
    func areas(size: UInt16) {
        let available = (SplitRing.descriptorBytes(size: size) + SplitRing.availableBytes(size: size) + 3) / 4 * 4
        #expect(available + SplitRing.usedBytes(size: size) == UInt64(vring_size(UInt32(size), 4)))
    }

    @Test("The used ring has flags, index and entries where the available ring has them")
    func usedRing() {
        for (ours, kernels) in Self.usedRing { #expect(ours == UInt64(kernels)) }
    }

    @Test("The block device's configuration space is at least as long as the kernel's")
    func blockConfigurationSize() { #expect(BlockConfiguration.size >= UAPI_BLK_CONFIG_SIZE) }

    @Test("A descriptor's second word holds length, flags and next where the kernel has them")
    func descriptor() {
        let descriptor = Descriptor(
            address: 0x0123_4567_89ab_cdef, length: 0x0bad_cafe, flags: [.next, .write], next: 0x5aa5)
        let at = { (offset: Int) in UInt64(8 * (offset - 8)) }
        #expect(UAPI_DESC_ADDR == 0)
        #expect(UInt32(truncatingIfNeeded: descriptor.high >> at(UAPI_DESC_LEN)) == 0x0bad_cafe)
        #expect(UInt16(truncatingIfNeeded: descriptor.high >> at(UAPI_DESC_FLAGS)) == 3)
        #expect(UInt16(truncatingIfNeeded: descriptor.high >> at(UAPI_DESC_NEXT)) == 0x5aa5)
        #expect(Descriptor(low: descriptor.address, high: descriptor.high) == descriptor)
    }
}
