// The values flags take, and how they are written.

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

    /// Seconds with one digit behind the point.
    var description: String { TimeSpanText.of(duration) }
    var defaultValueDescription: String { description }
}

/// The features a device can be told to offer, or not to, by the names that QEMU and Linux give them.
private let featureNames: [Substring: Features] = [
    "indirect": .indirectDescriptors, "event_idx": .eventIndex, "packed": .ringPacked, "in_order": .inOrder,
    "notification_data": .notificationData, "ring_reset": .ringReset,
    "size_max": BlockFeature.sizeMax, "seg_max": BlockFeature.segmentMax, "blk_size": BlockFeature.blockSize,
    "flush": BlockFeature.flush, "topology": BlockFeature.topology, "config_wce": BlockFeature.configWCE,
    "mq": BlockFeature.multiqueue, "discard": BlockFeature.discard, "write_zeroes": BlockFeature.writeZeroes,
]

extension Machine.Configuration.FeatureChoice {
    /// Takes `features=+NAME`, or a further `+NAME` or `-NAME` of that option, whose commas are its own; nil if it is neither,
    /// false if there is no such feature.
    mutating func change(_ part: Substring) -> Bool? {
        let isOption = part.hasPrefix("features=")
        guard isOption || part.first == "+" || part.first == "-" else { return nil }
        let change = isOption ? part.dropFirst("features=".count) : part
        guard let feature = featureNames[change.dropFirst()] else { return false }
        switch change.first {
        case "+": adding.insert(feature)
        case "-": withholding.insert(feature)
        default: return false
        }
        return true
    }
}

/// A disk image: `PATH[,ro][,id=NAME][,queues=N][,queue-size=N][,direct][,io=MODE][,suspend=DIALECT][,freeze=SCOPE][,features=+NAME,-NAME]`.
struct DiskOption: ExpressibleByArgument {
    let disk: Machine.Configuration.Disk

    init?(argument: String) {
        var parts = argument.split(separator: ",", omittingEmptySubsequences: false)[...]
        guard let path = parts.popFirst(), !path.isEmpty else { return nil }
        var disk = Machine.Configuration.Disk(path: String(path))
        for part in parts {
            if let isKnown = disk.features.change(part) {
                guard isKnown else { return nil }
                continue
            }
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard Self.set(String(pair[0]), pair.count == 2 ? String(pair[1]) : nil, in: &disk) else { return nil }
        }
        self.disk = disk
    }

    /// Takes one option; false if it is none.
    private static func set(_ key: String, _ value: String?, in disk: inout Machine.Configuration.Disk) -> Bool {
        switch (key, value) {
        case ("ro", nil): disk.readOnly = true
        case ("id", let name?) where name.utf8.count <= 20: disk.id = name
        case ("queues", let text?):
            guard let count = UInt16(text), 1...32 ~= count else { return false }
            disk.queues = count
        case ("queue-size", let text?):
            guard let size = UInt16(text), size.nonzeroBitCount == 1 else { return false }
            disk.queueSize = size
        case ("direct", nil): disk.direct = true
        case ("io", let name?):
            guard let mode = IOMode(rawValue: name) else { return false }
            disk.mode = mode
        case ("freeze", "wide"): disk.freeze = .wide
        case ("freeze", "narrow"): disk.freeze = .narrow
        case ("suspend", let name?):
            guard let option = SuspendOption(argument: name) else { return false }
            disk.suspend = .own(option.dialect)
        default: return false
        }
        return true
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

/// What the console is connected to, and what it offers: `TARGET[,features=+NAME,-NAME]`.
struct ConsoleOption: ExpressibleByArgument {
    let target: ConsoleTarget
    let features: Machine.Configuration.FeatureChoice

    init?(argument: String) {
        var parts = argument.split(separator: ",", omittingEmptySubsequences: false)[...]
        guard let target = parts.popFirst().flatMap({ ConsoleTarget($0) }) else { return nil }
        var features = Machine.Configuration.FeatureChoice()
        for part in parts { guard features.change(part) == true else { return nil } }
        self.target = target
        self.features = features
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
        // The console has the input.
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
    static var allValueStrings: [String] { ["draft", "1.4", "off"] }
}

extension ConformanceMode: ExpressibleByArgument {}
