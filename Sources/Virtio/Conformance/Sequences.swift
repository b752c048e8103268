// Sequences of register accesses that keep the clauses most asked for, as data: `vmm explain` prints them, and a test
// performs them on a block device of 1 MiB.

import VirtioABI

/// An example of register accesses that keep some clauses.
public struct AccessSequence: Sendable {
    /// A register access.
    public enum Access: Sendable {
        /// The driver writes the value.
        case write(Register, UInt32)
        /// The driver reads; the value is an example, and depends on the device.
        case read(Register, UInt32)
        /// The driver reads until it gets the value.
        case poll(Register, UInt32)
        /// The driver reads a field of the configuration space, by its offset in that space, of 32 bits.
        case field(Int, UInt32)
    }

    /// An access and what it is for.
    public struct Step: Sendable {
        /// The access.
        public let access: Access
        /// What it is for.
        public let purpose: StaticString

        fileprivate init(_ access: Access, _ purpose: StaticString) { (self.access, self.purpose) = (access, purpose) }
    }

    /// What the driver does, as a heading.
    public let title: StaticString
    /// The dialect of SUSPEND that it is about; nil if the sequence is the same without SUSPEND.
    public let dialect: SuspendDialect?
    /// Ids of clauses, or beginnings of them up to a dot or a hyphen, of which this is an example.
    public let clauses: [StaticString]
    /// The accesses, in order.
    public let steps: [Step]

    private init(_ title: StaticString, of dialect: SuspendDialect? = nil, _ clauses: [StaticString], _ steps: [Step]) {
        (self.title, self.dialect, self.clauses, self.steps) = (title, dialect, clauses, steps)
    }

    /// Every sequence, in an order in which a driver can perform them: a reset of any device, then the others in turn.
    /// Those of a dialect that the device does not offer are left out.
    public static let all = [
        reset, initialisation, queueSetup, start, configuration, interrupt, suspendDraft, resumeDraft, suspend, resume,
        queueReset, queueStop,
    ]
}

extension AccessSequence {
    private static let reset = AccessSequence(
        "a reset", ["2.4.1", "2.4.2", "2.1.1-3", "4.2.2.1-5", "V3"],
        [
            Step(.write(.status, 0), "reset the device"),
            Step(.poll(.status, 0), "the reset is complete"),
        ])

    private static let initialisation = AccessSequence(
        "initialization, to FEATURES_OK",
        ["2.1.1", "2.2.1", "3.1.1", "4.2.2.2-12", "4.2.2.2-13", "4.2.3.1.1", "6.1-1"],
        [
            Step(.read(.magicValue, Register.magic), "\"virt\": a virtio device"),
            Step(.read(.version, Register.mmioVersion), "not the legacy interface"),
            Step(.read(.deviceID, DeviceID.block), "a block device; 0 is no device"),
            Step(.write(.status, 0x01), "ACKNOWLEDGE"),
            Step(.write(.status, 0x03), "and DRIVER"),
            Step(.write(.deviceFeaturesSel, 1), "features 32 to 63"),
            Step(.read(.deviceFeatures, 0x101), "offered: VIRTIO_F_VERSION_1, VIRTIO_F_RING_RESET"),
            Step(.write(.driverFeaturesSel, 0), "features 0 to 31"),
            Step(.write(.driverFeatures, 0), "none of them"),
            Step(.write(.driverFeaturesSel, 1), "features 32 to 63"),
            Step(.write(.driverFeatures, 0x101), "accepted: a part of what is offered"),
            Step(.write(.status, 0x0b), "and FEATURES_OK"),
            Step(.read(.status, 0x0b), "FEATURES_OK is still set: the device agrees"),
        ])

    private static let queueSetup = AccessSequence(
        "the setup of a queue", ["2.7-0", "2.7.1", "2.8.11", "4.2.2.2-14", "4.2.2.2-15", "4.2.3.2", "VMM-10"],
        [
            Step(.write(.queueSel, 0), "the queue's index"),
            Step(.poll(.queueReady, 0), "the queue is not in use"),
            Step(.read(.queueSizeMax, 256), "not 0: the queue exists"),
            Step(.write(.queueSize, 64), "entries, at most QueueSizeMax"),
            Step(.write(.queueDescLow, 0x1000), "the descriptor area, in cleared memory"),
            Step(.write(.queueDescHigh, 0), "its upper half"),
            Step(.write(.queueDriverLow, 0x2000), "the driver area: the available ring"),
            Step(.write(.queueDriverHigh, 0), "its upper half"),
            Step(.write(.queueDeviceLow, 0x3000), "the device area: the used ring"),
            Step(.write(.queueDeviceHigh, 0), "its upper half"),
            Step(.write(.queueReady, 1), "the device may use the queue"),
        ])

