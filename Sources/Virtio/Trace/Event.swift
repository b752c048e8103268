// Trace events of a device model: its inputs, its reads of guest memory, and its outcomes. Inputs and reads are
// sufficient to replay a trace (`Replay`).

import VirtioABI

/// A trace event.
public enum Event: Equatable, Sendable {
    // Inputs of the model

    /// The driver read `value`, `width` bytes at `offset` of the device's window.
    case read(offset: UInt16, width: UInt8, value: UInt64)
    /// The driver wrote `value`, `width` bytes at `offset` of the device's window.
    case write(offset: UInt16, width: UInt8, value: UInt64)
    /// An available buffer notification for some of the queues came without a register access (ioeventfd).
    case notified(QueueSet)
    /// The host called `take` with space for `room` requests and `segments` segments.
    case take(queue: UInt16, room: UInt16, segments: UInt32, requestsNotification: Bool)
    /// The backend completed a request.
    case finish(Token, Outcome)
    /// The backend is ready again, after `Effects` asked it to resume.
    case backendReady
    /// The drain deadline passed.
    case deadlinePassed
    /// The backend failed.
    case fail
    /// The host changed the configuration; the word of `VirtioDevice.word(of:)`.
    case change(UInt64)
    /// Up to eight bytes of input for a port, the first in the lowest byte; more may follow in the next event.
    case input(port: UInt8, count: UInt8, bytes: UInt64)
    /// The host called `receive` with the preceding input of the port.
    case receive(port: UInt8)
    /// The host's side of a port was opened or closed.
    case open(port: UInt8, isOpen: Bool)
    /// The host called `refuse`.
    case refuse
    /// Time passed since something was put off.
    case delayPassed
    /// The device goes on from a state, the bytes of a snapshot, which are the preceding input.
    case restore

    // Reads of guest memory

    /// The model read `width` bytes at a guest-physical address.
    case load(address: UInt64, width: UInt8, value: UInt64)

    // Outcomes

    /// A chain was popped: its head or buffer id, and its readable and writable bytes.
    case available(queue: UInt16, id: UInt16, readable: UInt32, writable: UInt32)
    /// A request was passed to the backend.
    case request(Token, RequestSummary)
    /// A chain was used.
    case used(queue: UInt16, id: UInt16, length: UInt32)
    /// InterruptStatus changed.
    case interrupt(UInt32)
    /// Status or the lifecycle phase changed.
    case lifecycle(DeviceStatus, Lifecycle.Phase)
    /// The live queue of that epoch was disabled or reset. Its requests that are not used by now never will be.
    case ended(queue: UInt16, epoch: UInt32)
    /// The driver broke a clause.
    case violation(Check, Evidence)
    /// The number of events lost here.
    case dropped(UInt64)

    /// Whether the event is an input and so begins a call of the model. Events up to the next input belong to that
    /// call.
    public var isInput: Bool {
        switch self {
        case .read, .write, .notified, .take, .finish, .backendReady, .deadlinePassed, .fail, .change, .input, .receive,
            .open, .refuse, .delayPassed, .restore:
            true
        case .load, .available, .request, .used, .interrupt, .lifecycle, .ended, .violation, .dropped: false
        }
    }

    /// Maximum number of recorded events of a call. A `dropped` event counts the others.
    public static var mostInCall: Int { 1 << 16 }
}

/// Summary of a request for a trace.
public struct RequestSummary: Equatable, Sendable {
    /// What the backend has to do.
    public let kind: RequestKind
    /// Byte offset on the disk, or the number of the port.
    public let place: UInt64
    /// Length in bytes.
    public let count: UInt64

    /// Creates a summary of a request for `count` bytes at `place`.
    public init(_ kind: RequestKind, place: UInt64, count: UInt64) {
        (self.kind, self.place, self.count) = (kind, place, count)
    }
}

/// Kind of a request.
public enum RequestKind: String, CaseIterable, Sendable {
    /// Read from the disk.
    case read
    /// Write to the disk.
    case write
    /// Make earlier writes durable.
    case flush
    /// Read the disk's ID.
    case identify
    /// Discard a range of the disk.
    case discard
    /// Zero a range of the disk.
    case writeZeroes
    /// Output of a console's port.
    case output
    /// A request of another device type.
    case other
}
