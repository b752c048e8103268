// Splits a stream of bytes into lines. Memory is bounded: the longest line and the bytes last appended.

/// Splits a stream of bytes into lines.
struct LineBuffer {
    /// A result of `next`.
    enum Entry: Equatable {
        /// A line without its newline.
        case line([UInt8])
        /// A line longer than the limit was skipped.
        case tooLong
    }

    private let limit: Int
    private var bytes: [UInt8] = []
    /// The start of the next line in `bytes`, and the end of the part searched for a newline.
    private var start = 0
    private var searched = 0
    /// The current line exceeds the limit, and its beginning was dropped.
    private var isOverlong = false

    /// Accepts lines of at most `limit` bytes.
    init(limit: Int) { self.limit = limit }

    /// Appends received bytes.
    mutating func append(_ new: [UInt8]) {
        bytes.removeFirst(start)
        searched -= start
        start = 0
        bytes += new
    }

    /// The next line; nil until it is complete.
    mutating func next() -> Entry? {
        guard let end = bytes[searched...].firstIndex(of: UInt8(ascii: "\n")) else {
            searched = bytes.count
            if bytes.count - start > limit {
                isOverlong = true
                start = bytes.count
            }
            return nil
        }
        defer {
            start = end + 1
            searched = start
            isOverlong = false
        }
        return isOverlong || end - start > limit ? .tooLong : .line(Array(bytes[start..<end]))
    }
}
