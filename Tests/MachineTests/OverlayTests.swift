// Disks with an overlay: what is read, what the image keeps, what a kept overlay has in the next run, and what it refuses.

import Glibc
import Testing

@testable import Machine
@testable import Virtio

@Suite struct SectorMapTests {
    @Test("the map has the sectors that were inserted, and its runs end where that changes") func runs() throws {
        let sectors = 700
        var map = try SectorMap(bytes: UInt64(sectors * 512))
        var expected = [Bool](repeating: false, count: sectors)
        var random = SystemRandomNumberGenerator()
        func bytes(_ range: Range<Int>) -> Range<UInt64> {
            UInt64(range.lowerBound * 512)..<UInt64(range.upperBound * 512)
        }
        for _ in 0..<60 {
            let first = Int.random(in: 0..<sectors, using: &random)
            let end = Int.random(in: first..<min(sectors, first + 140), using: &random) + 1
            map.insert(bytes(first..<end))
            for sector in first..<end { expected[sector] = true }
            var start = Int.random(in: 0..<sectors, using: &random)
            let limit = Int.random(in: start..<sectors, using: &random) + 1
            while start < limit {
                let run = map.run(bytes(start..<limit))
                let next = expected[start..<limit].firstIndex { $0 != expected[start] } ?? limit
                try #require(run == (expected[start], UInt64(next * 512)), "sectors \(start)..<\(limit)")
                start = next
            }
        }
    }

    @Test("pages that changed are told of once, and restore the map") func pages() throws {
        let size: UInt64 = 40 << 20
        var map = try SectorMap(bytes: size)
        let copy = try SectorMap(bytes: size)
        #expect(map.size == 3 * SectorMap.page && map.takeChanged().isEmpty)
        // The last sector of page 0, the first of page 1, and the last of all.
        map.insert((16 << 20) - 512..<(16 << 20) + 512)
        map.insert(size - 512..<size)
        let pages = map.takeChanged()
        #expect(pages.map(\.number) == [0, 1, 2] && map.takeChanged().isEmpty)
        for (number, bytes) in pages { copy.restore(bytes, asPage: number) }
        #expect(copy.run(0..<size) == (false, (16 << 20) - 512))
        #expect(copy.run((16 << 20) - 512..<size) == (true, (16 << 20) + 512))
        #expect(copy.run(size - 512..<size) == (true, size))
    }
}

@Suite struct OverlayTests {
    private static let sectors = 96
    private let folder: String
    private var image: String { folder + "/image" }
    private var kept: String { folder + "/kept" }

    init() throws {
        var name = Array("/var/tmp/vmm-overlay-test-XXXXXX".utf8CString)
        try #require(unsafe mkdtemp(&name) != nil)
        folder = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        #expect(Self.write(Self.content, to: image))
    }

    private static let content = (0..<sectors * 512).map { UInt8(truncatingIfNeeded: $0 / 512 &* 37 &+ 1) }

    private static func write(_ bytes: [UInt8], to path: String) -> Bool {
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        defer { close(file) }
        return unsafe Glibc.write(file, bytes, bytes.count) == bytes.count
    }

    private func removing(_ body: () throws -> Void) throws {
        defer {
            for path in [image, kept] { unsafe unlink(path) }
            unsafe rmdir(folder)
        }
        try body()
    }

    private func disk(
        _ overlay: Machine.Configuration.Disk.Overlay?, direct: Bool = false, force: Bool = false
    ) throws(MachineError) -> FileDisk {
        try FileDisk(path: image, readOnly: overlay == nil, overlay: overlay, direct: direct, force: force)
    }

    /// All that the disk has.
    private func read(_ disk: FileDisk) -> [UInt8] {
        let buffer = SegmentedBuffer([512, Self.sectors * 512 - 512])
        #expect(buffer.perform(.read, on: disk) == .ok(written: UInt32(buffer.size)))
        return buffer.bytes
    }

    private func write(_ byte: UInt8, _ sectors: Range<Int>, on disk: FileDisk) {
        let buffer = SegmentedBuffer([sectors.count * 512])
        buffer.bytes = [UInt8](repeating: byte, count: buffer.size)
        #expect(buffer.perform(.write, at: UInt64(sectors.lowerBound * 512), on: disk) == .ok())
    }

    private func problem(_ overlay: Machine.Configuration.Disk.Overlay, force: Bool = false) -> MachineError
        .DiskProblem?
    {
        do throws(MachineError) {
            _ = try disk(overlay, force: force)
            return nil
        } catch {
            guard case .disk(_, let problem) = error else { return nil }
            return problem
        }
    }

    @Test(
        "reads see what was written, zeroed and discarded, whatever they span, and the image stays as it was",
        arguments: [false, true], [false, true])
    func random(direct: Bool, isKept: Bool) throws {
        try removing {
            var expected = Self.content
            for _ in 0..<(isKept ? 6 : 1) {
                let disk = try disk(isKept ? .kept(kept) : .discarded, direct: direct)
                for round in 0..<60 { try step(round, on: disk, &expected) }
                #expect(disk.flush() == .ok() && read(disk) == expected)
            }
            #expect(read(try disk(nil)) == Self.content)
        }
    }

