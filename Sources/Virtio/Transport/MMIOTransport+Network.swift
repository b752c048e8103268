// The host's side of a network device: frames from the link.

import VirtioABI

extension MMIOTransport where Device == Network {
    /// The features that the driver accepted and that are in use; empty before FEATURES_OK. The backend may pass on only frames that
    /// these permit.
    public var acceptedFeatures: Features { device.accepted }

    /// What is fixed of the device.
    public var parameters: Network.Parameters { device.parameters }

    /// Frames delivered, transmitted and dropped so far.
    public var frameCounts: FrameCounts { device.counts }

    /// Frames that wait for receive buffers or for the resume.
    public var waitingFrames: Int { device.waitingFrames }

    /// A frame behind its header of 12 bytes (5.1.6) came from the link, for receive queue `pair`. The device passes it on, also
    /// after a resume, or drops it as a network card does. `accepted` is false if it has no room: the host keeps the frame, and
    /// offers it again when the driver has used buffers.
    ///
    /// At a suspended device each frame that may wake the guest is a deferred event: the first may have come before the guest
    /// was ready to be woken.
    public mutating func receive(_ frame: Span<UInt8>, pair: Int = 0, accepted: inout Bool) -> Effects {
        memory.recorder.recordInput(frame, port: pair)
        defer { closeCall() }
        let isLive = lifecycle.phase != .notLive && !isDead
        let reception = isLive ? device.receive(frame, pair: pair) : device.drop()
        accepted = reception != .noRoom
        guard reception == .waits else { return Effects() }
        if lifecycle.isFrozen {
            guard device.wakes(frame) else { return Effects() }
            reportedDeferred = true
            return Effects(.deferred)
        }
        return Effects(queues: receiveQueues)
    }

    /// The receive queues that the driver has enabled.
    private var receiveQueues: QueueSet {
        var queues: QueueSet = []
        for pair in 0..<device.parameters.pairs { queues.insert(QueueSet(queue: NetworkQueue.receive(pair: pair))) }
        return queues.intersection(readyQueues)
    }
}

extension Replay where Device == Network {
    /// Offers a frame to the device, as `call` says.
    public static func offerInput(_ transport: inout MMIOTransport<Network>, _ call: Event, _ input: [UInt8]) {
        guard case .receive(let pair) = call else { return }
        var accepted = false
        _ = transport.receive(input.span, pair: Int(pair), accepted: &accepted)
    }
}
