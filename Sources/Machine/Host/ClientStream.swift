// A connected client of a server that has a thread with `poll`: bytes that it sent, and bytes that it is owed.

import Glibc

/// A connected client. Its descriptors do not block.
struct ClientStream {
    let input: Int32
    let output: Int32
    /// What it has yet to be sent.
    var owed: [UInt8] = []
    /// It sends no more.
    private(set) var isAtEnd = false
    /// It takes no more either.
    private(set) var isGone = false

    init(input: Int32, output: Int32) { (self.input, self.output) = (input, output) }

    /// Reads at most `count` bytes; none if there are none yet, or at the end.
    mutating func read(_ count: Int) -> [UInt8] {
        var result = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            result = unsafe Glibc.read(input, buffer.baseAddress, count)
            initialized = max(0, result)
        }
        if result == 0 || result < 0 && errno != EINTR && errno != EAGAIN { isAtEnd = true }
        return bytes
    }

    /// Writes at most `count` bytes of what it is owed.
    mutating func write(_ count: Int) {
        let result = unsafe owed.prefix(count).withUnsafeBytes { unsafe Glibc.write(output, $0.baseAddress, $0.count) }
        if result >= 0 { owed.removeFirst(result) } else if errno != EINTR && errno != EAGAIN { isGone = true }
    }
}