    /// A random request, which changes `expected` as it does the disk.
    private func step(_ round: Int, on disk: FileDisk, _ expected: inout [UInt8]) throws {
        let first = Int.random(in: 0..<Self.sectors)
        let count = Int.random(in: 1...min(24, Self.sectors - first))
        let range = first * 512..<(first + count) * 512
        // Buffers that do not end where the overlay's runs do.
        let odd = Int.random(in: 1..<512)
        let buffer = SegmentedBuffer([odd, count * 512 - odd])
        let offset = UInt64(range.lowerBound)
        switch Int.random(in: 0..<8) {
        case 0..<3:
            buffer.bytes = (0..<buffer.size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ round) }
            #expect(buffer.perform(.write, at: offset, durable: round % 3 == 0, on: disk) == .ok())
            expected.replaceSubrange(range, with: buffer.bytes)
        case 3:
            let operations: [Block.Request.Operation] = [
                .discard, .writeZeroes(mayUnmap: false), .writeZeroes(mayUnmap: true),
            ]
            let none = SegmentedBuffer([])
            #expect(none.perform(operations[round % 3], at: offset, count: UInt64(range.count), on: disk) == .ok())
            // This file system deallocates, so a discarded range reads zero.
            expected.replaceSubrange(range, with: [UInt8](repeating: 0, count: range.count))
        default:
            let outcome = buffer.perform(.read, at: offset, on: disk)
            try #require(
                outcome == .ok(written: UInt32(buffer.size)) && buffer.bytes == Array(expected[range]), "\(range)")
        }
    }

    @Test("a discarded overlay leaves no file, and any number of them share an image") func shared() throws {
        try removing {
            let disks = [try disk(.discarded), try disk(.discarded), try disk(nil)]
            write(0xaa, 3..<5, on: disks[0])
            write(0xbb, 4..<6, on: disks[1])
            #expect(
                read(disks[0])[3 * 512..<7 * 512].map { $0 } == Array(repeating: 0xaa, count: 1024)
                    + Self.content[5 * 512..<7 * 512])
            #expect(read(disks[1])[4 * 512] == 0xbb && read(disks[2]) == Self.content)
            #expect(problem(.kept(image)) == .locked)
        }
    }

    @Test("what was not flushed before vmm was killed is the image's, and what was is the overlay's") func killed()
        throws
    {
        try removing {
            do {
                let disk = try disk(.kept(kept))
                write(1, 0..<2, on: disk)
                #expect(disk.flush() == .ok())
                write(2, 1..<3, on: disk)
            }
            let disk = try disk(.kept(kept))
            let bytes = read(disk)
            #expect(bytes[0] == 1 && bytes[512] == 2, "sector 1 was in the map already")
            #expect(bytes[1024] == Self.content[1024])
        }
    }

    @Test("files that are not this image's overlay are refused, and keep what they have") func refusals() throws {
        try removing {
            #expect(Self.write(Array("a letter".utf8), to: kept))
            #expect(problem(.kept(kept)) == .notAnOverlay && problem(.kept(kept), force: true) == .notAnOverlay)
            #expect(problem(.kept(folder)) == .directory)
            unsafe unlink(kept)
            do {
                let disk = try disk(.kept(kept))
                #expect(problem(.kept(kept)) == .locked, "two machines with one overlay")
                write(9, 0..<1, on: disk)
                #expect(disk.flush() == .ok())
            }
            #expect(
                unsafe truncate(kept, off_t(Self.sectors * 512)) == 0 && problem(.kept(kept)) == .notAnOverlay,
                "cut off")
            unsafe unlink(kept)
            do { _ = try disk(.kept(kept)) }
            // The same bytes at another time.
            #expect(Self.write(Self.content, to: image))
            #expect(problem(.kept(kept)) == .imageChanged(image: image) && problem(.kept(kept), force: true) == nil)
            #expect(Self.write(Self.content + Self.content, to: image))
            let another = MachineError.DiskProblem.overlayOfAnother(image: image, bytes: UInt64(Self.content.count))
            #expect(problem(.kept(kept)) == another && problem(.kept(kept), force: true) == another)
        }
    }

    @Test("requests beyond the image are refused, so that they reach neither map nor trailer") func beyond() throws {
        try removing {
            do {
                let disk = try disk(.kept(kept))
                let end = UInt64(Self.sectors * 512)
                let buffer = SegmentedBuffer([1024])
                for operation in [Block.Request.Operation.read, .write, .writeZeroes(mayUnmap: true), .discard] {
                    #expect(buffer.perform(operation, at: end - 512, on: disk) == .ioError)
                }
                #expect(disk.flush() == .ok() && read(disk) == Self.content)
            }
            #expect(read(try disk(.kept(kept))) == Self.content)
        }
    }

    @Test("a trailer says in text what image it is of") func trailer() throws {
        let identity = ImageIdentity(path: "/some/image", size: 4096, modified: "12.000000034")
        #expect(
            String(decoding: identity.trailer, as: UTF8.self)
                == "vmm overlay 1\nimage: /some/image\nsize: 4096\nmodified: 12.000000034\n")
        #expect(ImageIdentity(trailer: identity.trailer + [0, 0]) == identity)
        for line in 0..<4 {
            var lines = String(decoding: identity.trailer, as: UTF8.self).split(separator: "\n").map(String.init)
            lines[line] = "x" + lines[line]
            #expect(ImageIdentity(trailer: Array(lines.joined(separator: "\n").utf8)) == nil, "\(lines)")
        }
    }
}
