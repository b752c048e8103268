// The form a driver gives its queues: which of the optional transport features it accepts, and how many entries.

/// A transport feature that changes the form of a queue, by its name on the command line.
struct RingFeature: Sendable {
    let name: StaticString
    let feature: Features

    static let all: [6 of RingFeature] = [
        RingFeature(name: "indirect", feature: .indirectDescriptors),
        RingFeature(name: "event_idx", feature: .eventIndex),
        RingFeature(name: "packed", feature: .ringPacked),
        RingFeature(name: "in_order", feature: .inOrder),
        RingFeature(name: "notification_data", feature: .notificationData),
        RingFeature(name: "ring_reset", feature: .ringReset),
    ]

    /// A bit that no virtio-mmio device offers: SR_IOV, of PCI alone.
    static let unknown = Features(bit: 37)

    /// The feature of this name; nil if there is none.
    static func named(_ name: Text) -> Features? {
        for index in all.indices where name.equals(Text(all[index].name)) { return all[index].feature }
        return nil
    }
}

/// What a driver asks for when it initialises a device.
struct RingForm {
    /// What it accepts of what the device offers.
    var features: Features = []
    /// Entries of its queues, as far as the device allows; nil for the usual number.
    var queueSize: UInt32?

    /// The same with more features.
    func with(_ more: Features) -> RingForm { RingForm(features: features.union(more), queueSize: queueSize) }
}
