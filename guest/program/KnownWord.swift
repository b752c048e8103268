// The words of the command line, and their validation: a word that is misspelt must not pass as a test of something.

/// A word of the command line: its key, and the kind of value that follows.
struct KnownWord: Sendable {
    enum Value { case number, queueSize, checks, features, benchmark, text }

    let key: StaticString
    let value: Value

    init(_ key: StaticString, _ value: Value) {
        self.key = key
        self.value = value
    }

    static let all: [_ of KnownWord] = [
        // SIZE@ADDRESS:GSI: a device window; repeated, in any order.
        KnownWord("virtio_mmio.device=", .text),
        // NAME[,NAME]: runs these checks only.
        KnownWord("only=", .checks),
        // The host sends this text to the console.
        KnownWord("input=", .text),
        // NAME[+NAME]: accepts these ring features only (RingForm.swift); `none` accepts none.
        KnownWord("features=", .features),
        // Entries of the queues, at most what the device allows.
        KnownWord("queue-size=", .queueSize),
        // Rounds of suspend-cycles; default 200.
        KnownWord("cycles=", .number),
        // The writable disk under test is blkN; default: the first writable disk.
        KnownWord("disk=", .number),
        // A benchmark in place of checks (bench/Benchmark.swift).
        KnownWord("bench=", .benchmark),

        // A load check in place of the others.
        // N requests of all kinds, many in flight, suspends between and during them (StressCheck.swift).
        KnownWord("stress=", .number),
        // N numbered records, each reported on the console once it is flushed (RecordsCheck.swift).
        KnownWord("records=", .number),
        // N suspends of an idle disk, N / 4 of a loaded one, one of a stuck one (LatencyCheck.swift).
        KnownWord("latency=", .number),
        // N register accesses of one disk, by all processors at once and without a lock (ConcurrencyCheck.swift).
        KnownWord("concurrency=", .number),
        // All devices suspended during N reads of each Status (LatencyCheck.swift).
        KnownWord("quiet=", .number),

        // The network device's checks, with the host at IPv4 address N as the peer (NetworkChecks.swift).
        KnownWord("peer=", .number),

        // Options of the load checks.
        // Seed of the random numbers and of the data; default 1.
        KnownWord("seed=", .number),
        // Number of processors, 2 to 8; default 2.
        KnownWord("processors=", .number),
        // Number of request queues, at most 4 and what the device has; default 1.
        KnownWord("queues=", .number),
        // Maximum number of requests in flight per queue.
        KnownWord("depth=", .number),
        // One suspend per N requests on average; 0 for none, default 40.
        KnownWord("suspend-every=", .number),
        // Maximum number of requests that may fail with an I/O error; default 0.
        KnownWord("errors=", .number),
    ]
}

/// The part of a command line that is not understood.
struct CommandLineError {
    var key: StaticString = ""
    let value: Text
    let reason: StaticString
}

extension KernelCommandLine {
    /// The first error; nil if the guest understands the whole command line.
    var error: CommandLineError? {
        var rest = text
        while rest.count > 0 {
            let word = rest.removeFirst(before: UInt8(ascii: " "))
            if word.count > 0, let error = error(in: word) { return error }
        }
        return nil
    }

    private func error(in word: Text) -> CommandLineError? {
        for index in KnownWord.all.indices {
            var value = word
            if value.removePrefix(KnownWord.all[index].key) { return error(in: value, of: KnownWord.all[index]) }
        }
        return CommandLineError(value: word, reason: "is not understood")
    }

    private func error(in value: Text, of word: KnownWord) -> CommandLineError? {
        switch word.value {
        case .text: return nil
        case .number:
            return value.number == nil ? CommandLineError(key: word.key, value: value, reason: "is not a number") : nil
        case .queueSize:
            if let number = value.number, form().form.queueSize(number) != nil { return nil }
            return CommandLineError(
                key: word.key, value: value,
                reason: "is not a queue size: 1 to 32768, without features=packed a power of two")
        case .checks:
            let load = LoadOptions(self)
            return firstItem(of: value, UInt8(ascii: ",")) { name in
                var isKnown = false
                forEachCheck(load) { isKnown = isKnown || name.equals(Text($0.name)) }
                return isKnown
            }.map { CommandLineError(key: word.key, value: $0, reason: "selects no check of this run") }
        case .features:
            return firstItem(of: value, UInt8(ascii: "+")) { RingFeature.named($0) != nil }
                .map { CommandLineError(key: word.key, value: $0, reason: "is not a ring feature") }
        case .benchmark:
            return Benchmark(self)?.unknownOption
                .map { CommandLineError(value: $0, reason: "is not an option of a benchmark") }
        }
    }

    /// The first item of a list that is not known. An empty list has one item, which is empty.
    private func firstItem(of list: Text, _ separator: UInt8, isKnown: (Text) -> Bool) -> Text? {
        var list = list
        repeat {
            let item = list.removeFirst(before: separator)
            if !isKnown(item) { return item }
        } while list.count > 0
        return nil
    }
}
