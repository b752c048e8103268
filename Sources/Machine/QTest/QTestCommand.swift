// Parses a line of QEMU's qtest protocol. Every line becomes a command or a refusal, which says what is wrong with the line.

import Glibc

/// The answer to a command that is not carried out, in place of `OK`: the whole line.
struct QTestRefusal: Error, Equatable {
    let line: String

    /// `FAIL` and the reason.
    init(_ reason: String) { line = "FAIL \(reason)" }

    /// QEMU's answer to an invalid size.
    static let badSize = QTestRefusal(line: "ERR invalid argument size")

    private init(line: String) { self.line = line }
}

/// A command of a qtest client.
enum QTestCommand: Equatable {
    /// The encoding of bytes in a line.
    enum Encoding { case hexadecimal, base64 }

    case read(address: UInt64, width: Int)
    case write(address: UInt64, width: Int, value: UInt64)
    case portIn(port: UInt16, width: Int)
    case portOut(port: UInt16, width: Int, value: UInt64)
    case readBytes(address: UInt64, count: Int, Encoding)
    case writeBytes(address: UInt64, [UInt8])
    case fill(address: UInt64, count: UInt64, UInt8)
    case interceptIn(path: String)
    case interceptOut
    /// By so many nanoseconds; nil for to the next deadline.
    case clockStep(Int64?)
    case clockSet(Int64)
    case endianness
    /// A test command for a device's backend.
    case perform(device: String, TestCommand)
    /// Takes the output of a console port.
    case output(device: String, port: Int)
    /// The complete state of a device.
    case state(device: String)

    /// Most bytes one line moves.
    static let maximumBytes = 1 << 20

