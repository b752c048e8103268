// Makes the transports and slot contexts of a board's devices from the machine's configuration.

import Virtio

/// Makes transports and slot contexts for the devices of one board.
struct DeviceFactory {
    let configuration: Machine.Configuration
    let connections: any BoardConnections
    /// Available buffer notifications may signal an eventfd instead of leaving the guest.
    let usesIOEventFDs: Bool
    /// The clock of drain deadlines.
    let time: any TimeSource
    /// The run's trace, if there is one.
    var trace: TraceWriter?
    /// Replaces parts of the board in tests.
    var hooks = TestHooks()
    /// Called with the actions of the console's escape keys.
    var onEscapeKey: @Sendable (EscapeKeys.Action) -> Void = { _ in }

    /// Looked for in the console's output.
    var wantedText: WantedText?

    /// Called with the name of a suspended device at which input waits.
    var onWaitingInput: (@Sendable (String) -> Void)?

    /// A transport for `device` in `slot` with the features of `offer`.
    func transport<Device: VirtioDevice & ~Copyable>(
        _ device: consuming Device, _ offer: Machine.Configuration.Offer, slot: Int
    ) -> MMIOTransport<Device> {
        let features = offer.features.over(configuration.features)
        return MMIOTransport(
            device: device, memory: connections.guestMemory, suspend: offer.suspend.dialect(or: configuration.suspend),
            freeze: offer.freeze,
            adding: features.adding.intersection(MMIOTransport<Device>.offerableFeatures),
            withholding: features.withholding,
            conform: configuration.conform, tracing: trace == nil ? .off : .on, version: configuration.mmioVersion,
            torture: torture(offer, slot: slot))
    }

    /// The torture of the device in `slot`.
    func torture(_ offer: Machine.Configuration.Offer, slot: Int) -> Torture? {
        (offer.torture ?? configuration.torture)?.forDevice(slot)
    }

    /// The context of the device in `slot`.
    func context(_ slot: Int) -> SlotContext {
        SlotContext(
            line: connections.line(slot: slot), drainDeadline: configuration.drainDeadline,
            reportsViolations: configuration.reportsViolations, onDeferredEvent: configuration.onDeferredEvent,
            time: time, ioEventFDs: usesIOEventFDs ? IOEventFDRegistrar(connections: connections, slot: slot) : nil,
            trace: trace.map { DeviceTrace(writer: $0, device: slot) }, wakesGuest: configuration.serial != nil,
            onWaitingInput: onWaitingInput)
    }
}

/// Replacements for parts of a board, for tests that break them. The defaults replace nothing.
struct TestHooks {
    /// The region on the bus for a slot.
    var region: (_ slot: Int, _ region: any MMIORegion) -> any MMIORegion = { $1 }
    /// Notifications bypass the bus as eventfds; false where a replaced region has to see them.
    var usesIOEventFDs = true
    /// The backend of a disk.
    var backend: (any BlockBackend) -> any BlockBackend = { $0 }
}
