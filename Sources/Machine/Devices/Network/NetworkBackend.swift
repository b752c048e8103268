// The links that a network device can be connected to. All calls but `close` come from the device's thread, and none blocks.

import CLinux
import Glibc
import Virtio
import VirtioABI

/// The result of passing a frame to a link.
enum FrameResult {
    case sent
    /// The link takes no frame now: it is writable again later.
    case wouldBlock
    /// The link has lost the frame.
    case lost
}

/// A link.
protocol NetworkBackend: AnyObject, Sendable {
    /// The offloads that frames may have, of `Network.offloads`.
    var offloads: Features { get }
    /// Its descriptor for queue pair `pair`; nil if it is down, and for a link that takes every frame and has none.
    func descriptor(pair: Int) -> Int32?
    /// Whether the other end is there.
    var isConnected: Bool { get }
    /// Whether the other end may come back, so that `reconnect` is worth trying.
    var mayReturn: Bool { get }
    func reconnect()
    /// Frames from the link may have the offloads of `features`.
    func permit(_ features: Features)
    /// Reads a frame behind its header into `buffer`, which is empty. Returns false if there is none.
    func read(pair: Int, into buffer: inout [UInt8]) -> Bool
    /// Sends the oldest frame of `queue`, which has one.
    func send(_ queue: borrowing FrameQueue, pair: Int) -> FrameResult
}

extension NetworkBackend {
    var mayReturn: Bool { false }
    func reconnect() {}
}

/// A link without another end: every frame is lost.
final class NullLink: NetworkBackend {
    var offloads: Features { Network.offloads }
    func descriptor(pair: Int) -> Int32? { nil }
    var isConnected: Bool { true }
    func permit(_ features: Features) {}
    func read(pair: Int, into buffer: inout [UInt8]) -> Bool { false }
    func send(_ queue: borrowing FrameQueue, pair: Int) -> FrameResult { .sent }
}

/// A TAP interface of the host, with a queue for each pair. Its frames have the virtio header, and with it the offloads.
final class TAPLink: NetworkBackend, @unchecked Sendable {
    let offloads: Features
    private let queues: [Int32]
    private var isPermitted: Features?
    /// The interface was deleted.
    private var isGone = false

    /// Opens `pairs` queues of the interface `name`.
    init(name: String, pairs: Int) throws(MachineError) {
        var queues: [Int32] = []
        for _ in 0..<pairs {
            let descriptor = unsafe open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
            let isOpen = descriptor >= 0
            let result =
                isOpen ? unsafe clinux_tap(descriptor, name, Int32(NetworkHeader.size), pairs > 1 ? 1 : 0) : -errno
            if isOpen { queues.append(descriptor) }
            guard result == 0 else {
                for queue in queues { close(queue) }
                throw .network(name: name, errno: -result, pairs: pairs)
            }
        }
        self.queues = queues
        // UDP segmentation needs Linux 6.2.
        let segmentsUDP = Self.set(
            [NetworkFeature.guestUSO4, NetworkFeature.guestUSO6, NetworkFeature.guestChecksum], queues[0])
        offloads =
            segmentsUDP
            ? Network.offloads
            : Network.offloads.subtracting([NetworkFeature.hostUSO, NetworkFeature.guestUSO4, NetworkFeature.guestUSO6])
    }

    deinit { for queue in queues { close(queue) } }

    func descriptor(pair: Int) -> Int32? { isGone ? nil : queues[pair] }
    var isConnected: Bool { !isGone }

    func permit(_ features: Features) {
        let features = features.intersection(offloads)
        guard features != isPermitted else { return }
        isPermitted = features
        for queue in queues { _ = Self.set(features, queue) }
    }

    /// Sets the offloads of a queue; false if the kernel does not know one of them.
    private static func set(_ features: Features, _ queue: Int32) -> Bool {
        let flags: [(Features, Int32)] = [
            (NetworkFeature.guestChecksum, TUN_F_CSUM), (NetworkFeature.guestTSO4, TUN_F_TSO4),
            (NetworkFeature.guestTSO6, TUN_F_TSO6), (NetworkFeature.guestECN, TUN_F_TSO_ECN),
            (NetworkFeature.guestUFO, TUN_F_UFO), (NetworkFeature.guestUSO4, 0x20), (NetworkFeature.guestUSO6, 0x40),
        ]
        let offloads = flags.reduce(0) { features.contains($1.0) ? $0 | $1.1 : $0 }
        return clinux_tap_offloads(queue, UInt32(offloads)) == 0
    }

    func read(pair: Int, into buffer: inout [UInt8]) -> Bool {
        let queue = queues[pair]
        let most = NetworkHeader.size + Network.maximumFrame
        var number: Int32 = 0
        buffer = unsafe [UInt8](unsafeUninitializedCapacity: most) { bytes, count in
            let result = unsafe Glibc.read(queue, bytes.baseAddress, most)
            if result < 0 { number = errno }
            count = max(0, result)
        }
        if number == EBADFD { isGone = true }
        return !buffer.isEmpty
    }

