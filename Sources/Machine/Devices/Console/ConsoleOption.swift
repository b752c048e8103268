// The values of the console's options.

import Virtio

extension ConsoleTarget {
    /// `stdio`, `null`, `pty`, `file=PATH` or `unix=PATH`.
    public init?(_ text: Substring) {
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
public struct ConsoleOption: Sendable {
    public let target: ConsoleTarget
    public let offer: Machine.Configuration.Offer

    /// Reads `text`.
    public init(_ text: String) throws(OptionError) {
        let option = try DeviceOption(text, of: .console)
        guard let target = ConsoleTarget(option.value[...]) else {
            throw OptionError("a console is connected to stdio, null, pty, file=PATH or unix=PATH")
        }
        if let part = option.parts.first { throw .unknown(part.key, of: .console) }
        (self.target, offer) = (target, option.offer)
    }
}

/// A further port of the console: `TARGET[,name=NAME]`.
extension Machine.Configuration.Port {
    /// Reads `text`.
    public init(option text: String) throws(OptionError) {
        let parts = text.split(separator: ",", maxSplits: 1, omittingEmptySubsequences: false)
        guard let target = ConsoleTarget(parts[0]) else {
            throw OptionError("a port is connected to stdio, null, pty, file=PATH or unix=PATH")
        }
        let option = parts.count == 2 ? parts[1] : "name="
        guard option.hasPrefix("name="), option.utf8.count <= "name=".count + Console.maximumNameLength else {
            throw OptionError("behind the target stands name=NAME, of at most \(Console.maximumNameLength) bytes")
        }
        self.init(target, name: String(option.dropFirst("name=".count)))
    }
}
