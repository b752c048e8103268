// The values of the devices' options: what stands in front of the first comma, then words: those that every device has, and the
// device type's own, which its folder reads.

import Virtio
import VirtioABI

/// The value of a device's option.
struct DeviceOption {
    /// What is in front of the first comma.
    let value: String
    private(set) var offer = Machine.Configuration.Offer()
    private let words: [OptionWord]

    /// Reads `text`, the value of the option of `kind`.
    init(_ text: String, of kind: DeviceKind) throws(OptionError) {
        var split = OptionWords(text)
        value = split.first
        let changes = split.takeFeatures()
        words = try split.others(kind.optionForms)
        for change in changes { try offer.features.choose(change[...], among: kind.selectableFeatures) }
        if let name = self["suspend"], let choice = Machine.Configuration.SuspendChoice(name) { offer.suspend = choice }
        if let name = self["freeze"] { offer.freeze = name == "narrow" ? .narrow : .wide }
        if let text = self["torture"] { offer.torture = try Torture(option: text, separator: ":") }
        if offer.suspend == .own(nil), has("freeze") {
            throw OptionError("freeze= is about SUSPEND, which suspend=off does not offer; leave one of them out")
        }
    }

    /// Whether the word `key` is there.
    func has(_ key: String) -> Bool { words.contains { $0.key == key } }

    /// The value of `key`; nil if it is not there.
    subscript(key: String) -> String? { words.first { $0.key == key }?.value }
}

extension Machine.Configuration {
    /// What a device offers of the rings' features that is to offer them all: without those that the machine withholds.
    var everyRingForm: Features { MMIOTransport<Entropy>.ringFeatures.subtracting(features.withholding) }
}

extension Machine.Configuration.FeatureChoice {
    /// Reads `text`, `+NAME,-NAME`, of the features that every device has.
    public init(option text: String) throws(OptionError) {
        for change in text.split(separator: ",", omittingEmptySubsequences: false) {
            try choose(change, among: DeviceKind.ringFeatures)
        }
    }

    /// This choice of a device where it makes one, and that of the machine elsewhere.
    func over(_ machine: Self) -> Self {
        var choice = self
        choice.adding.formUnion(machine.adding.subtracting(withholding))
        choice.withholding.formUnion(machine.withholding.subtracting(adding))
        return choice
    }

    /// Takes `+NAME` or `-NAME` of `features`.
    fileprivate mutating func choose(
        _ change: Substring, among features: [(name: String, feature: Features)]
    ) throws(OptionError) {
        let (names, name) = (features.map(\.name), String(change.dropFirst()))
        guard change.first == "+" || change.first == "-" else {
            throw OptionError("write features=+NAME to offer a feature, or features=-NAME not to")
        }
        guard let feature = features.first(where: { $0.name == name })?.feature else {
            throw OptionError(
                "there is no feature '\(name)'" + OptionWord.suggestion(for: name, among: names)
                    + "; allowed: \(names.joined(separator: ", "))")
        }
        guard !adding.contains(feature), !withholding.contains(feature) else {
            throw OptionError("the feature \(name) is there twice; give +\(name) or -\(name) once")
        }
        if change.first == "+" { adding.insert(feature) } else { withholding.insert(feature) }
    }
}

extension OptionWords {
    /// Removes the changes of features: what is behind `features=`, and the words with a sign that follow it, whose commas are the
    /// features' own.
    fileprivate mutating func takeFeatures() -> [String] {
        var (changes, kept): ([String], [String]) = ([], [])
        var areFeatures = false
        for word in others {
            let begins = word.hasPrefix("features=")
            areFeatures = begins || areFeatures && (word.hasPrefix("+") || word.hasPrefix("-"))
            if areFeatures {
                changes.append(String(word.dropFirst(begins ? "features=".count : 0)))
            } else {
                kept.append(word)
            }
        }
        others = kept
        return changes
    }
}

extension DeviceKind {
    /// The forms of the words behind the first comma: the type's own, then those that every device has.
    var optionForms: [String] {
        words + [
            "suspend=\(Machine.Configuration.SuspendChoice.names.joined(separator: "|"))", "freeze=wide|narrow",
            "torture=SEED[:CHOICE...]", "features=+NAME,-NAME",
        ]
    }

    /// The words behind the first comma, for the help text.
    public var optionHelp: String { optionForms.map { "[,\($0)]" }.joined() }

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