    func send(_ queue: borrowing FrameQueue, pair: Int) -> FrameResult {
        let descriptor = queues[pair]
        return unsafe queue.withFirst { first, second in
            unsafe descriptor.write(first, second) >= 0 ? .sent : errno == EAGAIN ? .wouldBlock : .lost
        }
    }
}

/// A Unix stream socket, to which QEMU's `-netdev stream` and passt connect: each frame behind its length, 4 bytes, the highest first. A
/// peer that leaves may come back.
final class StreamLink: NetworkBackend, @unchecked Sendable {
    private static let lengthSize = 4
    private let path: String
    private var socket: Int32?
    /// Bytes that were read, of which the first `taken` were passed on, and the rest of a frame that the socket took a part of.
    private var input: [UInt8] = []
    private var taken = 0
    private var rest: [UInt8] = []

    /// Connects to the socket at `path`.
    init(path: String) throws(MachineError) {
        self.path = path
        guard path.utf8.count < MemoryLayout.size(ofValue: sockaddr_un().sun_path) else {
            throw .socket(path: path, problem: .nameTooLong)
        }
        let result = connect()
        guard result == 0 else {
            throw .host("the network socket \(path) cannot be connected; is its server running?", errno: result)
        }
    }

    deinit { if let socket { close(socket) } }

    var offloads: Features { [] }
    func descriptor(pair: Int) -> Int32? { socket }
    var isConnected: Bool { socket != nil }
    var mayReturn: Bool { true }
    func reconnect() { if socket == nil { _ = connect() } }
    func permit(_ features: Features) {}

    /// Connects. Returns 0 or an errno.
    private func connect() -> Int32 {
        let descriptor = Glibc.socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { return errno }
        guard unsafe UnixListener.withAddress(path, { unsafe Glibc.connect(descriptor, $0, $1) }) == 0 else {
            defer { close(descriptor) }
            return errno
        }
        socket = descriptor
        return 0
    }

    private func disconnect() {
        if let socket { close(socket) }
        (socket, input, taken, rest) = (nil, [], 0, [])
    }

    func read(pair: Int, into buffer: inout [UInt8]) -> Bool {
        while true {
            if let frame = takeFrame() {
                buffer = [UInt8](repeating: 0, count: NetworkHeader.size) + frame
                return true
            }
            guard let socket else { return false }
            let most = 128 << 10
            // 0 for the end of the stream.
            var number: Int32 = 0
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: most) { bytes, count in
                let result = unsafe recv(socket, bytes.baseAddress, most, 0)
                if result < 0 { number = errno }
                count = max(0, result)
            }
            if bytes.isEmpty {
                if number != EAGAIN && number != EINTR { disconnect() }
                return false
            }
            input.removeFirst(taken)
            taken = 0
            input += bytes
        }
    }

    /// Removes the first frame of `input` if it is whole. A length that no frame has ends the connection.
    private func takeFrame() -> ArraySlice<UInt8>? {
        guard input.count - taken >= Self.lengthSize else { return nil }
        let start = taken + Self.lengthSize
        let length = input[taken..<start].reduce(0) { $0 << 8 | Int($1) }
        guard length <= Network.maximumFrame else {
            disconnect()
            return nil
        }
        guard input.count >= start + length else { return nil }
        taken = start + length
        return input[start..<taken]
    }

    func send(_ queue: borrowing FrameQueue, pair: Int) -> FrameResult {
        guard let socket else { return .lost }
        if !rest.isEmpty {
            let sent = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard sent >= 0 else { return failed() }
            rest.removeFirst(sent)
            guard rest.isEmpty else { return .wouldBlock }
        }
        let length = queue.firstLength - NetworkHeader.size
        var bytes = (0..<Self.lengthSize).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) }
        unsafe queue.withFirst(from: NetworkHeader.size) { first, second in
            unsafe bytes.append(contentsOf: first)
            unsafe bytes.append(contentsOf: second)
        }
        let sent = unsafe bytes.withUnsafeBytes {
            unsafe Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard sent >= 0 else { return failed() }
        rest = Array(bytes[sent...])
        return .sent
    }

    private func failed() -> FrameResult {
        if errno == EAGAIN || errno == EINTR { return .wouldBlock }
        disconnect()
        return .lost
    }
}

extension Int32 {
    /// Writes two pieces as one. Returns the number of bytes, or -1.
    fileprivate func write(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) -> Int {
        unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: 2) { pieces in
            unsafe pieces.initializeElement(
                at: 0, to: iovec(iov_base: UnsafeMutableRawPointer(mutating: first.baseAddress), iov_len: first.count))
            unsafe pieces.initializeElement(
                at: 1, to: iovec(iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress), iov_len: second.count)
            )
            return unsafe writev(self, pieces.baseAddress, second.count > 0 ? 2 : 1)
        }
    }
}
