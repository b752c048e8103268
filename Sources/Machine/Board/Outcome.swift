// How a run can end: the outcome, its exit code and its sentence.

extension Machine {
    /// How a guest's run ended.
    public enum Outcome: Equatable, Sendable {
        /// ACPI sleep control, S5.
        case poweredOff
        /// The reset port.
        case reset
        /// The debug-exit port, with the value written.
        case debugExit(UInt32)
        /// A triple fault, or a failure of KVM; the message for the user.
        case crashed(String)
        /// The pvpanic port: the guest's kernel panicked.
        case panicked
        /// A signal.
        case stopped(signal: Int32)
        /// Ctrl-A x, which exits as SIGINT does.
        case quit
        /// A control client's `quit`.
        case quitByClient
        /// A debugger's `kill`.
        case quitByDebugger
        /// The run's timeout has passed.
        case timedOut
        /// The qtest client closed its connection.
        case clientLeft

        /// What `vmm` exits with.
        public var exitCode: Int32 {
            switch self {
            case .poweredOff, .clientLeft, .quitByClient, .quitByDebugger: 0
            case .reset: 32
            case .debugExit(let value): Int32(truncatingIfNeeded: (value << 1 | 1) & 0xff)
            case .crashed: 33
            case .panicked: 34
            case .stopped(let signal): 128 + signal
            case .quit: 128 + 2
            case .timedOut: 124
            }
        }

        /// One sentence; for a crash, more lines.
        public var sentence: String {
            switch self {
            case .poweredOff: "the guest powered off"
            case .reset: "the guest reset the machine"
            case .debugExit(let value): "the guest wrote \(value) to the debug-exit port"
            case .crashed(let details): details
            case .panicked: "the guest panicked"
            case .stopped(let signal): "stopped by signal \(signal)"
            case .quit: "stopped by Ctrl-A x"
            case .quitByClient: "stopped by a control client"
            case .quitByDebugger: "killed by the debugger"
            case .timedOut: "stopped: the run timed out"
            case .clientLeft: "the qtest client left"
            }
        }
    }
}

/// The end of a run, shared by the threads of a machine. The first outcome counts.
final class RunCompletion: @unchecked Sendable {
    private let lock = Lock()
    private var outcome: Machine.Outcome?

    /// Ends the run; false, without effect, if it had ended before.
    @discardableResult
    func report(_ new: Machine.Outcome) -> Bool {
        lock.locked {
            guard outcome == nil else { return false }
            outcome = new
            lock.broadcast()
            return true
        }
    }

    /// Whether the run has ended.
    var isReached: Bool { lock.locked { outcome != nil } }

    /// Waits for the end of the run, which is `.timedOut` once the instant that `deadline` returns has passed; nil is never. It may become
    /// later meanwhile.
    func wait(until deadline: () -> Instant? = { nil }) -> Machine.Outcome {
        while true {
            let limit = deadline()
            let end = lock.locked { () -> Machine.Outcome? in
                while outcome == nil {
                    if let limit { guard lock.wait(until: limit) else { break } } else { lock.wait() }
                }
                return outcome
            }
            if let end { return end }
            if deadline().map({ $0 <= .now }) ?? false { report(.timedOut) }
        }
    }
}
