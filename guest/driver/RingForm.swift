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

    /// The feature of this name, no feature for `none`; nil if there is none of this name.
    static func named(_ name: Text) -> Features? {
        if name.equals(Text("none")) { return [] }
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

    /// The number as a queue size; nil if a queue of this form cannot have it: 1 to 32768 entries, for a split virtqueue a
    /// power of two (2.6, 2.8.10.1).
    func queueSize(_ number: UInt64) -> UInt32? {
        guard 1...32768 ~= number, features.contains(.ringPacked) || number & (number &- 1) == 0 else { return nil }
        return UInt32(truncatingIfNeeded: number)
    }

    /// The form with the features `more` in addition.
    func with(_ more: Features) -> RingForm { RingForm(features: features.union(more), queueSize: queueSize) }
}
