// The end of the process by a crash or another fatal signal: the terminal is restored and sockets lose their names, then the handler
// found before runs, which is the Swift runtime's and prints a backtrace, and the signal ends the process.

import Glibc

extension sigaction {
    /// Whether the signal is ignored.
    var isIgnored: Bool { unsafe unsafeBitCast(__sigaction_handler.sa_handler, to: Int.self) == 1 }  // SIG_IGN
}

/// Handlers of the signals that end the process.
enum CrashHandler {
    private static let signals = [
        SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGTRAP, SIGSYS, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU,
        SIGXFSZ,
    ]
    /// By signal: the action found.
    private nonisolated(unsafe) static var previous: [32 of sigaction] = .init(repeating: sigaction())

    /// Installs the handlers, once.
    static func install() {
        for number in signals {
            var action = sigaction()
            guard unsafe sigaction(number, nil, &action) == 0, !action.isIgnored else { continue }
            unsafe previous[Int(number)] = action
            // With the mask and the stack that the handler found asks for.
            action.sa_flags |= SA_SIGINFO
            unsafe action.__sigaction_handler.sa_sigaction = { unsafe CrashHandler.handle($0, $1, $2) }
            unsafe sigaction(number, &action, nil)
        }
    }

    /// Async-signal-safe.
    private static func handle(
        _ number: Int32, _ information: UnsafeMutablePointer<siginfo_t>?, _ context: UnsafeMutableRawPointer?
    ) {
        Terminal.putBack()
        let isDescribed = unsafe Sandbox.describeEnd(number, information, context)
        Signals.removeSockets()
        // The runtime's backtracer is a program, which the sandbox does not start.
        if isDescribed {
            _ = signal(number, SIG_DFL)
            raise(number)
        }
        detachTerminal()
        let found = unsafe previous[Int(number)]
        if found.sa_flags & SA_SIGINFO != 0 {
            unsafe found.__sigaction_handler.sa_sigaction(number, information, context)
        }
        _ = signal(number, SIG_DFL)
        raise(number)
    }

    /// Replaces a terminal at standard input by /dev/null: the runtime's backtracer would ask there what to do next, which holds
    /// the process up for half a minute, and in the background of the terminal stops it.
    private static func detachTerminal() {
        guard Terminal.isInteractive else { return }
        let null = unsafe open("/dev/null", O_RDWR)
        if null >= 0 { dup2(null, 0) }
    }
}
