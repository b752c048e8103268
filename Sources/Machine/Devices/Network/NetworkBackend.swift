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
    /// Reads a frame behind its header into `buffer`, of `FrameQueue.longest` bytes. Returns its length, 0 if there is none.
    func read(pair: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int
    /// Sends a frame, which stands behind its header.
    func send(_ frame: Span<UInt8>, pair: Int) -> FrameResult
    /// Whether it can send frames from guest memory.
    var sendsDirectly: Bool { get }
    /// Sends a frame from guest memory; only if `sendsDirectly`.
    func send(_ header: InlineArray<12, UInt8>, _ data: Segments, pair: Int) -> FrameResult
}

extension NetworkBackend {
    var offloads: Features { [] }
    var mayReturn: Bool { false }
    func reconnect() {}
    func permit(_ features: Features) {}
    var sendsDirectly: Bool { false }
    func send(_ header: InlineArray<12, UInt8>, _ data: Segments, pair: Int) -> FrameResult { .lost }
}

/// A link without another end: every frame is lost.
final class NullLink: NetworkBackend {
    var offloads: Features { Network.offloads }
    func descriptor(pair: Int) -> Int32? { nil }
    var isConnected: Bool { true }
    func read(pair: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int { 0 }
    func send(_ frame: Span<UInt8>, pair: Int) -> FrameResult { .sent }
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
        for queue in queues {
            // Those of a former driver are not left over.
            if !Self.set(features, queue) { _ = Self.set([], queue) }
        }
    }

    /// Sets the offloads of a queue; false if the kernel does not know one of them.
    private static func set(_ features: Features, _ queue: Int32) -> Bool {
        clinux_tap_offloads(queue, flags(features)) == 0
    }

    /// What TUNSETOFFLOAD is given. UDP segmentation is for both versions of IP or for none: Linux refuses one alone, and makes the
    /// segments itself where the driver accepts frames of one only.
    static func flags(_ features: Features) -> UInt32 {
        var features = features
        let segmentsUDP: Features = [NetworkFeature.guestUSO4, NetworkFeature.guestUSO6]
        if !segmentsUDP.isSubset(of: features) { features.subtract(segmentsUDP) }
        let flags: [(Features, Int32)] = [
            (NetworkFeature.guestChecksum, TUN_F_CSUM), (NetworkFeature.guestTSO4, TUN_F_TSO4),
            (NetworkFeature.guestTSO6, TUN_F_TSO6), (NetworkFeature.guestECN, TUN_F_TSO_ECN),
            (NetworkFeature.guestUFO, TUN_F_UFO), (NetworkFeature.guestUSO4, 0x20), (NetworkFeature.guestUSO6, 0x40),
        ]
        return UInt32(flags.reduce(0) { features.contains($1.0) ? $0 | $1.1 : $0 })
    }

    func read(pair: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let count = unsafe Glibc.read(queues[pair], buffer.baseAddress, buffer.count)
        if count < 0, errno == EBADFD { isGone = true }
        return max(0, count)
    }

    func send(_ frame: Span<UInt8>, pair: Int) -> FrameResult {
        result(unsafe frame.withUnsafeBytes { unsafe write(queues[pair], $0.baseAddress, $0.count) })
    }

    var sendsDirectly: Bool { true }

    func send(_ header: InlineArray<12, UInt8>, _ data: Segments, pair: Int) -> FrameResult {
        var header = header
        return unsafe withUnsafeMutableBytes(of: &header) { header in
            unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: data.count + 1) { pieces in
                unsafe pieces.initializeElement(at: 0, to: iovec(iov_base: header.baseAddress, iov_len: header.count))
                var count = 1
                data.forEach {
                    unsafe pieces.initializeElement(at: count, to: iovec(iov_base: $0.base, iov_len: $0.count))
                    count += 1
                }
                return result(unsafe writev(queues[pair], pieces.baseAddress, Int32(count)))
            }
        }
    }

    private func result(_ count: Int) -> FrameResult { count >= 0 ? .sent : errno == EAGAIN ? .wouldBlock : .lost }
}
