// A qtest session on descriptors: bytes in, lines out, until the client leaves, the timeout passes or a signal arrives. Only
// `poll` blocks. A line is carried out once the answers before it are written, so a client that never reads costs no memory.

import Glibc
import KVM

extension QTestMachine {
    /// Serves one client, at the target that was opened, until the run ends. May be called once.
    public func run(timeout: Duration? = nil) throws(MachineError) -> Machine.Outcome {
        Sandbox.confine(.qtest)
        // Stopping the devices flushes the disks.
        defer {
            for device in devices { device.stop() }
            trace?.close()
            removeSocket()
        }
        let deadline = timeout.map { Instant.now.advanced(by: $0) }
        guard let listener else {
            var server = QTestServer(self, input: 0, output: 1, listener: nil, deadline: deadline)
            return try server.run()
        }
        Log.say("waiting for a qtest client at \(listener.place)")
        var client: Int32?
        while client == nil {
            guard QTestServer.wait(for: listener.descriptor, self, deadline) else { break }
            client = listener.accept()
        }
        guard let client else { return completion.isReached ? completion.wait() : .timedOut }
        defer { close(client) }
        var server = QTestServer(self, input: client, output: client, listener: listener, deadline: deadline)
        return try server.run()
    }
}

/// A session with its descriptors.
private struct QTestServer {
    /// Bytes read or written in one call: no more than a pipe takes at once when poll calls it writable.
    private static let chunk = 4096

    private let machine: QTestMachine
    private let session: QTestSession
    private let input: Int32
    /// The input is a terminal, and not read while another job has its foreground.
    private let isAtTerminal: Bool
    private let output: Int32
    private let listener: UnixListener?
    private let deadline: Instant?
    /// The longest line is a `write` of `maximumBytes`, two digits each.
    private var lines = LineBuffer(limit: 2 * QTestCommand.maximumBytes + 256)
    /// Answers, written to the client up to `written`.
    private var answers: [UInt8] = []
    private var written = 0
    /// The input is at its end.
    private var atEnd = false

    init(_ machine: QTestMachine, input: Int32, output: Int32, listener: UnixListener?, deadline: Instant?) {
        self.machine = machine
        session = QTestSession(machine)
        self.input = input
        isAtTerminal = input == 0 && Terminal.isInteractive
        self.output = output
        self.listener = listener
        self.deadline = deadline
    }

    /// Waits until `descriptor` is readable; false if the run ended first.
    static func wait(for descriptor: Int32, _ machine: QTestMachine, _ deadline: Instant?) -> Bool {
        while !machine.completion.isReached {
            if let deadline, deadline <= .now { return false }
            var descriptors: [2 of pollfd] = [
                pollfd(fd: machine.wake.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            ]
            sleep(&descriptors, deadline)
            machine.wake.take()
            if descriptors[1].revents != 0 { return true }
        }
        return false
    }

    private static func sleep<let n: Int>(_ descriptors: inout [n of pollfd], _ deadline: Instant?) {
        var span = descriptors.mutableSpan
        unsafe span.withUnsafeMutableBufferPointer {
            _ = unsafe poll($0.baseAddress, nfds_t(n), deadline?.millisecondsLeft ?? -1)
        }
    }

    /// Serves the client until the run ends.
    mutating func run() throws(MachineError) -> Machine.Outcome {
        while !machine.completion.isReached {
            if let deadline, deadline <= .now { return .timedOut }
            executeLines()
            let owed = written < answers.count
            if !owed, let outcome = session.outcome { return outcome }
            if !owed && atEnd { return .clientLeft }
            var descriptors: [4 of pollfd] = [
                pollfd(fd: machine.wake.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(
                    fd: owed || isAtTerminal && Terminal.isBackground ? -1 : input, events: Int16(POLLIN), revents: 0),
                pollfd(fd: owed ? output : -1, events: Int16(POLLOUT), revents: 0),
                pollfd(fd: listener?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
            ]
            Self.sleep(&descriptors, deadline)
            machine.wake.take()
            if descriptors[1].revents != 0 { readSome() }
            if descriptors[2].revents != 0, try !writeSome() { return .clientLeft }
            if descriptors[3].revents != 0 { listener?.refuse() }
        }
        return machine.completion.wait()
    }

    /// Carries out lines until one has an answer.
    private mutating func executeLines() {
        guard written == answers.count else { return }
        (answers, written) = ([], 0)
        while answers.isEmpty, session.outcome == nil, let entry = lines.next() {
            let responses =
                switch entry {
                case .line(let line): session.handle(line[...])
                case .tooLong: [QTestSession.tooLong]
                }
            for line in responses { answers += Array(line.utf8) + [UInt8(ascii: "\n")] }
        }
    }

    private mutating func readSome() {
        var result = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: Self.chunk) { buffer, initialized in
            result = unsafe read(input, buffer.baseAddress, Self.chunk)
            initialized = max(0, result)
        }
        if result < 0 && (errno == EINTR || errno == EAGAIN || isAtTerminal && Terminal.isBackground) { return }
        if result <= 0 { atEnd = true }
        lines.append(bytes)
    }

    /// Writes some of the answers; false if the client has closed its end.
    private mutating func writeSome() throws(MachineError) -> Bool {
        let rest = answers[written...].prefix(Self.chunk)
        let result = unsafe rest.withUnsafeBytes { unsafe write(output, $0.baseAddress, $0.count) }
        if result < 0 {
            if [EPIPE, ECONNRESET].contains(errno) { return false }
            guard [EINTR, EAGAIN].contains(errno) else { throw .host("an answer for the client is lost", errno: errno) }
            return true
        }
        written += result
        return true
    }
}
