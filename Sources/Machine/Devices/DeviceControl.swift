// What the host can do to a device beside what its driver does: start and stop it, look at it, tell it of changes.

import Virtio

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
    /// Its virtio device ID.
    var deviceID: UInt32 { get }
    /// Performs a test command.
    func perform(_ command: TestCommand) throws(TestCommandError)
    /// Takes the output that waits for the host at `port`; nil for a device or a port that has none.
    func takeOutput(port: Int) -> [UInt8]?
    /// Tells the driver if the host's terminal or file has another size than before.
    func hostChanged()
    /// What the device's thread did so far.
    var statistics: DeviceStatistics { get }
    /// Starts the device's thread.
    func start() throws(MachineError)
    /// Ends the device's thread, with everything the guest was told is done on its way to the host.
    func stop()
    /// Does what can be done now without sleeping, in place of the thread; true if there is more to do at once.
    func step() -> Bool
    /// When the drain that is under way reaches its deadline; nil if none is.
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
