// What a control client can ask of a running machine, and tell it.

import Virtio
import VirtioABI

extension Machine {
    /// Whether the guest runs; the names are QEMU's.
    public enum RunState: String, Sendable {
        /// The processors run.
        case running
        /// A control client has stopped them, or the machine was made so (``Configuration/startsPaused``).
        case paused
        /// The run is over.
        case shutdown
    }

    /// Whether the guest runs.
    public var runState: RunState {
        completion.isReached ? .shutdown : control.locked { isPaused } ? .paused : .running
    }

    /// Stops the guest; its devices finish what they have. False, and it runs on, if a vCPU still serves an exit after a second.
    public func pause() -> Bool { control.locked { isPaused || stopGuest() } }

    /// With the lock held.
    private func stopGuest() -> Bool {
        guard vcpus.pause(until: Instant.now.advanced(by: .seconds(1))) else { return false }
        if !isPaused { server?.post("STOP") }
        isPaused = true
        return true
    }

    /// Lets a stopped guest run again; false if a debugger has stopped it.
    @discardableResult
    public func resume() -> Bool {
        control.locked {
            guard heldSince == nil else { return false }
            if isPaused { letRun(Array(0..<configuration.processors)) }
            return true
        }
    }

    /// With the lock held.
    private func letRun(_ ids: [Int]) {
        isPaused = false
        // Before what the guest then does.
        server?.post("RESUME")
        vcpus.resume(ids)
    }

    /// Stops the guest for a debugger, whose time does not count; false if a vCPU still serves an exit after a second.
    func hold() -> Bool {
        control.locked {
            guard stopGuest() else { return false }
            heldSince = heldSince ?? .now
            return true
        }
    }

    /// Lets these vCPUs run again. Without any the guest stays stopped, and another client may resume it.
    func release(_ ids: [Int]) {
        control.locked {
            if let heldSince { heldNanoseconds += Instant.now.nanoseconds - heldSince.nanoseconds }
            heldSince = nil
            if !ids.isEmpty { letRun(ids) }
        }
    }

    /// The end of a run that may take `timeout` from `start` on, without the time in which a debugger has it stopped.
    func deadline(from start: Instant, _ timeout: Duration) -> Instant {
        control.locked {
            let held = heldNanoseconds + (heldSince.map { Instant.now.nanoseconds - $0.nanoseconds } ?? 0)
            return start.advanced(by: timeout).advanced(byNanoseconds: held)
        }
    }

    /// Makes the requests that the devices take from now on wait, or starts those that wait.
    func holdDevices(_ areHeld: Bool) {
        // Every device has both commands.
        for device in devices { try? device.perform(areHeld ? .hold : .release(count: nil)) }
    }

    /// Ends the run.
    func quit() { completion.report(.quitByClient) }

    /// Sends every vCPU a non-maskable interrupt.
    func injectNMI() { vcpus.injectNMI() }

    /// The kernel's ids of the vCPUs' threads.
    var threads: [Int] { vcpus.threads }

    var deviceStates: [DeviceState] { devices.map(\.state) }

    /// The disks: their names on the board, and their images; of the built-in guest's, which are in memory, no path.
    var disks: [(name: String, path: String, readOnly: Bool, bytes: UInt64)] {
        let states = deviceStates.filter { $0.model.deviceID == DeviceID.block }
        let inMemory = states.count - configuration.disks.count
        return states.enumerated().map { index, state in
            let path = index < inMemory ? "memory" : configuration.disks[index - inMemory].path
            return (
                state.name, path, state.model.offered.contains(BlockFeature.readOnly),
                state.model.configuration.load(at: 0, width: 8) &* 512
            )
        }
    }

    /// The console, its ports and the serial port, and what each is connected to.
    var streams: [(name: String, target: String)] {
        var streams = [("console0", configuration.console.text)]
        for (index, port) in configuration.ports.enumerated() { streams.append(("port\(index + 1)", port.target.text)) }
        if let serial = configuration.serial { streams.append(("serial0", serial.text)) }
        return streams
    }

    /// The console's terminal has another size.
    func resizeConsole(columns: UInt16, rows: UInt16) {
        // The console is there, and takes any size.
        for device in devices where device.deviceID == DeviceID.console {
            try? device.perform(.resize(columns: columns, rows: rows))
        }
    }

    /// The link of the network device `name` is up or down. Returns whether there is such a device.
    func setLink(_ name: String, _ isUp: Bool) -> Bool {
        guard let device = devices.first(where: { $0.name == name }) else { return false }
        return (try? device.perform(.link(isUp))) != nil
    }

    /// Tells clients how the run ended.
    func postEnd(_ outcome: Outcome) {
        debugServer?.end(outcome)
        let (isGuest, reason) = outcome.shutdownCause
        if outcome == .panicked { server?.post("GUEST_PANICKED", ["action": "shutdown"]) }
        if outcome == .reset { server?.post("RESET", ["guest": .bool(true), "reason": "guest-reset"]) }
        server?.post("SHUTDOWN", ["guest": .bool(isGuest), "reason": .string(reason)])
    }
}

extension Machine.Outcome {
    /// QEMU's ShutdownCause.
    fileprivate var shutdownCause: (isGuest: Bool, reason: String) {
        switch self {
        case .poweredOff, .debugExit: (true, "guest-shutdown")
        case .reset: (true, "guest-reset")
        case .panicked, .crashed: (true, "guest-panic")
        case .quitByClient, .quitByDebugger: (false, "host-qmp-quit")
        case .stopped, .timedOut: (false, "host-signal")
        case .quit, .clientLeft: (false, "host-ui")
        }
    }
}

extension ConsoleTarget {
    fileprivate var text: String {
        switch self {
        case .stdio, .descriptors: "stdio"
        case .null: "null"
        case .pty: "pty"
        case .file(let path): "file:\(path)"
        case .unix(let path): "unix:\(path)"
        }
    }
}
