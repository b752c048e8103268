// vmm check and vmm trace-view on files that no vmm wrote: they say so, and neither trap nor take memory for what a file only claims.

import Glibc
import Testing
import Virtio
import VirtioABI

@testable import Machine

@Suite struct HostileTraceTests {
    /// Numbers that a member may be replaced with, whatever it was.
    private static let numbers = [
        "0", "1", "7", "31", "32", "40", "255", "4096", "65535", "65536", "4294967295", "4294967296",
        "9223372036854775807",
        "18446744073709551615", "-1", "-9223372036854775808", "1.5", "null", "[]", "{}", "\"\"", "true",
    ]
    private static let words = [
        "0x0", "0x1", "0xff", "0xffff", "0x10000", "0xffffffff", "0x7fffffffffffffff", "0xffffffffffffffff", "0x", "1",
        "0x-1",
    ]

    /// A generator of the same choices in each run.
    private struct Choices {
        var state: UInt64 = 1
        mutating func next(below bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
    }

    /// `line` with the value of one of its members replaced.
    private func altered(_ line: String, _ choices: inout Choices) -> String {
        let members = line.dropFirst().dropLast(2).split(separator: ",", omittingEmptySubsequences: false)
        var parts = members.map { String($0) }
        let index = choices.next(below: parts.count)
        guard let colon = parts[index].firstIndex(of: ":") else { return line }
        let (name, old) = (parts[index][...colon], parts[index][colon...].dropFirst())
        let value =
            old.hasPrefix("\"0x")
            ? "\"" + Self.words[choices.next(below: Self.words.count)] + "\""
            : Self.numbers[choices.next(below: Self.numbers.count)]
        parts[index] = name + value
        return "{" + parts.joined(separator: ",") + "}\n"
    }

    @Test("Any value in any line", arguments: TraceSample.allCases)
    func values(sample: TraceSample) throws {
        let lines = try sample.lines
        let file = try TraceFile()
        let view = try TraceFile()
        var choices = Choices()
        for _ in 0..<(Int(environment("VMM_ROUNDS") ?? "") ?? 40) {
            var text = lines
            for _ in 0...choices.next(below: 3) {
                let index = choices.next(below: text.count)
                text[index] = altered(text[index], &choices)
            }
            try file.write(text.joined())
            do throws(MachineError) {
                _ = try TraceCheck(path: file.path)
                _ = try TraceView.write(file.path, to: view.path)
            } catch {
                #expect(error.description.contains(file.path) || error.description.contains("memory"), "\(error)")
            }
        }
    }

    private func environment(_ name: String) -> String? { unsafe getenv(name).map { unsafe String(cString: $0) } }

    /// A trace of a disk whose device line has `members` in place of its own.
    private func trace(_ members: String, memory: String = "0x800000", events: String = "") -> String {
        let head = "{\"trace\":2,\"memory\":\"\(memory)\",\"n\":1}\n"
        return head
            + "{\"n\":2,\"device\":\"blk0\",\"offered\":\"0x100000000\",\"conform\":\"report\",\"configuration\":\"0x8\","
            + members
            + "}\n" + events
    }

    @Test(
        "A device that cannot be is refused",
        arguments: [
            "\"type\":2,\"queues\":0,\"queueSize\":8", "\"type\":2,\"queues\":33,\"queueSize\":8",
            "\"type\":2,\"queues\":4294967295,\"queueSize\":8", "\"type\":2,\"queues\":1,\"queueSize\":0",
            "\"type\":2,\"queues\":1,\"queueSize\":9", "\"type\":77,\"queues\":1,\"queueSize\":8",
            "\"type\":3,\"queues\":2,\"queueSize\":8,\"ports\":["
                + repeatElement("\"0x61\"", count: 40).joined(separator: ",")
                + "]", "\"type\":3,\"queues\":2,\"queueSize\":8,\"ports\":[\"x\"]",
        ])
    func device(members: String) throws {
        let file = try TraceFile(trace(members))
        #expect(throws: MachineError.self) { try file.check() }
    }

    @Test(
        "Memory that cannot be is refused", arguments: ["0x0", "0x1001", "0x10000000000000", "0xffffffffffffffff", "8"])
    func memory(size: String) throws {
        let file = try TraceFile(trace("\"type\":2,\"queues\":1,\"queueSize\":8", memory: size))
        #expect(throws: MachineError.self) { try file.check() }
    }

    @Test("More devices than a machine has are refused")
    func manyDevices() throws {
        let device = trace("\"type\":2,\"queues\":1,\"queueSize\":8").split(separator: "\n")
        var text = "\(device[0])\n"
        for number in 2..<1000 { text += device[1].replacing("\"n\":2", with: "\"n\":\(number)") + "\n" }
        let file = try TraceFile(text)
        #expect(throws: MachineError.self) { try file.check() }
    }

    @Test("Input for a port that is not there changes nothing")
    func missingPort() throws {
        var events = ""
        for (index, event) in [
            "\"input\",\"count\":1,\"value\":\"0x61\"", "\"receive\"", "\"open\",\"isOpen\":true",
        ].enumerated() {
            events += "{\"n\":\(index + 3),\"t\":0,\"dev\":0,\"port\":40,\"ev\":\(event)}\n"
        }
        let file = try TraceFile(
            trace(
                "\"type\":3,\"queues\":2,\"queueSize\":8,\"ports\":[\"0x61\"]",
                events: events + "{\"n\":6,\"ev\":\"end\"}\n"))
        #expect(try file.check().unknown == [])
    }

    @Test("The room that a take claims is not allocated")
    func hugeTake() throws {
        let take =
            "{\"n\":3,\"t\":0,\"dev\":0,\"ev\":\"take\",\"queue\":0,\"room\":65535,\"segments\":4294967295,\"asksForKick\":true}\n"
        let file = try TraceFile(
            trace("\"type\":2,\"queues\":1,\"queueSize\":8", events: take + "{\"n\":4,\"ev\":\"end\"}\n"))
        #expect(try file.check().unknown == [])
    }

    @Test("A call of more events than a device records, and a line without an end, are given up")
    func endless() throws {
        let device = trace("\"type\":2,\"queues\":1,\"queueSize\":8")
        var text = device + "{\"n\":3,\"t\":0,\"dev\":0,\"ev\":\"ready\"}\n"
        for number in 4...(Event.mostInCall + 10) {
            text +=
                "{\"n\":\(number),\"t\":0,\"dev\":0,\"ev\":\"load\",\"address\":\"0x0\",\"width\":2,\"value\":\"0x0\"}\n"
        }
        let file = try TraceFile(text)
        #expect(try file.check().unknown.first?.contains("more events than") == true)
        try file.write(device + String(repeating: " ", count: LineFile.mostBytes + 1))
        #expect(try file.check().unknown.first?.contains("longer than any line") == true)
        // Nothing ends this line, or the file.
        #expect(throws: MachineError.self) { try TraceCheck(path: "/dev/zero") }
        #expect(throws: MachineError.self) { try TraceCheck(path: "/") }
    }

    @Test("A clause that is not checked here, and lines that end as in DOS, are read")
    func otherWriters() throws {
        let lines = try TraceSample.draftDisk.lines
        let file = try TraceFile(lines.joined())
        let whole = try file.check()
        try file.write(lines.map { $0.replacing("\"clause\":\"", with: "\"clause\":\"9.9-") }.joined())
        let renamed = try file.check()
        #expect(renamed.unknown == [] && renamed.json == whole.json)
        try file.write(lines.joined().replacing("\n", with: "\r\n"))
        #expect(try file.check().json == whole.json)
    }
}
