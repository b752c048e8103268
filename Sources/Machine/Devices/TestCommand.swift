// What tests do to a device's backend. The test device of the built-in guest and the x- verbs of qtest are two notations for the same
// commands.

import Glibc
import VirtioABI

/// What a test asks of a device's backend.
enum TestCommand: Equatable, Sendable {
    /// Requests the backend is given from now on wait.
    case hold
    /// So many waiting requests go on; nil for all, and the hold ends.
    case release(count: Int?)
    /// The next `count` requests fail as if the host had answered `errno`, without being tried.
    case fail(errno: Int32, count: Int)
    /// The backend breaks for good.
    case fatal
    /// After the next resume request the backend is not ready until `ready`.
    case holdResume
    case ready
    /// The drain deadline passes now.
    case deadline
    /// Bytes arrive at the host end of one of the console's ports.
    case input([UInt8], port: Int = 0)
    /// Somebody comes to the host end of a port, or leaves it.
    case open(port: Int, Bool)
    /// The console's terminal has another size, in characters.
    case resize(columns: UInt16, rows: UInt16)
    /// The disk has another size, in sectors of 512 bytes.
    case capacity(sectors: UInt64)

    /// The qtest verbs of the commands that every device performs.
    static let common = ["x-hold-resume", "x-ready", "x-deadline", "x-fatal", "x-state"]

    /// The command that a word written to the test device's port stands for.
    init(_ verb: TestDevice.Verb, _ argument: UInt16) {
        self =
            switch verb {
            case .hold: .hold
            case .release: .release(count: argument == 0 ? nil : Int(argument))
            case .fail: .fail(errno: EIO, count: Int(argument))
            case .fatal: .fatal
            case .holdResume: .holdResume
            case .ready: .ready
            case .deadline: .deadline
            case .input: .input([UInt8(truncatingIfNeeded: argument)])
            case .resize: .resize(columns: argument & 0xff, rows: argument >> 8)
            case .capacity: .capacity(sectors: UInt64(argument))
            }
    }
}

/// Why a device did not perform a test command.
enum TestCommandError: Error {
    /// The device type has no such command.
    case unknown
    /// The device has no such port.
    case noPort
    /// What it brings does not fit now.
    case noRoom
}
