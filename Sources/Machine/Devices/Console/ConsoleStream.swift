// The buffers between one port of the console's model and its host end, of fixed size. Output is buffered, so a guest that spins
// until its transmit buffer is used does not wait for a slow terminal. When the buffer is full, requests of this port wait; before the
// first peer of a socket or pseudo-terminal has connected, the oldest output is dropped instead.

import Glibc
import Virtio
import VirtioABI

/// The buffers of a console port. The device's lock protects all but `end` and `keys`, which only the device's thread uses.
final class ConsoleStream {
    /// Bytes of the output buffer.
    static let outputRoom = 64 << 10
    /// Most bytes of backlog that a test command may cause, beside the model's own buffer.
    static let inputRoom = 64 << 10
    /// Most bytes of one write that could block: a pipe that poll reports as writable takes so many.
    static let chunk = 4096

    let port: Int
    let end: ConsolePort
    var keys: EscapeKeys?

    /// Input that the model had no room for.
    var backlog: [UInt8] = []
    private(set) var output: [UInt8] = []
    /// The newest output is kept for the first peer.
    private(set) var keepsNewest: Bool
    /// Bytes of output that were dropped because newer ones came.
    private var dropped = 0
    /// Transmit requests, of which the first `current` are copied to `output`, and `copied` bytes of the next.
    var batch: Batch<Console.Request>
    private(set) var current = 0
    private var copied = 0
    /// Whether the host end was last reported to the driver as open.
    var reportedOpen: Bool

    init(port: Int, end: ConsolePort, escapeKeys: Bool, longestChain: UInt16) {
        self.port = port
        self.end = end
        keys = escapeKeys ? EscapeKeys() : nil
        batch = Batch(longestChain: longestChain)
        reportedOpen = port == 0
        keepsNewest = end.awaitsFirstPeer
        output.reserveCapacity(Self.outputRoom)
    }

    /// Requests not completely copied to `output`.
    var waiting: Int { batch.count - current }

    /// Copies the next request to `output`. Returns its token once it is completely copied; nil if there is none or no room.
    func copyNextRequest() -> Token? {
        guard current < batch.count else { return nil }
        let work = batch[current]
        copied += append(work.request.data, from: copied)
        guard copied == work.request.data.byteCount else { return nil }
        copied = 0
        current += 1
        return work.token
    }

    /// Drops the batch once all of its requests are copied.
    func clearIfDone() { if current == batch.count { clear() } }

    /// Drops the batch.
    func clear() {
        batch.removeAll()
        current = 0
        copied = 0
    }

    /// Appends the bytes of `data` from `offset` on, as far as there is room. Returns their number.
    private func append(_ data: Segments, from offset: Int) -> Int {
        var (skip, taken) = (offset, 0)
        data.forEach { buffer in
            let start = min(skip, buffer.count)
            let count = makeRoom(for: buffer.count - start)
            // Of more than the buffer's room the end is kept.
            let kept = min(count, Self.outputRoom)
            unsafe output.append(
                contentsOf: UnsafeRawBufferPointer(start: buffer.base + start + count - kept, count: kept))
            skip -= start
            taken += count
        }
        return taken
    }

    /// Appends one byte, if there is room.
    func append(_ byte: UInt8) {
        if makeRoom(for: 1) > 0 { output.append(byte) }
    }

    /// How many of `count` bytes to take now: as many as there is room for, or all, where the oldest output makes room.
    private func makeRoom(for count: Int) -> Int {
        let room = Self.outputRoom - output.count
        guard count > room, keepsNewest else { return min(count, room) }
        dropped += count - room
        output.removeFirst(min(output.count, count - room))
        return count
    }

    /// The first peer has connected, and gets the output that was kept. Returns how many bytes before it were dropped.
    func peerConnected() -> Int {
        keepsNewest = false
        return dropped
    }

    /// Removes the first `count` bytes of output, which were written.
    func removeOutput(_ count: Int) { output.removeFirst(count) }

    /// Takes all output.
    func takeOutput() -> [UInt8] {
        defer { output.removeAll(keepingCapacity: true) }
        return output
    }
}
