// The control of a running machine by clients of QEMU's machine protocol, one after the other: a thread with a socket, or with standard
// input and output. Only `poll` blocks. A client that does not read is not read from, and events it cannot take are dropped, so no client
// costs more memory than `capacity`.

import Glibc
import KVM

/// Serves control clients until the machine ends.
final class QMPServer: @unchecked Sendable {
    /// Bytes read or written in one call.
    private static let chunk = 4096
    /// Bytes of output that are owed to a client; beyond that its requests wait, and events are dropped.
    private static let capacity = 256 << 10

    /// It stops the server before it is gone.
    private unowned let machine: Machine
    /// Removed with the socket by `stop`.
    private var listener: UnixListener?
    private let wake: EventFD
    private var thread: Thread?

    private let lock = Lock()
    // Under the lock:
    private var events: [JSON] = []
    private var isStopping = false

    // Only the thread uses them:
    private var client: Client?

    /// A connected client.
    private struct Client {
        let input: Int32
        let output: Int32
        var session: QMPSession
        var splitter = JSONSplitter(limit: 64 << 10)
        var requests: [JSONSplitter.Entry] = []
        var owed: [UInt8] = Array((QMPSession.greeting.text + "\r\n").utf8)
        /// It sends no more; what it is owed is still written.
        var isAtEnd = false

        mutating func owe(_ message: JSON) { owed += Array((message.text + "\r\n").utf8) }
    }

    /// Listens at `target`; clients are served from `start` on.
    init(_ machine: Machine, at target: ClientTarget) throws(MachineError) {
        self.machine = machine
        do throws(KVMError) { wake = try EventFD() } catch { throw .kvm(error) }
        switch target {
        case .stdio:
            listener = nil
            client = Client(input: 0, output: 1, session: QMPSession(machine))
        case .unix(let path): listener = try UnixListener(path: path)
        }
    }

    func start() throws(MachineError) { thread = try Thread("control", .control) { [self] in serve() } }

    /// Tells the client of an event. Any thread may call this.
    func post(_ name: String, _ data: JSON? = nil) {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        var members: [JSON.Member] = [
            JSON.Member(name: "event", value: .string(name)),
            JSON.Member(
                name: "timestamp",
                value: ["seconds": .count(time.tv_sec), "microseconds": .count(time.tv_nsec / 1000)]),
        ]
        if let data { members.append(JSON.Member(name: "data", value: data)) }
        lock.locked { if events.count < 256 { events.append(.object(members)) } }
        wake.signal()
    }

    /// Writes what the client is owed, for a second at most, and ends the thread.
    func stop() {
        lock.locked { isStopping = true }
        wake.signal()
        thread.take()?.join()
        listener = nil
    }

    // MARK: The thread

    private func serve() {
        var deadline: Instant?
        while true {
            passEvents()
            answerRequests()
            if lock.locked({ isStopping }) {
                deadline = deadline ?? Instant.now.advanced(by: .seconds(1))
                if client?.owed.isEmpty ?? true || deadline?.millisecondsLeft == 0 { break }
            }
            // Standard output is still told of events.
            if listener != nil, let client, client.isAtEnd, client.owed.isEmpty { leave() }
            let owes = !(client?.owed.isEmpty ?? true)
            let reads = client.map { !$0.isAtEnd && $0.owed.count < Self.capacity } ?? false
            var ready: [4 of pollfd] = [
                pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: reads ? client?.input ?? -1 : -1, events: Int16(POLLIN), revents: 0),
                pollfd(fd: owes ? client?.output ?? -1 : -1, events: Int16(POLLOUT), revents: 0),
                pollfd(fd: client == nil ? listener?.descriptor ?? -1 : -1, events: Int16(POLLIN), revents: 0),
            ]
            var span = ready.mutableSpan
            unsafe span.withUnsafeMutableBufferPointer {
                _ = unsafe poll($0.baseAddress, 4, deadline?.millisecondsLeft ?? -1)
            }
            wake.take()
            if ready[1].revents != 0 { readSome() }
            if ready[2].revents != 0 { writeSome() }
            if ready[3].revents != 0, let new = listener?.accept() {
                client = Client(input: new, output: new, session: QMPSession(machine))
            }
        }
        leave()
    }

    private func leave() {
        if listener != nil, let client { close(client.input) }
        client = nil
    }

    private func passEvents() {
        let events = lock.locked {
            defer { self.events = [] }
            return self.events
        }
        guard client?.session.isNegotiated == true else { return }
        for event in events where client?.owed.count ?? 0 < Self.capacity { client?.owe(event) }
    }

    private func answerRequests() {
        while var current = client, !current.requests.isEmpty, current.owed.count < Self.capacity {
            let answer = current.session.handle(current.requests.removeFirst())
            client = current
            // A command's events come before its answer.
            passEvents()
            client?.owe(answer)
            if current.session.isQuitting { machine.quit() }
        }
    }

    private func readSome() {
        guard let input = client?.input else { return }
        var result = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: Self.chunk) { buffer, initialized in
            result = unsafe read(input, buffer.baseAddress, Self.chunk)
            initialized = max(0, result)
        }
        if result < 0 && (errno == EINTR || errno == EAGAIN) { return }
        guard result > 0 else {
            client?.isAtEnd = true
            return
        }
        let entries = client?.splitter.append(bytes) ?? []
        client?.requests += entries
    }

    private func writeSome() {
        guard let current = client else { return }
        let result = unsafe current.owed.prefix(Self.chunk).withUnsafeBytes {
            unsafe write(current.output, $0.baseAddress, $0.count)
        }
        if result < 0 {
            if errno != EINTR && errno != EAGAIN { leave() }
            return
        }
        client?.owed.removeFirst(result)
    }
}
