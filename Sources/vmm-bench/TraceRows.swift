// The row of the trace's writer alone: the events of a disk's requests, from the device's lock to a file in memory.

import Glibc
import Machine
import Virtio

extension Setup {
    /// Processor time a request, in microseconds, to take its events in one thread and to format and write them in another. Processor
    /// time, because the two threads may share a processor with other load.
    func traceWriterRows() -> [Row] {
        let (requests, events) = (count(100_000), Event.ofRequest)
        let path = "/dev/shm/vmm-bench-\(getpid()).trace"
        let writer = Candidate("vmm") { () throws(BenchError) in
            defer { unsafe unlink(path) }
            let start = clock()
            do {
                let dropped = try TraceLoad.write(events, count: requests, to: path)
                guard dropped == 0 else { throw BenchError("\(dropped) events were dropped") }
            } catch { throw BenchError("\(error)") }
            return Double(clock() - start) / Double(requests)
        }
        return [
            Row(
                name: "trace-writer", what: "processor time of the trace, to a file in memory", unit: "us a request",
                moreIsBetter: false, budget: .atMost(4), candidates: [writer],
                notes: [
                    (
                        "note",
                        .string(
                            "\(events.count) events a request; at 4 us, 250,000 requests a second take one processor")
                    )
                ])
        ]
    }
}

extension Event {
    /// The events of a read with an indirect table, as in a trace of the row `trace`.
    fileprivate static var ofRequest: [Event] {
        let token = Token(queue: 0, name: 104, epoch: 1)
        func load(_ address: UInt64, _ width: UInt8, _ value: UInt64) -> Event {
            .load(address: address, width: width, value: value)
        }
        let read: [Event] = [
            .take(queue: 0, room: 256, segments: 1024, requestsNotification: false), load(0x137482, 2, 0x88),
            load(0x137554, 2, 0x68), load(0x136b00, 8, 0x138f40), load(0x136b08, 8, 0x4_0000_0030),
            load(0x138f40, 8, 0x139c40), load(0x138f48, 8, 0x1_0001_0000_0010), load(0x138f50, 8, 0x100_8000),
            load(0x138f58, 8, 0x2_0003_0000_1000), load(0x138f60, 8, 0x139c50), load(0x138f68, 8, 0x2_0000_0001),
            load(0x137480, 2, 0), .available(queue: 0, id: 104, readable: 16, writable: 4097), load(0x139c40, 8, 0),
            load(0x139c48, 8, 0xdac8),
            .request(token, RequestSummary(.read, place: 0x1b5_9000, count: 4096)), load(0x137482, 2, 0x88),
        ]
        // The ring is looked at a few times more while the backend works.
        let polls = repeatElement(load(0x137482, 2, 0x88), count: 6)
        return read + polls + [
            .finish(token, .ok(written: 4096)), .used(queue: 0, id: 104, length: 4097), load(0x137680, 2, 0x68),
            .interrupt(1),
        ]
    }
}
