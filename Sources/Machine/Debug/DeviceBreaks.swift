// Stops at what a driver does to a device: an access that breaks a clause, or one of a kind; and at a device's interrupt. With a debugger
// these stand between the bus and the devices, and between the devices and the machine; without one they do not exist.

import Glibc
import KVM
import Virtio
import VirtioABI

/// Something that stops the guest.
enum DeviceBreak: Hashable, Sendable {
    /// A violation of the clause with this id, or of any.
    case clause(String?)
    case access(device: String, DeviceAccess)
    /// The device raises its interrupt line.
    case interrupt(device: String)

    /// As it is typed behind `break`.
    var text: String {
        switch self {
        case .clause(let id): "clause \(id ?? "any")"
        case .access(let device, let access): "device \(device) \(access.rawValue)"
        case .interrupt(let device): "interrupt \(device)"
        }
    }
}

/// A kind of access of a driver.
enum DeviceAccess: String, CaseIterable, Sendable {
    case reset, suspend, resume, config, notify

    /// The kind of an access that was a write of `written`, or a read, by what it did to the device's phase; nil for others.
    init?(_ offset: UInt64, _ written: UInt64?, _ before: Lifecycle.Phase, _ after: Lifecycle.Phase) {
        let suspended: [Lifecycle.Phase] = [.suspending, .suspended]
        switch (Register(rawValue: UInt32(truncatingIfNeeded: offset)), written) {
        case _ where offset >= UInt64(Register.configuration): self = .config
        case (.queueNotify, .some): self = .notify
        case (.status, 0): self = .reset
        case (.status, .some) where before == .running && suspended.contains(after): self = .suspend
        case (.status, .some) where suspended.contains(before) && [.resuming, .running].contains(after): self = .resume
        default: return nil
        }
    }
}

/// The breaks that are set, and the machine's connections with ioeventfds that are taken back while one is set: a notification by an
/// eventfd does not leave the guest, so nothing could stop at it.
final class DeviceBreaks: BoardConnections, @unchecked Sendable {
    private let vm: SharedVM
    private let vcpus: VCPUSet
    /// Called with a stop; set before the guest runs.
    var onStop: @Sendable (DebugStop) -> Void = { _ in }

    private let lock = Lock()
    // Under the lock:
    private var breaks: Set<DeviceBreak> = []
    private var ioEventFDs: [(event: Int32, address: UInt64, value: UInt64)] = []

    init(_ vm: SharedVM, _ vcpus: VCPUSet) { (self.vm, self.vcpus) = (vm, vcpus) }

    var current: Set<DeviceBreak> { lock.locked { breaks } }

    /// Sets these breaks in place of the others.
    func set(_ new: Set<DeviceBreak>) {
        lock.locked {
            if breaks.isEmpty != new.isEmpty { for entry in ioEventFDs { register(entry, new.isEmpty) } }
            breaks = new
        }
    }

    /// A failure leaves a notification as it was: it signals the device's thread either way.
    private func register(_ entry: (event: Int32, address: UInt64, value: UInt64), _ isRegistered: Bool) {
        try? vm.machine.setIOEventFD(
            entry.event, address: entry.address, match: entry.value, isRegistered: isRegistered)
    }

    /// Stops the guest if one of `hit` is set: the vCPU that calls this behind its instruction.
    func stop(at hit: (DeviceBreak) -> Bool, _ message: @autoclosure () -> String) {
        lock.locked {
            guard breaks.contains(where: hit) else { return }
            vcpus.requestPause()
            onStop(DebugStop(vcpu: vcpus.current ?? 0, reason: .device, message: message()))
        }
    }

    // MARK: Between the devices and the machine

    /// The names of the devices, by slot.
    fileprivate private(set) var names: [String] = []

    /// The region of `device`, the next slot's, as the bus has it.
    func region(_ device: BoardDevice) -> any MMIORegion {
        names.append(device.name)
        return WatchedRegion(device: device, breaks: self)
    }

    var guestMemory: GuestMemory { vm.guestMemory }

    func line(slot: Int) -> any InterruptLine { WatchedLine(line: vm.line(slot: slot), slot: slot, breaks: self) }

    func registerIOEventFD(_ address: UInt64, value: UInt64, to event: borrowing EventFD) throws(MachineError) {
        let entry = (event.descriptor, address, value)
        lock.locked {
            ioEventFDs.append(entry)
            if breaks.isEmpty { register(entry, true) }
        }
    }
}

/// A device's interrupt line that may stop the guest.
private struct WatchedLine: InterruptLine {
    let line: any InterruptLine
    let slot: Int
    let breaks: DeviceBreaks

    func set(_ level: Bool) {
        if level {
            let name = breaks.names[slot]
            breaks.stop(
                at: { $0 == .interrupt(device: name) },
                "\(name) raises its interrupt line, GSI \(MemoryMap.gsi(slot: slot))")
        }
        line.set(level)
    }

    var isMasked: Bool? { line.isMasked }
}

/// A device's registers, whose accesses may stop the guest.
private final class WatchedRegion: MMIORegion {
    /// The longest wait for a device's thread after a notification.
    private static let longestService = Duration.milliseconds(50)

    private let device: BoardDevice
    private let breaks: DeviceBreaks

    init(device: BoardDevice, breaks: DeviceBreaks) { (self.device, self.breaks) = (device, breaks) }

    func read(at offset: UInt64, width: Int) -> UInt64 {
        watch(offset, nil) { device.read(at: offset, width: width) }
    }

    func write(at offset: UInt64, width: Int, value: UInt64) {
        watch(offset, value) { device.write(at: offset, width: width, value: value) }
    }

    /// Performs an access, and stops the guest if it is one of those to be stopped at.
    private func watch<Result>(_ offset: UInt64, _ written: UInt64?, _ access: () -> Result) -> Result {
        if breaks.current.isEmpty { return access() }
        let phase = device.state.model.lifecycle.phase
        let before = device.conformance.violations
        defer { check(DeviceAccess(offset, written, phase, device.state.model.lifecycle.phase), before) }
        let result = access()
        // What a chain breaks is found by the device's thread: it gets there before the driver goes on.
        if written != nil, offset == UInt64(Register.queueNotify.rawValue) {
            let deadline = Instant.now.advanced(by: Self.longestService)
            while device.isServing, deadline > .now { sched_yield() }
        }
        return result
    }

    private func check(_ kind: DeviceAccess?, _ before: [Violation]) {
        let (name, state) = (device.name, device.state)
        let new = device.conformance.violations.filter { !before.contains($0) }
        let clauses = Set(new.map { "\($0.check.clause.id)" })
        let lines = new.isEmpty ? ["a \(state.lastAccess?.text ?? "register")"] : new.map(\.sentence)
        breaks.stop(
            at: {
                switch $0 {
                case .clause(let id): id.map(clauses.contains) ?? !clauses.isEmpty
                case .access(let device, let access): device == name && access == kind
                case .interrupt: false
                }
            }, lines.map { "\(name): \($0)" }.joined(separator: "\n"))
    }
}
