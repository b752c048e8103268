// A link whose other end goes at times, by the seed of the device's torture.

import Virtio
import VirtioABI

/// A link in front of another, whose other end goes and comes back.
final class FaultyLink: NetworkBackend, @unchecked Sendable {
    private let link: any NetworkBackend
    private let torture: Torture
    /// Random words used: one for each frame that is sent or asked for.
    private var used: UInt32 = 0
    private var hasGone = false

    /// Nil where `torture` leaves the other end alone.
    init?(_ link: any NetworkBackend, _ torture: Torture) {
        guard torture.contains(.peer) else { return nil }
        (self.link, self.torture) = (link, torture)
    }

    var offloads: Features { link.offloads }
    /// What the host sends meanwhile waits.
    func descriptor(pair: Int) -> Int32? { hasGone ? nil : link.descriptor(pair: pair) }
    var isConnected: Bool { !hasGone && link.isConnected }
    var mayReturn: Bool { hasGone || link.mayReturn }
    func permit(_ features: Features) { link.permit(features) }
    var sendsDirectly: Bool { link.sendsDirectly }

    func reconnect() {
        hasGone = false
        link.reconnect()
    }

    /// Whether the other end is there for the next frame.
    private func isThere() -> Bool {
        used &+= 1
        if torture.word(.peer, used) % 256 == 0 { hasGone = true }
        return !hasGone
    }

    func read(pair: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        isThere() ? unsafe link.read(pair: pair, into: buffer) : 0
    }

    func send(_ frame: Span<UInt8>, pair: Int) -> FrameResult { isThere() ? link.send(frame, pair: pair) : .lost }

    func send(_ header: InlineArray<12, UInt8>, _ data: Segments, pair: Int) -> FrameResult {
        isThere() ? link.send(header, data, pair: pair) : .lost
    }
}
