// What is between one port of the console's model and its host end: bytes on their way, in buffers of fixed size. Output is taken
// into one, so a guest that spins until its transmit buffer is used does not wait for a slow terminal; when it is full,
// requests wait, those of this port alone.

import Glibc
import Virtio
import VirtioABI

/// A port of the console. All but `end` and `keys`, which are the device thread's own, is under the device's lock.
final class ConsoleStream {
    /// Bytes of output that may wait for the host.
    static let outputRoom = 64 << 10
    /// Bytes of input that may wait beside the model's own buffer, where a test types.
    static let inputRoom = 64 << 10
    /// Bytes written in one call that could wait: no more than a pipe takes at once when poll calls it writable.
    static let chunk = 4096

    let port: Int
    let end: ConsolePort
    var keys: EscapeKeys?

    /// Input the model had no room for.
    var backlog: [UInt8] = []
    private(set) var output: [UInt8] = []
    /// Transmit requests, of which the first `current` are out, and of the next so many bytes.
    var batch: Batch<Console.Request>
    private(set) var current = 0
    private var copied = 0
    /// The driver was told that somebody is at the host's end.
    var saidOpen: Bool

    init(port: Int, end: ConsolePort, escapeKeys: Bool, longestChain: UInt16) {
        self.port = port
        self.end = end
        keys = escapeKeys ? EscapeKeys() : nil
        batch = Batch(longestChain: longestChain)
        saidOpen = port == 0
        output.reserveCapacity(Self.outputRoom)
    }

    /// Requests that are not out.
    var waiting: Int { batch.count - current }

    /// Copies the next request into the output buffer. Its name once all of it is out, nil if there is none or no room for it.
    func copyNext() -> Token? {
        guard current < batch.count else { return nil }
        let work = batch[current]
        copied += append(work.request.data, from: copied)
        guard copied == work.request.data.byteCount else { return nil }
        copied = 0
        current += 1
        return work.token
    }

    /// Forgets requests that are all out.
    func clearIfDone() { if current == batch.count { clear() } }

    /// Forgets the requests.
    func clear() {
        batch.removeAll()
        current = 0
        copied = 0
    }

    /// Appends the bytes of `data` from `offset` on, as far as there is room, and says how many.
    private func append(_ data: Segments, from offset: Int) -> Int {
        let before = output.count
        var skip = offset
        data.forEach { buffer in
            let start = min(skip, buffer.count)
            let count = min(buffer.count - start, Self.outputRoom - output.count)
            unsafe output.append(contentsOf: UnsafeRawBufferPointer(start: buffer.base + start, count: count))
            skip -= start
        }
        return output.count - before
    }

    /// Appends one byte, if there is room.
    func append(_ byte: UInt8) {
        if output.count < Self.outputRoom { output.append(byte) }
    }

    /// The first `count` bytes of output are out.
    func removeOutput(_ count: Int) { output.removeFirst(count) }

    /// The output that waits for the host, which now has it.
    func takeOutput() -> [UInt8] {
        defer { output.removeAll(keepingCapacity: true) }
        return output
    }
}
