// The board's devices without a processor, for a client that drives them: RAM, interrupt lines that are recorded, a clock that
// stands until it is moved, no thread. Everything happens within a call, in a fixed order, so that the same calls always have
// the same answers.

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

    /// Rounds of all devices that one command is given; the largest queue needs half as many. A driver can make a disk write the
    /// ring it is served from, and so keep it busy for ever: what is left after so many rounds is done with the next command.
    private static let rounds = 1024

    /// Makes the machine: `configuration`'s memory and disks, or the built-in guest's disks if it names none. No kernel is loaded.
    public init(_ configuration: Machine.Configuration) throws(MachineError) {
        try HostFiles(configuration, isQTest: true).check()
        let plan = try DevicePlan(
            configuration, for: BoardPurpose(isQTest: true, hasTestDevices: configuration.hasNoDevices))
        do throws(RAMError) { ram = try RAM(size: configuration.memory) } catch { throw .memory(error) }
        do throws(KVMError) { wake = try EventFD() } catch { throw .kvm(error) }
        connections = QTestConnections(ram)
        trace = try configuration.trace.map { [time] (path) throws(MachineError) in
            try TraceWriter(path: path, time: time)
        }
        let factory = DeviceFactory(
            configuration: configuration, connections: connections, usesIOEventFDs: false, time: time, trace: trace)
        devices = try plan.makeDevices(factory)
        board = Board(regions: devices, testDevice: devices)
    }

    /// Begins the trace, once all that the run needs is open and before a line is carried out.
    func begin() throws(MachineError) { try trace?.begin(devices.map(\.traced), memory: ram.size) }

    /// Ends the run, from any thread, as `signal` would; false if it had ended before.
    @discardableResult
    public func stop(signal: Int32) -> Bool {
        let first = completion.report(.stopped(signal: signal))
        wake.signal()
        return first
    }

    /// What was seen of the devices' driver.
    public var conformance: [ConformanceReport] { devices.map(\.conformance) }

    /// Lets every device do what it can do, slot by slot, until nothing is left to do now.
    func settle() {
        for _ in 0..<Self.rounds {
            var more = false
            for device in devices where device.step() { more = true }
            if !more { return }
        }
    }

    // MARK: The address spaces

    /// What a processor would read: RAM where that is, however it is aligned, and the bus elsewhere. `width` is 1, 2, 4 or 8.
    func read(_ address: UInt64, width: Int) -> UInt64 {
        guard let bytes = ram.read(at: address, count: width) else {
            return (board.readMemory(address, width: width) ?? .max).low(bytes: width)
        }
        return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// What a processor would write: the low bytes of `value`.
    func write(_ address: UInt64, width: Int, value: UInt64) {
        let bytes = (0..<width).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
        guard !ram.write(bytes, at: address) else { return }
        board.writeMemory(address, width: width, value: value.low(bytes: width))
    }

    /// What a processor would read of a port.
    func portIn(_ port: UInt16, width: Int) -> UInt64 { (board.readPort(port, width: width) ?? .max).low(bytes: width) }

    // MARK: The clock

    /// Moves the clock by so many nanoseconds, or without a number to the next deadline, and returns what it shows. Without a
    /// deadline, and for a step back, it stays.
    func stepClock(by step: Int64?) -> UInt64 {
        guard let step else {
            if let next = nextDeadline { move(to: next) }
            return time.now.nanoseconds
        }
        move(to: time.now.advanced(byNanoseconds: UInt64(max(0, step))))
        return time.now.nanoseconds
    }

    /// Moves the clock to `instant`, unless it is there or further, and returns what it shows.
    func setClock(to instant: Int64) -> UInt64 {
        move(to: Instant(nanoseconds: UInt64(max(0, instant))))
        return time.now.nanoseconds
    }

    private var nextDeadline: Instant? { devices.compactMap(\.drainDeadline).min() }

    /// Goes to `target` by way of every deadline before it.
    private func move(to target: Instant) {
        settle()
        while let next = nextDeadline, next <= target {
            time.move(to: next)
            settle()
            // A deadline that has passed is none; should one stay, time goes on.
            if nextDeadline == next { break }
        }
        time.move(to: target)
    }
}

/// Guest memory, and interrupt lines that remember what happened to them. Kicks stay on the bus.
final class QTestConnections: BoardConnections, @unchecked Sendable {
    /// A line that changed.
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

    /// What happened to the lines since this was last asked, in order.
    func takeChanges() -> [Change] {
        lock.locked {
            defer { changes = [] }
            return changes
        }
    }

    /// As if all lines had been low, and had become what they are just now.
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
