// Looks for a text in the output of a console or of the serial port, for --snapshot-at.

import Synchronization

/// A text that is looked for in several outputs, and found once.
final class WantedText: Sendable {
    fileprivate let bytes: [UInt8]
    private let isFound = Atomic(false)
    private let onFound: @Sendable () -> Void

    /// `text`, not empty; `onFound` is called by the thread that writes its last byte.
    init(_ text: String, onFound: @escaping @Sendable () -> Void) {
        bytes = Array(text.utf8)
        self.onFound = onFound
    }

    /// Whether it was found.
    var wasFound: Bool { isFound.load(ordering: .relaxed) }

    fileprivate func found() { if !isFound.exchange(true, ordering: .relaxed) { onFound() } }
}

/// One output in which a text is looked for.
struct TextWatch {
    private let wanted: WantedText
    /// The last bytes of the output, as many as the text has at most.
    private var tail: [UInt8] = []

    init(_ wanted: WantedText) { self.wanted = wanted }

    /// Looks at the next byte of the output.
    mutating func look(at byte: UInt8) {
        if tail.count == wanted.bytes.count { tail.removeFirst() }
        tail.append(byte)
        if byte == wanted.bytes.last, tail == wanted.bytes { wanted.found() }
    }
}
