// The client of a server that has a thread with `poll`: bytes that it sent, and bytes that it is owed.

import Glibc
import KVM

/// A client. Reads and writes do not block once `ServerEvents` says so.
struct ClientStream {
    /// Bytes written in one call: no more than a pipe takes at once when poll calls it writable.
    private static let chunk = 4096

    fileprivate let input: Int32
    fileprivate let output: Int32
    /// What `shut` closes.
    private let owned: [Int32]
    /// The input is a terminal, and not read while another job has its foreground.
    private let isAtTerminal: Bool
    private var bytes: [UInt8] = []
    /// Of `bytes`, those that were written.
    private var written = 0
    /// It sends no more.
    private(set) var isAtEnd = false
    /// The errno with which a write failed: it takes no more either.
    private(set) var failure: Int32?

    /// A client at a socket, which it owns.
    init(connection: Int32) {
        (input, output, owned, isAtTerminal) = (connection, connection, [connection], false)
    }

    private init(_ input: Int32?, _ output: Int32?) {
        (self.input, self.output) = (input ?? 0, output ?? 1)
        owned = [input, output].compactMap(\.self)
        isAtTerminal = Terminal.isInteractive
    }

    /// A client at standard input and output.
    static var standard: ClientStream {
        ClientStream(Terminal.reopened(0, O_RDONLY), Terminal.reopened(1, O_WRONLY))
    }

    /// Bytes that it is owed.
    var owed: Int { bytes.count - written }

    /// Owes it these bytes, too.
    mutating func owe(_ new: some Sequence<UInt8>) {
        // Removed when they are the larger part, so that a byte is moved once on average.
        if written > bytes.count / 2 {
            bytes.removeFirst(written)
            written = 0
        }
        bytes += new
    }

    /// Reads at most `count` bytes; none if there are none yet, or at the end.
    mutating func read(_ count: Int) -> [UInt8] {
        var result = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            result = unsafe Glibc.read(input, buffer.baseAddress, count)
            initialized = max(0, result)
        }
        // A terminal whose foreground was lost since it was looked at refuses the read.
        let later = result < 0 && (errno == EINTR || errno == EAGAIN || isAway)
        if result <= 0 && !later { isAtEnd = true }
        return bytes
    }

    /// Writes some of what it is owed.
    mutating func write() {
        let rest = bytes[written...].prefix(Self.chunk)
        let result = unsafe rest.withUnsafeBytes { unsafe Glibc.write(output, $0.baseAddress, $0.count) }
        if result >= 0 { written += result } else if errno != EINTR && errno != EAGAIN { failure = errno }
    }

    /// Closes its connection.
    func shut() { for descriptor in owned { close(descriptor) } }

    /// Its terminal is another job's.
    fileprivate var isAway: Bool { isAtTerminal && Terminal.isBackground }
}

/// What a server waited for.
struct ServerEvents {
    /// The client has sent something, or is gone.
    let canRead: Bool
    /// The client takes some of what it is owed, or is gone.
    let canWrite: Bool
    /// There is another client at the listener.
    let isCalled: Bool

    /// Waits until one of these is so, `wake` is signalled, or `milliseconds` are over; -1 is without limit. Takes the signal.
    init(
        _ wake: borrowing EventFD, _ client: ClientStream?, reads: Bool, listener: (any ClientListener)?,
        _ milliseconds: Int32
    ) {
        let (isAway, owed) = (client?.isAway ?? false, client?.owed ?? 0)
        var ready: [4 of pollfd] = [
            pollfd(wake.descriptor, POLLIN), pollfd(reads && !isAway ? client?.input : nil, POLLIN),
            pollfd(owed > 0 ? client?.output : nil, POLLOUT), pollfd(listener?.descriptor, POLLIN),
        ]
        ready.wait(milliseconds)
        wake.take()
        (canRead, canWrite, isCalled) = (ready[1].isReady, ready[2].isReady, ready[3].isReady)
    }
}
