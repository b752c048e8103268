// Why a device makes no progress, in words: its state, its driver's, and what they most likely wait for.

import Virtio
import VirtioABI

/// Why a device makes no progress.
struct Stall {
    /// How sure it is that something is outstanding, the surest first.
    enum Certainty: CaseIterable {
        /// Work is outstanding in a live device, or the device needs a reset.
        case outstanding
        /// The driver began to initialise the device and stopped.
        case unfinished
        /// The driver may have stopped on purpose: it left the device alone, or polls and does not use the interrupt.
        case possible
    }

    let certainty: Certainty
    /// One sentence.
    let reason: String

    init(_ certainty: Certainty, _ reason: String) { (self.certainty, self.reason) = (certainty, reason) }
}

extension DeviceState {
    /// Why the device makes no progress; nil if it only waits for the driver's next request.
    var stall: Stall? {
        switch model.lifecycle.phase {
        case .notLive: return unfinishedInitialisation
        case .running: return stallOfRunningDevice
        case .suspending:
            return Stall(.outstanding, "waiting for Status to read \(suspendedStatus); \(drainLeft)")
        case .suspended: return stallOfSuspendedDevice
        case .resuming:
            return Stall(.outstanding, "the driver requested the resume; the backend is not ready yet")
        case .resetting: return Stall(.outstanding, "waiting for Status to read 0; \(drainLeft)")
        case .dead:
            let why =
                model.lastFault.map { "the driver broke a queue (\($0.words))" }
                ?? "its backend failed, or it was refused"
            return Stall(.outstanding, "the device needs a reset, because \(why); the driver has not reset it")
        }
    }

    /// What the device waits for, in one sentence.
    var reason: String {
        if let stall { return stall.reason }
        if model.lifecycle.phase == .suspended { return untilResume }
        return model.lifecycle.status.isEmpty
            ? "no driver has begun with it" : "nothing is outstanding; it waits for the driver"
    }

    private var untilResume: String {
        "suspended until the driver \(model.lifecycle.dialect == .draft ? "clears SUSPEND" : "sets DRIVER_OK")"
    }

    private var stallOfSuspendedDevice: Stall? {
        let inFlight = model.queues.reduce(0) { $0 + $1.inFlight }
        let held = model.queues.reduce(0) { $0 + $1.held }
        let waiting = model.queues.reduce(0) { $0 + ($1.isWanted ? Int($1.waiting ?? 0) : 0) }
        var work: [String] = []
        if inFlight > 0 { work.append("\(counted(inFlight, "request")) in the backend") }
        if held > 0 { work.append("\(counted(held, "finished request")) not used") }
        if waiting > 0 { work.append("\(counted(waiting, "buffer")) available and not popped") }
        if work.isEmpty, model.hasDeferred { work.append("an event of the host deferred until then") }
        return work.isEmpty ? nil : Stall(.outstanding, "\(untilResume), with \(work.joined(separator: ", "))")
    }

    private var suspendedStatus: String { model.lifecycle.dialect == .draft ? "0x1f" : "0x1b" }

    private var drainLeft: String {
        let inFlight = model.queues.reduce(0) { $0 + $1.inFlight }
        if inFlight > 0 { return "\(counted(inFlight, "request")) still in the backend" }
        let left = model.queues.reduce(0) { $0 + Int($1.drainLeft ?? 0) }
        return left > 0
            ? "\(counted(left, "entry", "entries")) of the drain not popped yet" : "the drain is about to end"
    }

    private var unfinishedInitialisation: Stall? {
        let status = model.lifecycle.status
        if status.isEmpty {
            guard let lastAccess, lastAccess.identifiesDevice else { return nil }
            return Stall(
                .possible,
                "the driver identified the device and left it: it may not know version \(Register.mmioVersion) of virtio-mmio, "
                    + "or have no driver for device type \(model.deviceID)")
        }
        if status.contains(.failed) { return Stall(.unfinished, "the driver gave the device up: it set FAILED") }
        if !status.contains(.driver) {
            return Stall(
                .possible, "the driver noticed the device and has not set DRIVER: it may not know how to drive it")
        }
        if !status.contains(.featuresOK) {
            let wrong = model.driverFeatures.subtracting(model.offered)
            return Stall(
                .unfinished,
                wrong.isEmpty
                    ? "the driver has not set FEATURES_OK"
                    : "FEATURES_OK is refused: the driver accepts features that are not offered (\(names(wrong)))")
        }
        return Stall(
            .unfinished,
            model.queues.contains { $0.isReady }
                ? "the queues are set up; the driver has not set DRIVER_OK" : "the driver has set up no queue")
    }

    private var stallOfRunningDevice: Stall? {
        for (index, queue) in model.queues.enumerated() {
            if queue.inFlight > 0 {
                let requests = "\(counted(queue.inFlight, "request")) of queue \(index)"
                return Stall(
                    .outstanding,
                    backend.holding
                        ? "\(requests) held back by a test or a debugger"
                        : "\(requests) still in the backend: the host has not answered")
            }
            if !queue.isReady, queue.notifications > 0 {
                return Stall(
                    .outstanding, "the driver notified queue \(index), which is not ready: the notification is ignored")
            }
            if backend.frames > 0, queue.isWanted, queue.waiting == 0, index % 2 == 0 {
                let frames = "\(counted(backend.frames, "frame")) \(backend.frames == 1 ? "waits" : "wait")"
                return Stall(.outstanding, "the driver has no receive buffers posted in queue \(index): \(frames)")
            }
            guard let waiting = queue.waiting, waiting > 0, queue.isWanted, !queue.isEnding else { continue }
            let buffers = "the driver made \(counted(Int(waiting), "buffer")) available in queue \(index)"
            return Stall(
                .outstanding,
                "\(buffers) and has not notified it since" + (queue.notifications == 0 ? " DRIVER_OK" : ""))
        }
        return line ? Stall(.possible, unacknowledgedInterrupt) : nil
    }

    private var unacknowledgedInterrupt: String {
        let fact = "the interrupt line is up and the driver does not acknowledge it: "
        return switch lineIsMasked {
        case nil: fact + "is the interrupt masked, or its handler missing?"
        case true?:
            fact + "the interrupt controllers mask it, so the driver polls, or waits for an interrupt it did not enable"
        case false?: fact + "the interrupt is not masked; is its handler missing, or has the processor interrupts off?"
        }
    }

    /// The whole state, one fact to a line.
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
        if let lastAccess { lines.append("  last access: \(lastAccess.text)") }
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
    /// The queue in one line.
    var text: String {
        guard isReady else {
            return (size == 0 ? "not set up" : "not ready")
                + (notifications > 0 ? ", ignored \(counted(Int(clamping: notifications), "notification"))" : "")
        }
        var parts = ["\(size) entries", "\(waiting ?? 0) available and not popped", "\(inFlight) in flight"]
        if held > 0 { parts.append("\(held) finished and not used") }
        if let available, let used { parts.append("popped \(available.count), used \(used.count)") }
        parts.append(notifications == 0 ? "never notified" : "notified \(times(notifications))")
        if let suppression { parts.append("suppression 0x\(hex(UInt64(suppression), digits: 4))") }
        if isEnding { parts.append("being stopped") }
        return parts.joined(separator: ", ")
    }
}

/// `count` and its noun, in the plural where it needs that.
private func counted(_ count: Int, _ one: String, _ many: String? = nil) -> String {
    "\(count) \(count == 1 ? one : many ?? one + "s")"
}
