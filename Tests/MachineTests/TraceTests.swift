// What vmm check says of damaged traces: never that a clause was broken, or put to the test, that the whole trace does not say; and
// always that the rest is unknown.

import Testing
import Virtio
import VirtioABI

@testable import Machine

/// What a trace says of drivers: how often each clause was broken, and which were put to the test.
private struct Findings: Equatable {
    var broken: [String: UInt64] = [:]
    var covered: Set<String> = []

    init(_ reports: [ConformanceReport]) {
        for report in reports {
            for violation in report.violations {
                broken["\(report.device) \(violation.check.clause.id)"] = violation.count
            }
            covered.formUnion(report.covered.map { "\(report.device) \($0.clause.id)" })
        }
    }

    /// `whole` says all of this too.
    func isPart(of whole: Findings) -> Bool {
        broken.allSatisfy { $0.value <= whole.broken[$0.key] ?? 0 } && covered.isSubset(of: whole.covered)
    }
}

/// The same trace as a version without numbers would have written it: a violation stands before the read that it is of.
private func asVersion1(_ lines: [String]) -> [String] {
    var old: [String] = []
    for line in lines where !line.contains("\"ev\":\"end\"") && !line.contains("\"ev\":\"ended\"") {
        let start = line.firstRange(of: "\"n\":")?.lowerBound ?? line.startIndex
        let rest = line[start...].drop { $0 != "," && $0 != "}" }
        let head = line[..<start].replacing("\"trace\":2", with: "\"trace\":1")
        let text = head.hasSuffix(",") || head.isEmpty ? head + rest : head + rest.dropFirst()
        if line.contains("violation"), let call = old.last, call.contains("\"ev\":\"read\"") {
            old.insert("\(text)", at: old.count - 1)
        } else {
            old.append("\(text)")
        }
    }
    return old
}

@Suite struct TraceTests {
    @Test("A whole trace says what the run said", arguments: TraceSample.allCases)
    func whole(sample: TraceSample) throws {
        let lines = try sample.lines
        let check = try TraceFile(lines.joined()).check()
        #expect(check.unknown == [] && check.caveat == nil)
        let found = Findings(check.conformance)
        #expect(found.broken.count >= 2, "\(found)")
        // What the run said is in the trace.
        let recorded = lines.filter { $0.contains("\"ev\":\"violation\"") }
        #expect(found.broken.values.reduce(0, +) == UInt64(recorded.count))
        let old = try TraceFile(asVersion1(lines).joined()).check()
        #expect(Findings(old.conformance) == found && old.unknown == [] && old.caveat != nil)
    }

    @Test(
        "A trace that is cut accuses of nothing that the whole does not have",
        arguments: [TraceSample.draftDisk, .ratifiedDisk, .console], [1, 2])
    func cut(sample: TraceSample, version: Int) throws {
        let lines = version == 1 ? asVersion1(try sample.lines) : try sample.lines
        let bytes = Array(lines.joined().utf8)
        let file = try TraceFile(lines.joined())
        let whole = Findings(try file.check().conformance)
        var cuts = [Int](lines.indices.dropLast()).map { lines[...$0].joined().utf8.count }
        var state: UInt64 = 1
        for _ in 0..<(version == 2 ? 70 : 0) {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            cuts.append(lines[0].utf8.count + Int(state >> 33) % (bytes.count - lines[0].utf8.count))
        }
        for cut in cuts {
            try file.write(bytes[..<cut])
            let check = try file.check()
            #expect(Findings(check.conformance).isPart(of: whole), "cut after \(cut) bytes")
            // One of version 1 that is cut between two lines cannot be known from one that ends there.
            let line = bytes[..<cut].count { $0 == UInt8(ascii: "\n") }
            let isSeen = version == 2 || bytes[cut - 1] != UInt8(ascii: "\n")
            #expect(!isSeen || check.unknown.last?.contains("what follows line \(line) is unknown") == true, "\(cut)")
        }
    }

    @Test(
        "A trace that lacks a line says which, and nothing of what follows it",
        arguments: [TraceSample.draftDisk, .console])
    func gap(sample: TraceSample) throws {
        let lines = try sample.lines
        let file = try TraceFile()
        try file.write(lines.joined())
        let whole = Findings(try file.check().conformance)
        for index in lines.indices {
            var rest = lines
            rest.remove(at: index)
            try file.write(rest.joined())
            guard index > 0 else {
                #expect(throws: MachineError.self) { try file.check() }
                continue
            }
            let check = try file.check()
            #expect(Findings(check.conformance).isPart(of: whole), "without line \(index + 1)")
            let isEnd = index == lines.count - 1
            let sentence = isEnd ? "no line that says it is the end" : "line \(index + 1) is missing"
            #expect(check.unknown.last?.contains(sentence) == true, "\(check.unknown)")
        }
    }

