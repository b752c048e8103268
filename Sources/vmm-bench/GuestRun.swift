// One run of the guest's benchmark mode under a monitor, timed by the lines that the guest prints around its timed part
// (guest/bench).

/// The results of a run.
struct GuestRun {
    /// The time between the two lines, by the host's clock.
    let seconds: Double
    /// The same time in ticks of the guest's time stamp counter.
    var ticks: Int { facts["ticks"] ?? 0 }
    /// The processor time of all threads of the monitor in this time, in seconds; nil if it was not measured.
    private(set) var processorSeconds: Double?
    /// The number of operations that the guest reports.
    let count: Int
    /// The other numbers that it reports, by name.
    let facts: [String: Int]
    /// Bytes of output between the two lines.
    let bytes: Int
    /// The monitor's standard error.
    let errors: String

    /// Runs `command`, whose guest runs the benchmark `name`. Its exit code has to be one of `codes`.
    init(_ name: String, _ command: [String], codes: [Int32]) throws(BenchError) {
        var child = try Child(command)
        var output = Output()
        _ = try output.find("bench \(name) begin\n", from: child)
        let start = ContinuousClock.now
        let processorStart = child.processorSeconds
        let before = output.passed
        _ = try output.find("bench \(name) end ", from: child)
        seconds = (ContinuousClock.now - start).seconds
        if let processorStart, let end = child.processorSeconds { processorSeconds = end - processorStart }
        bytes = output.passed - before - "bench \(name) end ".utf8.count
        (count, facts) = try Self.parse(try output.find("\n", from: child))
        try child.finish(codes)
        errors = String(file: Child.errors)
    }

    /// `value`, and the processor time of an operation.
    func sample(_ value: Double) -> Sample {
        Sample(value: value, processorMicroseconds: processorSeconds.map { $0 / Double(max(count, 1)) * 1e6 })
    }

    /// Reads the results from the finished output of a run. `seconds` is not a number then.
    init(_ name: String, output: String) throws(BenchError) {
        let (begin, end) = ("bench \(name) begin\n", "bench \(name) end ")
        let bytes = Array(output.utf8)
        guard output.hasPrefix(begin), let last = bytes.dropLast().lastIndex(of: UInt8(ascii: "\n")),
            let endStart = (last + 1..<bytes.count).first(where: { bytes[$0...].starts(with: end.utf8) })
        else { throw BenchError("the guest's output lacks its begin or end line") }
        let line = String(decoding: bytes[(endStart + end.utf8.count)...].dropLast(), as: UTF8.self)
        (count, facts) = try Self.parse(line)
        (seconds, errors, self.bytes) = (.nan, "", endStart - begin.utf8.count)
    }

    /// Parses the rest of the end line: a count, then pairs of a name and a number.
    private static func parse(_ line: String) throws(BenchError) -> (Int, [String: Int]) {
        let words = line.split(separator: " ").map(String.init)
        var facts: [String: Int] = [:]
        for index in stride(from: 1, to: words.count - 1, by: 2) { facts[words[index]] = Int(words[index + 1]) }
        guard let count = words.first.flatMap({ Int($0) }), facts["ticks"] != nil else {
            throw BenchError("the guest's end line cannot be parsed: \(line)")
        }
        return (count, facts)
    }
}

/// A search in a child's output, which keeps only the bytes that were not searched yet.
private struct Output {
    private var pending: [UInt8] = []
    private var buffer = [UInt8](repeating: 0, count: 1 << 18)
    /// The number of bytes up to the end of the last match.
    private(set) var passed = 0

    /// Reads until `text` is found. Returns the output before it, at most the last 256 bytes.
    mutating func find(_ text: String, from child: borrowing Child) throws(BenchError) -> String {
        let wanted = Array(text.utf8)
        while true {
            if let place = Self.place(of: wanted, in: pending) {
                let before = String(decoding: pending[..<place].suffix(256), as: UTF8.self)
                pending.removeFirst(place + wanted.count)
                passed += place + wanted.count
                return before
            }
            let searched = max(0, pending.count - 256)
            pending.removeFirst(searched)
            passed += searched
            let count = try child.read(into: &buffer)
            if count == 0 {
                let last = String(decoding: pending, as: UTF8.self).split(separator: "\n").last ?? "(no output)"
                throw BenchError("the guest ended early: \(last); \(child.lastErrorLine)")
            }
            pending += buffer[..<count]
        }
    }

    private static func place(of wanted: [UInt8], in bytes: [UInt8]) -> Int? {
        guard bytes.count >= wanted.count else { return nil }
        return (0...bytes.count - wanted.count).first { start in
            bytes[start] == wanted[0] && wanted.indices.allSatisfy { bytes[start + $0] == wanted[$0] }
        }
    }
}
