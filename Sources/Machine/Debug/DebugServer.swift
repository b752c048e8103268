// The debugger's connection: a thread that listens, and passes bytes between one client at a time and its session. The guest is stopped
// when a client connects; when it is gone, the guest runs on or stays stopped. Only `poll` blocks; a client that does not read is not
// read from.

import Glibc
import KVM

/// Serves debuggers until the machine ends.
final class DebugServer: @unchecked Sendable {
    /// Bytes read in one call: few, because each packet in them may be answered by one of the longest.
    private static let chunk = 512
    /// Bytes that are owed to a client; beyond that it is not read from.
    private static let capacity = 128 << 10

    /// It stops the server before it is gone.
    private unowned let machine: Machine
    private let debugger: Debugger
    /// Its socket is removed by `stop`.
    private var listener: (any ClientListener)?
    private var thread: Thread?

    private let lock = Lock()
    // Under the lock:
    private var outcome: Machine.Outcome?
    private var isStopping = false

    // Only the thread uses it:
    private var client: Client?

    /// A connected debugger.
    private struct Client {
        var stream: ClientStream
        /// Nil until the guest is stopped for it.
        var session: GDBSession?

        /// The session has ended and its last packet is sent, or the connection is closed.
        var isDone: Bool {
            stream.failure != nil || stream.isAtEnd || session?.ending != nil && stream.owed == 0
        }

        var isReadable: Bool { session != nil && session?.ending == nil && stream.owed < capacity }
    }

    /// Listens at `address`; debuggers are served from `start` on.
    init(_ machine: Machine, _ debugger: Debugger, at address: DebugAddress) throws(MachineError) {
        (self.machine, self.debugger) = (machine, debugger)
        let listener = try address.listen()
        Log.say("a debugger connects by: target remote \(listener.place)")
        self.listener = listener
    }

    func start() throws(MachineError) { thread = try Thread("debugger", .debugger) { [self] in serve() } }

    /// Tells the debugger how the run ended.
    func end(_ outcome: Machine.Outcome) {
        lock.locked { self.outcome = outcome }
        debugger.wake.signal()
    }

    /// Writes what the debugger is owed, for a second at most, and ends the thread.
    func stop() {
        lock.locked { isStopping = true }
        debugger.wake.signal()
        thread.take()?.join()
        listener = nil
    }

    // MARK: The thread

    private func serve() {
        var deadline: Instant?
        while true {
            let retries = !stopGuest()
            tellEnd()
            if lock.locked({ isStopping }) {
                deadline = deadline ?? Instant.now.advanced(by: .seconds(1))
                if client?.stream.owed ?? 0 == 0 || deadline?.millisecondsLeft == 0 { break }
            }
            if client?.isDone == true { leave() }
            let events = ServerEvents(
                debugger.wake, client?.stream, reads: client?.isReadable == true,
                listener: client == nil ? listener : nil, deadline?.millisecondsLeft ?? (retries ? 100 : -1))
            if events.canRead { receive() }
            if events.canWrite { client?.stream.write() }
            if events.isCalled, let new = listener?.accept() {
                client = Client(stream: ClientStream(connection: new))
            }
        }
        leave()
    }

    private func receive() {
        let bytes = client?.stream.read(Self.chunk) ?? []
        owe(client?.session?.receive(bytes))
    }

    private func owe(_ bytes: [UInt8]?) { client?.stream.owe(bytes ?? []) }

    /// Stops the guest for a new client, or for what it waits for; false if that has to be tried again.
    private func stopGuest() -> Bool {
        guard let current = client else { return true }
        guard let session = current.session else {
            guard machine.hold() else { return false }
            client?.session = GDBSession(debugger)
            return true
        }
        guard !session.isStopped, let stop = debugger.takeStop() else { return true }
        guard machine.hold() else {
            debugger.post(stop)
            return false
        }
        owe(client?.session?.report(stop))
        return true
    }

    private func tellEnd() {
        guard let outcome = lock.locked({ outcome }) else { return }
        var signal: Int32?
        if case .stopped(let number) = outcome { signal = number }
        owe(client?.session?.end(exitCode: outcome.exitCode, signal: signal))
    }

    /// The client detached, killed the guest, or is gone: without a debugger's breakpoints the guest goes on, or stays as it is.
    private func leave() {
        guard let client = client.take() else { return }
        client.stream.shut()
        if hasEnded { return }
        let ending = client.session?.ending
        if ending == .killed { return _ = machine.completion.report(.quitByDebugger) }
        let stays = ending == nil && machine.configuration.stopsWithoutDebugger
        if ending == nil { Log.say("the debugger is gone; the guest \(stays ? "stays stopped" : "goes on")") }
        // A vCPU that serves an exit for longer keeps this thread, which has nothing else to do.
        while !machine.hold() { if hasEnded { return } }
        debugger.reset()
        machine.release(stays ? [] : Array(0..<debugger.processorCount))
    }

    private var hasEnded: Bool { lock.locked { outcome != nil || isStopping } }
}
