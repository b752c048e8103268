// A trace, read back line by line, as far as it is whole: up to its end, or to the first line that is missing, cut or not readable.

import FoundationEssentials
import Glibc
import Virtio

/// Reads the events of a trace.
struct TraceReader {
    /// Bytes of the machine's memory.
    let memory: UInt64
    let devices: [TracedDevice]
    private var lines: TraceLines
    /// The line after those of the devices.
    private var ahead: TraceLine?

    /// Most memory of a traced machine, in bytes.
    private static let mostMemory: UInt64 = 1 << 40

    /// Opens the trace at `path` and reads what it begins with.
    init(path: String) throws(MachineError) {
        var lines = TraceLines(path: path, file: try LineFile(path: path))
        let head = lines.next()
        if case .failed(let number)? = lines.file.problem { throw .trace(path: path, errno: number) }
        guard let head, let version = head.trace, let memory = TraceLine.number(head.memory) else {
            let what = lines.file.isEmpty ? "the file is empty" : "this is no trace"
            throw .badTrace(path: path, line: 1, "\(what); make one with vmm --trace \(path)")
        }
        guard 1...TraceLine.version ~= version else {
            throw .badTrace(
                path: path, line: 1,
                "it is of version \(version), and this vmm reads 1 to \(TraceLine.version); use a newer vmm")
        }
        guard memory <= Self.mostMemory else {
            throw .badTrace(path: path, line: 1, "no machine has so much memory; record the trace again")
        }
        self.memory = memory
        lines.isNumbered = version >= TraceLine.numberedVersion
        var devices: [TracedDevice] = []
        ahead = lines.next()
        while let device = ahead?.tracedDevice {
            guard devices.count < MemoryMap.maximumSlots else {
                throw .badTrace(
                    path: path, line: lines.number, "no machine has so many devices; record the trace again")
            }
            devices.append(device)
            ahead = lines.next()
        }
        self.devices = devices
        self.lines = lines
    }

    /// The number of the line of the last event, from 1.
    var line: Int { lines.number }
    /// Why the rest of the trace is not known, as a sentence; nil if it was read to its end, as far as that can be told.
    var damage: String? { lines.damage }
    /// Whether a missing line would have been noticed.
    var isNumbered: Bool { lines.isNumbered }

    /// The next event, with when and where it was; nil at the end of what is known.
    mutating func next() -> (stamp: TraceStamp, event: Event)? {
        while let line = ahead.take() ?? lines.next() {
            if let event = line.event, let time = line.t, let device = line.dev, devices.indices.contains(device) {
                return (TraceStamp(nanoseconds: time, thread: line.by ?? "", device: device), event)
            }
            guard line.ev == "violation" else {
                lines.reject("this is no event of one of its devices")
                return nil
            }
        }
        return nil
    }
}

/// The lines of a trace, up to its end or the first that is missing, cut or not readable.
private struct TraceLines {
    let path: String
    let file: LineFile
    private let decoder = JSONDecoder()
    /// Lines have numbers, and the last is the end.
    var isNumbered = false
    /// The number of the line last read, from 1.
    private(set) var number = 0
    /// Why the rest is not known.
    private(set) var damage: String?
    private var hasEnded = false

    init(path: String, file: LineFile) { (self.path, self.file) = (path, file) }

    /// The next line; nil at the end of what is known.
    mutating func next() -> TraceLine? {
        guard damage == nil, !hasEnded else { return nil }
        guard let bytes = file.next() else {
            switch file.problem {
            case .failed(let number): stop("line \(self.number + 1) cannot be read: \(reason(number))")
            case .tooLong: stop("line \(number + 1) is longer than any line of a trace")
            case .cut: stop("it is cut within line \(number + 1)")
            case nil: if isNumbered { stop("it is cut: it has no line that says it is the end") }
            }
            return nil
        }
        guard let line = try? decoder.decode(TraceLine.self, from: Data(bytes)) else {
            stop("line \(number + 1) is not a line of a trace")
            return nil
        }
        if isNumbered, line.n != number + 1 {
            stop(line.n.map { missing(before: $0) } ?? "line \(number + 1) has no number")
            return nil
        }
        number += 1
        guard isNumbered, line.ev == "end" else { return line }
        hasEnded = true
        if file.next() != nil || file.problem != nil { stop("there is more after the line that says it is the end") }
        return nil
    }

    /// The line last read is not one that can be there.
    mutating func reject(_ problem: String) {
        damage = "trace \(path), line \(number): \(problem); what follows is unknown"
    }

    private mutating func stop(_ problem: String) {
        damage = "trace \(path): \(problem); what follows line \(number) is unknown"
    }

    private func missing(before next: Int) -> String {
        guard next > number + 1 else { return "line \(number + 1) has the number \(next)" }
        return next == number + 2
            ? "line \(number + 1) is missing" : "lines \(number + 1) to \(next - 1) are missing"
    }
}
