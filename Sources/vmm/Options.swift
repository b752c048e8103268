// The values of command-line options, and how they are parsed.

import ArgumentParser
import Machine
import Virtio
import VirtioABI

/// A number of bytes: `512K`, `128M`, `2G`; a bare number is MiB, as in QEMU.
struct ByteCount: CustomStringConvertible {
    let bytes: UInt64

    init(bytes: UInt64) { self.bytes = bytes }

    init(_ text: String) throws(OptionError) {
        let (digits, unit) = (text.prefix { $0.isNumber }, text.drop { $0.isNumber }.lowercased())
        let shifts = [
            "b": 0, "k": 10, "kb": 10, "kib": 10, "": 20, "m": 20, "mb": 20, "mib": 20, "g": 30, "gb": 30, "gib": 30,
            "t": 40, "tb": 40, "tib": 40,
        ]
        guard let number = UInt64(digits), let shift = shifts[unit] else {
            throw OptionError(
                "a size is a whole number and K, M, G or T, powers of 1024, such as 512M; without a letter it is in MiB"
            )
        }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        guard !overflow else {
            throw OptionError(
                "that is more than 64 bits of bytes; a number without a letter is in MiB, with B in bytes")
        }
        self.bytes = bytes
    }

    var description: String { bytes % (1 << 20) == 0 ? "\(bytes >> 20)M" : "\(bytes)B" }
}

/// A length of time: `500ms`, `30s`, `2m`, `1h`; a bare number is seconds.
struct TimeSpan: CustomStringConvertible {
    let duration: Duration

    init(duration: Duration) { self.duration = duration }

    init(_ text: String) throws(OptionError) {
        let units: [(String, Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("", 1)]
        guard let (unit, seconds) = units.first(where: { text.hasSuffix($0.0) }),
            let number = Double(text.dropLast(unit.count)), number > 0, number * seconds < 1e9
        else {
            throw OptionError(
                "a duration is a number above 0 and ms, s, m or h, such as 500ms; without a letter it is in seconds")
        }
        duration = .milliseconds(Int64(number * seconds * 1000))
    }

    /// Seconds with one decimal.
    var description: String { TimeSpanText.of(duration) }
}

/// `off`, `stdio` or `file=PATH`.
struct SerialOption: CustomStringConvertible {
    let target: ConsoleTarget?

    init(target: ConsoleTarget?) { self.target = target }

    init(_ text: String) throws(OptionError) { target = try Machine.Configuration.serialTarget(text) }

    var description: String { "off" }
}

/// `auto` or a boot protocol.
struct BootOption: ExpressibleByArgument, CustomStringConvertible {
    let `protocol`: BootProtocol?

    init(protocol: BootProtocol?) { self.protocol = `protocol` }

    init?(argument: String) {
        let wanted = BootProtocol(rawValue: argument)
        guard wanted != nil || argument == "auto" else { return nil }
        self.protocol = wanted
    }

    var description: String { `protocol`?.rawValue ?? "auto" }
    var defaultValueDescription: String { description }
    static var allValueStrings: [String] { ["auto"] + BootProtocol.allCases.map(\.rawValue) }
    static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }
}

extension Machine.Configuration.Discovery: ExpressibleByArgument {}

extension ClientTarget {
    /// Reads `stdio` or `unix=PATH`.
    init(option text: String) throws(OptionError) {
        self = try OptionWords.single(text, ["stdio", "unix=PATH"]).value.map { .unix($0) } ?? .stdio
    }
}

/// `draft`, `1.4` or `off`.
struct SuspendOption: ExpressibleByArgument, CustomStringConvertible {
    let dialect: SuspendDialect?

    init(dialect: SuspendDialect?) { self.dialect = dialect }

    init?(argument: String) {
        guard case .own(let dialect)? = Machine.Configuration.SuspendChoice(argument) else { return nil }
        self.dialect = dialect
    }

    var description: String {
        switch dialect {
        case .draft: "draft"
        case .ratified: "1.4"
        case nil: "off"
        }
    }
    var defaultValueDescription: String { description }
    static var allValueStrings: [String] { Machine.Configuration.SuspendChoice.names }
}

/// What the devices do where the specifications leave them a choice.
struct ModelOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            What Version reads: 2, or 3, in which a reset is over when Status reads 0. (default: 2)
            """,
            valueName: "version"), transform: { try MMIOVersion(option: $0) })
    var mmioVersion = MMIOVersion.two

    @Option(
        help: ArgumentHelp(
            """
            Devices make the choices that the specifications leave to them, from SEED: all, those named, or with -CHOICE all others. \
            `faults` stands for those that lose requests or the device; `vmm explain torture` lists all.
            """,
            valueName: "seed[,choice...]"), transform: { try Torture(option: $0) })
    var torture: Torture?
}

extension MMIOVersion {
    /// Reads `2` or `3`.
    init(option text: String) throws(OptionError) {
        guard let version = UInt32(text).flatMap({ MMIOVersion(rawValue: $0) }) else {
            throw OptionError("there are versions 2 and 3")
        }
        self = version
    }
}

extension ConformanceMode: ExpressibleByArgument {}

extension Sandbox.Mode: ExpressibleByArgument {}

/// What the guest does without its debugger.
enum LostDebugger: String, CaseIterable, ExpressibleByArgument {
    case stop, go
}

/// The value of `--rng`, or why it is none, which `validate` says: swift-argument-parser takes an option with a value that its
/// `transform` refuses as one without.
struct EntropyOption: CustomStringConvertible {
    let description: String
    let device: Result<Machine.Configuration.EntropyDevice, OptionError>

    init(_ text: String) {
        description = text
        do throws(OptionError) { device = .success(try Machine.Configuration.EntropyDevice(option: text)) } catch {
            device = .failure(error)
        }
    }
}

extension CompletionKind {
    /// What a console can be connected to, up to the path.
    static var targets: CompletionKind {
        .list(ConsoleTarget.forms.map { "\($0.prefix { $0 != "=" })\($0.contains("=") ? "=" : "")" })
    }
}
