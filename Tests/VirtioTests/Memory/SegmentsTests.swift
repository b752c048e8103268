// Chains as byte sequences: removing headers from the front and status bytes from the end, with any buffer boundaries.

import Testing

@testable import Virtio

@Suite("Segments")
struct SegmentsTests {
    /// Lengths of buffers that add up to ten bytes: one, two and three buffers, and ten of one byte.
    static let splits: [[Int]] =
        [[10], Array(repeating: 1, count: 10)] + (1..<10).map { [$0, 10 - $0] }
        + (1..<9).flatMap { first in (1..<(10 - first)).map { [first, $0, 10 - first - $0] } }

    /// Calls `body` with segments of the given lengths over the bytes 0 to 9 at address 0. Keeps the memory alive for
    /// the call.
    func withSegments(_ lengths: [Int], _ body: (inout Segments, FakeMemory) throws -> Void) throws {
        let memory = FakeMemory(low: 4096, high: 16)
        memory.store(Array(0..<10), at: 0)
        var storage = SegmentStorage(capacity: 16)
        var address: UInt64 = 0
        var cursor = storage.cursor
        for length in lengths {
            cursor.append(try #require(memory.guest.resolve(address, UInt64(length))))
            address += UInt64(length)
        }
        var segments = cursor.segments(since: storage.cursor, byteCount: Int(address))
        storage.keep(upTo: cursor)
        try body(&segments, memory)
        #expect(storage.free == 16 - lengths.count)
    }

    @Test("The first word, across any buffers", arguments: splits)
    func removeFirst(lengths: [Int]) throws {
        try withSegments(lengths) { segments, _ in
            let tooMany: InlineArray<2, UInt64>? = segments.removeFirst(TraceRecorder())
            #expect(tooMany == nil && segments.byteCount == 10)
            let first: InlineArray<1, UInt64>? = segments.removeFirst(TraceRecorder())
            let word = try #require(first)
            #expect(word[0] == 0x0706_0504_0302_0100)
            #expect(segments.byteCount == 2)
            var rest: [UInt8] = []
            segments.forEach { part in rest += (0..<part.count).map { part.loadByte(at: $0) } }
            #expect(rest == [8, 9] && 1...2 ~= segments.count)
        }
    }

    @Test("The last byte, again and again", arguments: splits)
    func removeLast(lengths: [Int]) throws {
        try withSegments(lengths) { segments, _ in
            for byte in UInt8(0)..<10 {
                let removed = segments.removeLast()
                let last = try #require(removed)
                #expect(last.count == 1 && last.loadByte(at: 0) == 9 - byte)
                #expect(segments.byteCount == 9 - Int(byte))
            }
            let none = segments.removeLast()
            #expect(none == nil && segments.count == 0)
        }
    }

    @Test("Writing to the front until there is no room", arguments: splits)
    func write(lengths: [Int]) throws {
        try withSegments(lengths) { segments, memory in
            let written = (UInt8(100)..<111).map { segments.write($0) }
            #expect(written == Array(repeating: true, count: 10) + [false])
            #expect(memory.bytes(at: 0, count: 11) == Array(100..<110) + [FakeMemory.pattern])
        }
    }

    @Test("Copies to and from the host's memory, as much as there is and fits", arguments: splits)
    func copy(lengths: [Int]) throws {
        try withSegments(lengths) { segments, memory in
            for room in [0, 1, 9, 10, 12] {
                var target = [UInt8](repeating: 77, count: 2 + room)
                var span = target.mutableSpan
                let copied = segments.copy(to: &span, at: 2)
                #expect(copied == min(room, 10))
                #expect(target == [77, 77] + (0..<room).map { $0 < 10 ? UInt8($0) : 77 })
            }
            let source = Array(UInt8(100)..<112)
            #expect(segments.copy(from: source.span, at: 9) == 3)
            #expect(memory.bytes(at: 0, count: 10) == [109, 110, 111, 3, 4, 5, 6, 7, 8, 9])
            #expect(segments.copy(from: source.span) == 10)
            #expect(memory.bytes(at: 0, count: 11) == Array(100..<110) + [FakeMemory.pattern])
            #expect(segments.copy(from: source.span, at: 12) == 0)
        }
    }

    @Test("The readable and the writable half lie side by side")
    func halves() throws {
        let memory = FakeMemory(low: 4096, high: 16)
        var storage = SegmentStorage(capacity: 8)
        var cursors = [storage.cursor]
        for address in UInt64(0)..<5 {
            var cursor = cursors[Int(address)]
            cursor.append(try #require(memory.guest.resolve(address, 1)))
            cursors.append(cursor)
        }
        storage.keep(upTo: cursors[5])
        memory.store([0, 1, 2, 3, 4], at: 0)
        let readable = cursors[3].segments(since: cursors[1], byteCount: 2)
        let writable = cursors[5].segments(since: cursors[3], byteCount: 2)
        var bytes: [UInt8] = []
        readable.forEach { bytes.append($0.loadByte(at: 0)) }
        writable.forEach { bytes.append($0.loadByte(at: 0)) }
        #expect(bytes == [1, 2, 3, 4])
        storage.truncate(to: 1)
        #expect(storage.free == 7)
    }
}
