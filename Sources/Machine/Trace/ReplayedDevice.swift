// A device of a trace, made once more: its transport goes through the trace's calls, over memory of its own.

import Virtio

/// A device of a trace, whatever its type.
protocol ReplayedDevice: AnyObject {
    /// Plays the events of one call; how the model left the trace, if it did.
    func play(_ events: [Event], _ isLast: Bool) -> TraceDivergence?
    /// What is known of its driver so far.
    func report(_ name: String) -> ConformanceReport
}

/// How a model left a trace.
struct TraceDivergence {
    let sentence: String

    /// Nil for a trace that only ends.
    init?<Device: VirtioDevice & ~Copyable>(_ divergence: Replay<Device>.Divergence) {
        switch divergence {
        case .cut: return nil
        case .memory(let how): sentence = "the model does not follow the trace: \(how)"
        case .outcome(let now, let then):
            let (now, then) = (now.map { "\($0)" } ?? "nothing", then.map { "\($0)" } ?? "nothing")
            sentence = "the model does not follow the trace: \(now), where the trace has \(then)"
        case .lost(let count): sentence = "the trace lacks \(count) events here; the device's report ends before them"
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
                conform: traced.conform == .off ? .report : traced.conform, tracing: .replay))
    }

    func play(_ events: [Event], _ isLast: Bool) -> TraceDivergence? {
        replay.play(events, isLast: isLast, onInput: onInput).flatMap { TraceDivergence($0) }
    }

    func report(_ name: String) -> ConformanceReport { ConformanceReport(device: name, replay.transport.conformance) }
}
