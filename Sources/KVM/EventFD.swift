// A kernel counter that wakes the threads that poll it: eventfd(2). It is not a queue: signals that arrive before the
// counter is read are added up.

import CKVM
import Glibc

/// An eventfd, non-blocking, closed on exec. Every method may be called by any thread.
public struct EventFD: ~Copyable, Sendable {
    private let owned: FileDescriptor

    /// Creates a counter with the value 0.
    public init() throws(KVMError) {
        let result = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        owned = try FileDescriptor(owning: result < 0 ? -errno : result, from: "eventfd")
    }

    /// The descriptor, for epoll or poll: readable while the counter is not 0. This value keeps ownership.
    public var descriptor: Int32 { owned.number }

    /// Adds 1. A counter at its maximum is signalled already, so there is no failure to report.
    public borrowing func signal() {
        var one: UInt64 = 1
        unsafe write(descriptor, &one, 8)
    }

    /// Raises the counter to its maximum, which `isFull` tells from `signal`, and waits for `milliseconds` at most until it is taken.
    /// A handler of a signal may call it.
    public static func fill(_ descriptor: Int32, awaitingTakeFor milliseconds: Int32) {
        var maximum = UInt64.max - 1
        unsafe write(descriptor, &maximum, 8)
        var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        unsafe poll(&room, 1, milliseconds)
    }

    /// Whether the counter is at its maximum.
    public var isFull: Bool {
        var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return unsafe poll(&room, 1, 0) == 0
    }

    /// Resets the counter to 0 and returns its value before; 0 if there was no signal.
    @discardableResult
    public borrowing func take() -> UInt64 {
        var count: UInt64 = 0
        return unsafe read(descriptor, &count, 8) == 8 ? count : 0
    }
}
