// The user's terminal in raw mode: every key goes to the guest but the escape key, Ctrl-A. It is put back on every way out:
// at the end, at exit, and before a fatal signal ends the process.

import Glibc

/// The terminal's mode. There is one terminal, so this is global state; only `restore` may run in a signal handler.
public enum Terminal {
    private nonisolated(unsafe) static var saved = termios()
    private nonisolated(unsafe) static var isRaw = false

    /// Whether standard input is a terminal.
    public static var isInteractive: Bool { isatty(0) == 1 }

    /// Puts standard input, which is a terminal, into raw mode.
    public static func makeRaw() {
        guard unsafe tcgetattr(0, &saved) == 0 else { return }
        var raw = unsafe saved
        unsafe cfmakeraw(&raw)
        // Output lines of ours still end in newline alone.
        raw.c_oflag |= tcflag_t(OPOST)
        unsafe isRaw = true
        atexit { Terminal.restore() }
        for signal in [
            SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGTRAP, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU, SIGXFSZ,
        ] { restoreOnDeath(signal) }
        unsafe tcsetattr(0, TCSANOW, &raw)
    }

    /// Puts the terminal back as it was. Async-signal-safe.
    public static func restore() {
        guard unsafe isRaw else { return }
        unsafe tcsetattr(0, TCSANOW, &saved)
        unsafe isRaw = false
    }

    /// Calls `body` with the terminal as it was before.
    static func whilePutBack(_ body: () -> Void) {
        let wasRaw = unsafe isRaw
        restore()
        body()
        if wasRaw { makeRaw() }
    }

    private static func restoreOnDeath(_ number: Int32) {
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = { number in
            Terminal.restore()
            _ = signal(number, SIG_DFL)
            raise(number)
        }
        unsafe sigaction(number, &action, nil)
    }
}

/// The escape key and what may follow it, as in `screen` and QEMU.
struct EscapeKeys {
    /// What a key asks of vmm.
    enum Action { case quit, help, inform }

    private static let escape: UInt8 = 0x01  // Ctrl-A
    private var escaped = false

    /// What the user sees after Ctrl-A h.
    static let text =
        "Ctrl-A x stops the machine, Ctrl-A i says where its devices stand, Ctrl-A Ctrl-A sends one to the guest, Ctrl-A h shows this"

    /// Splits what was typed into bytes for the guest and actions.
    mutating func filter(_ typed: [UInt8]) -> (bytes: [UInt8], actions: [Action]) {
        var bytes: [UInt8] = []
        var actions: [Action] = []
        for key in typed {
            if escaped {
                escaped = false
                switch key {
                case Self.escape: bytes.append(key)
                case UInt8(ascii: "x"): actions.append(.quit)
                case UInt8(ascii: "i"): actions.append(.inform)
                default: actions.append(.help)
                }
            } else if key == Self.escape {
                escaped = true
            } else {
                bytes.append(key)
            }
        }
        return (bytes, actions)
    }
}
