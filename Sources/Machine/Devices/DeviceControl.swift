// The host's control of a device: start, stop, inspection, and host-side changes.

import Virtio

/// Statistics of a device and its threads.
public struct DeviceStatistics: Equatable, Sendable {
    /// Wake-ups of the threads.
    public internal(set) var wakeUps = 0
    /// Wake-ups within one suspension: the device was suspended when the thread went to sleep, and still is.
    public internal(set) var wakeUpsWhileSuspended = 0
    /// Suspensions of the device.
    public internal(set) var suspensions = 0
    /// A disk's I/O engine, and the reason if it is not io_uring; nil for other devices.
    public internal(set) var engine: String?
    /// The frames of a network device; nil for other devices.
    public internal(set) var frames: FrameCounts?
}

/// The host's interface to a device.
protocol DeviceControl: AnyObject, Sendable {
    /// `console0`, `blk0`, ...
    var name: String { get }
    /// Its virtio device ID.
    var deviceID: UInt32 { get }
    /// Performs a test command.
    func perform(_ command: TestCommand) throws(TestCommandError)
    /// Takes the pending output of `port`; nil for a device or a port without output.
    func takeOutput(port: Int) -> [UInt8]?
    /// Reads the size of the host's terminal or file again, and notifies the driver of a change.
    func hostChanged()
    /// Statistics of the device's threads so far.
    var statistics: DeviceStatistics { get }
    /// Starts the device's threads.
    func start() throws(MachineError)
    /// Ends the device's threads. Requests that were completed to the guest are passed to the host first.
    func stop()
    /// Does the work that needs no waiting, in place of the threads; true if more can be done at once.
    func step() -> Bool
    /// Lets a device under torture go on with what it has put off, in place of the threads; false if that is nothing.
    func passDelay() -> Bool
    /// The drain deadline; nil if no drain is under way.
    var drainDeadline: Instant? { get }
    /// Number of calls from the driver and the backend, without the driver's repeated reads of one register that return the same
    /// value: as long as this is constant, the device makes no progress.
    var activity: UInt64 { get }
    /// Whether its threads have yet to look at a queue.
    var isServing: Bool { get }
    /// The clauses that its driver kept and broke.
    var conformance: ConformanceReport { get }
    /// Its description in a trace.
    var traced: TracedDevice { get }
    /// See `Slot`.
    func whileQuiet(
        until deadline: Instant, _ body: (SavedDevice) throws(MachineError) -> Void
    ) throws(MachineError)
    func setTrace(_ new: DeviceTrace?, until deadline: Instant) throws(MachineError) -> TracedDevice
    func restore(_ saved: SavedDevice) throws(MachineError)
    var ownMemory: MemoryArea? { get }
    func restoreMemory(from file: MappedFile) -> Int32
    /// Its complete current state.
    var state: DeviceState { get }
}
