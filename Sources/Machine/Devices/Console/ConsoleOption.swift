// The values of the options of the console, its ports and the serial port.

import Virtio

extension ConsoleTarget {
    /// The forms of a target.
    public static let forms = ["stdio", "null", "pty", "file=PATH", "unix=PATH"]

    /// The target that `text` names, in one of `forms`.
    init(_ text: String) throws(OptionError) {
        self = Self(try OptionWord(text, Self.forms)) ?? .stdio
    }

    /// The target of a word that has one of `forms`; nil for another.
    init?(_ word: OptionWord) {
        switch (word.key, word.value) {
        case ("stdio", _): self = .stdio
        case ("pty", _): self = .pty
        case ("file", let path?): self = .file(path)
        case ("unix", let path?): self = .unix(path)
        case ("null", _): self = .null
        default: return nil
        }
    }
}

/// What the console is connected to, and what it offers: a target, and the words that every device has.
public struct ConsoleOption: Sendable {
    /// What the console is connected to.
    public let target: ConsoleTarget
    /// The SUSPEND dialect and features it offers.
    public let offer: Machine.Configuration.Offer

    /// Reads `text`.
    public init(_ text: String) throws(OptionError) {
        let option = try DeviceOption(text, of: .console)
        (target, offer) = (try ConsoleTarget(option.value), option.offer)
    }
}

extension Machine.Configuration.Port {
    /// Reads `text`, a further port of the console: `TARGET[,name=NAME]`.
    public init(option text: String) throws(OptionError) {
        let option = OptionWords(text)
        let target = try ConsoleTarget(option.first)
        let name = try option.others(["name=NAME"]).first?.value ?? ""
        guard name.utf8.count <= Console.maximumNameLength else {
            throw OptionError(
                "name= takes at most \(Console.maximumNameLength) bytes, and this name has \(name.utf8.count)")
        }
        self.init(target, name: name)
    }
}

extension Machine.Configuration {
    /// The forms of the serial port's option.
    public static let serialForms = ["off"] + ConsoleTarget.forms

    /// The host end of the serial port that `text` names, in one of `serialForms`; nil for no serial port.
    public static func serialTarget(_ text: String) throws(OptionError) -> ConsoleTarget? {
        try ConsoleTarget(OptionWords.single(text, serialForms))
    }
}
