// poll(2) of a few descriptors, some of which may not be there.

import Glibc

extension pollfd {
    /// Waits for `events` of a descriptor; without one, for nothing.
    init(_ descriptor: Int32?, _ events: Int32) {
        self.init(fd: descriptor ?? -1, events: Int16(events), revents: 0)
    }

    /// One of the events is there, or an error, or the other end is gone.
    var isReady: Bool { revents != 0 }

    /// Waits until it is ready, `milliseconds` at most; -1 is without limit. False if it is not, or a signal ended the wait.
    func isReady(within milliseconds: Int32) -> Bool {
        var state = self
        return unsafe poll(&state, 1, milliseconds) > 0
    }
}

extension InlineArray where Element == pollfd {
    /// Waits until one of them is ready, `milliseconds` at most; -1 is without limit. False if none is, or a signal ended the wait.
    @discardableResult
    mutating func wait(_ milliseconds: Int32) -> Bool {
        var span = mutableSpan
        return unsafe span.withUnsafeMutableBufferPointer {
            unsafe poll($0.baseAddress, nfds_t($0.count), milliseconds) > 0
        }
    }
}
