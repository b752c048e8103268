// Bytes as they come from a stream, cut into lines. It keeps no more than one line of the longest length, and the piece it was
// last given.

/// Lines out of a stream of bytes.
struct LineBuffer {
    /// What the stream had.
    enum Entry: Equatable {
        /// A line without its newline.
        case line([UInt8])
        /// The end of a line that was longer than allowed.
        case tooLong
    }

    private let limit: Int
    private var bytes: [UInt8] = []
    /// Where the bytes begin that no line was made of yet, and up to where they hold no newline.
    private var start = 0
    private var searched = 0
    /// The beginning of this line was thrown away.
    private var isOverlong = false

    /// Lines of at most `limit` bytes.
    init(limit: Int) { self.limit = limit }

    /// Adds what came.
    mutating func append(_ new: [UInt8]) {
        bytes.removeFirst(start)
        searched -= start
        start = 0
        bytes += new
    }

    /// The next line; nil until it is there whole.
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
