// The buffers between one port of the console's model and its host end, of fixed size. Output is buffered, so a guest that spins
// until its transmit buffer is used does not wait for a slow terminal. When the buffer is full, requests of this port wait.

import Glibc
import Virtio
import VirtioABI

/// The buffers of a console port. The device's lock protects all but `end` and `keys`, which only the device's thread uses.
final class ConsoleStream {
    /// Most bytes of backlog that a test command may cause, beside the model's own buffer.
    static let inputRoom = 64 << 10
    /// Most bytes of one write that could block: a pipe that poll reports as writable takes so many.
    static let chunk = 4096

    let port: Int
    let end: ConsolePort
    var keys: EscapeKeys?

    /// Input that the model had no room for.
    var backlog: [UInt8] = []
    var output: OutputBuffer
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
        output = OutputBuffer(keepsNewest: end.awaitsFirstPeer)
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
            let count = unsafe output.append(
                UnsafeRawBufferPointer(start: buffer.base + start, count: buffer.count - start))
            skip -= start
            taken += count
        }
        return taken
    }
}
