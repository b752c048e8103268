// A device that nothing comes of, in words: where it and its driver stand, and what they most likely wait for.

import Virtio
import VirtioABI

extension DeviceState {
    /// Why nothing happens, if something is outstanding; nil for a device that only waits for its driver's next request.
    var stall: String? {
        switch model.lifecycle.phase {
        case .notLive: return unfinishedInitialisation
        case .running: return waitOfRunningDevice
        case .suspending: return "waiting for Status to read \(suspendedStatus); \(drainLeft)"
        case .suspended: return nil
        case .resuming: return "the driver asked for the resume; the backend is not ready yet"
        case .dead:
            let why =
                model.lastFault.map { "the driver broke a queue (\($0))" } ?? "its backend failed, or it was refused"
            return "the device needs a reset, for \(why); the driver has not reset it"
        }
    }

    /// What it waits for, in one sentence.
    var reason: String {
        if let stall { return stall }
        guard model.lifecycle.phase == .suspended else {
            return model.lifecycle.status.isEmpty
                ? "no driver has begun with it" : "nothing is outstanding; it waits for the driver"
        }
        let action = model.lifecycle.dialect == .draft ? "clears SUSPEND" : "sets DRIVER_OK"
        return "suspended until the driver \(action)" + (model.hasDeferred ? "; something waits for that" : "")
    }

    private var suspendedStatus: String { model.lifecycle.dialect == .draft ? "0x1f" : "0x1b" }

    private var drainLeft: String {
        let inFlight = model.queues.reduce(0) { $0 + $1.inFlight }
        if inFlight > 0 { return "\(counted(inFlight, "request")) still in the backend" }
        let left = model.queues.reduce(0) { $0 + Int($1.drainLeft ?? 0) }
        return left > 0
            ? "\(counted(left, "entry", "entries")) of the drain not popped yet" : "the drain is about to end"
    }

    private var unfinishedInitialisation: String? {
        let status = model.lifecycle.status
        if status.isEmpty { return nil }
        if status.contains(.failed) { return "the driver gave the device up: it set FAILED" }
        if !status.contains(.driver) {
            return "the driver noticed the device and has not set DRIVER: it may not know how to drive it"
        }
        if !status.contains(.featuresOK) {
            let wrong = model.driverFeatures.subtracting(model.offered)
            return wrong.isEmpty
                ? "the driver has not set FEATURES_OK"
                : "FEATURES_OK is refused: the driver accepts features that are not offered (\(names(wrong)))"
        }
        return model.queues.contains { $0.isReady }
            ? "the queues are set up; the driver has not set DRIVER_OK" : "the driver has set up no queue"
    }

    private var waitOfRunningDevice: String? {
        for (index, queue) in model.queues.enumerated() {
            if queue.inFlight > 0 {
                return backend.holding
                    ? "\(counted(queue.inFlight, "request")) of queue \(index) held back by a test"
                    : "\(counted(queue.inFlight, "request")) of queue \(index) still in the backend: the host has not answered"
            }
            guard let waiting = queue.waiting, waiting > 0, queue.isWanted, !queue.isEnding else { continue }
            let buffers = "the driver made \(counted(Int(waiting), "buffer")) available in queue \(index)"
            return queue.notifications == 0
                ? "\(buffers) and has not notified it since DRIVER_OK" : "\(buffers) and has not notified it since"
        }
        guard line else { return nil }
        return
            "the interrupt line is up and the driver does not acknowledge it: is the interrupt masked, or its handler missing?"
    }

    /// Everything there is to say, a fact a line.
    var report: String {
        var lines = ["\(name): \(reason)"]
        let status = model.lifecycle.status
        lines.append(
            "  status 0x\(hex(UInt64(status.rawValue), digits: 2)) (\(words(status))), \(model.lifecycle.phase.name)")
        lines.append("  features \(names(model.driverFeatures))")
        lines.append(
            "  interrupt \(line ? "up" : "down"), InterruptStatus \(model.interruptStatus.rawValue); "
                + (model.acknowledgements == 0
                    ? "never acknowledged"
                    : "acknowledged \(times(model.acknowledgements)), the last time \(model.acknowledged.rawValue)"))
        for (index, queue) in model.queues.enumerated() { lines.append("  queue \(index): \(queue.text)") }
        if let deadline = drainDeadline { lines.append("  the drain may take \(deadline.millisecondsLeft) ms more") }
        return lines.joined(separator: "\n")
    }

    private func words(_ status: DeviceStatus) -> String {
        let names: [(DeviceStatus, String)] = [
            (.acknowledge, "ACKNOWLEDGE"), (.driver, "DRIVER"), (.driverOK, "DRIVER_OK"), (.featuresOK, "FEATURES_OK"),
            (.suspend, "SUSPEND"), (.needsReset, "DEVICE_NEEDS_RESET"), (.failed, "FAILED"),
        ]
        let set = names.filter { status.contains($0.0) }.map(\.1)
        return set.isEmpty ? "reset" : set.joined(separator: " ")
    }

    /// Feature bits by number: their names are the device type's.
    private func names(_ features: Features) -> String {
        let bits = (0..<64).filter { features.contains(Features(bit: $0)) }
        return bits.isEmpty
            ? "none" : "0x\(hex(features.rawValue, digits: 1)) (bits \(bits.map(String.init).joined(separator: " ")))"
    }
}

extension Inspection.Queue {
    /// The queue in a line.
    fileprivate var text: String {
        guard isReady else { return size == 0 ? "not set up" : "not ready" }
        var parts = ["\(size) entries", "\(waiting ?? 0) available and not popped", "\(inFlight) in flight"]
        if held > 0 { parts.append("\(held) finished and not used") }
        if let available, let used { parts.append("popped \(available.count), used \(used.count)") }
        parts.append(notifications == 0 ? "never notified" : "notified \(times(notifications))")
        if let suppression { parts.append("suppression 0x\(hex(UInt64(suppression), digits: 4))") }
        if isEnding { parts.append("being taken away") }
        return parts.joined(separator: ", ")
    }
}

/// `count` of what `one` names.
private func counted(_ count: Int, _ one: String, _ many: String? = nil) -> String {
    "\(count) \(count == 1 ? one : many ?? one + "s")"
}
