// A trace gone through once more: the model is told what it was told then, reads of guest memory what it read then, and does the
// same again. No KVM, no guest, no disk.

/// A device that goes through a trace.
public struct Replay<Device: VirtioDevice & ~Copyable>: ~Copyable {
    /// The device, made as the traced one was, with `tracing: .replay`, over memory of the same extent.
    public var transport: MMIOTransport<Device>
    /// Input that was announced and not offered yet.
    private var input: [UInt8] = []

    /// Begins with a device that nothing has happened to.
    public init(_ transport: consuming MMIOTransport<Device>) { self.transport = transport }

    /// How the model left the trace.
    public enum Divergence: Equatable, Sendable {
        /// It read other places of guest memory.
        case memory(String)
        /// Something else came of the call: what did, and what should have; nil for nothing.
        case outcome(Event?, expected: Event?)
        /// The trace ends within the call, as far as the model can tell: it goes on where the trace does not.
        case cut
        /// Events are missing, here or before.
        case lost(UInt64)
    }

    /// Goes through one call: `events` has the event that began it, and all that followed up to the next of that kind. Returns how it
    /// went another way; nil if it went the same. Violations are not compared: the model finds them itself. Of a trace's last
    /// call, some may be missing.
    ///
    /// What the checks found in a call that the model could not follow does not count. In one that it followed it does, even if the
    /// trace may lack some of the call: the model read nothing that the trace does not have, so it would have done the same.
    public mutating func play(
        _ events: [Event], isLast: Bool, onInput: (inout MMIOTransport<Device>, Event, [UInt8]) -> Void
    ) -> Divergence? {
        let (before, known) = (transport.conformance.state, events.prefix { $0.dropped == nil })
        let lost = known.count < events.count ? events[known.count].dropped : nil
        let divergence = follow(Array(known), isLast: isLast || lost != nil, onInput)
        if divergence != nil { transport.conformance.state = before }
        return lost.map { .lost($0) } ?? divergence
    }

    private mutating func follow(
        _ events: [Event], isLast: Bool, _ onInput: (inout MMIOTransport<Device>, Event, [UInt8]) -> Void
    ) -> Divergence? {
        guard let call = events.first else { return nil }
        transport.memory.recorder.play(events)
        switch call {
        case .read(let offset, let width, _): _ = transport.read(at: UInt64(offset), width: Int(width))
        case .write(let offset, let width, let value):
            _ = transport.write(at: UInt64(offset), width: Int(width), value: value)
        case .notified(let queues): _ = transport.notified(queues)
        case .take(let queue, let room, let segments, let requestsNotification):
            guard Int(queue) < transport.queueCount else { break }
            // Every chain and segment takes an event, and the longest chain has to fit: more room makes no difference.
            var batch = Batch<Device.Request>(
                room: min(Int(room), events.count),
                segments: min(Int(segments), events.count + Int(transport.longestChain)))
            _ = transport.take(queue: Int(queue), into: &batch, requestsNotification: requestsNotification)
        case .finish(let token, let outcome): _ = transport.finish(token, outcome)
        case .backendReady: _ = transport.backendReady()
        case .deadlinePassed: _ = transport.drainDeadlinePassed()
        case .fail: _ = transport.fail()
        case .change(let word):
            let new = transport.device.configuration(of: word)
            _ = transport.change { $0 = new }
        case .refuse: _ = transport.refuse()
        case .input(_, let count, let bytes):
            guard input.count < 8 * Event.mostInCall else { return .memory("there is more input than a call records") }
            for index in 0..<min(8, count) { input.append(UInt8(truncatingIfNeeded: bytes >> UInt64(8 * index))) }
            return nil
        case .receive, .open:
            onInput(&transport, call, input)
            input = []
        default: return .outcome(nil, expected: call)
        }
        var produced: [Event] = []
        transport.drainEvents { if $0.isOutcome { produced.append($0) } }
        let expected = events.filter { $0.isOutcome }
        if isLast, transport.memory.recorder.isExhausted || produced.count > expected.count { return .cut }
        if let divergence = transport.memory.recorder.divergence { return .memory(divergence) }
        for index in 0..<max(produced.count, expected.count) {
            let (now, then) = (
                index < produced.count ? produced[index] : nil, index < expected.count ? expected[index] : nil
            )
            if now != then { return .outcome(now, expected: then) }
        }
        return nil
    }
}

extension Replay where Device == Block {
    /// Goes through one call of a disk's.
    public mutating func play(_ events: [Event], isLast: Bool = false) -> Divergence? {
        play(events, isLast: isLast) { _, _, _ in }
    }
}

extension Replay where Device == Console {
    /// Goes through one call of a console's.
    public mutating func play(_ events: [Event], isLast: Bool = false) -> Divergence? {
        play(events, isLast: isLast) { transport, call, input in
            switch call {
            case .receive(let port) where port <= transport.portNames.count:
                var accepted = 0
                _ = transport.receive(input.span, port: Int(port), accepted: &accepted)
            case .open(let port, let isOpen) where port <= transport.portNames.count: _ = transport.setOpen(isOpen, port: Int(port))
            default: break
            }
        }
    }
}

extension Event {
    /// How many events are missing, if it says so.
    fileprivate var dropped: UInt64? { if case .dropped(let count) = self { count } else { nil } }

    /// Whether it came of a call, and does not only tell of the driver.
    fileprivate var isOutcome: Bool {
        switch self {
        case .read, .available, .request, .used, .interrupt, .lifecycle: true
        default: false
        }
    }
}
