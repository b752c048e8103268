// What happened to a device model, as values: everything it was told, everything it read of guest memory, and what came of it. The
// first two are enough to go through it all once more (`Replay`).

import VirtioABI

/// One thing that happened.
public enum Event: Equatable, Sendable {
    // What the model was told.

    /// The driver read `width` bytes at `offset` of the device's window, and got `value`.
    case read(offset: UInt16, width: UInt8, value: UInt64)
    /// The driver wrote them.
    case write(offset: UInt16, width: UInt8, value: UInt64)
    /// The host was kicked for some of the queues, without an access.
    case notified(QueueSet)
    /// The host had room for that many requests, and segments of them.
    case take(queue: UInt16, room: UInt16, segments: UInt32, requestsNotification: Bool)
    /// The backend has done a request.
    case finish(Token, Outcome)
    case backendReady
    case deadlinePassed
    /// The backend is broken.
    case fail
    /// The host changed the configuration; its word as of `VirtioDevice.word(of:)`.
    case change(UInt64)
    /// Up to eight bytes of input for a port, first in lowest; more may follow in the next event.
    case input(port: UInt8, count: UInt8, bytes: UInt64)
    /// The last of it was offered.
    case receive(port: UInt8)
    case open(port: UInt8, isOpen: Bool)
    /// The host asked whether the driver is to be refused.
    case refuse

    // What it read.

    /// `width` bytes at a guest-physical address.
    case load(address: UInt64, width: UInt8, value: UInt64)

    // What came of it.

    /// A chain was popped: its head or buffer id, and its readable and writable bytes.
    case available(queue: UInt16, id: UInt16, readable: UInt32, writable: UInt32)
    /// A request went to the backend.
    case request(Token, RequestSummary)
    /// A chain was used.
    case used(queue: UInt16, id: UInt16, length: UInt32)
    /// InterruptStatus is another.
    case interrupt(UInt32)
    /// Status, or what is behind it, is another.
    case lifecycle(DeviceStatus, Lifecycle.Phase)
    /// The live queue of that epoch is gone: it was disabled or reset. Its requests that were not used will not be.
    case ended(queue: UInt16, epoch: UInt32)
    /// The driver broke a clause.
    case violation(Check, Evidence)
    /// So many events were lost here.
    case dropped(UInt64)

    /// Whether the model was told it: what follows, up to the next of this kind, is part of the same call.
    public var isInput: Bool {
        switch self {
        case .read, .write, .notified, .take, .finish, .backendReady, .deadlinePassed, .fail, .change, .input, .receive,
            .open,
            .refuse:
            true
        case .load, .available, .request, .used, .interrupt, .lifecycle, .ended, .violation, .dropped: false
        }
    }

    /// Most events of a call that are recorded. A `dropped` event counts the others.
    public static var mostInCall: Int { 1 << 16 }
}

/// What a request is, in a few words.
public struct RequestSummary: Equatable, Sendable {
    /// What kind.
    public let kind: RequestKind
    /// Where on the disk, bytes, or at which port.
    public let place: UInt64
    /// Bytes.
    public let count: UInt64

    /// A request of `kind`.
    public init(_ kind: RequestKind, place: UInt64, count: UInt64) {
        (self.kind, self.place, self.count) = (kind, place, count)
    }
}

/// The kinds of requests.
public enum RequestKind: String, CaseIterable, Sendable {
    case read, write, flush, identify, discard, writeZeroes, output, other
}
