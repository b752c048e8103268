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

    /// Whether there is room for every frame for receive queue `pair`.
    public func hasRoom(pair: Int) -> Bool {
        device.hasRoom(for: FrameQueue.longest, pair: destination(of: pair) ?? pair)
    }

    /// A frame for receive queue `pair` came from the link, behind its header of 12 bytes (5.1.9). It is of `most` bytes at most, and `read`
    /// stores it at the front of a buffer of as many; it returns the frame's length, 0 if there is none. The device passes the frame on,
    /// also after a resume, or drops it as a network card does. `accepted` is false if there was none, or no room for it: then it is not
    /// read, and there is room when the driver has used buffers.
    ///
    /// At a suspended device each frame that may wake the guest is a deferred event: the first may have come before the guest
    /// was ready to be woken.
    public mutating func receive(
        pair: Int = 0, most: Int = FrameQueue.longest, accepted: inout Bool,
        _ read: (UnsafeMutableRawBufferPointer) -> Int
    ) -> Effects {
        accepted = false
        let destination = destination(of: pair)
        guard device.hasRoom(for: most, pair: destination ?? pair) else { return Effects() }
        let buffer = unsafe device.vacancy(most, pair: destination ?? pair)
        let length = unsafe read(buffer)
        guard length > 0 else { return Effects() }
        accepted = true
        let frame = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<length])
        let bytes = unsafe Span<UInt8>(_unsafeBytes: UnsafeRawBufferPointer(frame))
        memory.recorder.recordInput(bytes, port: pair)
        defer { closeCall() }
        // The driver is yet to see the link's state where that changed in a suspension.
        let isLinkUp = staged?.isLinkUp ?? device.isLinkUp
        guard lifecycle.phase != .notLive, !isDead, isLinkUp, let destination,
            unsafe device.receive(frame, pair: destination)
        else {
            device.drop()
            return Effects()
        }
        guard lifecycle.isFrozen else { return Effects(queues: receiveQueues) }
        return device.wakes(bytes) ? deferredEvent(repeats: true) : Effects()
    }

    /// The same for a frame that was read. One that no link could have passed on is dropped.
    public mutating func receive(_ frame: Span<UInt8>, pair: Int = 0, accepted: inout Bool) -> Effects {
        guard 1...FrameQueue.longest ~= frame.count else {
            memory.recorder.recordInput(frame, port: pair)
            defer { closeCall() }
            device.drop()
            accepted = true
            return Effects()
        }
        return unsafe receive(pair: pair, most: frame.count, accepted: &accepted) { buffer in
            unsafe frame.withUnsafeBytes { unsafe buffer.copyMemory(from: $0) }
            return frame.count
        }
    }

    /// The queue pair that gets a frame for `pair`: another pair in use if that one's receive queue is being reset, from the write of
    /// QueueReset until the driver enables the queue again; nil if all are (5.1.9.5.6.2).
    private func destination(of pair: Int) -> Int? {
        guard driverFeatures.contains(.ringReset) else { return pair }
        let wanted = device.receiver(pair)
        if receives(wanted) { return wanted }
        for other in 0..<device.activePairs where receives(other) { return other }
        return nil
    }

    /// Whether the receive queue of `pair` is ready and stays so.
    private func receives(_ pair: Int) -> Bool {
        let index = NetworkQueue.receive(pair: pair)
        return queues[index].isReady && !queues[index].isResetting
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
