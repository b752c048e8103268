// A trace put to the checks: each of its devices is made once more and goes through it, without KVM, guest and backends.

import Virtio
import VirtioABI

/// What a trace's devices say of their drivers.
public struct TraceCheck {
    /// By device.
    public let conformance: [ConformanceReport]
    /// Where the model did not follow the trace, as sentences.
    public let divergences: [String]

    /// Goes through the trace at `path`.
    public init(path: String) throws(MachineError) {
        var reader = try TraceReader(path: path)
        let ram: RAM
        do throws(RAMError) { ram = try RAM(size: reader.memory) } catch { throw .memory(error) }
        var devices: [any ReplayedDevice] = []
        for device in reader.devices {
            guard let replayed = replay(of: device, over: ram.guestMemory) else {
                throw .badTrace(path: path, line: devices.count + 2, "there is no device like this one")
            }
            devices.append(replayed)
        }
        var calls = [[Event]](repeating: [], count: devices.count)
        var divergences: [String] = []
        var lost = Set<Int>()
        func finish(_ index: Int, _ line: Int, isLast: Bool = false) {
            defer { calls[index] = [] }
            guard !lost.contains(index), let divergence = devices[index].play(calls[index], isLast) else { return }
            // What it does from here on is another story.
            lost.insert(index)
            divergences.append("line \(line), \(reader.devices[index].name): \(divergence.sentence)")
        }
        var line = reader.line
        while let (stamp, event) = try reader.next() {
            if event.isInput { finish(stamp.device, line) }
            calls[stamp.device].append(event)
            line = reader.line
        }
        for index in devices.indices { finish(index, line, isLast: true) }
        self.divergences = divergences
        conformance = devices.enumerated().map { $0.element.report(reader.devices[$0.offset].name) }
    }
}

/// A device of a trace.
private protocol ReplayedDevice: AnyObject {
    func play(_ events: [Event], _ isLast: Bool) -> Divergence?
    func report(_ name: String) -> ConformanceReport
}

/// How a model left a trace, whatever the device.
private struct Divergence {
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

private final class ReplayedDisk: ReplayedDevice {
    private var replay: Replay<Block>
    init(_ replay: consuming Replay<Block>) { self.replay = replay }
    func play(_ events: [Event], _ isLast: Bool) -> Divergence? {
        replay.play(events, isLast: isLast).flatMap { Divergence($0) }
    }
    func report(_ name: String) -> ConformanceReport { ConformanceReport(device: name, replay.transport.conformance) }
}

private final class ReplayedConsole: ReplayedDevice {
    private var replay: Replay<Console>
    init(_ replay: consuming Replay<Console>) { self.replay = replay }
    func play(_ events: [Event], _ isLast: Bool) -> Divergence? {
        replay.play(events, isLast: isLast).flatMap { Divergence($0) }
    }
    func report(_ name: String) -> ConformanceReport { ConformanceReport(device: name, replay.transport.conformance) }
}

/// A device like the one that was traced, over `memory`; nil if there is none.
private func replay(of traced: TracedDevice, over memory: GuestMemory) -> (any ReplayedDevice)? {
    let mode: ConformanceMode = traced.conform == .off ? .report : traced.conform
    func transport<Device: VirtioDevice & ~Copyable>(_ device: consuming Device) -> MMIOTransport<Device> {
        let all = MMIOTransport<Device>.canOffer
        return MMIOTransport(
            device: device, memory: memory, suspend: traced.dialect, freeze: traced.freeze,
            adding: all.intersection(traced.offered), withholding: all.subtracting(traced.offered), conform: mode,
            tracing: .replay)
    }
    guard 1...32 ~= traced.queues, traced.queueSize.nonzeroBitCount == 1 else { return nil }
    switch traced.deviceID {
    case DeviceID.block:
        let device = Block(
            capacity: traced.configuration, readOnly: traced.offered.contains(BlockFeature.readOnly),
            queues: traced.queues, queueSize: traced.queueSize)
        return ReplayedDisk(Replay(transport(device)))
    case DeviceID.console:
        let names = traced.ports.compactMap { Array($0.utf8)[...].hexadecimalBytes }
        guard names.count == traced.ports.count, names.count < Console.maximumPorts else { return nil }
        let device = Console(
            configuration: Console.Configuration(word: traced.configuration), ports: names, queueSize: traced.queueSize)
        return ReplayedConsole(Replay(transport(device)))
    default: return nil
    }
}
