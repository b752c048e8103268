// The values of command-line options, and how they are parsed.

import ArgumentParser
import Machine
import Virtio
import VirtioABI

/// A number of bytes: `4096`, `512K`, `128M`, `2G`.
struct ByteCount: ExpressibleByArgument, CustomStringConvertible {
    let bytes: UInt64

    init(bytes: UInt64) { self.bytes = bytes }

    init?(argument: String) {
        let shifts: [Character: UInt64] = ["K": 10, "k": 10, "M": 20, "m": 20, "G": 30, "g": 30]
        let shift = argument.last.flatMap { shifts[$0] }
        guard let number = UInt64(shift == nil ? argument : String(argument.dropLast())) else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << (shift ?? 0))
        guard !overflow else { return nil }
        self.bytes = bytes
    }

    var description: String { bytes % (1 << 20) == 0 ? "\(bytes >> 20)M" : "\(bytes)" }
    var defaultValueDescription: String { description }
}

/// A length of time: `500ms`, `30s`, `2m`; a bare number is seconds.
struct TimeSpan: ExpressibleByArgument, CustomStringConvertible {
    let duration: Duration

    init(duration: Duration) { self.duration = duration }

    init?(argument: String) {
        let units: [(String, Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("", 1)]
        for (unit, seconds) in units where argument.hasSuffix(unit) {
            guard let number = Double(argument.dropLast(unit.count)), number > 0, number * seconds < 1e9 else {
                return nil
            }
            duration = .milliseconds(Int64(number * seconds * 1000))
            return
        }
        return nil
    }

    /// Seconds with one decimal.
    var description: String { TimeSpanText.of(duration) }
    var defaultValueDescription: String { description }
}

/// `off`, `stdio` or `file=PATH`.
struct SerialOption: ExpressibleByArgument, CustomStringConvertible {
    let target: ConsoleTarget?

    init(target: ConsoleTarget?) { self.target = target }

    init?(argument: String) {
        target = argument == "off" ? nil : ConsoleTarget(Substring(argument))
        if target == nil, argument != "off" { return nil }
    }

    var description: String { "off" }
    var defaultValueDescription: String { description }
    static var allValueStrings: [String] { ["off", "stdio", "null", "pty", "unix=PATH", "file=PATH"] }
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
}

extension Machine.Configuration.Discovery: ExpressibleByArgument {}

/// `stdio` or `unix=PATH`.
struct QTestOption: ExpressibleByArgument {
    let target: QTestTarget

    init?(argument: String) {
        switch argument {
        case "stdio": target = .stdio
        case _ where argument.hasPrefix("unix=") && argument.utf8.count > 5:
            target = .unix(String(argument.dropFirst(5)))
        default: return nil
        }
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

extension ConformanceMode: ExpressibleByArgument {}
