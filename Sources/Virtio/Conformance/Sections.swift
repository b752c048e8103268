// The sections of VIRTIO 1.4 that clauses stand in: number, title, and the file of the specification's source.

extension Clause {
    /// A section of VIRTIO 1.4.
    public struct Section: Sendable {
        /// Its number, in the committee specification 01 of VIRTIO 1.4.
        public let number: StaticString
        /// Its title.
        public let title: StaticString

        fileprivate init(_ number: StaticString, _ title: StaticString) { (self.number, self.title) = (number, title) }

        /// Every section that has a clause, in the order of the specification.
        public static let all: [Section] = [
            Section("2.1", "Device Status Field"),
            Section("2.1.1", "Driver Requirements: Device Status Field"),
            Section("2.1.2", "Device Requirements: Device Status Field"),
            Section("2.2.1", "Driver Requirements: Feature Bits"),
            Section("2.2.2", "Device Requirements: Feature Bits"),
            Section("2.4.1", "Device Requirements: Device Reset"),
            Section("2.4.2", "Driver Requirements: Device Reset"),
            Section("2.5.1", "Driver Requirements: Device Configuration Space"),
            Section("2.5.2", "Device Requirements: Device Configuration Space"),
            Section("2.6", "Virtqueues"),
            Section("2.6.1.1.1", "Device Requirements: Virtqueue Reset"),
            Section("2.6.1.1.2", "Driver Requirements: Virtqueue Reset"),
            Section("2.6.1.2.1", "Device Requirements: Virtqueue Re-enable"),
            Section("2.6.1.2.2", "Driver Requirements: Virtqueue Re-enable"),
            Section("2.7", "Split Virtqueues"),
            Section("2.7.1", "Driver Requirements: Virtqueues"),
            Section("2.7.4.1", "Device Requirements: Message Framing"),
            Section("2.7.4.2", "Driver Requirements: Message Framing"),
            Section("2.7.5", "The Virtqueue Descriptor Table"),
            Section("2.7.5.1", "Device Requirements: The Virtqueue Descriptor Table"),
            Section("2.7.5.2", "Driver Requirements: The Virtqueue Descriptor Table"),
            Section("2.7.5.3", "Indirect Descriptors"),
            Section("2.7.5.3.1", "Driver Requirements: Indirect Descriptors"),
            Section("2.7.5.3.2", "Device Requirements: Indirect Descriptors"),
            Section("2.7.6", "The Virtqueue Available Ring"),
            Section("2.7.6.1", "Driver Requirements: The Virtqueue Available Ring"),
            Section("2.7.7.1", "Driver Requirements: Used Buffer Notification Suppression"),
            Section("2.7.7.2", "Device Requirements: Used Buffer Notification Suppression"),
            Section("2.7.8", "The Virtqueue Used Ring"),
            Section("2.7.8.2", "Device Requirements: The Virtqueue Used Ring"),
            Section("2.7.8.3", "Driver Requirements: The Virtqueue Used Ring"),
            Section("2.7.10.1", "Driver Requirements: Available Buffer Notification Suppression"),
            Section("2.7.10.2", "Device Requirements: Available Buffer Notification Suppression"),
            Section("2.7.13", "Supplying Buffers to The Device"),
            Section("2.7.13.3.1", "Driver Requirements: Updating idx"),
            Section("2.7.13.4.1", "Driver Requirements: Notifying The Device"),
            Section("2.8.11", "Driver Requirements: Virtqueues"),
            Section("2.8.12", "Device Requirements: Virtqueues"),
            Section("2.8.15", "Device Requirements: The Virtqueue Descriptor Table"),
            Section("2.8.16", "Driver Requirements: The Virtqueue Descriptor Table"),
            Section("2.8.17", "Driver Requirements: Scatter-Gather Support"),
            Section("2.8.18", "Device Requirements: Scatter-Gather Support"),
            Section("2.8.19", "Driver Requirements: Indirect Descriptors"),
            Section("2.8.21.1.1", "Driver Requirements: Updating flags"),
            Section("2.8.21.3.1", "Driver Requirements: Sending Available Buffer Notifications"),
            Section("2.10.2", "Device Requirements: Shared Memory Regions"),
            Section("3.1.1", "Driver Requirements: Device Initialization"),
            Section("3.2.1", "Notification of Device Configuration Changes"),
            Section("3.3.1", "Driver Requirements: Device Cleanup"),
            Section("3.4", "Device Suspend"),
            Section("3.4.1", "Driver Requirements: Device Suspend"),
            Section("3.4.2", "Device Requirements: Device Suspend"),
            Section("4.2.2", "MMIO Device Register Layout"),
            Section("4.2.2.1", "Device Requirements: MMIO Device Register Layout"),
            Section("4.2.2.2", "Driver Requirements: MMIO Device Register Layout"),
            Section("4.2.3.1.1", "Driver Requirements: Device Initialization"),
            Section("4.2.3.2", "Virtqueue Configuration"),
            Section("4.2.3.3", "Available Buffer Notifications"),
            Section("4.2.3.4", "Notifications From The Device"),
            Section("4.2.3.4.1", "Driver Requirements: Notifications From The Device"),
            Section("4.2.5", "Features reserved for future use"),
            Section("5.1.4.1", "Device Requirements: Device configuration layout"),
            Section("5.1.4.2", "Driver Requirements: Device configuration layout"),
            Section("5.1.9", "Device Operation"),
            Section("5.1.9.2.1", "Driver Requirements: Packet Transmission"),
            Section("5.1.9.2.2", "Device Requirements: Packet Transmission"),
            Section("5.1.9.3.1", "Driver Requirements: Setting Up Receive Buffers"),
            Section("5.1.9.3.2", "Device Requirements: Setting Up Receive Buffers"),
            Section("5.1.9.4.1", "Device Requirements: Processing of Incoming Packets"),
            Section("5.1.9.4.2", "Driver Requirements: Processing of Incoming"),
            Section("5.1.9.5", "Control Virtqueue"),
            Section("5.1.9.5.1.1", "Device Requirements: Packet Receive Filtering"),
            Section("5.1.9.5.1.2", "Driver Requirements: Packet Receive Filtering"),
            Section("5.1.9.5.2.1", "Device Requirements: Setting MAC Address Filtering"),
            Section("5.1.9.5.2.2", "Driver Requirements: Setting MAC Address Filtering"),
            Section("5.1.9.5.3.1", "Device Requirements: VLAN Filtering"),
            Section("5.1.9.5.4.1", "Driver Requirements: Gratuitous Packet Sending"),
            Section("5.1.9.5.4.2", "Device Requirements: Gratuitous Packet Sending"),
            Section("5.1.9.5.6.1", "Driver Requirements: Automatic receive steering in multiqueue mode"),
            Section("5.1.9.5.6.2", "Device Requirements: Automatic receive steering in multiqueue mode"),
            Section("5.2.3", "Feature bits"),
            Section("5.2.5", "Device Initialization"),
            Section("5.2.5.1", "Driver Requirements: Device Initialization"),
            Section("5.2.5.2", "Device Requirements: Device Initialization"),
            Section("5.2.6", "Device Operation"),
            Section("5.2.6.1", "Driver Requirements: Device Operation"),
            Section("5.2.6.2", "Device Requirements: Device Operation"),
            Section("5.3.5.1", "Device Requirements: Device Initialization"),
            Section("5.3.6", "Device Operation"),
            Section("5.3.6.1", "Driver Requirements: Device Operation"),
            Section("5.3.6.2", "Multiport Device Operation"),
            Section("5.3.6.2.1", "Device Requirements: Multiport Device Operation"),
            Section("5.3.6.2.2", "Driver Requirements: Multiport Device Operation"),
            Section("5.4.6.1", "Driver Requirements: Device Operation"),
            Section("5.4.6.2", "Device Requirements: Device Operation"),
            Section("6", "Reserved Feature Bits"),
            Section("6.1", "Driver Requirements: Reserved Feature Bits"),
            Section("6.2", "Device Requirements: Reserved Feature Bits"),
        ]

