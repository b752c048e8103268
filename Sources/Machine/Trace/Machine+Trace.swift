// Traces of a part of a run, which a control client begins and ends.

extension Machine {
    /// Begins a trace in a file at `path`. Each device's first event has its state, so `vmm check` goes on from there. Throws if there is a
    /// trace already, if the file cannot be made, and if a device has a request that its host side does not finish within the drain
    /// deadline: then there is no trace.
    public func startTrace(to path: String) throws(MachineError) {
        try fileThread("trace").perform { [unowned self] () throws(MachineError) in
            try control.locked { () throws(MachineError) in
                guard trace == nil else {
                    throw .control("a trace is being written already; end it first, by x-vmm-trace-stop")
                }
                trace = try whileStopped("trace") { () throws(MachineError) in try beginTrace(path) }
            }
        }
    }

    private func beginTrace(_ path: String) throws(MachineError) -> TraceWriter {
        let writer = try TraceWriter(path: path, time: MonotonicTime(), devices: devices.count)
        do throws(MachineError) {
            var traced: [TracedDevice] = []
            for device in devices {
                traced.append(
                    try device.setTrace(DeviceTrace(writer: writer, device: traced.count), until: quietDeadline))
            }
            try writer.begin(traced, memory: configuration.memory, kind: nil)
        } catch {
            try endTrace()
            throw error
        }
        return writer
    }

    /// Ends the trace. Returns the number of events that it lacks. Throws if there is none, and if a device has a request that is not
    /// finished in time: then the trace goes on.
    @discardableResult
    public func stopTrace() throws(MachineError) -> UInt64 {
        try fileThread("trace").perform { [unowned self] () throws(MachineError) in
            try control.locked { () throws(MachineError) in
                guard let writer = trace else {
                    throw .control("no trace is being written; begin one by x-vmm-trace-start")
                }
                try whileStopped("end of the trace") { () throws(MachineError) in try endTrace() }
                trace = nil
                return writer.close()
            }
        }
    }

    private func endTrace() throws(MachineError) {
        for device in devices { _ = try device.setTrace(nil, until: quietDeadline) }
    }

    /// When the requests that a device has now are to be finished.
    var quietDeadline: Instant { Instant.now.advanced(by: configuration.drainDeadline) }
}
