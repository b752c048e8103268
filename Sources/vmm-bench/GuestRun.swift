// One run of the guest's benchmark mode under a monitor, timed by the lines around its timed part (guest/bench).

/// What a run showed.
struct GuestRun {
    /// Between the two lines, by the host's clock.
    let seconds: Double
    /// The same by the guest's time stamp counter.
    var ticks: Int { facts["ticks"] ?? 0 }
    /// What the guest says it did.
    let count: Int
    /// What else it tells.
    let facts: [String: Int]
    /// Bytes between the two lines.
    let bytes: Int
    /// What the monitor left on standard error.
    let errors: String

    /// Runs `command`, whose guest does the benchmark `name`, and which may end with one of `codes`.
    init(_ name: String, _ command: [String], codes: [Int32]) throws(BenchError) {
        var child = try Child(command)
        var output = Output()
        _ = try output.find("bench \(name) begin\n", from: child)
        let start = ContinuousClock.now
        let before = output.passed
        _ = try output.find("bench \(name) end ", from: child)
        seconds = (ContinuousClock.now - start).seconds
        bytes = output.passed - before - "bench \(name) end ".utf8.count
        (count, facts) = try Self.parse(try output.find("\n", from: child))
        try child.finish(codes)
        errors = String(file: Child.errors)
    }

    /// A run whose `output` is a file's now: there are no seconds by the host's clock.
    init(_ name: String, output: String) throws(BenchError) {
        let (begin, end) = ("bench \(name) begin\n", "bench \(name) end ")
        let bytes = Array(output.utf8)
        guard output.hasPrefix(begin), let last = bytes.dropLast().lastIndex(of: UInt8(ascii: "\n")),
            let place = (last + 1..<bytes.count).first(where: { bytes[$0...].starts(with: end.utf8) })
        else { throw BenchError("the guest's two lines are not both in its output") }
        let line = String(decoding: bytes[(place + end.utf8.count)...].dropLast(), as: UTF8.self)
        (count, facts) = try Self.parse(line)
        (seconds, errors, self.bytes) = (.nan, "", place - begin.utf8.count)
    }

    /// What stands behind `end`: a count, then words and numbers.
    private static func parse(_ line: String) throws(BenchError) -> (Int, [String: Int]) {
        let words = line.split(separator: " ").map(String.init)
        var facts: [String: Int] = [:]
        for index in stride(from: 1, to: words.count - 1, by: 2) { facts[words[index]] = Int(words[index + 1]) }
        guard let count = words.first.flatMap({ Int($0) }), facts["ticks"] != nil else {
            throw BenchError("the guest's last line makes no sense: \(line)")
        }
        return (count, facts)
    }
}

/// Output read so far, of which only what nobody looked at is kept.
private struct Output {
    private var pending: [UInt8] = []
    private var buffer = [UInt8](repeating: 0, count: 1 << 18)
    /// Bytes up to and with what was found last.
    private(set) var passed = 0

    /// Reads until `text` has come; gives what came before it, or the end of that.
    mutating func find(_ text: String, from child: borrowing Child) throws(BenchError) -> String {
        let wanted = Array(text.utf8)
        while true {
            if let place = Self.place(of: wanted, in: pending) {
                let before = String(decoding: pending[..<place].suffix(256), as: UTF8.self)
                pending.removeFirst(place + wanted.count)
                passed += place + wanted.count
                return before
            }
            let useless = max(0, pending.count - 256)
            pending.removeFirst(useless)
            passed += useless
            let count = try child.read(into: &buffer)
            if count == 0 {
                let last = String(decoding: pending, as: UTF8.self).split(separator: "\n").last ?? "(no output)"
                throw BenchError("the guest ended early: \(last); \(child.complaint)")
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
