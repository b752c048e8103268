// Checks a trace: each of its devices is created again and replays its part, without KVM, guest and backends.

import Virtio
import VirtioABI

/// The conformance of the drivers in a trace.
public struct TraceCheck {
    /// The report on each device, of the part that was replayed.
    public let conformance: [ConformanceReport]
    /// From where on the trace could not be replayed, as sentences; empty if it was replayed to its end.
    public let unknown: [String]
    /// What cannot be known of a trace of an old version, as a sentence; nil for the current version.
    public let caveat: String?

    /// The number of events after which guest memory is discarded: the model reads none of it, all it reads is in the trace.
    private static let eventsBetweenDiscards = 4096

    /// Replays the trace at `path`.
    public init(path: String) throws(MachineError) {
        var reader = try TraceReader(path: path)
        let ram: RAM
        do throws(RAMError) { ram = try RAM(size: reader.memory) } catch { throw .memory(error) }
        var devices: [FollowedDevice] = []
        for device in reader.devices {
            guard let replayed = replay(of: device, over: ram.guestMemory) else {
                throw .badTrace(
                    path: path, line: devices.count + 2,
                    "there is no device like this one; use the vmm that recorded the trace")
            }
            devices.append(FollowedDevice(name: device.name, model: replayed))
        }
        var count = 0
        while let (stamp, event) = reader.next() {
            devices[stamp.device].take(event, line: reader.line)
            count += 1
            if count % Self.eventsBetweenDiscards == 0 { ram.discard() }
        }
        let isWhole = reader.damage == nil && reader.isNumbered
        for index in devices.indices { devices[index].finish(isLast: !isWhole) }
        conformance = devices.map { $0.model.report($0.name) }
        unknown = devices.compactMap(\.unknown) + (reader.damage.map { [$0] } ?? [])
        caveat =
            reader.isNumbered
            ? nil
            : "trace \(path) is of version 1, whose lines have no numbers: whether some are missing cannot be told"
    }

    /// All of it as JSON, on one line.
    public var json: String {
        JSON.object(conformance.members + [JSON.Member(name: "unknown", value: .array(unknown.map { .string($0) }))])
            .text
    }
}

/// A device of a trace, and how far it was replayed.
private struct FollowedDevice {
    let name: String
    let model: any ReplayedDevice
    /// From where on the device could not be replayed, as a sentence; nil if it could.
    private(set) var unknown: String?
    /// The events of the call that is being read, and the line of the first.
    private var call: [Event] = []
    private var line = 0

    init(name: String, model: any ReplayedDevice) { (self.name, self.model) = (name, model) }

    /// Takes an event of the trace. The first of a call ends the one before.
    mutating func take(_ event: Event, line: Int) {
        if event.isInput { finish(isLast: false) }
        // The model finds violations itself. In traces of version 1 those of a read come before the read.
        if case .violation = event { return }
        guard unknown == nil else { return }
        if call.isEmpty { self.line = line }
        call.append(event)
        // One more than are recorded: the count of those that were dropped.
        if call.count > Event.mostInCall + 1 { stop("a call has more events than a device records") }
    }

    /// Replays the call that was read. With `isLast` some of its events may be missing.
    mutating func finish(isLast: Bool) {
        guard unknown == nil else { return }
        if let divergence = model.play(call, isLast) { stop(divergence.sentence) }
        call.removeAll(keepingCapacity: true)
    }

    private mutating func stop(_ problem: String) {
        unknown = "line \(line), \(name): \(problem); what the device went through from here on is unknown"
        call = []
    }
}

/// A device like the one that was traced, over `memory`; nil if there is none.
private func replay(of traced: TracedDevice, over memory: GuestMemory) -> (any ReplayedDevice)? {
    guard 1...32 ~= traced.queues, traced.queueSize.nonzeroBitCount == 1 else { return nil }
    return DeviceKind.all.first { $0.id == traced.deviceID }?.replay(traced, memory)
}
