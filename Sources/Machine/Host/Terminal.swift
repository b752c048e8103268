// The terminal at standard input. In raw mode every key goes to the guest but the escape key, Ctrl-A. The mode is vmm's to change only
// while the shell has its job in the foreground: in the background the terminal is left as it is. The mode found is restored on every way
// out: at the end, at exit, before a stop by SIGTSTP and before a fatal signal ends the process.

import Glibc

/// The terminal's mode. A process has one terminal, so this is global state.
public enum Terminal {
    private static let lock = Lock()
    // Written under the lock; `putBack` reads them in signal handlers.
    private nonisolated(unsafe) static var isRawWanted = false
    private nonisolated(unsafe) static var isRaw = false
    /// The mode found.
    private nonisolated(unsafe) static var saved = termios()
    /// The mode set, as the terminal's driver reports it.
    private nonisolated(unsafe) static var raw = termios()

    /// Whether standard input is a terminal.
    public static var isInteractive: Bool { isatty(0) == 1 }

    /// Opens the terminal at `descriptor` anew; nil if it is none, or not ours to open. A terminal can take less than poll promises, and
    /// what poll saw can be taken by another program that reads it. The new descriptor does not block, and the shell's does as before.
    static func reopened(_ descriptor: Int32, _ mode: Int32) -> Int32? {
        guard isatty(descriptor) == 1 else { return nil }
        let terminal = unsafe open("/proc/self/fd/\(descriptor)", mode | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
        return terminal < 0 ? nil : terminal
    }

    /// Whether standard input is a terminal that is in use elsewhere: its foreground is another job, or it belongs to the session that
    /// this process left by setsid(2). A read from it would fail or take another program's keys, and a change of its mode would be
    /// another program's.
    static var isBackground: Bool {
        let foreground = tcgetpgrp(0)
        if foreground >= 0 { return foreground != getpgrp() }
        // Without job control, as in an initramfs, no terminal controls the session, and the one there is may be used.
        return errno == ENOTTY && getsid(0) == getpid() && isInteractive
    }

    /// Puts standard input, which is a terminal, into raw mode: now if this job is in the foreground, and whenever it returns there,
    /// until `restore`.
    public static func makeRaw() {
        atexit { Terminal.putBack() }
        var action = sigaction()
        // Without SA_RESTART; see `set`.
        unsafe action.__sigaction_handler.sa_handler = { _ in }
        unsafe sigaction(SIGTTOU, &action, nil)
        lock.locked { unsafe isRawWanted = true }
        refresh()
    }

    /// Restores the mode found, for good.
    public static func restore() {
        lock.locked {
            unsafe isRawWanted = false
            putBack()
        }
    }

    /// Sets raw mode if it is wanted, is not set, and this job is in the foreground.
    static func refresh() {
        lock.locked {
            var mode = termios()
            guard unsafe isRawWanted, !isBackground, unsafe tcgetattr(0, &mode) == 0 else { return }
            if unsafe isRaw && isSame(mode, raw) { return }
            unsafe saved = mode
            unsafe cfmakeraw(&mode)
            // Lines of vmm's own still end in newline alone.
            mode.c_oflag |= tcflag_t(OPOST)
            guard set(&mode) else { return }
            unsafe isRaw = tcgetattr(0, &raw) == 0
        }
    }

    /// Calls `body` with the mode restored that was found.
    static func whilePutBack(_ body: () -> Void) {
        lock.locked { putBack() }
        body()
        refresh()
    }

    /// Restores the mode found, unless another job or program has changed it since. Async-signal-safe.
    static func putBack() {
        var mode = termios()
        guard unsafe isRaw, !isBackground, unsafe tcgetattr(0, &mode) == 0, unsafe isSame(mode, raw) else { return }
        unsafe mode = saved
        if set(&mode) { unsafe isRaw = false }
    }

    /// Sets the mode; false if this job lost the foreground after the caller looked. SIGTTOU, which is blocked elsewhere so that output
    /// from the background is not stopped, is let through for this call: its handler makes the call fail, where the default action
    /// would stop the process, and a blocked signal would let it change another job's terminal.
    private static func set(_ mode: inout termios) -> Bool {
        var (letThrough, before) = (sigset_t(), sigset_t())
        unsafe sigemptyset(&letThrough)
        unsafe sigaddset(&letThrough, SIGTTOU)
        unsafe pthread_sigmask(SIG_UNBLOCK, &letThrough, &before)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
        return unsafe tcsetattr(0, TCSANOW, &mode) == 0
    }

    private static func isSame(_ a: termios, _ b: termios) -> Bool {
        (a.c_iflag, a.c_oflag, a.c_cflag, a.c_lflag) == (b.c_iflag, b.c_oflag, b.c_cflag, b.c_lflag)
    }
}

/// The escape key and the keys after it, as in `screen` and QEMU.
struct EscapeKeys {
    /// What a key asks of vmm.
    enum Action { case quit, help, inform, snapshot }

    private static let escape: UInt8 = 0x01  // Ctrl-A
    private var escaped = false

    /// The answer to Ctrl-A h.
    static let text =
        "Ctrl-A x stops the machine, Ctrl-A i says where its devices stand, Ctrl-A s takes a snapshot, Ctrl-A Ctrl-A sends one to the guest, Ctrl-A h shows this"

    /// Splits typed bytes into bytes for the guest and actions.
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
                case UInt8(ascii: "s"): actions.append(.snapshot)
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
