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
    var description: String {
        let (seconds, attoseconds) = duration.components
        return "\(seconds).\(attoseconds / 100_000_000_000_000_000) s"
    }
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

/// A disk image: `PATH[,ro][,id=NAME][,queues=N][,queue-size=N][,suspend=DIALECT][,freeze=SCOPE][,features=+NAME,-NAME]`.
struct DiskOption: ExpressibleByArgument {
    let disk: Machine.Configuration.Disk

    init?(argument: String) {
        var parts = argument.split(separator: ",", omittingEmptySubsequences: false)[...]
        guard let path = parts.popFirst(), !path.isEmpty else { return nil }
        var disk = Machine.Configuration.Disk(path: String(path))
        for part in parts {
            // features=+NAME,-NAME is one option: the commas in it are its own.
            if let sign = part.first, sign == "+" || sign == "-" || part.hasPrefix("features=") {
                guard Self.setFeature(part.hasPrefix("features=") ? part.dropFirst(9) : part, in: &disk) else {
                    return nil
                }
                continue
            }
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard Self.set(String(pair[0]), pair.count == 2 ? String(pair[1]) : nil, in: &disk) else { return nil }
        }
        self.disk = disk
    }

    /// Adds or removes the feature in `+NAME` or `-NAME`; false if it is none.
    private static func setFeature(_ change: Substring, in disk: inout Machine.Configuration.Disk) -> Bool {
        guard let feature = featureNames[change.dropFirst()] else { return false }
        switch change.first {
        case "+": disk.features.adding.insert(feature)
        case "-": disk.features.withholding.insert(feature)
        default: return false
        }
        return true
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

/// `stdio`, `null` or `file=PATH`.
struct ConsoleOption: ExpressibleByArgument, CustomStringConvertible {
    let target: ConsoleTarget

    init(target: ConsoleTarget) { self.target = target }

    init?(argument: String) {
        switch argument {
        case "stdio": target = .stdio
        case "null": target = .null
        case _ where argument.hasPrefix("file=") && argument.utf8.count > 5:
            target = .file(String(argument.dropFirst(5)))
        default: return nil
        }
    }

    var description: String {
        switch target {
        case .file(let path): "file=\(path)"
        case .null: "null"
        case .stdio, .descriptors: "stdio"
        }
    }
    var defaultValueDescription: String { description }
}

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
