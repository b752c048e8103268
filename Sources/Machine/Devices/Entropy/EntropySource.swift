// Where an entropy device's bytes come from.

import Glibc
import Virtio

/// A source of random bytes.
enum EntropySource {
    /// The kernel's, by getentropy(3): getrandom(2) in pieces that it never cuts short.
    case host
    /// SplitMix64 from this state: the same bytes for the same sequence of requests.
    case sequence(UInt64)

    /// Bytes that getentropy(3) gives at once, at most.
    private static let hostPiece = 256

    /// Fills the front of `data`, at most `Entropy.maximumLength` bytes.
    mutating func fill(_ data: Segments) -> Outcome {
        var written = 0
        var failed = false
        data.forEach { buffer in
            let count = min(buffer.count, Entropy.maximumLength - written)
            if unsafe !fill(UnsafeMutableRawBufferPointer(start: buffer.base, count: count)) { failed = true }
            written += count
        }
        return failed ? .ioError : .ok(written: UInt32(written))
    }

    /// Fills `buffer`; false if the host has no random bytes to give (ENOSYS).
    mutating func fill(_ buffer: UnsafeMutableRawBufferPointer) -> Bool {
        switch self {
        case .host:
            for start in stride(from: 0, to: buffer.count, by: Self.hostPiece) {
                let piece = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: buffer[start..<min(start + Self.hostPiece, buffer.count)])
                guard let base = piece.baseAddress, unsafe getentropy(base, piece.count) == 0 else { return false }
            }
        case .sequence(var state):
            for start in stride(from: 0, to: buffer.count, by: 8) {
                state &+= 0x9e37_79b9_7f4a_7c15
                var word = state
                word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
                word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
                word = (word ^ word >> 31).littleEndian
                unsafe withUnsafeBytes(of: &word) { word in
                    unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[start...]).copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: word.prefix(buffer.count - start)))
                }
            }
            self = .sequence(state)
        }
        return true
    }
}
