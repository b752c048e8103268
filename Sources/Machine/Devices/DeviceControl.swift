// What the host can do to a device beside what its driver does: start and stop it, look at it, and steer its backend for a
// test. The test device of the built-in guest and the x- verbs of qtest are two spellings of the same commands.

import Glibc
import Virtio
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

    /// What a word written to the test device's port asks for.
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

/// What a device's thread did, for those who count.
public struct DeviceStatistics: Equatable, Sendable {
    /// How often the thread slept and was woken.
    public internal(set) var wakeUps = 0
    /// How often that was within one suspension: the device was suspended when the thread went to sleep, and still is.
    public internal(set) var wakeUpsWhileSuspended = 0
    /// How often the device was suspended.
    public internal(set) var suspensions = 0
    /// How a disk's transfers were done, and if it was not by io_uring, why.
    public internal(set) var engine: String?
}

/// A device as the host sees it.
protocol DeviceControl: AnyObject, Sendable {
    /// `console0`, `blk0`, ...
    var name: String { get }
    /// Carries out a test's command; false if this device has no such thing, or no room for it.
    @discardableResult
    func perform(_ command: TestCommand) -> Bool
    /// What the device's thread did so far.
    var statistics: DeviceStatistics { get }
    /// Starts the device's thread.
    func start() throws(MachineError)
    /// Ends the device's thread, with everything the guest was told is done on its way to the host.
    func stop()
    /// Does what can be done now without sleeping, in place of the thread; true if there is more to do at once.
    func step() -> Bool
    /// When the host's patience with a drain ends; nil if none is under way.
    var drainDeadline: Instant? { get }
    /// How often it was used, by its driver or by its backend: as long as this stays, nothing happens.
    var activity: UInt64 { get }
    /// What was seen of its driver.
    var conformance: ConformanceReport { get }
    /// What a trace says of it.
    var traced: TracedDevice { get }
    /// All there is to know of it now.
    var state: DeviceState { get }
}
