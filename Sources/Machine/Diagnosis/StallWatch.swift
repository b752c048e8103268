// Notices that a machine makes no progress where it should, and reports why.

/// Watches a machine for a stall.
final class StallWatch: @unchecked Sendable {
    private let devices: [any DeviceControl]
    private let processors: VCPUSet
    private let silence: Duration
    /// Whether the guest is stopped, so that it cannot make progress.
    private let isPaused: @Sendable () -> Bool
    private let lock = Lock()
    private var isEnding = false
    private var thread: Thread?

    /// Starts the watch's thread.
    ///
    /// It reports when no device has made progress for `silence` and a device has work outstanding or no processor can
    /// continue; once in each such silence.
    init(
        _ devices: [any DeviceControl], _ processors: VCPUSet, after silence: Duration,
        isPaused: @escaping @Sendable () -> Bool
    ) throws(MachineError) {
        self.devices = devices
        self.processors = processors
        self.silence = silence
        self.isPaused = isPaused
        thread = try Thread("stall-watch", .watch) { [self] in watch() }
    }

    /// Ends the thread and waits for that.
    func stop() {
        lock.locked {
            isEnding = true
            lock.broadcast()
        }
        thread.take()?.join()
    }

    private func watch() {
        var before = devices.map(\.activity)
        var silentSince = Instant.now
        var isReported = false
        var earlier: ProcessorStates?
        lock.locked {
            while !isEnding {
                _ = lock.wait(until: silentSince.advanced(by: silence))
                if isEnding { return }
                let now = devices.map(\.activity)
                if now != before || isPaused() {
                    (before, silentSince, isReported, earlier) = (now, .now, false, nil)
                } else if silentSince.advanced(by: silence) <= .now {
                    if !isReported {
                        let states = processors.states
                        isReported = report(states, earlier)
                        earlier = states
                    }
                    silentSince = .now
                }
            }
        }
    }

    /// Reports what holds the machine up; false if nothing does.
    private func report(_ states: ProcessorStates, _ earlier: ProcessorStates?) -> Bool {
        let report = StallReport(devices: devices.map(\.state), processors: states, earlier: earlier)
        guard let cause = report.cause else { return false }
        Log.say("nothing has happened for \(TimeSpanText.of(silence)), and \(cause):")
        for line in report.lines { Log.say(line) }
        return true
    }
}

/// Durations as text.
public enum TimeSpanText {
    /// Seconds with one decimal.
    public static func of(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        return "\(seconds).\(attoseconds / 100_000_000_000_000_000) s"
    }
}
