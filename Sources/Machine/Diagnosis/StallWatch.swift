// Notices that nothing happens where something should, and says what.

/// Watches devices for a stall.
final class StallWatch: @unchecked Sendable {
    private let devices: [any DeviceControl]
    private let silence: Duration
    private let lock = Lock()
    private var isEnding = false
    private var thread: Thread?

    /// Says what is the matter when none of `devices` has been used for `silence` and one of them has work outstanding; once in each such
    /// silence.
    init(_ devices: [any DeviceControl], after silence: Duration) throws(MachineError) {
        self.devices = devices
        self.silence = silence
        thread = try Thread("stall-watch") { [self] in watch() }
    }

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
        var isTold = false
        lock.locked {
            while !isEnding {
                _ = lock.wait(until: silentSince.advanced(by: silence))
                if isEnding { return }
                let now = devices.map(\.activity)
                if now != before {
                    (before, silentSince, isTold) = (now, .now, false)
                } else if silentSince.advanced(by: silence) <= .now {
                    if !isTold { isTold = tell() }
                    silentSince = .now
                }
            }
        }
    }

    /// True if there was something to tell.
    private func tell() -> Bool {
        let stalled = devices.map(\.state).filter { $0.stall != nil }
        guard !stalled.isEmpty else { return false }
        Log.say("nothing has happened for \(TimeSpanText.of(silence)), and there is something to do:")
        for state in stalled { Log.say(state.report) }
        return true
    }
}

/// How lengths of time are written.
public enum TimeSpanText {
    /// Seconds with one digit behind the point.
    public static func of(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        return "\(seconds).\(attoseconds / 100_000_000_000_000_000) s"
    }
}
