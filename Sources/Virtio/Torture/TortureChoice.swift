// The choices that the specifications leave to the device, as data: what the device does with a choice that it does not do
// without, and the clause that allows it or tells the driver to expect it.

/// A choice of a device under `Torture`.
public enum TortureChoice: UInt8, CaseIterable, Sendable {
    /// Without VIRTIO_F_IN_ORDER, buffers are used in another order than they were made available (2.6-0).
    case order
    /// Used buffers appear later than the requests end (2.6-0).
    case late
    /// Several buffers become used at once, with one interrupt for all (2.7.8-0).
    case group
    /// Interrupts come although the driver suppressed them, or for a configuration that changed and changed back
    /// (2.7.7.1-5).
    case spurious
    /// The device suppresses notifications of a queue that it polls, and asks for them again later (2.7.10.2-2).
    case suppress
    /// One notification serves one available buffer; the others wait (2.6-0).
    case partial
    /// Some optional features are not offered (2.2.1-6).
    case features
    /// QueueSizeMax is small: 1 where indirect tables are offered, not a power of 2 for a packed ring (4.2.2.2-14).
    case sizes
    /// A disk takes few and short segments; an interface has a small MTU (2.2.1-6).
    case limits
    /// The configuration changes between two reads of its parts, and ConfigGeneration with it (2.5.1-2).
    case config
    /// The configuration changes often: sizes of a terminal, a disk that grows and shrinks back (3.2.1-0).
    case storm
    /// QueueReady reads 1 for a time after it was written 0 (4.2.2.2-17).
    case slowReady
    /// QueueReset reads 1 for a time after it was written 1 (4.2.2.2-21).
    case slowQueueReset
    /// Status shows the old value for a time after SUSPEND was written (V5-DRV-5).
    case slowSuspend
    /// Status shows the old value for a time after the resume was requested (V5-DRV-5).
    case slowResume
    /// In virtio-mmio version 3, Status shows the old value for a time after it was written 0 (V3-DRV-1).
    case slowReset
    /// In the draft, requests in flight are retained over a suspension (V5-DEV-12).
    case retain
    /// Requests of a disk end in VIRTIO_BLK_S_IOERR, and a request for its identity in VIRTIO_BLK_S_UNSUPP (5.2.6-0d).
    case fail
    /// A request for random bytes gets fewer than it has room for (5.4.6.1-2).
    case short
    /// Each receive buffer of a console gets one byte (5.3.6-0).
    case input
    /// The host closes and opens the further ports of a console (5.3.6.2-0).
    case ports
    /// Undefined and write-only registers read as anything (4.2.2.2-3).
    case unused
    /// The device sets DEVICE_NEEDS_RESET (2.1.2-2).
    case die
    /// The host fails with EIO (5.2.6-0d).
    case eio
    /// The host has no space left for a write (5.2.6-0d).
    case enospc
    /// The host transfers a part of a request, all or none, then fails with EIO (5.2.6-0d).
    case cut
    /// The host takes long for a request (2.6-0).
    case delay
    /// The link of an interface goes down, and comes up again (5.1.4.2-6).
    case link
    /// The other end of an interface's link goes: frames are lost and the link is down, until it is back (5.1.4.2-6).
    case peer

    /// The name of the choice on the command line.
    public var name: StaticString { row.name }
    /// The clause, as `vmm explain` takes it.
    public var clause: StaticString { row.clause }
    /// What the device does.
    public var sentence: StaticString { row.sentence }

    /// Whether a driver cannot keep its data or its device with this choice, however right it is: requests fail, or the
    /// device needs a reset.
    public var isFault: Bool {
        switch self {
        case .fail, .die, .eio, .enospc, .cut: true
        default: false
        }
    }

