// Signals, taken one at a time by a thread of their own: no handler runs anything.

import Glibc

/// What signals act on.
public protocol SignalReceiver: AnyObject, Sendable {
    /// Ends the run as `signal` would; false if it had ended before.
    func stop(signal: Int32) -> Bool
    /// Sizes of the host may have changed: the user says so of a disk's, the kernel of the terminal's.
    func rereadSizes()
    /// The user wants to know where the devices stand.
    func diagnose()
}

extension Machine: SignalReceiver {}

extension QTestMachine: SignalReceiver {
    /// Sizes are the client's to change.
    public func rereadSizes() {}
    public func diagnose() { for device in devices { Log.say(device.state.report) } }
}

/// What signals do to the running machine: SIGINT, SIGTERM and SIGHUP stop it, SIGQUIT says where its devices
/// stand, SIGWINCH re-reads the terminal's size,
/// SIGUSR1 the disks', SIGTSTP puts the terminal back while we are stopped. A closed pipe is an error of the write, not a
/// signal.
public final class Signals: @unchecked Sendable {
    private let lock = Lock()
    private var machine: (any SignalReceiver)?
    private let set: sigset_t

    /// Takes the signals over. Without a machine, those that stop one end the process.
    public init() throws(MachineError) {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGWINCH, SIGTSTP] { unsafe sigaddset(&set, number) }
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        // Writes to a pipe without a reader, and beyond the limit of a file's size, fail instead.
        for number in [SIGPIPE, SIGXFSZ] { _ = signal(number, SIG_IGN) }
        self.set = set
        try Thread("signals") { [self] in serve() }.detach()
    }

    /// From now on signals act on `machine`, or on none.
    public func act(on machine: (any SignalReceiver)?) { lock.locked { self.machine = machine } }

    /// Takes signals for ever. One that comes when the machine is stopping already, over a second after another that did, ends
    /// the process: the user has lost patience, and it is not one keystroke that arrived twice.
    private func serve() {
        var set = set
        var number: Int32 = 0
        var patience: Instant?
        while unsafe sigwait(&set, &number) == 0 {
            let machine = lock.locked { self.machine }
            switch number {
            case SIGUSR1, SIGWINCH: machine?.rereadSizes()
            case SIGQUIT where machine != nil: machine?.diagnose()
            case SIGTSTP: Terminal.whilePutBack { kill(getpid(), SIGSTOP) }
            default:
                if let machine {
                    if machine.stop(signal: number) { continue }
                    let limit = patience ?? Instant.now.advanced(by: .seconds(1))
                    patience = limit
                    if Instant.now < limit { continue }
                }
                Terminal.restore()
                _exit(128 + number)
            }
        }
    }
}
