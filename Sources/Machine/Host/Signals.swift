// Signals, taken one at a time by a thread of their own: no handler runs anything.

import Glibc

/// What signals do to the running machine: SIGINT, SIGTERM, SIGHUP and SIGQUIT stop it, SIGWINCH re-reads the terminal's size,
/// SIGUSR1 the disks'. A closed pipe is an error of the write, not a signal.
public final class Signals: @unchecked Sendable {
    private let lock = Lock()
    private var machine: Machine?
    private let set: sigset_t

    /// Takes the signals over, in this thread and those it starts. They wait until there is a machine.
    public init() {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGWINCH] { unsafe sigaddset(&set, number) }
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        _ = signal(SIGPIPE, SIG_IGN)
        self.set = set
    }

    /// From now on signals act on `machine`.
    public func deliver(to machine: Machine) throws(MachineError) {
        let first = lock.locked {
            defer { self.machine = machine }
            return self.machine == nil
        }
        if first { try Thread("signals") { [self] in deliver() }.detach() }
    }

    /// Takes signals for ever. One that stops a machine already stopping ends the process, if that takes over a second: the
    /// user has lost patience, and so it is not the same keystroke that came twice.
    private func deliver() {
        var set = set
        var number: Int32 = 0
        var patience = Instant.now
        while unsafe sigwait(&set, &number) == 0 {
            guard let machine = lock.locked({ machine }) else { continue }
            switch number {
            case SIGUSR1: machine.rereadDiskSizes()
            case SIGWINCH: machine.rereadConsoleSize()
            default:
                if machine.stop(signal: number) { patience = Instant.now.advanced(by: .seconds(1)) }
                guard patience < Instant.now else { continue }
                Terminal.restore()
                _exit(128 + number)
            }
        }
    }
}