    @Test("A line that comes twice is not counted twice")
    func doubled() throws {
        var lines = try TraceSample.draftDisk.lines
        let violation = try #require(lines.firstIndex { $0.contains("\"ev\":\"violation\"") })
        lines.insert(lines[violation - 1], at: violation)
        let check = try TraceFile(lines.joined()).check()
        #expect(check.unknown.last?.contains("line \(violation + 1) has the number \(violation)") == true)
    }

    @Test("A call in which the model left the trace does not count")
    func divergence() throws {
        // The index of the available ring, as the device read it for the request after the one that broke the ring.
        let lines = try TraceSample.draftDisk.lines
        let file = try TraceFile(lines.joined())
        let whole = Findings(try file.check().conformance)
        for index in lines.indices where lines[index].contains("\"ev\":\"load\"") {
            var altered = lines
            altered[index] = altered[index].replacing("\"value\":\"0x", with: "\"value\":\"0xf")
            try file.write(altered.joined())
            let check = try file.check()
            if !check.unknown.isEmpty { #expect(Findings(check.conformance).isPart(of: whole), "\(altered[index])") }
        }
    }

    @Test("Events that found no room are counted in the trace, also at its end")
    func dropped() throws {
        let file = try TraceFile()
        let writer = try TraceWriter(path: file.path, time: MonotonicTime(), devices: 1)
        let disk = TracedDevice(
            name: "blk0", deviceID: DeviceID.block, offered: .version1, dialect: nil, freeze: .wide, conform: .report,
            configuration: 8, queues: 1, queueSize: 8, ports: [], writeZeroesMayUnmap: nil, blockSizes: nil)
        try writer.begin([disk], memory: 8 << 20)
        // A mistake of the driver's, and then more than the buffer holds.
        writer.add(device: 0) { $0(.read(offset: 0, width: 1, value: 0)) }
        writer.add(device: 0) { for _ in 0..<1 << 18 { $0(.backendReady) } }
        writer.close()
        let check = try file.check()
        #expect(check.unknown.count == 1 && check.unknown[0].contains("lacks 262144 events"), "\(check.unknown)")
        #expect(Findings(check.conformance).broken == ["blk0 4.2.2.2-4": 1])
    }

    @Test("write_zeroes_may_unmap is what the disk can do, in the trace too; one without it is of a disk that reads 1")
    func mayUnmap() throws {
        let image = try TraceFile(String(repeating: "x", count: 4096))
        for disks in [[], [Machine.Configuration.Disk(path: image.path)]] {
            let file = try TraceFile()
            let client = try QTestClient {
                $0.trace = file.path
                $0.disks = disks
            }
            let canDeallocate = !disks.isEmpty
            let field = client.address(QTestClient.disk, 0x100 + UInt32(BlockConfiguration.writeZeroesMayUnmap))
            #expect(client.number("readb \(field)") == (canDeallocate ? 1 : 0))
            client.closeTrace()
            #expect(try file.check().unknown == [])
            try file.write(file.text.replacing(#/"writeZeroesMayUnmap":(true|false),?/#, with: ""))
            #expect(try file.check().unknown.isEmpty == canDeallocate)
        }
    }

    @Test("Two devices' events may come in any order")
    func interleaved() throws {
        let lines = try TraceSample.draftDisk.lines
        // The disk's lines with a call of the console's after each.
        var mixed = Array(lines.prefix { $0.contains("\"device\"") || $0.contains("\"trace\"") })
        for line in lines.dropFirst(mixed.count) {
            mixed.append(line)
            if line.contains("\"dev\":1") { mixed.append("{\"n\":0,\"t\":0,\"dev\":0,\"ev\":\"kick\",\"queues\":0}\n") }
        }
        for index in mixed.indices {
            let start = try #require(mixed[index].firstRange(of: "\"n\":")?.upperBound)
            mixed[index].replaceSubrange(
                start..<(mixed[index][start...].firstIndex { !$0.isNumber } ?? start), with: "\(index + 1)")
        }
        let alone = try TraceFile(lines.joined()).check()
        let check = try TraceFile(mixed.joined()).check()
        #expect(check.unknown == [])
        let disk = { (findings: Findings) in findings.broken.filter { $0.key.hasPrefix("blk0") } }
        #expect(disk(Findings(check.conformance)) == disk(Findings(alone.conformance)))
    }
}
