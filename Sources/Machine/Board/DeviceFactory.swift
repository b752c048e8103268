// Makes the board's devices out of the machine's configuration: model, interrupt line and backend each.

import Virtio
import VirtioABI

/// The devices' maker.
struct DeviceFactory {
    let configuration: Machine.Configuration
    let connections: any BoardConnections
    /// Kicks may bypass the bus as events.
    let usesIOEventFDs: Bool
    /// The clock of drain deadlines.
    let time: any TimeSource
    /// The run's trace, if there is one.
    var trace: TraceWriter?

    /// The console in slot `slot`, its ports on `ends`; keys that are vmm's go to `onKey`.
    func console(
        _ ends: [ConsolePort], slot: Int, onKey: @escaping @Sendable (EscapeKeys.Action) -> Void
    ) throws(MachineError) -> ConsoleSlot {
        let size = ConsolePort.size(of: ends[0].output) ?? (columns: 80, rows: 25)
        let device = Console(
            configuration: Console.Configuration(columns: size.columns, rows: size.rows),
            ports: configuration.ports.map { Array($0.name.utf8) })
        var features = configuration.consoleFeatures
        if configuration.kernel == nil { features.adding.formUnion(MMIOTransport<Console>.ringFeatures) }
        let transport = MMIOTransport(
            device: device, memory: connections.guestMemory, suspend: configuration.suspend, adding: features.adding,
            withholding: features.withholding, conform: configuration.conform, tracing: trace == nil ? .off : .on)
        let streams = ends.enumerated().map { port, end in
            ConsoleStream(
                port: port, end: end, escapeKeys: port == 0 && configuration.escapeKeys,
                longestChain: transport.longestChain)
        }
        return try ConsoleSlot(
            name: "console0", transport: transport, context: context(slot), streams: streams, onKey: onKey)
    }

    /// Disk `number` in slot `slot`.
    func disk(_ image: DiskImage, number: Int, slot: Int) throws(MachineError) -> BlockSlot {
        let device = Block(
            capacity: image.backend.capacity, readOnly: image.readOnly, queues: image.queues, queueSize: image.queueSize
        )
        return try BlockSlot(
            name: "blk\(number)",
            transport: MMIOTransport(
                device: device, memory: connections.guestMemory,
                suspend: image.suspend.dialect(or: configuration.suspend),
                freeze: image.freeze, adding: image.features.adding, withholding: image.features.withholding,
                conform: configuration.conform, tracing: trace == nil ? .off : .on),
            context: context(slot), backend: image.backend, identity: image.id ?? "blk\(number)",
            mode: image.mode, workers: Host.processors)
    }

    private func context(_ slot: Int) -> SlotContext {
        SlotContext(
            line: connections.line(slot: slot), drainDeadline: configuration.drainDeadline,
            reportsViolations: configuration.reportsViolations, onDeferredEvent: configuration.onDeferredEvent,
            time: time, ioEventFDs: usesIOEventFDs ? IOEventFDRegistrar(connections: connections, slot: slot) : nil,
            trace: trace.map { DeviceTrace(writer: $0, device: slot) }, wakesGuest: configuration.serial != nil)
    }
}
