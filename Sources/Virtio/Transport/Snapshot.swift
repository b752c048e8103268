// A device as a plain value, taken out of one transport and put into another, in any state of its life: what a host needs to
// pause a machine here and go on elsewhere. Guest memory and the backend's bytes are the host's to bring along.

import VirtioABI

/// Everything a transport remembers, without a pointer in it. Addresses are guest-physical.
public struct Snapshot<Configuration: Equatable & Sendable>: Sendable {
    let lifecycle: Lifecycle
    let interruptStatus: InterruptStatus
    let driverFeatures: Features
    let driverFeaturesHigh: Features
    let deviceFeaturesSel: UInt32
    let driverFeaturesSel: UInt32
    let queueSel: UInt32
    let shmSel: UInt32
    let queues: [QueueSnapshot]
    let configuration: Configuration
    let staged: Configuration?
    let generation: UInt32
    let toldDeferred: Bool
    let device: [UInt8]
}

/// A virtqueue in a snapshot.
struct QueueSnapshot: Sendable {
    /// A chain that is finished and waits for the resume.
    struct Finished: Sendable {
        let id: UInt16
        let slots: UInt16
        /// Where its answer goes, and the room for data before that; nil for a device type that does not answer.
        let reply: (address: UInt64, room: Int)?
        let answer: ParkedChains.Answer
    }

    let configuration: QueueConfiguration
    /// Where the live queue stands; nil for a queue that is not ready.
    let positions: RingPositions?
    let finished: [Finished]
    let ending: QueueEnding
    let drainLeft: UInt16?
}

extension MMIOTransport where Device: ~Copyable {
    /// The device as a value, or nil while requests are in the backend: let them finish first, or past a draft's drain
    /// deadline give them up.
    public func snapshot() -> Snapshot<Device.Configuration>? {
        guard requestsInFlight == 0 else { return nil }
        var saved: [QueueSnapshot] = []
        for index in 0..<queueCount { saved.append(queues[index].snapshot(memory)) }
        return Snapshot(
            lifecycle: lifecycle, interruptStatus: interruptStatus, driverFeatures: driverFeatures,
            driverFeaturesHigh: driverFeaturesHigh, deviceFeaturesSel: deviceFeaturesSel,
            driverFeaturesSel: driverFeaturesSel, queueSel: queueSel, shmSel: shmSel, queues: saved,
            configuration: configuration, staged: staged, generation: generation, toldDeferred: toldDeferred,
            device: device.savedState)
    }

    /// Continues `snapshot` in this transport, which is as it was made: the same device type, features, dialect and queues, over
    /// memory with the same contents. Fails where a ring is not in this memory; the transport is then to be thrown away.
    ///
    /// A running device's effects name its queues; a resume that was under way asks for its backend again.
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
        toldDeferred = snapshot.toldDeferred
        conformance.history = DriverHistory(restoredWith: lifecycle, showing: interruptStatus)
        if lifecycle.featuresLocked { device.negotiated(driverFeatures) }
        device.restore(snapshot.device)
        var effects = Effects(queues: lifecycle.mayTake ? readyQueues : [])
        if lifecycle.phase == .suspending { effects.events.insert(.drainBegan) }
        if lifecycle.phase == .resuming { effects.events.insert(.resumeRequested) }
        return effects
    }
}

extension QueueSlot {
    func snapshot(_ memory: GuestMemory) -> QueueSnapshot {
        switch live {
        case .some(let queue):
            QueueSnapshot(
                configuration: configuration, positions: queue.positions,
                finished: queue.finishedChains(memory),
                ending: ending, drainLeft: drainLeft)
        case .none:
            QueueSnapshot(
                configuration: configuration, positions: nil, finished: [], ending: ending, drainLeft: drainLeft)
        }
    }

    mutating func restore(
        _ snapshot: QueueSnapshot, _ features: Features, _ memory: GuestMemory, checksDriver: Bool
    ) throws(QueueFault) {
        configuration = snapshot.configuration
        if let positions = snapshot.positions {
            var queue = try LiveQueue(configuration, features, in: memory, checksDriver: checksDriver)
            queue.positions = positions
            try queue.restore(snapshot.finished, memory)
            live = consume queue
        }
        restoreEnding(snapshot.ending, drainLeft: snapshot.drainLeft)
    }
}

extension LiveQueue {
    /// The chains that wait to be used.
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

    /// Goes on with `chains` waiting.
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
