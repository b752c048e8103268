// Replay of a trace: the model gets the recorded inputs and the recorded reads of guest memory, and its outcomes are
// compared with the recorded ones. Needs no KVM, guest or disk.

/// Replays a trace on a device.
public struct Replay<Device: VirtioDevice & ~Copyable>: ~Copyable {
    /// The device, created like the traced one, with `tracing: .replay`, and with guest memory of the same extent.
    public var transport: MMIOTransport<Device>
    /// Input of `.input` events not yet passed to the device.
    private var input: [UInt8] = []

    /// Starts a replay on a new device.
    public init(_ transport: consuming MMIOTransport<Device>) { self.transport = transport }

    /// How the replay differs from the trace.
    public enum Divergence: Equatable, Sendable {
        /// The model read other addresses of guest memory.
        case memory(String)
        /// The call had another outcome; nil for none.
        case outcome(Event?, expected: Event?)
        /// The trace ends within the call, as far as the model can tell: it goes on where the trace does not.
        case cut
        /// The number of events missing in this call or before it.
        case lost(UInt64)
    }

    /// Replays one call: `events` is an input and all events up to the next input. Returns the first difference; nil if
    /// there is none. Violations are not compared: the model finds them again. The last call of a trace may be
    /// incomplete.
    ///
    /// What the checks find in a call that differs does not count. In a call without a difference it counts, even if the
    /// trace lacks the end of that call: the model read nothing that the trace does not have, so it did the same.
    ///
    /// A device type that takes input from its host receives it through `onInput`.
    public mutating func play(
        _ events: [Event], isLast: Bool = false,
        onInput: (inout MMIOTransport<Device>, Event, [UInt8]) -> Void = { _, _, _ in }
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
        case .notified(let queues):
            guard queues.rawValue >> UInt32(transport.queueCount) == 0 else { return .outcome(nil, expected: call) }
            _ = transport.notified(queues)
        case .take(let queue, let room, let segments, let requestsNotification):
            guard Int(queue) < transport.queueCount else { break }
            // Each chain and each segment has an event, and the longest chain has to fit: more room makes no difference.
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
        case .delayPassed: _ = transport.delayPassed()
        case .input(_, let count, let bytes):
            guard input.count < 8 * Event.mostInCall else { return .memory("there is more input than a call records") }
            for index in 0..<min(8, count) { input.append(UInt8(truncatingIfNeeded: bytes >> UInt64(8 * index))) }
            return nil
        case .receive, .open:
            onInput(&transport, call, input)
            input = []
        case .restore:
            let state = input
            input = []
            guard (try? transport.restore(bytes: state)) != nil else { return .outcome(nil, expected: call) }
        default: return .outcome(nil, expected: call)
        }
        var produced: [Event] = []
        transport.drainEvents { if $0.isOutcome { produced.append($0) } }
        let expected = events.filter { $0.isOutcome }
        if isLast, transport.memory.recorder.isExhausted || produced.count > expected.count { return .cut }
        if let divergence = transport.memory.recorder.divergence { return .memory(divergence) }
        for index in 0..<max(produced.count, expected.count) {
            let (actual, recorded) = (
                index < produced.count ? produced[index] : nil, index < expected.count ? expected[index] : nil
            )
            if actual != recorded { return .outcome(actual, expected: recorded) }
        }
        return nil
    }
}

extension Replay where Device == Console {
    /// Offers `input` to a port of the console, or opens or closes one, as `call` says.
    public static func offerInput(
        _ transport: inout MMIOTransport<Console>, _ call: Event, _ input: [UInt8]
    ) {
        switch call {
        case .receive(let port) where port <= transport.portNames.count:
            var accepted = 0
            _ = transport.receive(input.span, port: Int(port), accepted: &accepted)
        case .open(let port, let isOpen) where port <= transport.portNames.count:
            _ = transport.setOpen(isOpen, port: Int(port))
        default: break
        }
    }
}

extension Event {
    /// The number of missing events that a `dropped` event gives; nil for other events.
    fileprivate var dropped: UInt64? { if case .dropped(let count) = self { count } else { nil } }

    /// Whether the replay compares the event: the outcome of a call, except violations.
    fileprivate var isOutcome: Bool {
        switch self {
        case .read, .available, .request, .used, .interrupt, .lifecycle: true
        default: false
        }
    }
}
