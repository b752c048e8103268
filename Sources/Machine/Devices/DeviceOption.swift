// The values of the devices' options: what stands in front of the first comma, then parts: those that every device has, and the
// device type's own, which its folder reads.

import Virtio
import VirtioABI

/// What is wrong with the value of an option.
public struct OptionError: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}

/// The value of a device's option: what is in front of the first comma, and the parts behind it.
struct DeviceOption {
    let value: String
    private(set) var offer = Machine.Configuration.Offer()
    /// Parts that are the device type's own: a key, and what is behind `=`, if anything.
    private(set) var parts: [(key: String, value: String?)] = []

    /// Reads `text`, the value of the option of `kind`.
    init(_ text: String, of kind: DeviceKind) throws(OptionError) {
        let pieces = text.split(separator: ",", omittingEmptySubsequences: false)
        value = String(pieces[0])
        for piece in pieces.dropFirst() {
            let pair = piece.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let (key, value) = (String(pair.first ?? ""), pair.count == 2 ? String(pair[1]) : nil)
            switch (key, value) {
            case ("features", let change?): try choose(change[...], of: kind)
            // The commas between features are the option's own.
            case (_, nil) where key.hasPrefix("+") || key.hasPrefix("-"): try choose(key[...], of: kind)
            case ("suspend", let name?):
                guard let choice = Machine.Configuration.SuspendChoice(name) else {
                    throw .choose("suspend", Machine.Configuration.SuspendChoice.names)
                }
                offer.suspend = choice
            case ("freeze", "wide"): offer.freeze = .wide
            case ("freeze", "narrow"): offer.freeze = .narrow
            case ("freeze", _): throw .choose("freeze", ["wide", "narrow"])
            default: parts.append((key, value))
            }
        }
    }

    /// Takes `+NAME` or `-NAME`.
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
        default: throw OptionError("write features=+NAME to offer a feature, or features=-NAME not to")
        }
    }
}

extension OptionError {
    /// The value of `key` is none of `values`.
    static func choose(_ key: String, _ values: [String]) -> OptionError {
        OptionError("\(key)= takes \(values.joined(separator: ", "))")
    }

    /// There is no part `key` here.
    static func unknown(_ key: String, of kind: DeviceKind) -> OptionError {
        OptionError("a \(kind.option) has no option \(key.isEmpty ? "without a name" : key); see vmm --help")
    }
}

extension DeviceKind {
    /// The names that `features=` takes, for the help text.
    public var featureNames: String { selectableFeatures.map(\.name).joined(separator: ", ") }
}

extension Machine.Configuration.SuspendChoice {
    /// The values of `suspend=`.
    public static let names = ["draft", "1.4", "off"]

    /// The choice that a name of `names` stands for.
    public init?(_ name: String) {
        switch name {
        case "draft": self = .own(.draft)
        case "1.4": self = .own(.ratified)
        case "off": self = .own(nil)
        default: return nil
        }
    }
}
