// Message framing (VIRTIO 1.4, 2.7.4.1): the device makes no assumption about the arrangement of descriptors. The same
// request, split anywhere, gives the same result (trap 9). Unsplit, header and data share a descriptor, and so do data
// and status byte.

import Testing
import Virtio
import VirtioABI

/// A request, and the observable result.
struct FramedRequest: CustomTestStringConvertible, Sendable {
    struct Result: Equatable {
        let answer: [UInt8]
        let used: [UInt32]
        let disk: [UInt8]
        let log: [MemoryDisk.Entry]
    }

    let testDescription: String
    let kind: UInt32
    var sector: UInt64 = 3
    var data: [UInt8] = []
    var room = 0

    /// Length of the request in bytes, including header and status byte.
    var count: Int { 16 + data.count + room + 1 }

    /// Runs the request on a new device, split at `cuts`.
    func run(cuts: [Int]) -> Result {
        run(cuts: cuts, on: FramedRequest.driver(Form(), queueSize: cuts.count < 16 ? 16 : 1024))
    }

    /// Runs the request on the disk of `driver`.
    func run(cuts: [Int], on driver: BlockDriver) -> Result {
        let chain = driver.submit(kind, sector: sector, data: data, room: room, cuts: cuts)
        defer { driver.disk.forget() }
        return Result(
            answer: driver.answer(chain), used: driver.takeUsed(0).map(\.length), disk: driver.disk.bytes,
            log: driver.disk.log)
    }

    static func driver(_ form: Form, queueSize: UInt16) -> BlockDriver {
        let driver = BlockDriver(sectors: 8, queueSize: 1024, form: form, memory: FakeMemory(low: 1 << 16))
        driver.backend.completesAtOnce = true
        driver.bringUp(queueSize: queueSize)
        return driver
    }

    static let pattern: [UInt8] = (0..<512).map { UInt8(truncatingIfNeeded: $0 &* 5 &+ 1) }

    /// All combinations of `count` positions to split at.
    func cuts(_ count: Int, from first: Int = 1) -> [[Int]] {
        if count == 0 { return [[]] }
        return (first..<self.count).flatMap { cut in cuts(count - 1, from: cut + 1).map { [cut] + $0 } }
    }

    static let all: [FramedRequest] = [
        FramedRequest(testDescription: "IN", kind: BlockRequest.Kind.read, room: 512),
        FramedRequest(testDescription: "OUT", kind: BlockRequest.Kind.write, data: pattern),
        FramedRequest(testDescription: "FLUSH", kind: BlockRequest.Kind.flush),
        FramedRequest(testDescription: "GET_ID", kind: BlockRequest.Kind.getID, room: 20),
        FramedRequest(
            testDescription: "DISCARD", kind: BlockRequest.Kind.discard, data: UInt64(2).bytes + UInt64(3).bytes),
        FramedRequest(testDescription: "IN past the end", kind: BlockRequest.Kind.read, sector: 8, room: 512),
        FramedRequest(
            testDescription: "OUT of part of a sector", kind: BlockRequest.Kind.write,
            data: Array(pattern.prefix(100))),
        FramedRequest(testDescription: "an unknown type", kind: 77, data: [1, 2, 3], room: 3),
    ]
}

@Suite("Block framing")
struct BlockFramingTests {
    @Test("An unsplit request is served", arguments: FramedRequest.all)
    func whole(request: FramedRequest) {
        let result = request.run(cuts: [])
        #expect(result.used.count == 1 && result.answer.last != FakeMemory.pattern)
    }

    @Test("Split once, at every byte (trap 9)", arguments: FramedRequest.all)
    func once(request: FramedRequest) {
        let whole = request.run(cuts: [])
        for cut in 1..<request.count { #expect(request.run(cuts: [cut]) == whole, "cut at \(cut)") }
    }

    @Test("Split twice, around every boundary of the format", arguments: FramedRequest.all)
    func twice(request: FramedRequest) {
        let whole = request.run(cuts: [])
        let edges = [1, 4, 8, 15, 16, 17, 100, request.count - 2, request.count - 1].filter {
            $0 > 0 && $0 < request.count
        }
        for first in edges {
            for second in edges where second > first {
                #expect(request.run(cuts: [first, second]) == whole, "cuts at \(first) and \(second)")
            }
        }
    }

    @Test(
        "Split once at every byte, small requests at every two and three, in every virtqueue and chain format",
        arguments: FramedRequest.all, Form.layouts)
    func everywhere(request: FramedRequest, form: Form) {
        let whole = request.run(cuts: [])
        let driver = FramedRequest.driver(form, queueSize: 8)
        let mark = driver.nextFree
        // 37 bytes give 630 pairs, 17 bytes give 560 triples.
        let most = request.count > 40 ? 1 : request.count > 20 ? 2 : 3
        for count in 0...most {
            for cuts in request.cuts(count) {
                driver.nextFree = mark
                driver.memory.fill(FakeMemory.pattern, at: mark, count: 2048)
                let result = request.run(cuts: cuts, on: driver)
                // Compared first without #expect, which is slow.
                if result != whole { #expect(result == whole, "cuts at \(cuts)\n\(driver.state)") }
            }
        }
        #expect(driver.status.rawValue == 0x0f, driver.state)
    }

    @Test("Every byte in a descriptor of its own", arguments: FramedRequest.all)
    func bytes(request: FramedRequest) {
        #expect(request.run(cuts: Array(1..<request.count)) == request.run(cuts: []))
    }

    @Test("Split at random positions", arguments: FramedRequest.all)
    func random(request: FramedRequest) {
        let whole = request.run(cuts: [])
        var noise = SplitMix64(seed: UInt64(request.kind))
        for _ in 0..<100 {
            let cuts = (0..<Int.random(in: 1..<14, using: &noise)).map { _ in
                Int.random(in: 1..<request.count, using: &noise)
            }
            #expect(request.run(cuts: cuts) == whole, "cuts at \(cuts)")
        }
    }
}
