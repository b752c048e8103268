// Signals, taken one at a time by a thread of their own: no handler runs anything.

import Glibc

/// What signals do to a running machine.
public enum Signals {
    private static var all: sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGWINCH] { unsafe sigaddset(&set, number) }
        return set
    }

    /// Keeps the signals waiting for `deliver`, in this thread and those it starts. A closed pipe is an error of the write,
    /// not a signal.
    public static func block() {
        var set = all
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        _ = signal(SIGPIPE, SIG_IGN)
    }

    /// From now on signals act on `machine`: SIGINT, SIGTERM, SIGHUP and SIGQUIT stop it, and end the process when they come
    /// a second time; SIGWINCH re-reads the terminal's size, SIGUSR1 the disks'.
    public static func deliver(to machine: Machine) throws(MachineError) {
        let thread = try Thread("signals") {
            var set = all
            var number: Int32 = 0
            while unsafe sigwait(&set, &number) == 0 {
                switch number {
                case SIGUSR1: machine.rereadDiskSizes()
                case SIGWINCH: machine.rereadConsoleSize()
                default:
                    if machine.stop(signal: number) { continue }
                    Terminal.restore()
                    _exit(128 + number)
                }
            }
        }
        thread.detach()
    }
}
