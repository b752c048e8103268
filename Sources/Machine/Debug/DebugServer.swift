// The debugger's connection: a thread that listens, and passes bytes between one client at a time and its session. The guest is stopped
// when a client connects; when it is gone, the guest runs on or stays stopped.

import Glibc
import KVM

/// Serves debuggers until the machine ends.
final class DebugServer: @unchecked Sendable {
    /// Bytes read in one call: few, because each packet in them may be answered by one of the longest.
    private static let readChunk = 512
    /// Bytes written in one call.
    private static let writeChunk = 4096
    /// Bytes that are owed to a client; beyond that it is not read from.
    private static let capacity = 128 << 10

    /// It stops the server before it is gone.
    private unowned let machine: Machine
    private let debugger: Debugger
    private let listener: Listener
    private let wake: EventFD
    private var thread: Thread?

    private let lock = Lock()
    // Under the lock:
    private var outcome: Machine.Outcome?
    private var isStopping = false

    // Only the thread uses it:
    private var client: Client?

    private enum Listener {
        case unix(UnixListener)
        case port(PortListener)

        var descriptor: Int32 {
            switch self {
            case .unix(let listener): listener.descriptor
            case .port(let listener): listener.descriptor
            }
        }

        func accept() -> Int32? {
            switch self {
            case .unix(let listener): listener.accept()
            case .port(let listener): listener.accept()
            }
        }
    }

    /// A connected debugger.
    private struct Client {
        let descriptor: Int32
        /// Nil until the guest is stopped for it.
        var session: GDBSession?
        var owed: [UInt8] = []
        /// It closed the connection.
        var isGone = false
    }

    /// Listens at `address`; debuggers are served from `start` on.
    init(_ machine: Machine, _ debugger: Debugger, at address: DebugAddress) throws(MachineError) {
        (self.machine, self.debugger) = (machine, debugger)
        do throws(KVMError) { wake = try EventFD() } catch { throw .kvm(error) }
        let place: String
        switch address {
        case .unix(let path):
            listener = .unix(try UnixListener(path: path))
            place = path
        case .port(let host, let port):
            let socket = try PortListener(host: host, port: port)
            listener = .port(socket)
            place = "\(host.contains(":") ? "[\(host)]" : host):\(socket.port)"
        }
        Log.say("a debugger connects by: target remote \(place)")
    }

    func start() throws(MachineError) { thread = try Thread("debugger", .debugger) { [self] in serve() } }

    /// Tells the debugger how the run ended.
    func end(_ outcome: Machine.Outcome) {
        lock.locked { self.outcome = outcome }
        wake.signal()
    }

    /// Writes what the debugger is owed, for a second at most, and ends the thread.
    func stop() {
        lock.locked { isStopping = true }
        wake.signal()
        thread.take()?.join()
    }

    // MARK: The thread

    private func serve() {
        var deadline: Instant?
        while true {
            let isRetrying = !act()
            if let outcome = lock.locked({ outcome }) { tellEnd(outcome) }
            if lock.locked({ isStopping }) {
                deadline = deadline ?? Instant.now.advanced(by: .seconds(1))
                if client?.owed.isEmpty ?? true || deadline?.millisecondsLeft == 0 { break }
            }
            if let client, client.isGone || client.session?.ending != nil && client.owed.isEmpty {
                leave(client)
                continue
            }
            let reads =
                client.map { $0.session != nil && $0.session?.ending == nil && $0.owed.count < Self.capacity } ?? false
            let events = (reads ? POLLIN : 0) | (client?.owed.isEmpty ?? true ? 0 : POLLOUT)
            var ready: [4 of pollfd] = [
                pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: client == nil ? -1 : debugger.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: events == 0 ? -1 : client?.descriptor ?? -1, events: Int16(events), revents: 0),
                pollfd(fd: client == nil ? listener.descriptor : -1, events: Int16(POLLIN), revents: 0),
            ]
            let limit = deadline?.millisecondsLeft ?? (isRetrying ? 100 : -1)
            var span = ready.mutableSpan
            unsafe span.withUnsafeMutableBufferPointer { _ = unsafe poll($0.baseAddress, 4, limit) }
            wake.take()
            if ready[2].revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 { readSome() }
            if ready[2].revents & Int16(POLLOUT) != 0 { writeSome() }
            if ready[3].revents != 0, let new = listener.accept() { client = Client(descriptor: new) }
        }
        if let client { leave(client) }
    }

    /// Stops the guest for a new client, or for what it waits for; false if that has to be tried again.
    private func act() -> Bool {
        guard let current = client else { return true }
        guard let session = current.session else {
            guard machine.hold() else { return false }
            client?.session = GDBSession(debugger)
            return true
        }
        guard !session.isStopped else { return true }
        guard let stop = debugger.takeStop() else { return true }
        guard machine.hold() else {
            debugger.post(stop)
            return false
        }
        let reply = client?.session?.report(stop) ?? []
        client?.owed += reply
        return true
    }

    private func tellEnd(_ outcome: Machine.Outcome) {
        var signal: Int32?
        if case .stopped(let number) = outcome { signal = number }
        let reply = client?.session?.end(exitCode: outcome.exitCode, signal: signal) ?? []
        client?.owed += reply
    }

    /// The client detached, or is gone: without a debugger's breakpoints the guest runs on, or stays as it is.
    private func leave(_ client: Client) {
        close(client.descriptor)
        self.client = nil
        if lock.locked({ outcome != nil || isStopping }) { return }
        if client.session?.ending == .killed {
            machine.completion.report(.quitByDebugger)
            return
        }
        let isLost = client.session?.ending == nil
        if isLost {
            Log.say(
                "the debugger is gone; the guest \(machine.configuration.stopsWithoutDebugger ? "stays stopped" : "goes on")"
            )
        }
        // A vCPU that serves an exit for longer keeps this thread, which has nothing else to do.
        while !machine.hold() { if lock.locked({ outcome != nil || isStopping }) { return } }
        debugger.removeBreakpoints()
        let stays = isLost && machine.configuration.stopsWithoutDebugger
        machine.release(stays ? [] : Array(0..<debugger.processorCount))
    }

    private func readSome() {
        guard let descriptor = client?.descriptor else { return }
        var result = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: Self.readChunk) { buffer, initialized in
            result = unsafe read(descriptor, buffer.baseAddress, Self.readChunk)
            initialized = max(0, result)
        }
        if result < 0 && (errno == EINTR || errno == EAGAIN) { return }
        guard result > 0 else {
            client?.isGone = true
            return
        }
        let output = client?.session?.receive(bytes) ?? []
        client?.owed += output
    }

    private func writeSome() {
        guard let current = client else { return }
        let result = unsafe current.owed.prefix(Self.writeChunk).withUnsafeBytes {
            unsafe write(current.descriptor, $0.baseAddress, $0.count)
        }
        if result < 0 {
            if errno != EINTR && errno != EAGAIN { client?.isGone = true }
            return
        }
        client?.owed.removeFirst(result)
    }
}
