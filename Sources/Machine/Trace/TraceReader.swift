// A trace, read back line by line.

import FoundationEssentials
import Glibc
import Virtio

/// Reads a trace's lines.
struct TraceReader {
    let path: String
    /// Bytes of the machine's memory.
    let memory: UInt64
    let devices: [TracedDevice]
    /// The line last read, from 1.
    private(set) var line = 0

    @safe private final class File {
        let handle: UnsafeMutablePointer<FILE>
        init(_ handle: UnsafeMutablePointer<FILE>) { unsafe self.handle = handle }
        deinit { unsafe fclose(handle) }
    }
    private let file: File
    private let decoder = JSONDecoder()
    private var ahead: TraceLine?

    /// Opens the trace at `path` and reads what it begins with.
    init(path: String) throws(MachineError) {
        guard let handle = unsafe fopen(path, "re") else { throw .trace(path: path, errno: errno) }
        unsafe file = File(handle)
        self.path = path
        var line = 0
        guard let head = try Self.next(file, decoder, path, &line), let version = head.trace,
            let memory = TraceLine.number(head.memory)
        else { throw .badTrace(path: path, line: 1, "this is no trace; make one with vmm --trace \(path)") }
        guard version == TraceLine.version else {
            throw .badTrace(path: path, line: 1, "it is of version \(version), and this vmm reads \(TraceLine.version)")
        }
        guard memory <= 1 << 40 else { throw .badTrace(path: path, line: 1, "no machine has so much memory") }
        self.memory = memory
        var devices: [TracedDevice] = []
        ahead = try Self.next(file, decoder, path, &line)
        while let device = ahead?.tracedDevice {
            devices.append(device)
            ahead = try Self.next(file, decoder, path, &line)
        }
        self.devices = devices
        self.line = line
    }

    /// The next event, with where and when it was; nil at the end, which a last line that was cut is too.
    mutating func next() throws(MachineError) -> (stamp: TraceStamp, event: Event)? {
        guard let line = ahead else { return nil }
        guard let event = line.event, let time = line.t, let device = line.dev, devices.indices.contains(device) else {
            throw .badTrace(path: path, line: self.line, "this is no event of one of its devices")
        }
        ahead = try Self.next(file, decoder, path, &self.line)
        return (TraceStamp(nanoseconds: time, thread: line.by ?? "", device: device), event)
    }

    private static func next(
        _ file: File, _ decoder: JSONDecoder, _ path: String, _ number: inout Int
    ) throws(MachineError) -> TraceLine? {
        var buffer: UnsafeMutablePointer<CChar>?
        var room = 0
        defer { unsafe free(buffer) }
        let count = unsafe getline(&buffer, &room, file.handle)
        guard count > 0, let buffer = unsafe buffer else { return nil }
        number += 1
        // The run may have been killed while it wrote.
        guard unsafe buffer[count - 1] == CChar(10) else { return nil }
        let bytes = unsafe Data(bytes: buffer, count: count)
        do { return try decoder.decode(TraceLine.self, from: bytes) } catch {
            throw .badTrace(path: path, line: number, "this is not a line of a trace")
        }
    }
}
