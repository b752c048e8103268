// Splits what a control client sends into JSON objects. QMP's clients put nothing between them, so their ends are found by counting
// braces outside strings; whether an object is valid is for its reader. Memory is bounded by the longest object.

/// Splits a stream of bytes into JSON objects.
struct JSONSplitter {
    /// A result of `append`.
    enum Entry: Equatable {
        /// The bytes from `{` to its `}`.
        case object([UInt8])
        /// Bytes that begin no object, up to the end of their line.
        case rubbish
        /// An object longer than the limit, up to the end of its line.
        case tooLong
    }

    private enum State {
        case between, object, string, escape, skipping
    }

    private let limit: Int
    private var state = State.between
    private var depth = 0
    private var object: [UInt8] = []

    /// Accepts objects of at most `limit` bytes.
    init(limit: Int) { self.limit = limit }

    /// Adds received bytes, and returns what they complete.
    mutating func append(_ bytes: [UInt8]) -> [Entry] {
        var entries: [Entry] = []
        for byte in bytes { if let entry = add(byte) { entries.append(entry) } }
        return entries
    }

    private mutating func add(_ byte: UInt8) -> Entry? {
        let character = Character(UnicodeScalar(byte))
        switch (state, character) {
        case (.skipping, "\n"): state = .between
        case (.skipping, _): break
        case (.between, "{"):
            (state, depth, object) = (.object, 1, [byte])
        case (.between, " "), (.between, "\t"), (.between, "\r"), (.between, "\n"): break
        case (.between, _):
            state = .skipping
            return .rubbish
        default: return addToObject(byte, character)
        }
        return nil
    }

    private mutating func addToObject(_ byte: UInt8, _ character: Character) -> Entry? {
        guard object.count < limit else {
            (state, object) = (character == "\n" ? .between : .skipping, [])
            return .tooLong
        }
        object.append(byte)
        switch (state, character) {
        case (.escape, _): state = .string
        case (.string, "\\"): state = .escape
        case (.string, "\""): state = .object
        case (.string, _): break
        case (_, "\""): state = .string
        case (_, "{"): depth += 1
        case (_, "}"): depth -= 1
        default: break
        }
        guard depth == 0 else { return nil }
        state = .between
        return .object(object)
    }
}
