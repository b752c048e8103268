// The board's devices without a processor, driven by a qtest client: RAM, recorded interrupt lines, a clock that only commands
// advance, no thread. All work is done within a call, in a fixed order, so the same calls always have the same answers.

import KVM
import Virtio

/// A machine that a qtest client drives.
public final class QTestMachine: @unchecked Sendable {
    let ram: RAM
    let connections: QTestConnections
    let board: Board
    /// In the order of their slots.
    let devices: [BoardDevice]
    private let time = SteppedTime()
    let trace: TraceWriter?
    let completion = RunCompletion()
    /// Signalled when a signal ends the run, or the terminal's foreground may have changed.
    let wake: EventFD
    private let sandbox: Sandbox.Mode
    /// Where the client connects; nil for standard input and output.
    private(set) var listener: UnixListener?

    /// Rounds over all devices for one command; the largest queue needs half as many. A driver can make a disk write its own ring,
    /// and so give it work without end: what is left after the last round is done with the next command.
    private static let maximumRounds = 1024

    /// Makes a machine with `configuration`'s memory and disks, or the built-in guest's disks if it names none. Loads no kernel.
    public init(_ configuration: Machine.Configuration) throws(MachineError) {
        try HostFiles(configuration, isQTest: true).check()
        let plan = try DevicePlan(
            configuration, for: BoardPurpose(isQTest: true, hasTestDevices: configuration.hasNoDevices))
        do throws(RAMError) { ram = try RAM(size: configuration.memory) } catch { throw .memory(error) }
        do throws(KVMError) { wake = try EventFD() } catch { throw .kvm(error) }
        connections = QTestConnections(ram)
        sandbox = configuration.sandbox
        trace = try configuration.trace.map { [time] (path) throws(MachineError) in
            try TraceWriter(path: path, time: time, devices: plan.count)
        }
        let factory = DeviceFactory(
            configuration: configuration, connections: connections, usesIOEventFDs: false, time: time, trace: trace)
        devices = try plan.makeDevices(factory)
        board = Board(regions: devices, testDevice: devices)
    }

    /// Opens the client's end, and with it all that the run needs, enters the sandbox, and begins the trace. Returns what the sandbox
    /// is made of: a sentence.
    @discardableResult
    public func open(_ target: ClientTarget) throws(MachineError) -> String {
        var folders: [String] = []
        if case .unix(let path) = target {
            listener = try UnixListener(path: path)
            folders = [HostFiles.folder(of: path)]
        }
        let sentence = try Sandbox.enter(sandbox, removingIn: folders)
        try trace?.begin(devices.map(\.traced), memory: ram.size)
        return sentence
    }

    func removeSocket() { listener = nil }

    /// Ends the run, from any thread, as `signal` would; false if it had already ended.
    @discardableResult
    public func stop(signal: Int32) -> Bool {
        let first = completion.report(.stopped(signal: signal))
        wake.signal()
        return first
    }

    /// The clauses that the devices' driver kept and broke.
    public var conformance: [ConformanceReport] { devices.map(\.conformance) }

    /// Steps every device, in slot order, until none has more to do. What a device under torture puts off goes on by one step with
    /// each command.
    func runUntilIdle() {
        stepUntilIdle()
        var goesOn = false
        for device in devices where device.passDelay() { goesOn = true }
        if goesOn { stepUntilIdle() }
    }

    private func stepUntilIdle() {
        for _ in 0..<Self.maximumRounds {
            var more = false
            for device in devices where device.step() { more = true }
            if !more { return }
        }
    }

    // MARK: The address spaces

    /// Reads memory as a processor does: RAM at any alignment, the bus elsewhere. `width` is 1, 2, 4 or 8. Unclaimed addresses read
    /// as all ones.
    func read(_ address: UInt64, width: Int) -> UInt64 {
        guard let bytes = ram.read(at: address, count: width) else {
            return (board.readMemory(address, width: width) ?? .max).low(bytes: width)
        }
        return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Writes the low `width` bytes of `value` as a processor does.
    func write(_ address: UInt64, width: Int, value: UInt64) {
        let bytes = (0..<width).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
        guard !ram.write(bytes, at: address) else { return }
        board.writeMemory(address, width: width, value: value.low(bytes: width))
    }

    /// Reads a port as a processor does. Unclaimed ports read as all ones.
    func portIn(_ port: UInt16, width: Int) -> UInt64 { (board.readPort(port, width: width) ?? .max).low(bytes: width) }

    // MARK: The clock

    /// Advances the clock by `step` nanoseconds, or if nil to the next deadline, and returns its time. It does not move if there is
    /// no deadline, or if `step` is negative.
    func stepClock(by step: Int64?) -> UInt64 {
        guard let step else {
            if let next = nextDeadline { move(to: next) }
            return time.now.nanoseconds
        }
        move(to: time.now.advanced(byNanoseconds: UInt64(max(0, step))))
        return time.now.nanoseconds
    }

    /// Advances the clock to `instant` (nanoseconds), never back, and returns its time.
    func setClock(to instant: Int64) -> UInt64 {
        move(to: Instant(nanoseconds: UInt64(max(0, instant))))
        return time.now.nanoseconds
    }

    private var nextDeadline: Instant? { devices.compactMap(\.drainDeadline).min() }

    /// Advances the clock to `target`, stopping at every deadline before it.
    private func move(to target: Instant) {
        runUntilIdle()
        while let next = nextDeadline, next <= target {
            time.move(to: next)
            runUntilIdle()
            // A device drops a passed deadline; if one did not, this loop would not end.
            if nextDeadline == next { break }
        }
        time.move(to: target)
    }
}

/// Guest memory, and interrupt lines that record their changes. Available buffer notifications are plain bus writes.
final class QTestConnections: BoardConnections, @unchecked Sendable {
    /// A level change of an interrupt line.
    struct Change: Equatable {
        let gsi: UInt32
        let level: Bool
    }

    private let ram: RAM
    private let lock = Lock()
    private var raised: Set<UInt32> = []
    private var changes: [Change] = []

    init(_ ram: RAM) { self.ram = ram }

    var guestMemory: GuestMemory { ram.guestMemory }
    func line(slot: Int) -> any InterruptLine { Line(connections: self, gsi: MemoryMap.gsi(slot: slot)) }
    func registerIOEventFD(_ address: UInt64, value: UInt64, to event: borrowing EventFD) {}

    /// The changes since the last call, in order.
    func takeChanges() -> [Change] {
        lock.locked {
            defer { changes = [] }
            return changes
        }
    }

    /// Restarts the record as if all lines had been low: each raised line becomes a change.
    func restartChanges() {
        lock.locked { changes = raised.sorted().map { Change(gsi: $0, level: true) } }
    }

    private func set(_ gsi: UInt32, _ level: Bool) {
        lock.locked {
            guard raised.contains(gsi) != level else { return }
            if level { raised.insert(gsi) } else { raised.remove(gsi) }
            changes.append(Change(gsi: gsi, level: level))
        }
    }

    private struct Line: InterruptLine {
        let connections: QTestConnections
        let gsi: UInt32
        func set(_ level: Bool) { connections.set(gsi, level) }
    }
}