        /// The file of the specification's LaTeX source that has the section.
        public var file: StaticString {
            let files: [(beginning: StaticString, file: StaticString)] = [
                ("2.7", "split-ring.tex"), ("2.8", "packed-ring.tex"), ("2.10", "shared-mem.tex"),
                ("4.2", "transport-mmio.tex"),
                ("5.1", "device-types/net/description.tex"), ("5.2", "device-types/blk/description.tex"),
                ("5.3", "device-types/console/description.tex"), ("5.4", "device-types/entropy/description.tex"),
            ]
            let number = number.description.utf8
            return files.first { number.starts(with: $0.beginning.description.utf8) }?.file ?? "content.tex"
        }
    }

    /// Parts of ids of the clauses of SUSPEND in VIRTIO 1.4, and where their text stands.
    private static let suspendSections: [(beginning: StaticString, section: StaticString)] = [
        ("V14-DRV", "3.4.1"), ("V14-DEV", "3.4.2"), ("V14-INF", "3.4"), ("V14-DEF", "2.1"), ("V14-FEAT", "6"),
    ]

    /// The section that the clause stands in; nil for one that is not in VIRTIO 1.4.
    public var section: Section? {
        let id = id.description.utf8
        let suspend = Self.suspendSections.first { id.starts(with: $0.beginning.description.utf8) }?.section.description
        let number = suspend.map { Array($0.utf8) } ?? Array(id.prefix { $0 != UInt8(ascii: "-") })
        return Section.all.first { number.elementsEqual($0.number.description.utf8) }
    }
}
