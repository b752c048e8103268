// The form of a driver's queues: the optional ring features that it accepts, and the number of entries.

/// A feature that changes the form of a queue, with its name on the command line.
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

    /// A bit that no virtio-mmio device offers: VIRTIO_F_SR_IOV, for PCI only.
    static let unknown = Features(bit: 37)

    /// The feature of this name; nil if there is none.
    static func named(_ name: Text) -> Features? {
        for index in all.indices where name.equals(Text(all[index].name)) { return all[index].feature }
        return nil
    }
}

/// Form of the queues that a driver sets up.
struct RingForm {
    /// Features to accept if the device offers them.
    var features: Features = []
    /// Entries of the queues, limited by the device; nil for `VirtQueue.defaultSize`.
    var queueSize: UInt32?

    /// The form with the features `more` in addition.
    func with(_ more: Features) -> RingForm { RingForm(features: features.union(more), queueSize: queueSize) }
}
