// A qtest session on descriptors: bytes in, lines out, until the client leaves, the timeout passes or a signal arrives. Only
// `poll` blocks. A line is carried out once the answers before it are written, so a client that never reads costs no memory.

import Glibc
import KVM

extension QTestMachine {
    /// Serves one client, at the target that was opened, until the run ends. May be called once.
    public func run(timeout: Duration? = nil) throws(MachineError) -> Machine.Outcome {
        // A terminal is opened before the sandbox forbids it.
        var server = QTestServer(self, deadline: timeout.map { Instant.now.advanced(by: $0) })
        Sandbox.confine(.qtest)
        // Stopping the devices flushes the disks.
        defer {
            for device in devices { device.stop() }
            trace?.close()
            removeSocket()
            server.client?.shut()
        }
        if let listener { Log.say("waiting for a qtest client at \(listener.place)") }
        return try server.run()
    }
}

/// A session with its client.
private struct QTestServer {
    /// Bytes read in one call.
    private static let chunk = 4096

    private let machine: QTestMachine
    private let session: QTestSession
    private let deadline: Instant?
    /// Nil until it has connected.
    private(set) var client: ClientStream?
    /// The longest line is a `write` of `maximumBytes`, two digits each.
    private var lines = LineBuffer(limit: 2 * QTestCommand.maximumBytes + 256)

    init(_ machine: QTestMachine, deadline: Instant?) {
        (self.machine, session, self.deadline) = (machine, QTestSession(machine), deadline)
        client = machine.listener == nil ? .standard : nil
    }

    /// Serves the client until the run ends.
    mutating func run() throws(MachineError) -> Machine.Outcome {
        while !machine.completion.isReached {
            if let deadline, deadline <= .now { return .timedOut }
            executeLines()
            let owes = client.map { $0.owed > 0 } ?? false
            if !owes, let outcome = session.outcome { return outcome }
            if !owes, client?.isAtEnd == true { return .clientLeft }
            let events = ServerEvents(
                machine.wake, client, reads: !owes, listener: machine.listener, deadline?.millisecondsLeft ?? -1)
            if events.canRead, let bytes = client?.read(Self.chunk) { lines.append(bytes) }
            if events.canWrite, try !writeSome() { return .clientLeft }
            if events.isCalled { admit() }
        }
        return machine.completion.wait()
    }

    /// There is one client.
    private mutating func admit() {
        guard client == nil else { return machine.listener?.refuse() ?? () }
        client = machine.listener?.accept().map(ClientStream.init(connection:))
    }

    /// Carries out lines until one has an answer.
    private mutating func executeLines() {
        while client?.owed == 0, session.outcome == nil, let entry = lines.next() {
            let responses =
                switch entry {
                case .line(let line): session.handle(line[...])
                case .tooLong: [QTestSession.tooLong]
                }
            for line in responses { client?.owe(line.utf8 + [UInt8(ascii: "\n")]) }
        }
    }

    /// Writes some of the answers; false if the client has closed its end.
    private mutating func writeSome() throws(MachineError) -> Bool {
        client?.write()
        guard let errno = client?.failure else { return true }
        guard [EPIPE, ECONNRESET].contains(errno) else { throw .host("an answer for the client is lost", errno: errno) }
        return false
    }
}