    private static let start = AccessSequence(
        "the end of initialization, and the first notification", ["3.1.1-7", "2.1.1-1", "4.2.3.3", "VMM-1"],
        [
            Step(.write(.status, 0x0f), "and DRIVER_OK: the device is live"),
            Step(.write(.queueNotify, 0), "a buffer is available in queue 0"),
        ])

    private static let configuration = AccessSequence(
        "a read of a field of 64 bits, the capacity of a disk", ["2.5.1", "2.5.2", "4.2.2.2-5"],
        [
            Step(.read(.configGeneration, 0), "before"),
            Step(.field(0, 2048), "the lower half"),
            Step(.field(4, 0), "the upper half"),
            Step(.read(.configGeneration, 0), "the same as before; if not, read all of it again"),
        ])

    private static let interrupt = AccessSequence(
        "an interrupt", ["4.2.3.4", "4.2.2.2-19", "4.2.2.2-20", "VMM-7"],
        [
            Step(.read(.interruptStatus, 1), "used buffers; 2 is a configuration change"),
            Step(.write(.interruptACK, 1), "what was read; then look at the used ring"),
        ])

    private static let suspendDraft = AccessSequence(
        "a suspend of the draft", of: .draft, ["V5", "H-2", "D-3", "D-11"],
        [
            Step(.write(.status, 0x1f), "SUSPEND beside the other bits"),
            Step(.poll(.status, 0x1f), "0x0f until the drain is over; now the device is suspended"),
        ])

    private static let resumeDraft = AccessSequence(
        "a resume of the draft", of: .draft, ["V5", "D-4", "D-17"],
        [
            Step(.write(.status, 0x0f), "without SUSPEND"),
            Step(.poll(.status, 0x0f), "0x1f until the backend is ready; now the device runs"),
        ])

    private static let suspend = AccessSequence(
        "a suspend of VIRTIO 1.4", of: .ratified, ["V14", "H-1", "H-3", "D-3", "D-11"],
        [
            Step(.write(.status, 0x1f), "SUSPEND; written once, as a second time may resume"),
            Step(.poll(.status, 0x1b), "0x0f until the drain is over; now the device is suspended"),
        ])

    private static let resume = AccessSequence(
        "a resume of VIRTIO 1.4", of: .ratified, ["V14", "H-1", "D-4", "D-17"],
        [
            Step(.write(.status, 0x1f), "DRIVER_OK beside the bits that were read"),
            Step(.poll(.status, 0x0f), "0x1b until the backend is ready; now the device runs"),
        ])

    private static let queueReset = AccessSequence(
        "the reset of a queue, with VIRTIO_F_RING_RESET", ["2.6.1", "4.2.2.2-21", "VMM-6", "VMM-9"],
        [
            Step(.write(.queueSel, 0), "the queue's index"),
            Step(.write(.queueReset, 1), "reset the queue"),
            Step(.poll(.queueReset, 0), "1 while requests are in flight; now its memory may be freed"),
            Step(.read(.queueReady, 0), "it is not ready: set it up as at first"),
            Step(.write(.queueSize, 64), "entries, at most QueueSizeMax"),
            Step(.write(.queueDescLow, 0x1000), "and so on, in cleared memory"),
            Step(.write(.queueDriverLow, 0x2000), "the driver area"),
            Step(.write(.queueDeviceLow, 0x3000), "the device area"),
            Step(.write(.queueReady, 1), "the device may use the queue"),
        ])

    private static let queueStop = AccessSequence(
        "the end of a queue", ["4.2.2.2-16", "4.2.2.2-17", "VMM-6"],
        [
            Step(.write(.queueSel, 0), "the queue's index"),
            Step(.write(.queueReady, 0), "stop the queue"),
            Step(.poll(.queueReady, 0), "1 while requests are in flight; now its memory may be freed"),
        ])
}
