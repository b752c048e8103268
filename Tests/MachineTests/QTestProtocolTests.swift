// The qtest protocol without a device: numbers, bytes, lines, memory, ports, and invalid lines.

import Testing

@testable import Machine

/// The pseudo-random generator SplitMix64, so that every run has the same sequence.
private struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}

@Suite struct QTestProtocolTests {
    private let client: QTestClient

    init() throws { client = try QTestClient { $0.networks = [Machine.Configuration.NetworkDevice(.null)] } }

    @Test(
        "numbers have C's syntax",
        arguments: [
            ("0", 0), ("00", 0), ("10", 10), ("010", 8), ("0x10", 16), ("0XfF", 255), ("+7", 7), ("-1", UInt64.max),
            ("18446744073709551615", .max), ("0xffffffffffffffff", .max), ("01777777777777777777777", .max),
        ] as [(String, UInt64)])
    func numbers(text: String, value: UInt64) { #expect(Array(text.utf8)[...].number == value) }

    @Test(
        "other text is not a number",
        arguments: [
            "", "-", "+", "x", "0x", "0xg", "08", "1a", "--1", "0x-1", "1 ", "18446744073709551616",
            "0x10000000000000000", "02000000000000000000000", "٣",
        ])
    func noNumbers(text: String) { #expect(Array(text.utf8)[...].number == nil) }

    @Test("base64 and back, every length and byte")
    func base64() {
        for count in 0...257 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let text = bytes.base64
            #expect(text.utf8.count == (count + 2) / 3 * 4)
            #expect(Array(text.utf8)[...].base64Bytes == bytes)
        }
        #expect(Array("light wo".utf8).base64 == "bGlnaHQgd28=")
        for wrong in ["A", "AAA", "A===", "AA=A", "====", "AA AA", "AA-_"] {
            #expect(Array(wrong.utf8)[...].base64Bytes == nil, "\(wrong)")
        }
    }

    @Test("a value has the width of its verb, little-endian, wherever it lies in RAM")
    func scalars() {
        for (line, answer) in [
            ("writeq 0x1003 0x1122334455667788", "OK"), ("readq 0x1003", "OK 0x1122334455667788"),
            ("readl 0x1003", "OK 0x0000000055667788"), ("readw 0x1003", "OK 0x0000000000007788"),
            ("readb 0x100a", "OK 0x0000000000000011"), ("writeb 0x1003 0xabc", "OK"),
            ("writew 4100 -2", "OK"), ("writel 010010 0x100000005", "OK"),
            ("read 0x1003 9", "OK 0xbcfeff554405000000"), ("readb 0x7fffff", "OK 0x0000000000000000"),
        ] { #expect(client.say(line) == answer, "\(line)") }
    }

    @Test("beyond RAM, in the hole and at the end of the address space reads give all ones and writes are ignored")
    func nowhere() {
        for (line, answer) in [
            ("readw 0x7fffff", "OK 0x000000000000ffff"), ("readl 0xc0000000", "OK 0x00000000ffffffff"),
            ("readq 0xffffffffffffffff", "OK 0xffffffffffffffff"), ("readl 0xd0013000", "OK 0x00000000ffffffff"),
            ("writeq 0xfffffffffffffffc 1", "OK"), ("writew 0x7fffff 0x1234", "OK"),
            ("readb 0x7fffff", "OK 0x0000000000000000"),
        ] { #expect(client.say(line) == answer, "\(line)") }
    }

    @Test("bytes are written and read in hexadecimal and in base64")
    func bytes() {
        for (line, answer) in [
            ("write 0x2000 4 0xDEadbe0f", "OK"), ("read 0x2000 0x4", "OK 0xdeadbe0f"),
            ("b64read 0x2000 4", "OK 3q2+Dw=="), ("b64write 0x2001 3 AQID", "OK"), ("read 8192 5", "OK 0xde01020300"),
            ("memset 0x2001 2 0x15a", "OK"), ("read 0x2000 4", "OK 0xde5a5a03"), ("memset 0x2000 0 1", "OK"),
            ("b64read 0x2000 0", "OK "), ("b64write 0x2000 0 ", "OK"), ("read 0x2000 1", "OK 0xde"),
        ] { #expect(client.say(line) == answer, "\(line)") }
    }

    @Test(
        "ranges that are not all RAM are refused, and nothing is written",
        arguments: [
            "read 0xc0000000 4", "read 0x7ffffe 4", "b64read 0xffffffffffffffff 2", "write 0x7fffff 2 0x0102",
            "b64write 0xd0000000 3 AQID", "memset 0x7fffff 2 1", "memset 0 0x800001 1", "memset 1 -1 1",
            "memset 0xfffffffffffffff0 0x20 1",
        ])
    func notAllRAM(line: String) {
        #expect(client.say(line).hasPrefix("FAIL "))
        #expect(client.say(line).hasSuffix("are not all RAM"))
        #expect(client.say("readb 0x7fffff") == "OK 0x0000000000000000")
    }

    @Test(
        "an invalid line is answered with the reason",
        arguments: [
            ("foo", "FAIL Unknown command 'foo'"), ("READL 0", "FAIL Unknown command 'READL'"),
            ("\u{1b}[2J", "FAIL Unknown command '?[2J'"), ("readl", "FAIL readl takes ADDR"),
            ("readl 0 0", "FAIL readl takes ADDR"), ("writeb 0", "FAIL writeb takes ADDR VALUE"),
            ("readl zz", "FAIL 'zz' is not a number of 64 bits"),
            ("endianness now", "FAIL endianness takes no arguments"),
            ("read 0 0", "ERR invalid argument size"), ("write 0 0 0x", "ERR invalid argument size"),
            ("read 0 -1", "FAIL a line moves 1048576 bytes at most"),
            ("b64read 0 0x100001", "FAIL a line moves 1048576 bytes at most"),
            ("write 0 0xffffffffffffffff 0x00", "FAIL a line moves 1048576 bytes at most"),
            ("write 0 2 0x00", "FAIL 2 bytes were announced and 1 given"),
            ("write 0 1 0xg0", "FAIL the data are neither 0x and two digits a byte (write) nor base64 (b64write)"),
            ("write 0 1 000", "FAIL the data are neither 0x and two digits a byte (write) nor base64 (b64write)"),
            ("write 0 1 0x000", "FAIL the data are neither 0x and two digits a byte (write) nor base64 (b64write)"),
            ("b64write 0 1 !!!!", "FAIL the data are neither 0x and two digits a byte (write) nor base64 (b64write)"),
            ("inb 0x10000", "FAIL '0x10000' is not a number of 16 bits"),
            ("clock_step soon", "FAIL 'soon' is not a number of nanoseconds"),
            ("clock_set 0xffffffffffffffff", "FAIL '0xffffffffffffffff' is not a number of nanoseconds"),
            ("irq_intercept_in ioapik", "FAIL Unknown device"), ("x-hold blk2", "FAIL Unknown device 'blk2'"),
            ("x-fail blk0 EWHAT", "FAIL 'EWHAT' is not an errno"),
            ("x-fail blk0 EIO -1", "FAIL '-1' is not a number of 63 bits"),
            ("x-size console0 65536 1", "FAIL '65536' is not a number of 16 bits"),
            ("x-input console0 61", "FAIL '61' is not bytes in hexadecimal"),
            ("x-output blk0", "FAIL blk0 has no such output: only the ports of a console have some"),
            ("x-output console0 1", "FAIL console0 has no such output: only the ports of a console have some"),
            (
                "x-input console0 0x61 1",
                "FAIL console0 has no such port, or it is always open; --port adds one"
            ),
            (
                "x-open console0 0 1",
                "FAIL console0 has no such port, or it is always open; --port adds one"
            ),
        ])
    func refusals(line: String, answer: String) {
        #expect(client.say(line) == answer)
        #expect(client.say("endianness") == "OK little")
    }

    @Test("a device performs the test commands of its type's row and no others, and a refusal lists them")
    func commandsOfTheRegistry() {
        let verbs = [
            "x-hold": "", "x-release": "", "x-fail": " EIO 0", "x-input": " 0x 0", "x-open": " 1 1", "x-size": " 80 25",
            "x-capacity": " 32768", "x-link": " 1", "x-hold-resume": "", "x-ready": "", "x-deadline": "", "x-fatal": "",
        ]
        for kind in DeviceKind.all {
            let all = kind.commands + TestCommand.common
            for (verb, words) in verbs {
                let answer = client.say("\(verb) \(kind.name)0\(words)")
                let isRefused = answer == "FAIL \(kind.name)0 takes only " + all.joined(separator: " ")
                #expect(isRefused != all.contains(verb), "\(verb) \(kind.name)0: \(answer)")
            }
            #expect(Set(all).subtracting(["x-output", "x-state"]).isSubset(of: verbs.keys))
        }
    }

    @Test("a long word is truncated in the answer")
    func longWord() {
        let answer = client.say(String(repeating: "y", count: 100_000))
        #expect(answer == "FAIL Unknown command '\(String(repeating: "y", count: 64))'")
    }

    @Test("empty lines have no answer, and blanks are ignored")
    func blanks() {
        for line in ["", " ", "\t", "\r", " \r"] { #expect(client.say(line) == "") }
        #expect(client.say("  readb \t 0x0  \r") == "OK 0x0000000000000000")
    }

    @Test("every random line is executed or refused")
    func noise() {
        var random = SplitMix64(state: 1)
        let verbs = [
            "readl", "writeq", "write", "b64write", "memset", "x-input", "x-fail", "clock_step", "x-state", "b64read",
        ]
        let words = ["0", "-1", "0xd0000070", "blk0", "console0", "AAAA", "0x00", "=", "4096", "99999999999", "é"]
        for _ in 0..<20_000 {
            var line = verbs.randomElement(using: &random) ?? ""
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                line += " " + (words.randomElement(using: &random) ?? "")
            }
            let answer = client.say(line)
            #expect(["OK", "FAIL", "ERR"].contains { answer.hasPrefix($0) }, "\(line): \(answer)")
        }
    }

    @Test("port accesses reach the board's ports; a write that ends the run sets the outcome")
    func ports() {
        #expect(client.say("inb 0x64") == "OK 0x0000" && client.say("inw 0x80") == "OK 0xffff")
        #expect(client.say("inl 0x608") == "OK 0x54534554" && client.say("outb 0x80 1") == "OK")
        #expect(client.outcome == nil)
        #expect(client.say("outb 0x600 0x134") == "OK" && client.outcome == .poweredOff)
        #expect(client.say("outl 0x602 0") == "OK" && client.outcome == .poweredOff)
    }

    // MARK: Lines

    private func lines(_ limit: Int, _ pieces: [String]) -> [LineBuffer.Entry] {
        var buffer = LineBuffer(limit: limit)
        var entries: [LineBuffer.Entry] = []
        for piece in pieces {
            buffer.append(Array(piece.utf8))
            while let entry = buffer.next() { entries.append(entry) }
        }
        return entries
    }

    private func line(_ text: String) -> LineBuffer.Entry { .line(Array(text.utf8)) }

    @Test("lines are reassembled, however the input is split")
    func cutting() {
        let text = "a\n\nbcd\nef\ng"
        let whole = [line("a"), line(""), line("bcd"), line("ef")]
        #expect(lines(8, [text]) == whole)
        #expect(lines(8, text.map { String($0) }) == whole)
        for cut in 1..<text.count {
            #expect(lines(8, [String(text.prefix(cut)), String(text.dropFirst(cut))]) == whole)
        }
    }

    @Test("a line that is too long is one error, and the next one is read", arguments: [1, 2, 3, 5, 100])
    func tooLong(piece: Int) {
        let text = Array("1234\n12345\n1234567890123\nok\n")
        let pieces = stride(from: 0, to: text.count, by: piece).map { String(text[$0..<min($0 + piece, text.count)]) }
        #expect(lines(4, pieces) == [line("1234"), .tooLong, .tooLong, line("ok")])
    }

    @Test("text in JSON")
    func json() {
        let value: JSON = [
            "a\"b\\": .string("\u{1}\né\u{7f}"), "n": .null, "l": .array([.bool(true), .number(-1)]), "e": .object([]),
            "big": .count(UInt64.max), "bits": .bits(UInt8(15), digits: 2), "bytes": .bytes([1, 0xab]),
        ]
        #expect(
            value.text == #"{"a\"b\\":"\u0001\u000aé\#u{7f}","n":null,"l":[true,-1],"e":{},"big":9223372036854775807,"#
                + #""bits":"0x0f","bytes":"0x01ab"}"#)
    }
}
