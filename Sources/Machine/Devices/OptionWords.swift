// The words of an option's value: `disk.img,ro,id=root`. This file splits and checks them for every option of the command line; what
// they mean is in the folder of the device.

/// What is wrong with the value of an option, as a sentence that says what is allowed.
public struct OptionError: Error, CustomStringConvertible {
    public let description: String

    /// An error with this sentence.
    public init(_ description: String) { self.description = description }
}

/// The value of an option: the text in front of the first comma, and the words behind it. A comma within a word is written `,,`.
public struct OptionWords {
    /// What is in front of the first comma.
    let first: String
    /// The other words.
    var others: [String]

    /// Splits `text` at its commas.
    init(_ text: String) {
        var words = [""]
        var rest = text[...]
        while let character = rest.popFirst() {
            if character != "," {
                words[words.count - 1].append(character)
            } else if rest.first == "," {
                words[words.count - 1].append(rest.removeFirst())
            } else {
                words.append("")
            }
        }
        first = words.removeFirst()
        others = words
    }

    /// The one word of an option that takes no others, in one of `forms`. Throws if there are more, or it is in none of them.
    public static func single(_ text: String, _ forms: [String]) throws(OptionError) -> OptionWord {
        let words = OptionWords(text)
        try words.endHere()
        return try OptionWord(words.first, forms)
    }

    /// Throws if there are words behind the first comma.
    func endHere() throws(OptionError) {
        guard let word = others.first else { return }
        throw OptionError("nothing can follow the comma in front of '\(word)'; a comma in a path is written ,,")
    }

    /// The words behind the first comma, each in one of `forms`. Throws if one is in none of them or there twice.
    func others(_ forms: [String]) throws(OptionError) -> [OptionWord] {
        var words: [OptionWord] = []
        for text in others {
            let word = try OptionWord(text, forms, isFollowing: true)
            guard !words.contains(where: { $0.key == word.key }) else {
                throw OptionError("\(word.key) is there twice; give it once")
            }
            words.append(word)
        }
        return words
    }
}

/// A word of an option: a key, and what is behind `=`, if anything.
///
/// Its form is one of `ro`, a key alone; `id=NAME`, a key and any value but an empty one; `io=auto|threads`, a key and one of these
/// values; and `overlay[=FILE]`, a key with or without a value.
public struct OptionWord {
    /// The word without `=` and what follows it.
    public let key: String
    /// Nil for a key alone.
    public let value: String?

    /// Reads `text`, which is in one of `forms`. `isFollowing`: it is behind a comma, which may have been meant as a part of a path.
    init(_ text: String, _ forms: [String], isFollowing: Bool = false) throws(OptionError) {
        (key, value) = Self.parts(text)
        let known = forms.map { Self.parts($0.replacing("[=", with: "=")) }
        let allowed = forms.joined(separator: ", ")
        guard let form = known.first(where: { $0.key == key }) else {
            let what =
                text.isEmpty ? "there is no word" + (isFollowing ? " behind a comma" : "") : "'\(key)' is not known"
            throw OptionError(
                what + Self.suggestion(for: key, among: known.map(\.key)) + "; allowed: \(allowed)"
                    + (isFollowing ? "; a comma in a path is written ,," : ""))
        }
        guard let pattern = form.value else {
            guard value == nil else { throw OptionError("\(key) takes no value; write \(key) alone") }
            return
        }
        if value == nil, pattern.hasSuffix("]") { return }
        guard let value, !value.isEmpty else { throw OptionError("\(key) needs a value: \(key)=\(pattern)") }
        let choices = pattern.split(separator: "|").map(String.init)
        guard choices.count == 1 || choices.contains(value) else { throw .choose(key, value, choices) }
    }

    private static func parts(_ text: String) -> (key: String, value: String?) {
        let pair = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        return (String(pair[0]), pair.count == 2 ? String(pair[1]) : nil)
    }

    /// `; did you mean NAME?`, if one of `names` is `word` but for a typing mistake.
    static func suggestion(for word: String, among names: [String]) -> String {
        let near = names.map { ($0, distance(word.lowercased(), $0)) }.min { $0.1 < $1.1 }
        guard let (name, distance) = near, distance <= word.count / 3 else { return "" }
        return "; did you mean \(name)?"
    }

    /// The edit distance: characters to insert, delete or replace to make `other` of `word`.
    private static func distance(_ word: String, _ other: String) -> Int {
        let other = Array(other)
        var row = Array(0...other.count)
        for (line, character) in word.enumerated() {
            var diagonal = row[0]
            row[0] = line + 1
            for (column, target) in other.enumerated() {
                let replaced = diagonal + (character == target ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, diagonal + 1, row[column] + 1)
            }
        }
        return row[other.count]
    }
}

extension OptionError {
    /// The value of `key` is none of `values`.
    static func choose(_ key: String, _ value: String, _ values: [String]) -> OptionError {
        OptionError(
            "\(key)= takes \(values.joined(separator: ", ")), not '\(value)'"
                + OptionWord.suggestion(for: value, among: values))
    }
}
