// Runs the cells of a sweep, several at a time, on one thread that polls all their outputs.

import Glibc
import KVM
import Synchronization

/// Runs cells, until a signal stops it.
public final class SweepRunner: SignalReceiver {
    /// How long a run may take to end after its own timeout, or after SIGTERM, before it is killed.
    private static let grace = Duration.seconds(5)
    /// Bytes of the console's output that a result keeps.
    private static let consoleLimit = 2048
    /// The time between two writes of the report, for a sweep that is killed.
    private static let savePeriod = Duration.seconds(10)

    let plan: SweepPlan
    private let wake: EventFD
    private let signal = Atomic<Int32>(0)

    /// A runner of a plan's cells.
    public init(_ plan: SweepPlan) throws(MachineError) {
        self.plan = plan
        do throws(KVMError) { wake = try EventFD() } catch { throw .kvm(error) }
    }

    /// Stops all runs; false if they had been stopped before.
    public func stop(signal number: Int32) -> Bool {
        defer { wake.signal() }
        return signal.compareExchange(expected: 0, desired: number, ordering: .relaxed).exchanged
    }
    /// Runs see changes of the host themselves.
    public func hostChanged() {}
    /// Runs have their own reports.
    public func diagnose() {}

    /// The signal that stopped the runner; 0 if none did.
    public var stopSignal: Int32 { signal.load(ordering: .relaxed) }

    /// Runs the cells of `report` that have no result, then shrinks those that failed, if asked for, with so many runs for each candidate;
    /// the report is written before, in between, and at the end. Throws what prevented the rest; the results until then are written.
    public func run(_ report: inout SweepReport, _ files: SweepFiles, shrinking runs: Int?) throws(MachineError) {
        try files.write(report, isLast: false)
        let cells = report.missing
        let progress = SweepProgress(total: cells.count)
        var save = Instant.now.advanced(by: Self.savePeriod)
        do throws(MachineError) {
            try run(cells, progress) { (result) throws(MachineError) in
                report.results[result.id] = result
                progress.add(result)
                guard .now > save else { return }
                try files.write(report, isLast: false)
                save = .now.advanced(by: Self.savePeriod)
            }
            if let runs { try SweepShrinking.shrink(&report, self, runs: runs) }
        } catch {
            try? files.write(report)
            throw error
        }
        try files.write(report)
    }

    /// Runs `cells`. Calls `onResult` for each that was not stopped, as it ends, and shows those that run in `progress`.
    func run(
        _ cells: [SweepCell], _ progress: SweepProgress? = nil, onResult: (SweepResult) throws(MachineError) -> Void
    ) throws(MachineError) {
        var waiting = cells[...]
        var running: [(cell: SweepCell, process: SweepProcess)] = []
        var (hasFailure, isStopping) = (false, false)
        defer {
            for (_, process) in running {
                process.send(SIGKILL)
                _ = process.wait()
            }
            progress?.end()
        }
        while true {
            if !isStopping, stopSignal != 0 || plan.failsFast && hasFailure {
                (isStopping, waiting) = (true, [])
                for (_, process) in running {
                    process.send(SIGTERM)
                    process.deadline = min(process.deadline, Instant.now.advanced(by: Self.grace))
                }
            }
            while running.count < plan.jobs, let cell = waiting.popFirst() { running.append((cell, try start(cell))) }
            if running.isEmpty { return }
            progress?.show(running.map { ($0.cell.id, $0.process.start) })
            poll(running.map(\.process), progress?.period ?? .seconds(60))
            for index in running.indices.reversed() where running[index].process.hasEnded {
                let (cell, process) = running.remove(at: index)
                let result = try result(of: cell, process)
                if isStopping { continue }
                hasFailure = hasFailure || !result.passed
                try onResult(result)
            }
        }
    }

    /// Waits for output, a deadline, a signal or the end of `period`, reads what there is, and kills what is overdue.
    private func poll(_ processes: [SweepProcess], _ period: Duration) {
        var ready = [pollfd(wake.descriptor, POLLIN)]
        for process in processes {
            for index in 0..<2 { ready.append(pollfd(process.outputs[index], POLLIN)) }
        }
        let end = processes.map(\.deadline).reduce(Instant.now.advanced(by: period), min)
        _ = unsafe Glibc.poll(&ready, nfds_t(ready.count), end.millisecondsLeft)
        wake.take()
        for (number, process) in processes.enumerated() {
            for index in 0..<2 where ready[1 + 2 * number + index].isReady { process.read(index) }
            process.checkDeadline()
        }
    }

    private func start(_ cell: SweepCell) throws(MachineError) -> SweepProcess {
        var log: Int32 = -1
        if let path = logPath(cell) {
            log = try HostFiles.openOutput(path) { .report(path: path, errno: $0) }
            ftruncate(log, 0)
        }
        let limit = plan.timeout.duration + Self.grace
        return try SweepProcess(plan.arguments(of: cell) + ["--json"], plan, limit: limit, log: log)
    }

    private func logPath(_ cell: SweepCell) -> String? { plan.logs.map { "\($0)/\(cell.fileName).txt" } }

    private func result(of cell: SweepCell, _ process: SweepProcess) throws(MachineError) -> SweepResult {
        let (reasons, console) = process.wait()
        let time = Instant.now.nanoseconds - process.start.nanoseconds
        if process.logError != 0, let path = logPath(cell) { throw .report(path: path, errno: process.logError) }
        let text = String(decoding: console.suffix(reasons.isEmpty ? 0 : Self.consoleLimit), as: UTF8.self)
        return SweepResult(
            id: cell.id, command: plan.command(plan.arguments(of: cell)), reasons: reasons, console: text,
            milliseconds: Int(time / 1_000_000))
    }
}
