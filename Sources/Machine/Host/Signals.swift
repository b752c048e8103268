// Signals, read one at a time from a descriptor by a thread of their own: no handler runs anything. A thread in sigwait would take the
// signals by which the Swift runtime pauses all threads for a backtrace.

import CLinux
import Glibc
import KVM

/// What signals act on.
public protocol SignalReceiver: AnyObject, Sendable {
    /// Ends the run as `signal` would; false if it had ended before.
    func stop(signal: Int32) -> Bool
    /// The host may have changed: the size of a disk or of the terminal, or the terminal's foreground job.
    func hostChanged()
    /// Reports the state of each device and its driver.
    func diagnose()
}

extension Machine: SignalReceiver {}

extension QTestMachine: SignalReceiver {
    /// The client may be the terminal.
    public func hostChanged() { wake.signal() }
    public func diagnose() { for device in devices { Log.say(device.state.report) } }
}

/// The effect of signals on the running machine. SIGINT, SIGTERM and SIGHUP stop it; SIGQUIT reports the state of its devices; SIGUSR1
/// re-reads the sizes of the disks, SIGWINCH that of the terminal; SIGTSTP restores the terminal and stops the process, SIGCONT
/// takes the terminal again. SIGHUP stays ignored where nohup(1) ignores it. A closed pipe is an error of the write, and so is a
/// read from the background of a terminal; a write from there succeeds.
public final class Signals: @unchecked Sendable {
    /// Milliseconds between two looks at whether this job is in the foreground: a shell resumes a job that runs without a signal.
    private static let foregroundPeriod: Int32 = 200

    private let lock = Lock()
    private var machine: (any SignalReceiver)?
    /// Readable while a signal is pending.
    private let descriptor: Int32
    /// Ends the thread; full, it asks the thread to remove the names of sockets.
    private let end: EventFD
    private var thread: Thread?
    /// Only the thread uses it: this job is in the background of its terminal.
    private var isBackground: Bool

    /// Takes the signals over. Without a machine, those that stop one end the process.
    public init() throws(MachineError) {
        CrashHandler.install()
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for number in [SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGWINCH, SIGTSTP, SIGCONT] { unsafe sigaddset(&set, number) }
        if !Self.isIgnored(SIGHUP) { unsafe sigaddset(&set, SIGHUP) }
        descriptor = unsafe clinux_signalfd(&set, O_CLOEXEC)
        guard descriptor >= 0 else { throw .host("no descriptor for signals", errno: -descriptor) }
        for number in [SIGTTIN, SIGTTOU] { unsafe sigaddset(&set, number) }
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        // Writes to a pipe without a reader, and beyond the limit of a file's size, fail instead.
        for number in [SIGPIPE, SIGXFSZ] { _ = signal(number, SIG_IGN) }
        do throws(KVMError) { end = try EventFD() } catch { throw .kvm(error) }
        unsafe Self.remover.descriptor = end.descriptor
        // Looked at before any other thread does: what that finds in the background, this one sees return.
        isBackground = Terminal.isBackground
        try start()
    }

    private func start() throws(MachineError) { thread = try Thread("signals", .signals) { [self] in serve() } }

    /// From now on signals act on `machine`, or on none. The thread that serves them has the sandbox of the caller.
    public func act(on machine: (any SignalReceiver)?) throws(MachineError) {
        lock.locked { self.machine = machine }
        guard machine != nil, Sandbox.isOn else { return }
        end.signal()
        thread.take()?.join()
        end.take()
        try start()
    }

    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        unsafe sigaction(number, nil, &action)
        return action.isIgnored
    }

    /// Serves signals until the process ends. A signal that arrives while the machine is stopping, over a second after another that
    /// did, ends the process at once; within the second it may be one keystroke that arrived twice.
    private func serve() {
        unsafe Self.remover.thread = pthread_self()
        var killDeadline: Instant?
        while let number = next() {
            let machine = lock.locked { self.machine }
            switch number {
            case SIGUSR1: machine?.hostChanged()
            case SIGQUIT where machine != nil: machine?.diagnose()
            case SIGTSTP:
                Terminal.whilePutBack { stopProcess() }
                machine?.hostChanged()
            case SIGWINCH, SIGCONT:
                Terminal.refresh()
                machine?.hostChanged()
            default:
                if let machine {
                    if machine.stop(signal: number) { continue }
                    let deadline = killDeadline ?? Instant.now.advanced(by: .seconds(1))
                    killDeadline = deadline
                    if Instant.now < deadline { continue }
                }
                SocketName.removeAll()
                Terminal.restore()
                _exit(128 + number)
            }
        }
    }

    /// Waits for a signal; nil at the end of the thread. SIGCONT, too, if this job came to the foreground of its terminal, which no
    /// signal tells, first or since the last call.
    private func next() -> Int32? {
        while true {
            let wasBackground = isBackground
            isBackground = Terminal.isBackground
            if wasBackground && !isBackground { return SIGCONT }
            var ready: [2 of pollfd] = [
                pollfd(descriptor, POLLIN), pollfd(end.descriptor, POLLIN),
            ]
            ready.wait(isBackground ? Self.foregroundPeriod : -1)
            if ready[1].isReady {
                guard end.isFull else { return nil }
                SocketName.removeAll()
                end.take()
            }
            guard ready[0].isReady else { continue }
            // A signalfd_siginfo, which begins with the signal's number.
            var record: [32 of UInt32] = .init(repeating: 0)
            let size = MemoryLayout.size(ofValue: record)
            if unsafe read(descriptor, &record, size) == size { return Int32(record[0]) }
        }
    }

    /// The thread that may remove names of sockets in the sandbox, and its `end`.
    private nonisolated(unsafe) static var remover: (descriptor: Int32, thread: pthread_t?) = (-1, nil)

    /// Removes the names of this process's sockets, for a thread that crashes. Async-signal-safe.
    static func removeSockets() {
        if unsafe remover.thread == pthread_self() { return SocketName.removeAllIfFree() }
        unsafe EventFD.fill(remover.descriptor, awaitingTakeFor: 1000)
    }

    /// Stops the process until SIGCONT, by the default action of SIGTSTP: an orphaned process group, which no shell would continue, is
    /// not stopped.
    private func stopProcess() {
        var (stop, before) = (sigset_t(), sigset_t())
        unsafe sigemptyset(&stop)
        unsafe sigaddset(&stop, SIGTSTP)
        unsafe pthread_sigmask(SIG_UNBLOCK, &stop, &before)
        raise(SIGTSTP)
        unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
    }
}
