// Commands of tests to a device's backend. The built-in guest's test device and qtest's x- verbs are two notations for them.

import Glibc
import VirtioABI

/// A command of a test to a device's backend.
enum TestCommand: Equatable, Sendable {
    /// New requests wait for `release`.
    case hold
    /// Starts `count` waiting requests; nil starts all and ends the hold.
    case release(count: Int?)
    /// The next `count` requests are not tried, and fail as if the host had returned `errno`.
    case fail(errno: Int32, count: Int)
    /// The backend fails permanently.
    case fatal
    /// After the next resume request the backend is not ready until `ready`.
    case holdResume
    /// Ends `holdResume`: the backend is ready.
    case ready
    /// The drain deadline passes now.
    case deadline
    /// Bytes arrive at the host end of a console port.
    case input([UInt8], port: Int = 0)
    /// The host end of a console port is opened or closed.
    case open(port: Int, Bool)
    /// The console's terminal changes its size, in characters.
    case resize(columns: UInt16, rows: UInt16)
    /// The network device's link comes up or goes down.
    case link(Bool)
    /// The disk changes its size, in sectors of 512 bytes.
    case capacity(sectors: UInt64)

    /// The qtest verbs of the commands that every device performs.
    static let common = ["x-hold-resume", "x-ready", "x-deadline", "x-fatal", "x-state"]

    /// Decodes a word written to the test device's port.
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

/// An error in performing a test command.
enum TestCommandError: Error {
    /// The device type has no such command.
    case unknown
    /// The device has no such port.
    case noPort
    /// The input buffer has no room for the bytes.
    case noRoom
}
