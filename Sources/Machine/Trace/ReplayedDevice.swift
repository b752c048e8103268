// A device of a trace, created again: its transport replays the calls of the trace, over memory of its own.

import Virtio

/// A device of a trace, whatever its type.
protocol ReplayedDevice: AnyObject {
    /// Replays the events of one call. Returns how the model differs from the trace; nil if it does not.
    func play(_ events: [Event], _ isLast: Bool) -> TraceDivergence?
    /// What the checks found of its driver so far.
    func report(_ name: String) -> ConformanceReport
}

/// How a model differs from a trace, as a sentence.
struct TraceDivergence {
    let sentence: String

    init<Device: VirtioDevice & ~Copyable>(_ divergence: Replay<Device>.Divergence) {
        func text(_ event: Event?) -> String { event?.words ?? "nothing" }
        switch divergence {
        case .cut: sentence = "the trace does not have the whole call"
        case .memory(let how): sentence = "the model does not follow the trace: \(how)"
        case .outcome(let now, let then):
            sentence = "the model does not follow the trace: here \(text(now)), and in the trace \(text(then))"
        case .lost(let count): sentence = "the trace lacks \(count) events in or after this call"
        }
    }
}

/// A device of a given type behind a transport that offers what the traced one offered.
final class ReplayedTransport<Device: VirtioDevice & ~Copyable>: ReplayedDevice {
    /// Offers input of the host to the device.
    typealias InputHandler = (inout MMIOTransport<Device>, Event, [UInt8]) -> Void

    private var replay: Replay<Device>
    private let onInput: InputHandler

    init(
        _ device: consuming Device, _ traced: TracedDevice, _ memory: GuestMemory,
        onInput: @escaping InputHandler = { _, _, _ in }
    ) {
        self.onInput = onInput
        let all = MMIOTransport<Device>.offerableFeatures
        replay = Replay(
            MMIOTransport(
                device: device, memory: memory, suspend: traced.dialect, freeze: traced.freeze,
                adding: all.intersection(traced.offered), withholding: all.subtracting(traced.offered),
                conform: traced.conform == .off ? .report : traced.conform, tracing: .replay, version: traced.version,
                torture: traced.torture))
    }

    func play(_ events: [Event], _ isLast: Bool) -> TraceDivergence? {
        replay.play(events, isLast: isLast, onInput: onInput).flatMap { TraceDivergence($0) }
    }

    func report(_ name: String) -> ConformanceReport { ConformanceReport(device: name, replay.transport.conformance) }
}
