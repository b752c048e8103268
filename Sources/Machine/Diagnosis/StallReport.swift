// What keeps a machine from making progress: the devices with outstanding work, the most certain cause first, and the processors.

/// The report about a machine in which nothing happens.
struct StallReport {
    private let devices: [DeviceState]
    private let processors: ProcessorStates
    private let earlier: ProcessorStates?

    /// - Parameter earlier: the processors at a moment since which no device has made progress; nil if there was none.
    init(devices: [DeviceState], processors: ProcessorStates, earlier: ProcessorStates? = nil) {
        self.devices = Self.stalled(devices)
        self.processors = processors
        self.earlier = earlier
    }

    /// Those of `devices` that make no progress, by certainty, then in the order of their slots.
    static func stalled(_ devices: [DeviceState]) -> [DeviceState] {
        Stall.Certainty.allCases.flatMap { certainty in devices.filter { $0.stall?.certainty == certainty } }
    }

    /// What holds the machine up, for a heading; nil if it may only be idle or computing.
    var cause: String? {
        if !devices.isEmpty { return "there is something to do" }
        return processors.areStuck(since: earlier) ? "no processor can continue" : nil
    }

    /// A message for each device and each processor.
    var lines: [String] { devices.map(\.report) + processors.lines(since: earlier) }
}
