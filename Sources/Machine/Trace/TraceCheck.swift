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

/// A device like the one that was traced, over `memory`; nil if there is none.
private func replay(of traced: TracedDevice, over memory: GuestMemory) -> (any ReplayedDevice)? {
    guard 1...32 ~= traced.queues, traced.queueSize.nonzeroBitCount == 1 else { return nil }
    return DeviceKind.all.first { $0.id == traced.deviceID }?.replay(traced, memory)
}
