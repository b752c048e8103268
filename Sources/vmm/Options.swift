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

/// An invalid value of an option.
struct OptionError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

extension DeviceKind {
    /// The names that `features=` takes, for the help text.
    var featureNames: String { selectableFeatures.map(\.name).joined(separator: ", ") }
}

/// The value of a device's option: the text before the first comma, and the parts after it.
struct DeviceOption {
    let value: String
    private(set) var offer = Machine.Configuration.Offer()
    /// Parts that only the device type has: a key, and the text after `=`, if any.
    private(set) var parts: [(key: String, value: String?)] = []

    /// Parses `text`, the value of the option of `kind`.
    init(_ text: String, of kind: DeviceKind) throws(OptionError) {
        let pieces = text.split(separator: ",", omittingEmptySubsequences: false)
        value = String(pieces[0])
        for piece in pieces.dropFirst() {
            let pair = piece.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let (key, value) = (String(pair.first ?? ""), pair.count == 2 ? String(pair[1]) : nil)
            switch (key, value) {
            case ("features", let change?): try choose(change[...], of: kind)
            // Features are separated by the same commas as the parts.
            case (_, nil) where key.hasPrefix("+") || key.hasPrefix("-"): try choose(key[...], of: kind)
            case ("suspend", let name?):
                guard let option = SuspendOption(argument: name) else { throw .choose("suspend", SuspendOption.all) }
                offer.suspend = .own(option.dialect)
            case ("freeze", "wide"): offer.freeze = .wide
            case ("freeze", "narrow"): offer.freeze = .narrow
            case ("freeze", _): throw .choose("freeze", ["wide", "narrow"])
            default: parts.append((key, value))
            }
        }
    }

    /// Adds or withholds a feature: `+NAME` or `-NAME`.
    private mutating func choose(_ change: Substring, of kind: DeviceKind) throws(OptionError) {
        let features = kind.selectableFeatures
        guard let feature = features.first(where: { $0.name == change.dropFirst() })?.feature else {
            throw OptionError(
                "a \(kind.option) has no feature \(change.dropFirst()); it has "
                    + features.map(\.name).joined(separator: " "))
        }
        switch change.first {
        case "+": offer.features.adding.insert(feature)
        case "-": offer.features.withholding.insert(feature)
        default: throw OptionError("write features=+NAME to offer a feature, features=-NAME to withhold it")
        }
    }
}

extension OptionError {
    /// The value of `key` is not one of `values`.
    static func choose(_ key: String, _ values: [String]) -> OptionError {
        OptionError("\(key)= takes \(values.joined(separator: ", "))")
    }

    /// The option of `kind` has no part `key`.
    static func unknown(_ key: String, of kind: DeviceKind) -> OptionError {
        OptionError("a \(kind.option) has no option \(key.isEmpty ? "without a name" : key); see vmm --help")
    }
}

extension Machine.Configuration.Disk {
    /// Parses `PATH[,ro][,id=NAME][,queues=N][,queue-size=N][,direct][,io=MODE]` and the parts that every device has.
    init(option: String) throws(OptionError) {
        let option = try DeviceOption(option, of: .block)
        guard !option.value.isEmpty else {
            throw OptionError("the disk has no path; name a file or block device first")
        }
        self.init(path: option.value)
        offer = option.offer
        for (key, value) in option.parts {
            switch (key, value) {
            case ("ro", nil): readOnly = true
            case ("direct", nil): direct = true
            case ("id", let name?):
                guard name.utf8.count <= 20 else { throw OptionError("id= takes at most 20 bytes") }
                id = name
            case ("queues", let text?):
                guard let count = UInt16(text), 1...32 ~= count else { throw OptionError("queues= takes 1 to 32") }
                queues = count
            case ("queue-size", let text?):
                guard let size = UInt16(text), size.nonzeroBitCount == 1 else {
                    throw OptionError("queue-size= takes a power of two up to 32768")
                }
                queueSize = size
            case ("io", let name?):
                guard let mode = IOMode(rawValue: name) else { throw .choose("io", IOMode.allCases.map(\.rawValue)) }
                self.mode = mode
            default: throw .unknown(key, of: .block)
            }
        }
    }
}

extension ConsoleTarget {
    /// `stdio`, `null`, `pty`, `file=PATH` or `unix=PATH`.
    init?(_ text: Substring) {
        let pair = text.split(separator: "=", maxSplits: 1)
        switch (pair.first, pair.count == 2 ? String(pair[1]) : nil) {
        case ("stdio", nil): self = .stdio
        case ("null", nil): self = .null
        case ("pty", nil): self = .pty
        case ("file", let path?): self = .file(path)
        case ("unix", let path?): self = .unix(path)
        default: return nil
        }
    }
}

/// The console's host end and features: `TARGET[,features=+NAME,-NAME]`.
struct ConsoleOption {
    let target: ConsoleTarget
    let offer: Machine.Configuration.Offer

    init(_ text: String) throws(OptionError) {
        let option = try DeviceOption(text, of: .console)
        guard let target = ConsoleTarget(option.value[...]) else {
            throw OptionError("the target of a console is stdio, null, pty, file=PATH or unix=PATH")
        }
        if let part = option.parts.first { throw .unknown(part.key, of: .console) }
        (self.target, offer) = (target, option.offer)
    }
}

/// A further port of the console: `TARGET[,name=NAME]`.
struct PortOption: ExpressibleByArgument {
    let port: Machine.Configuration.Port

    init?(argument: String) {
        let parts = argument.split(separator: ",", maxSplits: 1, omittingEmptySubsequences: false)
        guard let target = ConsoleTarget(parts[0]) else { return nil }
        let option = parts.count == 2 ? parts[1] : "name="
        guard option.hasPrefix("name="), option.utf8.count <= "name=".count + Console.maximumNameLength else {
            return nil
        }
        port = Machine.Configuration.Port(target, name: String(option.dropFirst("name=".count)))
    }
}

/// `off`, `stdio` or `file=PATH`.
struct SerialOption: ExpressibleByArgument, CustomStringConvertible {
    let target: ConsoleTarget?

    init(target: ConsoleTarget?) { self.target = target }

    init?(argument: String) {
        switch ConsoleTarget(Substring(argument)) {
        // Standard input belongs to the console.
        case .stdio: target = .descriptors(input: nil, output: 1)
        case .file(let path): target = .file(path)
        case nil where argument == "off": target = nil
        default: return nil
        }
    }

    var description: String { "off" }
    var defaultValueDescription: String { description }
    static var allValueStrings: [String] { ["off", "stdio", "file=PATH"] }
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
        switch argument {
        case "draft": dialect = .draft
        case "1.4": dialect = .ratified
        case "off": dialect = nil
        default: return nil
        }
    }

    var description: String {
        switch dialect {
        case .draft: "draft"
        case .ratified: "1.4"
        case nil: "off"
        }
    }
    var defaultValueDescription: String { description }
    static let all = ["draft", "1.4", "off"]
    static var allValueStrings: [String] { all }
}

extension ConformanceMode: ExpressibleByArgument {}
