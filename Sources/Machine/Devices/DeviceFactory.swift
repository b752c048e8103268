// What the devices of a board are made with: their transports and the connections of their slots, from the machine's configuration.

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
    /// Called with what the escape keys of the console's terminal ask for.
    var onEscapeKey: @Sendable (EscapeKeys.Action) -> Void = { _ in }

    /// `device` behind a transport that offers what `offer` says.
    func transport<Device: VirtioDevice & ~Copyable>(
        _ device: consuming Device, _ offer: Machine.Configuration.Offer
    ) -> MMIOTransport<Device> {
        MMIOTransport(
            device: device, memory: connections.guestMemory, suspend: offer.suspend.dialect(or: configuration.suspend),
            freeze: offer.freeze, adding: offer.features.adding, withholding: offer.features.withholding,
            conform: configuration.conform, tracing: trace == nil ? .off : .on)
    }

    /// The connections of the device in `slot`.
    func context(_ slot: Int) -> SlotContext {
        SlotContext(
            line: connections.line(slot: slot), drainDeadline: configuration.drainDeadline,
            reportsViolations: configuration.reportsViolations, onDeferredEvent: configuration.onDeferredEvent,
            time: time, ioEventFDs: usesIOEventFDs ? IOEventFDRegistrar(connections: connections, slot: slot) : nil,
            trace: trace.map { DeviceTrace(writer: $0, device: slot) }, wakesGuest: configuration.serial != nil)
    }
}

/// Replacements for parts of a board, for tests that break them. The defaults replace nothing.
struct TestHooks {
    /// What the bus sees in a slot.
    var region: (_ slot: Int, _ region: any MMIORegion) -> any MMIORegion = { $1 }
    /// Notifications bypass the bus as eventfds; false where a replaced region has to see them.
    var usesIOEventFDs = true
    /// What a disk uses for its bytes.
    var backend: (any BlockBackend) -> any BlockBackend = { $0 }
}
