// How a run can end, and what the command line makes of it.

extension Machine {
    /// How a guest's run ended.
    public enum Outcome: Equatable, Sendable {
        /// ACPI sleep control, S5.
        case poweredOff
        /// The reset port.
        case reset
        /// The debug-exit port, with the value written.
        case debugExit(UInt32)
        /// Triple fault, or KVM could not go on; what is known of it, for the user.
        case crashed(String)
        /// A signal, or a key that stands for SIGINT.
        case stopped(signal: Int32)
        /// The time the user gave was over.
        case timedOut
        /// The qtest client has nothing more to say.
        case clientLeft

        /// What `vmm` exits with.
        public var exitCode: Int32 {
            switch self {
            case .poweredOff, .clientLeft: 0
            case .reset: 32
            case .debugExit(let value): Int32(truncatingIfNeeded: (value << 1 | 1) & 0xff)
            case .crashed: 33
            case .stopped(let signal): 128 + signal
            case .timedOut: 124
            }
        }

        /// One sentence; more lines where a crash left some.
        public var sentence: String {
            switch self {
            case .poweredOff: "the guest powered off"
            case .reset: "the guest reset the machine"
            case .debugExit(let value): "the guest wrote \(value) to the debug-exit port"
            case .crashed(let details): details
            case .stopped(let signal): "stopped by signal \(signal)"
            case .timedOut: "stopped: the time was over"
            case .clientLeft: "the qtest client left"
            }
        }
    }
}

/// What the threads of a machine share about its end. The first outcome counts.
final class RunCompletion: @unchecked Sendable {
    private let lock = Lock()
    private var outcome: Machine.Outcome?

    /// The run ended; later news is ignored, and false.
    @discardableResult
    func report(_ new: Machine.Outcome) -> Bool {
        lock.locked {
            guard outcome == nil else { return false }
            outcome = new
            lock.broadcast()
            return true
        }
    }

    /// Whether the run ended.
    var isReached: Bool { lock.locked { outcome != nil } }

    /// Waits for the end. If `deadline` passes first, that is the end.
    func wait(until deadline: Instant?) -> Machine.Outcome {
        lock.locked {
            while outcome == nil {
                if let deadline {
                    guard lock.wait(until: deadline) else { break }
                } else {
                    lock.wait()
                }
            }
            let end = outcome ?? .timedOut
            outcome = end
            return end
        }
    }
}
