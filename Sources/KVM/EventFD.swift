// A kernel counter that wakes whoever waits for it: eventfd(2). Not a queue: signals that come before the counter is
// read become one.

import CKVM
import Glibc

/// An eventfd, non-blocking, closed on exec. Every method may be called by any thread.
public struct EventFD: ~Copyable, Sendable {
    private let owned: FileDescriptor

    /// A new counter at 0.
    public init() throws(KVMError) {
        let result = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        owned = try FileDescriptor(owning: result < 0 ? -errno : result, from: "eventfd")
    }

    /// The descriptor, for epoll or poll: readable while the counter is not 0. It stays this value's property.
    public var descriptor: Int32 { owned.number }

    /// Adds 1. A counter at its maximum is signalled already, so there is no failure to report.
    public borrowing func signal() {
        var one: UInt64 = 1
        unsafe write(descriptor, &one, 8)
    }

    /// Sets the counter back to 0 and returns what it held; 0 if nobody has signalled.
    @discardableResult
    public borrowing func take() -> UInt64 {
        var count: UInt64 = 0
        return unsafe read(descriptor, &count, 8) == 8 ? count : 0
    }
}
