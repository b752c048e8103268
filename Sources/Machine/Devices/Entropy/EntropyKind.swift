// The entropy device's row in the registry: a board has one for each --rng, and one if no device is named.

import Virtio
import VirtioABI

extension Machine.Configuration {
    /// An entropy device.
    public struct EntropyDevice: Equatable, Sendable, CustomStringConvertible {
        /// The bytes are a fixed sequence that depends on this number alone; nil for the host's random bytes, and in a qtest machine,
        /// whose answers do not change, for 0.
        public var seed: UInt64?
        /// What it offers.
        public var offer = Offer()

        /// The source of the bytes, as the option has it.
        public var description: String { seed.map { "seed=\($0)" } ?? "host" }

        /// The host's random bytes.
        public init() {}

        /// Reads `host` or `seed=N`, and the words that every device has.
        public init(option: String) throws(OptionError) {
            let option = try DeviceOption(option, of: .entropy)
            offer = option.offer
            let source: OptionWord
            do throws(OptionError) { source = try OptionWord(option.value, ["host", "seed=N"]) } catch {
                throw OptionError("\(error.description); a KERNEL behind --rng is written --rng=host KERNEL")
            }
            guard let text = source.value else { return }
            guard let seed = UInt64(text) else {
                throw OptionError("seed= takes a number from 0 to \(UInt64.max), not '\(text)'")
            }
            self.seed = seed
        }
    }
}

extension DeviceKind {
    /// The entropy device (virtio-rng): `--rng`.
    public static let entropy = DeviceKind(
        id: DeviceID.entropy, name: "rng", option: "rng", features: [], commands: ["x-hold", "x-release", "x-fail"],
        open: { (configuration, purpose) throws(MachineError) in
            var devices = configuration.entropy + (purpose.isSample ? [.init()] : [])
            if purpose.hasTestDevices && devices.isEmpty {
                var device = Machine.Configuration.EntropyDevice()
                device.offer.features.adding = configuration.everyRingForm
                devices.append(device)
            }
            return devices.map { device in
                let seed = device.seed ?? (purpose.isQTest ? 0 : nil)
                return OpenedEntropyDevice(source: seed.map { .sequence($0) } ?? .host, offer: device.offer)
            }
        },
        replay: { traced, memory in ReplayedTransport(Entropy(queueSize: traced.queueSize), traced, memory) })
}

/// An entropy device and where its bytes come from.
private struct OpenedEntropyDevice: OpenedDevice {
    let source: EntropySource
    let offer: Machine.Configuration.Offer

    func make(_ factory: DeviceFactory, name: String, slot: Int) throws(MachineError) -> BoardDevice {
        try EntropySlot(
            name: name, transport: factory.transport(Entropy(), offer, slot: slot), context: factory.context(slot),
            source: source)
    }
}
