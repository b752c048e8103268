// The lines that the writer of traces formats: all that a reader reads from them is what the events were.

import Glibc
import Testing
import Virtio
import VirtioABI

@testable import Machine

@Suite struct TraceFormatterTests {
    /// Values at which the number of digits changes, and the greatest.
    private static let numbers: [UInt64] = {
        var numbers: [UInt64] = [0, .max]
        for bit in 0..<64 { numbers.append(1 << UInt64(bit)) }
        var power: UInt64 = 1
        for _ in 1..<20 {
            power *= 10
            numbers += [power - 1, power]
        }
        return numbers
    }()

    /// Each kind of event, with members made from `value`.
    private static func events(_ value: UInt64) -> [Event] {
        let (word, half, byte) = (
            UInt32(truncatingIfNeeded: value), UInt16(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value)
        )
        let token = Token(queue: half, name: half, epoch: word)
        let isOdd = value & 1 == 1
        var events: [Event] = [
            .read(offset: half, width: byte, value: value), .write(offset: half, width: byte, value: value),
            .read(offset: UInt16(Register.status.rawValue), width: 4, value: value),
            .notified(QueueSet(rawValue: word)),
            .take(queue: half, room: half, segments: word, requestsNotification: isOdd), .backendReady, .deadlinePassed,
            .fail, .change(value), .input(port: byte, count: byte % 9, bytes: value), .receive(port: byte),
            .open(port: byte, isOpen: isOdd), .refuse, .restore, .load(address: value, width: byte, value: value),
            .available(queue: half, id: half, readable: word, writable: word),
            .used(queue: half, id: half, length: word), .interrupt(word), .ended(queue: half, epoch: word),
            .dropped(value),
        ]
        let results: [Outcome.Result] = [.ok, .ioError, .unsupported]
        for result in results { events.append(.finish(token, Outcome(result, written: word))) }
        for kind in RequestKind.allCases {
            events.append(.request(token, RequestSummary(kind, place: value, count: value)))
        }
        let phases: [Lifecycle.Phase] = [
            .notLive, .running, .suspending, .suspended, .resuming, .dead(suspended: true), .dead(suspended: false),
        ]
        for phase in phases { events.append(.lifecycle(DeviceStatus(rawValue: byte), phase)) }
        return events
    }

    private func flush(_ formatter: inout TraceFormatter, _ file: Int32) throws {
        let isWritten = formatter.flush(to: file)
        try #require(isWritten)
    }

    @Test("Every event is read back as it was, whatever its values, its number and its thread")
    func readBack() throws {
        let file = try TraceFile()
        let output = unsafe open(file.path, O_WRONLY | O_CLOEXEC)
        defer { close(output) }
        let disk = TracedDevice(
            name: "blk0", deviceID: DeviceID.block, offered: .version1, dialect: nil, freeze: .wide, conform: .report,
            configuration: 8, queues: 1, queueSize: 8, ports: [], writeZeroesMayUnmap: nil, blockSizes: nil)
        var formatter = TraceFormatter(after: 0)
        let head = formatter.text(of: TraceLine(memory: 8 << 20)) + formatter.text(of: TraceLine(disk))
        #expect(writeAll(head, to: output))
        let threads = ["", "vcpu0", "\"\\\u{1}", String(repeating: "\u{1}", count: 15)]
        var expected: [(String, UInt64, Event)] = []
        for (index, value) in Self.numbers.enumerated() {
            let stamp = TraceStamp(nanoseconds: value, thread: threads[index % threads.count], device: 0)
            formatter.begin(stamp)
            for event in Self.events(value) {
                if formatter.isFull { try flush(&formatter, output) }
                formatter.append(event)
                expected.append((stamp.thread, value, event))
            }
        }
        try flush(&formatter, output)
        let end = formatter.text(of: .end)
        #expect(writeAll(end, to: output))
        var reader = try TraceReader(path: file.path)
        for (thread, time, event) in expected {
            let next = reader.next()
            let read = try #require(next, "\(reader.damage ?? "it has ended")")
            #expect(read.event == event && read.stamp.thread == thread && read.stamp.nanoseconds == time)
        }
        let rest = reader.next()
        #expect(rest == nil && reader.damage == nil)
    }

    @Test("A violation has its clause and what belongs to it")
    func violation() throws {
        let file = try TraceFile()
        let output = unsafe open(file.path, O_WRONLY | O_CLOEXEC)
        defer { close(output) }
        var formatter = TraceFormatter(after: 41)
        formatter.begin(TraceStamp(nanoseconds: 7, thread: "vcpu0", device: 1))
        formatter.append(.violation(.statusBitKept, Evidence(queue: 1, offset: 0x70, value: 0xf)))
        formatter.append(.violation(.statusBitKept, Evidence()))
        try flush(&formatter, output)
        let start = "\"t\":7,\"by\":\"vcpu0\",\"dev\":1,\"ev\":\"violation\""
        let clause = "\"clause\":\"\(Check.statusBitKept.clause.id)\"}\n"
        #expect(
            try file.text
                == "{\"n\":42,\(start),\"offset\":112,\"queue\":1,\"value\":\"0xf\",\(clause){\"n\":43,\(start),\(clause)"
        )
    }
}