    /// Parses a line without its newline; nil if it has no words.
    init?(_ line: Word) throws(QTestRefusal) {
        var words = line.split { [UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r")].contains($0) }[...]
        guard let name = words.popFirst()?.text else { return nil }
        guard let verb = Self.verbs[name] else { throw QTestRefusal("Unknown command '\(Self.printable(name))'") }
        guard verb.counts.contains(words.count) else {
            throw QTestRefusal(verb.usage.isEmpty ? "\(name) takes no arguments" : "\(name) takes \(verb.usage)")
        }
        self = try verb.make(Arguments(words: Array(words)))
    }

    /// A word of the client's for a message: at most 64 characters, control characters replaced.
    static func printable(_ text: String) -> String {
        String(text.unicodeScalars.prefix(64).map { $0.value < 0x20 || $0.value == 0x7f ? "?" : Character($0) })
    }

    // MARK: Verbs

    /// A verb: its usage, its number of arguments, and how they become a command.
    private struct Verb: Sendable {
        let usage: String
        let counts: ClosedRange<Int>
        let make: @Sendable (Arguments) throws(QTestRefusal) -> QTestCommand

        init(
            _ usage: String, _ counts: ClosedRange<Int>,
            _ make: @escaping @Sendable (Arguments) throws(QTestRefusal) -> QTestCommand
        ) {
            (self.usage, self.counts, self.make) = (usage, counts, make)
        }
    }

    private static let verbs: [String: Verb] = memoryVerbs.merging(machineVerbs) { $1 }.merging(deviceVerbs) { $1 }

    private static let memoryVerbs: [String: Verb] = [
        "readb": read(1), "readw": read(2), "readl": read(4), "readq": read(8),
        "writeb": write(1), "writew": write(2), "writel": write(4), "writeq": write(8),
        "inb": portIn(1), "inw": portIn(2), "inl": portIn(4),
        "outb": portOut(1), "outw": portOut(2), "outl": portOut(4),
        "read": Verb("ADDR SIZE", 2...2) { (words) throws(QTestRefusal) in
            let count = try words.byteCount(1)
            guard count > 0 else { throw .badSize }
            return .readBytes(address: try words.number(0), count: count, .hexadecimal)
        },
        "b64read": Verb("ADDR SIZE", 2...2) { (words) throws(QTestRefusal) in
            .readBytes(address: try words.number(0), count: try words.byteCount(1), .base64)
        },
        "write": Verb("ADDR SIZE 0xHEX", 3...3) { (words) throws(QTestRefusal) in
            guard try words.byteCount(1) > 0 else { throw .badSize }
            return .writeBytes(address: try words.number(0), try words.bytes(words.words[2].hexadecimalBytes))
        },
        "b64write": Verb("ADDR SIZE BASE64", 2...3) { (words) throws(QTestRefusal) in
            // Without bytes the third word is missing.
            let bytes = words.words.count == 3 ? words.words[2].base64Bytes : []
            return .writeBytes(address: try words.number(0), try words.bytes(bytes))
        },
        "memset": Verb("ADDR SIZE BYTE", 3...3) { (words) throws(QTestRefusal) in
            .fill(
                address: try words.number(0), count: try words.number(1),
                UInt8(truncatingIfNeeded: try words.number(2)))
        },
    ]

    private static func read(_ width: Int) -> Verb {
        Verb("ADDR", 1...1) { (words) throws(QTestRefusal) in .read(address: try words.number(0), width: width) }
    }

    private static func write(_ width: Int) -> Verb {
        Verb("ADDR VALUE", 2...2) { (words) throws(QTestRefusal) in
            .write(address: try words.number(0), width: width, value: try words.number(1))
        }
    }

    private static func portIn(_ width: Int) -> Verb {
        Verb("PORT", 1...1) { (words) throws(QTestRefusal) in .portIn(port: try words.fitting(0), width: width) }
    }

    private static func portOut(_ width: Int) -> Verb {
        Verb("PORT VALUE", 2...2) { (words) throws(QTestRefusal) in
            .portOut(port: try words.fitting(0), width: width, value: try words.number(1))
        }
    }

    private static let machineVerbs: [String: Verb] = [
        "irq_intercept_in": Verb("ioapic", 1...1) { .interceptIn(path: $0.words[0].text) },
        "irq_intercept_out": Verb("a path", 1...1) { _ in .interceptOut },
        "clock_step": Verb("[NS]", 0...1) { (words) throws(QTestRefusal) in
            .clockStep(words.words.isEmpty ? nil : try words.nanoseconds(0))
        },
        "clock_set": Verb("NS", 1...1) { (words) throws(QTestRefusal) in .clockSet(try words.nanoseconds(0)) },
        "endianness": Verb("", 0...0) { _ in .endianness },
    ]

    private static let deviceVerbs: [String: Verb] = [
        "x-hold": perform("DEV", 1...1) { _ in .hold },
        "x-release": perform("DEV [N]", 1...2) { (words) throws(QTestRefusal) in
            .release(count: words.words.count == 2 ? try words.fitting(1) : nil)
        },
        "x-fail": perform("DEV ERRNO [N]", 2...3) { (words) throws(QTestRefusal) in
            .fail(errno: try words.errno(1), count: words.words.count == 3 ? try words.fitting(2) : 1)
        },
        "x-fatal": perform("DEV", 1...1) { _ in .fatal },
        "x-hold-resume": perform("DEV", 1...1) { _ in .holdResume },
        "x-ready": perform("DEV", 1...1) { _ in .ready },
        "x-deadline": perform("DEV", 1...1) { _ in .deadline },
        "x-input": perform("DEV 0xHEX [PORT]", 2...3) { (words) throws(QTestRefusal) in
            // `0x` is no bytes, as in answers.
            let isEmpty = words.words[1].text == "0x"
            guard let bytes = isEmpty ? [] : words.words[1].hexadecimalBytes else {
                throw words.refusal(1, "bytes in hexadecimal")
            }
            return .input(bytes, port: try words.port(2))
        },
        "x-open": perform("DEV PORT 0|1", 3...3) { (words) throws(QTestRefusal) in
            .open(port: try words.port(1), try words.number(2) != 0)
        },
        "x-link": perform("DEV 0|1", 2...2) { (words) throws(QTestRefusal) in .link(try words.number(1) != 0) },
        "x-size": perform("DEV COLS ROWS", 3...3) { (words) throws(QTestRefusal) in
            .resize(columns: try words.fitting(1), rows: try words.fitting(2))
        },
        "x-capacity": perform("DEV SECTORS", 2...2) { (words) throws(QTestRefusal) in
            .capacity(sectors: try words.number(1))
        },
        "x-output": Verb("DEV [PORT]", 1...2) { (words) throws(QTestRefusal) in
            .output(device: words.words[0].text, port: try words.port(1))
        },
        "x-state": Verb("DEV", 1...1) { .state(device: $0.words[0].text) },
    ]

    private static func perform(
        _ usage: String, _ counts: ClosedRange<Int>,
        _ command: @escaping @Sendable (Arguments) throws(QTestRefusal) -> TestCommand
    ) -> Verb {
        Verb(usage, counts) { (words) throws(QTestRefusal) in
            .perform(device: words.words[0].text, try command(words))
        }
    }
}

/// The arguments of a verb.
private struct Arguments {
    let words: [Word]

    func refusal(_ index: Int, _ wanted: String) -> QTestRefusal {
        QTestRefusal("'\(QTestCommand.printable(words[index].text))' is not \(wanted)")
    }

    func number(_ index: Int) throws(QTestRefusal) -> UInt64 {
        guard let number = words[index].number else { throw refusal(index, "a number of 64 bits") }
        return number
    }

    /// A number that fits `Value`.
    func fitting<Value: FixedWidthInteger>(_ index: Int) throws(QTestRefusal) -> Value {
        let bits = Value.bitWidth - (Value.isSigned ? 1 : 0)
        guard let value = Value(exactly: try number(index)) else { throw refusal(index, "a number of \(bits) bits") }
        return value
    }

    /// A console port; 0 if the argument is missing.
    func port(_ index: Int) throws(QTestRefusal) -> Int { index < words.count ? try fitting(index) : 0 }

    func nanoseconds(_ index: Int) throws(QTestRefusal) -> Int64 {
        guard let number = words[index].signedNumber else { throw refusal(index, "a number of nanoseconds") }
        return number
    }

    /// The number of bytes to move, at most `maximumBytes`.
    func byteCount(_ index: Int) throws(QTestRefusal) -> Int {
        guard let count = Int(exactly: try number(index)), count <= QTestCommand.maximumBytes else {
            throw QTestRefusal("a line moves \(QTestCommand.maximumBytes) bytes at most")
        }
        return count
    }

    /// `given`, if it has as many bytes as argument 1 says.
    func bytes(_ given: [UInt8]?) throws(QTestRefusal) -> [UInt8] {
        let count = try byteCount(1)
        guard let given else {
            throw QTestRefusal("the data are neither 0x and two digits a byte (write) nor base64 (b64write)")
        }
        guard given.count == count else { throw QTestRefusal("\(count) bytes were announced and \(given.count) given") }
        return given
    }

    /// An errno: a number, or one of the names.
    func errno(_ index: Int) throws(QTestRefusal) -> Int32 {
        let names = [
            "EIO": EIO, "ENOMEM": ENOMEM, "EINVAL": EINVAL, "ENOSPC": ENOSPC, "EROFS": EROFS, "ENOSYS": ENOSYS,
            "EOPNOTSUPP": EOPNOTSUPP, "ETIMEDOUT": ETIMEDOUT,
        ]
        if let number = names[words[index].text] { return number }
        guard let number = words[index].number.flatMap({ Int32(exactly: $0) }) else { throw refusal(index, "an errno") }
        return number
    }
}
