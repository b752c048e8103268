// One run of the guest's benchmark mode under a monitor, timed by the lines around its timed part (guest/bench).

/// What a run showed.
struct GuestRun {
    /// Between the two lines, by the host's clock.
    let seconds: Double
    /// The same by the guest's time stamp counter.
    let ticks: Int
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
        let begin = try output.find("bench \(name) begin\n", from: child)
        let start = ContinuousClock.now
        _ = begin
        let before = output.passed
        _ = try output.find("bench \(name) end ", from: child)
        seconds = (ContinuousClock.now - start).seconds
        bytes = output.passed - before - "bench \(name) end ".utf8.count
        let words = try output.find("\n", from: child).split(separator: " ").map(String.init)
        var facts: [String: Int] = [:]
        for index in stride(from: 1, to: words.count - 1, by: 2) { facts[words[index]] = Int(words[index + 1]) }
        guard let count = words.first.flatMap({ Int($0) }), let ticks = facts["ticks"] else {
            throw BenchError("\(command[0]): the guest's last line makes no sense")
        }
        (self.count, self.ticks, self.facts) = (count, ticks, facts)
        try child.finish(codes)
        errors = String(file: Child.errors)
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
