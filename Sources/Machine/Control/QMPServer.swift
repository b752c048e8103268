// The control of a running machine by clients of QEMU's machine protocol, one after the other: a thread with a socket, or with standard
// input and output. Only `poll` blocks. A client that does not read is not read from, and events it cannot take are dropped, so no client
// costs more memory than `capacity`.

import Glibc
import KVM

/// Serves control clients until the machine ends.
final class QMPServer: @unchecked Sendable {
    /// Bytes read in one call.
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
        var stream: ClientStream
        var session: QMPSession
        var splitter = JSONSplitter(limit: 64 << 10)
        var requests: [JSONSplitter.Entry] = []

        /// A client that is owed the greeting.
        init(_ stream: ClientStream, _ machine: Machine) {
            (self.stream, session) = (stream, QMPSession(machine))
            owe(QMPSession.greeting)
        }

        mutating func owe(_ message: JSON) { stream.owe((message.text + "\r\n").utf8) }

        /// It may be owed more.
        var hasRoom: Bool { stream.owed < capacity }
    }

    /// Listens at `target`; clients are served from `start` on.
    init(_ machine: Machine, at target: ClientTarget) throws(MachineError) {
        self.machine = machine
        do throws(KVMError) { wake = try EventFD() } catch { throw .kvm(error) }
        switch target {
        case .stdio:
            listener = nil
            client = Client(.standard, machine)
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

    /// This job may have come to the foreground of its terminal. Any thread may call this.
    func hostChanged() { wake.signal() }

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
                if client?.stream.owed ?? 0 == 0 || deadline?.millisecondsLeft == 0 { break }
            }
            // Standard output is still told of events.
            if let stream = client?.stream,
                stream.failure != nil || listener != nil && stream.isAtEnd && stream.owed == 0
            {
                leave()
            }
            let events = ServerEvents(
                wake, client?.stream, reads: client?.stream.isAtEnd == false && client?.hasRoom == true,
                listener: client == nil ? listener : nil, deadline?.millisecondsLeft ?? -1)
            if events.canRead { receive() }
            if events.canWrite { client?.stream.write() }
            if events.isCalled, let new = listener?.accept() {
                client = Client(ClientStream(connection: new), machine)
            }
        }
        leave()
    }

    private func leave() { client.take()?.stream.shut() }

    private func passEvents() {
        let events = lock.locked {
            defer { self.events = [] }
            return self.events
        }
        guard client?.session.isNegotiated == true else { return }
        for event in events where client?.hasRoom == true { client?.owe(event) }
    }

    private func answerRequests() {
        while var current = client, !current.requests.isEmpty, current.hasRoom {
            let answer = current.session.handle(current.requests.removeFirst())
            client = current
            // A command's events come before its answer.
            passEvents()
            client?.owe(answer)
            if current.session.isQuitting { machine.quit() }
        }
    }

    private func receive() {
        let bytes = client?.stream.read(Self.chunk) ?? []
        let entries = client?.splitter.append(bytes) ?? []
        client?.requests += entries
    }
}
