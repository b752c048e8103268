// The console's row in the registry: a board has one, in slot 0.

import Virtio
import VirtioABI

extension DeviceKind {
    /// The console (virtio-console): `--console`.
    public static let console = DeviceKind(
        id: DeviceID.console, name: "console", option: "console", features: [],
        fixedFeatures: [
            ("size", ConsoleFeature.size), ("multiport", ConsoleFeature.multiport),
            ("emerg_write", ConsoleFeature.emergencyWrite),
        ],
        commands: ["x-hold", "x-release", "x-input", "x-open", "x-size", "x-output"],
        open: { (configuration, purpose) throws(MachineError) in [try OpenedConsole(configuration, purpose)] },
        replay: { traced, memory in
            let names = traced.ports.compactMap { Array($0.utf8)[...].hexadecimalBytes }
            guard names.count == traced.ports.count, names.count < Console.maximumPorts else { return nil }
            let device = Console(
                configuration: Console.Configuration(word: traced.configuration), ports: names,
                queueSize: traced.queueSize)
            return ReplayedTransport(device, traced, memory, onInput: Replay<Console>.offerInput)
        })
}

/// The host ends of a console's ports, indexed by port.
private struct OpenedConsole: OpenedDevice {
    private var ends: [ConsolePort]
    /// It offers every ring form, as the disks of memory do: for the built-in guest, and for a qtest client without disks of its own.
    private let offersEveryRingForm: Bool

    init(_ configuration: Machine.Configuration, _ purpose: BoardPurpose) throws(MachineError) {
        func end(_ target: ConsoleTarget, _ name: String) throws(MachineError) -> ConsolePort {
            try ConsolePort(purpose.isQTest ? .null : target, name: name, appends: configuration.appendsOutput)
        }
        ends = [try end(configuration.console, "console0")]
        offersEveryRingForm = configuration.kernel == nil && (!purpose.isQTest || purpose.hasTestDevices)
        for port in configuration.ports { ends.append(try end(port.target, "port \(port.name)")) }
    }

    func make(_ factory: DeviceFactory, name: String, slot: Int) throws(MachineError) -> BoardDevice {
        let configuration = factory.configuration
        let size = ConsolePort.size(of: ends[0].screen) ?? (columns: 80, rows: 25)
        let device = Console(
            configuration: Console.Configuration(columns: size.columns, rows: size.rows),
            ports: configuration.ports.map { Array($0.name.utf8) })
        var offer = configuration.consoleOffer
        if offersEveryRingForm { offer.features.adding.formUnion(factory.configuration.everyRingForm) }
        let transport = factory.transport(device, offer, slot: slot)
        let streams = ends.enumerated().map { port, end in
            ConsoleStream(
                port: port, end: end,
                escapeKeys: port == 0 && configuration.escapeKeys && configuration.console == .stdio,
                longestChain: transport.longestChain)
        }
        if let text = factory.wantedText { streams[0].output.watch = TextWatch(text) }
        return try ConsoleSlot(
            name: name, transport: transport, context: factory.context(slot), streams: streams,
            onKey: factory.onEscapeKey)
    }
}
