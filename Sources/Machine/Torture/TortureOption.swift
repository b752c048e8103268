// The value of --torture and of a device's torture=: a seed, and the names of choices.

import Virtio

extension Torture {
    /// Reads `SEED`, which makes every choice; `SEED,NAME,...`, which makes those; or `SEED,-NAME,...`, which makes the others. In the
    /// word of a device `separator` is a colon, which is allowed everywhere.
    public init(option text: String, separator: Character = ",") throws(OptionError) {
        let words = text.split(omittingEmptySubsequences: false) { $0 == separator || $0 == ":" }
        guard let seed = UInt64(words[0]) else {
            throw OptionError("write the seed as a decimal number: 17, or 17\(separator)order\(separator)late")
        }
        let names = words.dropFirst()
        let leavesOut = names.first?.hasPrefix("-") ?? true
        var choices: UInt32 = 0
        for word in names {
            guard word.hasPrefix("-") == leavesOut else {
                throw OptionError("name the choices to make, or with a - those to leave out, not both")
            }
            choices |= try Self.choice(String(leavesOut ? word.dropFirst() : word))
        }
        self.init(seed: seed, choices: leavesOut ? Self.everyChoice & ~choices : choices)
    }

    /// The choices of a name: one, or with `faults` those that lose requests or the device.
    private static func choice(_ name: String) throws(OptionError) -> UInt32 {
        let all = TortureChoice.allCases
        let found = all.filter { "\($0.name)" == name || name == "faults" && $0.isFault }
        guard !found.isEmpty else {
            let names = all.map { "\($0.name)" } + ["faults"]
            throw OptionError(
                "there is no choice '\(name)'" + OptionWord.suggestion(for: name, among: names)
                    + "; allowed: \(names.joined(separator: ", "))")
        }
        return found.reduce(0) { $0 | 1 << UInt32($1.rawValue) }
    }

    /// The value of --torture that means this.
    public var option: String {
        let made = TortureChoice.allCases.filter { contains($0) }
        return made.count == TortureChoice.allCases.count
            ? "\(seed)" : "\(seed)," + made.map { "\($0.name)" }.joined(separator: ",")
    }
}
