// A device as a plain value, taken from one transport and restored in another, in any phase: with it a host pauses a
// machine and continues it elsewhere. The host moves guest memory and the backend's data.

import VirtioABI

/// The whole state of a transport, without pointers. Addresses are guest-physical.
public struct Snapshot<Configuration: Equatable & Sendable>: Sendable {
    let lifecycle: Lifecycle
    let interruptStatus: InterruptStatus
    let driverFeatures: Features
    let driverFeaturesHigh: HighFeatureWords
    let deviceFeaturesSel: UInt32
    let driverFeaturesSel: UInt32
    let queueSel: UInt32
    let shmSel: UInt32
    let queues: [QueueSnapshot]
    let configuration: Configuration
    let staged: Configuration?
    let generation: UInt32
    let reportedDeferred: Bool
    let changedBeforeLive: Bool
    let device: [UInt8]
}

/// A virtqueue in a snapshot.
struct QueueSnapshot: Sendable {
    /// A finished chain, deferred until the resume.
    struct Finished: Sendable {
        let id: UInt16
        let slots: UInt16
        /// The address of its answer, and the number of writable bytes before it; nil for a device type without one.
        let reply: (address: UInt64, room: Int)?
        let answer: ParkedChains.Answer
    }

    /// Of the live queue, or the next.
    let epoch: UInt32
    let configuration: QueueConfiguration
    /// The live queue's positions; nil for a queue that is not ready.
    let positions: RingPositions?
    let finished: [Finished]
    let ending: QueueEnding
    let drainLeft: UInt16?
}

extension MMIOTransport where Device: ~Copyable {
    /// The device as a value, or nil while requests are in flight: the host lets them finish first or, after a draft's
    /// drain deadline, gives them up.
    public func snapshot() -> Snapshot<Device.Configuration>? {
        guard requestsInFlight == 0, lifecycle.phase != .resetting, !isDelayed else { return nil }
        var saved: [QueueSnapshot] = []
        for index in 0..<queueCount { saved.append(queues[index].snapshot(memory)) }
        return Snapshot(
            lifecycle: lifecycle, interruptStatus: interruptStatus, driverFeatures: driverFeatures,
            driverFeaturesHigh: driverFeaturesHigh, deviceFeaturesSel: deviceFeaturesSel,
            driverFeaturesSel: driverFeaturesSel, queueSel: queueSel, shmSel: shmSel, queues: saved,
            configuration: configuration, staged: staged, generation: generation, reportedDeferred: reportedDeferred,
            changedBeforeLive: changedBeforeLive, device: device.savedState)
    }

    /// Continues `snapshot` in this transport, which must be new: made with the same device type, features, dialect and
    /// queues, over memory with the same contents. Throws if a ring is not in this memory; the transport must then be
    /// discarded.
    ///
    /// The effects of a running device name its queues; those of a resuming device request the backend again.
    public mutating func restore(_ snapshot: Snapshot<Device.Configuration>) throws(QueueFault) -> Effects {
        precondition(snapshot.queues.count == queueCount && snapshot.lifecycle.dialect == lifecycle.dialect)
        for index in 0..<queueCount {
            try queues[index].restore(
                snapshot.queues[index], snapshot.driverFeatures, memory, checksDriver: conformance.isOn)
        }
        lifecycle = snapshot.lifecycle
        interruptStatus = snapshot.interruptStatus
        driverFeatures = snapshot.driverFeatures
        driverFeaturesHigh = snapshot.driverFeaturesHigh
        deviceFeaturesSel = snapshot.deviceFeaturesSel
        driverFeaturesSel = snapshot.driverFeaturesSel
        queueSel = snapshot.queueSel
        shmSel = snapshot.shmSel
        configuration = snapshot.configuration
        staged = snapshot.staged
        generation = snapshot.generation
        reportedDeferred = snapshot.reportedDeferred
        changedBeforeLive = snapshot.changedBeforeLive
        conformance.history = DriverHistory(restoredWith: lifecycle, showing: interruptStatus)
        if lifecycle.featuresLocked { device.negotiated(driverFeatures) }
        device.restore(snapshot.device)
        var effects = Effects(queues: lifecycle.mayTake ? readyQueues : [])
        if lifecycle.phase == .suspending { effects.events.insert(.drainBegan) }
        if lifecycle.phase == .resuming { effects.events.insert(.resumeRequested) }
        return effects
    }

    /// Begins or ends the recording of events for `drainEvents`. The first of a recording is `restore`, with the device's state: a replay
    /// on a new device goes on from there. Returns false, and changes nothing, while requests are in flight.
    public mutating func setTracing(_ isOn: Bool) -> Bool {
        guard let state = snapshotBytes() else { return false }
        memory.recorder.free()
        memory.recorder = isOn ? TraceRecorder(memory: memory, isReplay: false) : TraceRecorder()
        if isOn && !conformance.isOn { conformance = Conformance(.report) }
        // The live queues read guest memory by the recorder of their time.
        let fault = lastFault
        _ = reset()
        recorded = RecordedState()
        // A replay starts with the first random words.
        torture = torture.map { TortureState($0.torture) }
        guard (try? restore(bytes: state)) != nil else { preconditionFailure("its own state") }
        lastFault = fault
        return true
    }
}

extension QueueSlot {
    func snapshot(_ memory: GuestMemory) -> QueueSnapshot {
        QueueSnapshot(
            epoch: epoch, configuration: configuration, positions: live?.value.positions,
            finished: live?.value.finishedChains(memory) ?? [], ending: ending, drainLeft: drainLeft)
    }

    mutating func restore(
        _ snapshot: QueueSnapshot, _ features: Features, _ memory: GuestMemory, checksDriver: Bool
    ) throws(QueueFault) {
        configuration = snapshot.configuration
        if let positions = snapshot.positions {
            var queue = try LiveQueue(configuration, features, in: memory, checksDriver: checksDriver)
            queue.positions = positions
            try queue.restore(snapshot.finished, memory)
            begin(queue)
        }
        restoreEnd(snapshot.epoch, snapshot.ending, drainLeft: snapshot.drainLeft)
    }
}

extension LiveQueue {
    /// The finished chains that are not used yet.
    func finishedChains(_ memory: GuestMemory) -> [QueueSnapshot.Finished] {
        var chains: [QueueSnapshot.Finished] = []
        parked.forEachFinished { chain, answer in
            chains.append(
                QueueSnapshot.Finished(
                    id: chain.id, slots: chain.slots, reply: chain.reply.flatMap { $0.place(in: memory) },
                    answer: answer))
        }
        return chains
    }

    /// Restores `chains`, which are finished and not used yet.
    mutating func restore(_ chains: [QueueSnapshot.Finished], _ memory: GuestMemory) throws(QueueFault) {
        for chain in chains {
            var reply: Reply?
            if let place = chain.reply {
                reply = Reply(at: place, in: memory)
                if reply == nil { throw .bufferOutsideMemory }
            }
            parked.restore(ParkedChains.Chain(id: chain.id, slots: chain.slots, reply: reply), chain.answer)
        }
    }
}
