// Things a correct driver never does. The model counts them and goes on; printing is the host's business.

/// Something the driver did that the specification forbids or that had no effect.
public enum Anomaly: UInt8, CaseIterable, Sendable {
    /// An offset no register has.
    case undefinedRegister
    /// A register of the legacy interface, which this device has not.
    case legacyRegister
    /// A control register access that is not 32 bits wide or not aligned (4.2.2.2).
    case badAccess
    case readOfWriteOnly
    case writeOfReadOnly
    /// A write that a suspended device ignores.
    case writeWhileSuspended
    /// A register written when its step of the initialisation is over or not reached.
    case writeOutOfOrder
    /// FEATURES_OK asked for with bits that were not offered, or without VIRTIO_F_VERSION_1.
    case featuresRefused
    /// QueueNotify for a queue that does not exist or is not ready, or before DRIVER_OK.
    case uselessNotify
    /// A ring the driver broke; see `lastFault`.
    case queueFault

    /// One sentence for the user.
    public var sentence: StaticString {
        switch self {
        case .undefinedRegister: "the driver accessed an offset that is no register"
        case .legacyRegister: "the driver accessed a register of virtio-mmio version 1; this device is version 2"
        case .badAccess: "the driver accessed a register with a wrong width or alignment"
        case .readOfWriteOnly: "the driver read a write-only register"
        case .writeOfReadOnly: "the driver wrote a read-only register"
        case .writeWhileSuspended: "the driver wrote a register of a suspended device, which ignores it"
        case .writeOutOfOrder: "the driver wrote a register at a time when that has no effect"
        case .featuresRefused: "the driver accepted features that were not offered, or not VIRTIO_F_VERSION_1"
        case .uselessNotify: "the driver notified a queue that is not ready, or before DRIVER_OK"
        case .queueFault: "the driver broke a virtqueue, and the device needs a reset"
        }
    }
}

/// How often each anomaly was seen since the device was made, and which of them are due for a report.
public struct Anomalies: Sendable {
    private var counts = InlineArray<10, UInt64>(repeating: 0)
    private var due: UInt32 = 0

    init() {
        precondition(Anomaly.allCases.count == counts.count)
    }

    /// How often `anomaly` was seen.
    public subscript(_ anomaly: Anomaly) -> UInt64 { counts[Int(anomaly.rawValue)] }

    /// Counts one. The first, second, fourth, eighth ... of a kind is due for a report: a guest cannot flood a log.
    mutating func note(_ anomaly: Anomaly) {
        let index = Int(anomaly.rawValue)
        counts[index] &+= 1
        if counts[index].nonzeroBitCount == 1 { due |= 1 << UInt32(index) }
    }

    /// An anomaly due for a report, each due one once; nil when there is none.
    public mutating func nextDue() -> Anomaly? {
        guard due != 0 else { return nil }
        let index = due.trailingZeroBitCount
        due &= due - 1
        return Anomaly(rawValue: UInt8(index))
    }
}
