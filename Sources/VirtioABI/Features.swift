// Feature bits (VIRTIO 1.4, 2.2 and 6). Bits 0 to 23 belong to the device type: see Block.swift and Console.swift.

/// A set of feature bits, bit n of the specification at bit n of `rawValue`. Bits 64 and above are not defined yet.
public struct Features: OptionSet, Hashable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The set of one feature bit, numbered as in the specification (0 to 63).
    public init(bit: Int) { self.init(rawValue: 1 << UInt64(bit)) }

    public static var indirectDescriptors: Features { Features(bit: 28) }
    public static var eventIndex: Features { Features(bit: 29) }
    public static var version1: Features { Features(bit: 32) }
    public static var accessPlatform: Features { Features(bit: 33) }
    public static var ringPacked: Features { Features(bit: 34) }
    public static var inOrder: Features { Features(bit: 35) }
    public static var orderPlatform: Features { Features(bit: 36) }
    public static var notificationData: Features { Features(bit: 38) }
    public static var ringReset: Features { Features(bit: 40) }
    /// VIRTIO_F_SUSPEND of the 2024 draft.
    public static var suspendDraft: Features { Features(bit: 42) }
    /// VIRTIO_F_SUSPEND of VIRTIO 1.4.
    public static var suspend: Features { Features(bit: 43) }

    /// The 32 bits that DeviceFeatures or DriverFeatures holds for selector `word`; 0 from word 2 on.
    public func word(_ word: UInt32) -> UInt32 {
        word < 2 ? UInt32(truncatingIfNeeded: rawValue >> (UInt64(word) * 32)) : 0
    }

    /// This set with the 32 bits of selector `word` replaced; unchanged from word 2 on.
    public func replacing(word: UInt32, with value: UInt32) -> Features {
        guard word < 2 else { return self }
        let shift = UInt64(word) * 32
        return Features(rawValue: rawValue & ~(0xffff_ffff << shift) | UInt64(value) << shift)
    }
}
