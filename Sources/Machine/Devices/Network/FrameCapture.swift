// A capture of a network device's frames, both ways, in a file that Wireshark, tshark and tcpdump read: pcapng (the IETF's draft
// draft-ietf-opsawg-pcapng), in the byte order of the host.

import Glibc

/// Writes a capture. Blocks wait in a buffer of fixed size; a file that takes no more ends the capture, not the guest.
final class FrameCapture: @unchecked Sendable {
    enum Direction: UInt32 { case received = 1, transmitted }

    /// The file's size at most.
    static let capacity = 4 << 30
    private static let bufferSize = 128 << 10
    /// Block type and length, interface, time, two lengths; the flags, the end of the options, the length again.
    private static let headSize = 28
    private static let tailSize = 16

    private let name: String
    private let path: String
    private let descriptor: Int32
    private let limit: Int
    private let lock = Lock()
    // Under the lock:
    private var buffer: [UInt8] = []
    private var written = 0
    private var hasEnded = false

    /// Opens the file at `path`, or creates it, for the device `name`. What is in it stays until `flush`.
    init(path: String, name: String, limit: Int = FrameCapture.capacity) throws(MachineError) {
        (self.path, self.name, self.limit) = (path, name, limit)
        descriptor = try HostFiles.openOutput(path) { .host("the capture \(path) cannot be written", errno: $0) }
        buffer.reserveCapacity(Self.bufferSize + Self.headSize + Self.tailSize + (66 << 10))
        // The section's header: byte order, version 1.0, unknown length.
        append([0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, .max, .max, 28])
        // The interface: Ethernet, frames of any length, its name, and nanoseconds.
        let text = Array(name.utf8) + [UInt8](repeating: 0, count: -name.utf8.count & 3)
        let length = UInt32(36 + text.count)
        append([1, length, 1, 0, 2 | UInt32(name.utf8.count) << 16])
        buffer += text
        append([9 | 1 << 16, 9, 0, length])
    }

    deinit {
        flush()
        close(descriptor)
    }

    /// Adds a frame, which came or went now.
    func add(_ frame: Span<UInt8>, _ direction: Direction) {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        let time = UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
        lock.locked {
            guard !hasEnded else { return }
            let padding = -frame.count & 3
            let length = UInt32(Self.headSize + frame.count + padding + Self.tailSize)
            let size = UInt32(frame.count)
            let (high, low) = (UInt32(time >> 32), UInt32(truncatingIfNeeded: time))
            append([6, length, 0, high, low, size, size])
            unsafe frame.withUnsafeBytes { unsafe buffer.append(contentsOf: $0) }
            for _ in 0..<padding { buffer.append(0) }
            append([2 | 4 << 16, direction.rawValue, 0, length])
            if buffer.count >= Self.bufferSize { write() }
        }
    }

    /// Writes what waits.
    func flush() { lock.locked { write() } }

    private func append<let n: Int>(_ words: [n of UInt32]) {
        unsafe words.span.withUnsafeBytes { unsafe buffer.append(contentsOf: $0) }
    }

    /// Writes the buffer and empties it; with the lock held.
    private func write() {
        guard !buffer.isEmpty, !hasEnded else { return }
        defer { buffer.removeAll(keepingCapacity: true) }
        guard written + buffer.count <= limit else {
            return end("it has \(written) bytes, and a capture has at most \(limit)")
        }
        if written == 0 { _ = ftruncate(descriptor, 0) }
        var start = 0
        while start < buffer.count {
            let count = unsafe buffer.withUnsafeBytes {
                let rest = unsafe UnsafeRawBufferPointer(rebasing: $0[start...])
                return unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
            }
            if count > 0 {
                start += count
            } else if errno != EINTR && !(errno == EAGAIN && isWritable) {
                return end(reason(errno))
            }
        }
        written += start
    }

    /// Waits until the reader of a pipe takes more, a second at most.
    private var isWritable: Bool { pollfd(descriptor, POLLOUT).isReady(within: 1000) }

    /// Ends the capture with its last whole buffer.
    private func end(_ why: String) {
        hasEnded = true
        _ = ftruncate(descriptor, written)
        Log.say("\(name): the capture \(path) ends here, and the guest goes on: \(why)")
    }
}