    private var row: (name: StaticString, clause: StaticString, sentence: StaticString) {
        switch self {
        case .order:
            (
                "order", "2.6-0",
                "Without VIRTIO_F_IN_ORDER, buffers are used in another order than they were made available."
            )
        case .late: ("late", "2.6-0", "Used buffers appear later than the requests end.")
        case .group: ("group", "2.7.8-0", "Several buffers become used at once, with one interrupt for all.")
        case .spurious:
            (
                "spurious", "2.7.7.1-5",
                "Interrupts come although the driver suppressed them, or for a configuration that changed and changed back."
            )
        case .suppress:
            (
                "suppress", "2.7.10.2-2",
                "The device suppresses notifications of a queue that it polls, and asks for them again later."
            )
        case .partial: ("partial", "2.6-0", "One notification serves one available buffer; the others wait.")
        case .features: ("features", "2.2.1-6", "Some optional features are not offered.")
        case .sizes:
            (
                "sizes", "4.2.2.2-14",
                "QueueSizeMax is small: 1 where indirect tables are offered, not a power of 2 for a packed ring."
            )
        case .limits: ("limits", "2.2.1-6", "A disk takes few and short segments; an interface has a small MTU.")
        case .config:
            (
                "config", "2.5.1-2",
                "The configuration changes between two reads of its parts, and ConfigGeneration with it."
            )
        case .storm:
            (
                "storm", "3.2.1-0",
                "The configuration changes often: sizes of a terminal, a disk that grows and shrinks back."
            )
        case .slowReady: ("slow-ready", "4.2.2.2-17", "QueueReady reads 1 for a time after it was written 0.")
        case .slowQueueReset:
            ("slow-queue-reset", "4.2.2.2-21", "QueueReset reads 1 for a time after it was written 1.")
        case .slowSuspend:
            ("slow-suspend", "V5-DRV-5", "Status shows the old value for a time after SUSPEND was written.")
        case .slowResume:
            ("slow-resume", "V5-DRV-5", "Status shows the old value for a time after the resume was requested.")
        case .slowReset:
            (
                "slow-reset", "V3-DRV-1",
                "In virtio-mmio version 3, Status shows the old value for a time after it was written 0."
            )
        case .retain: ("retain", "V5-DEV-12", "In the draft, requests in flight are retained over a suspension.")
        case .fail:
            (
                "fail", "5.2.6-0d",
                "Requests of a disk end in VIRTIO_BLK_S_IOERR, and a request for its identity in VIRTIO_BLK_S_UNSUPP."
            )
        case .short: ("short", "5.4.6.1-2", "A request for random bytes gets fewer than it has room for.")
        case .input: ("input", "5.3.6-0", "Each receive buffer of a console gets one byte.")
        case .ports: ("ports", "5.3.6.2-0", "The host closes and opens the further ports of a console.")
        case .unused: ("unused", "4.2.2.2-3", "Undefined and write-only registers read as anything.")
        case .die: ("die", "2.1.2-2", "The device sets DEVICE_NEEDS_RESET.")
        case .eio: ("eio", "5.2.6-0d", "The host fails with EIO.")
        case .enospc: ("enospc", "5.2.6-0d", "The host has no space left for a write.")
        case .cut: ("cut", "5.2.6-0d", "The host transfers a part of a request, all or none, then fails with EIO.")
        case .delay: ("delay", "2.6-0", "The host takes long for a request.")
        case .link: ("link", "5.1.4.2-6", "The link of an interface goes down, and comes up again.")
        case .peer:
            (
                "peer", "5.1.4.2-6",
                "The other end of an interface's link goes: frames are lost and the link is down, until it is back."
            )
        }
    }
}

/// What a device does differently, and where its choices come from: a seed repeats them.
public struct Torture: Equatable, Sendable {
    /// The seed of every choice of the device.
    public let seed: UInt64
    /// The choices that are made; the others are as without torture. Bit n for the choice with raw value n.
    public let choices: UInt32

    /// Every choice.
    public static var everyChoice: UInt32 { (1 << UInt32(TortureChoice.allCases.count)) - 1 }

    /// Torture by `choices`, bit n for the choice with raw value n.
    public init(seed: UInt64, choices: UInt32 = Torture.everyChoice) { (self.seed, self.choices) = (seed, choices) }

    /// The torture of device `slot` of a machine with this seed: each device chooses for itself.
    public func forDevice(_ slot: Int) -> Torture {
        Torture(seed: Torture.mix(seed &+ UInt64(slot + 1) &* 0x9e37_79b9_7f4a_7c15), choices: choices)
    }

    /// Whether `choice` is made.
    public func contains(_ choice: TortureChoice) -> Bool { choices & 1 << UInt32(choice.rawValue) != 0 }

    /// Word `index` of the random words for `choice`. They do not depend on which other choices are made, so that a failing run
    /// still fails without those that do not matter.
    public func word(_ choice: TortureChoice, _ index: UInt32) -> UInt64 {
        Torture.mix(Torture.mix(seed ^ UInt64(choice.rawValue) << 56) &+ UInt64(index) &* 0x9e37_79b9_7f4a_7c15)
    }

    /// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9e37_79b9_7f4a_7c15
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
