// A network device under test: transmitted frames are collected, received ones come from the test (VIRTIO 1.4, 5.1).

import Testing
import Virtio
import VirtioABI

/// The frames that the device transmitted.
final class Link {
    struct Frame: Equatable {
        let pair: Int
        let header: FrameHeader
        let bytes: [UInt8]
    }

    var frames: [Frame] = []

    func execute(_ request: Network.Request) -> Outcome {
        var bytes: [UInt8] = []
        request.data.forEach { buffer in
            for index in 0..<buffer.count {
                unsafe bytes.append(buffer.base.load(fromByteOffset: index, as: UInt8.self))
            }
        }
        frames.append(Frame(pair: request.pair, header: request.header, bytes: bytes))
        return .ok()
    }
}

/// The driver of a network device, and the other end of its link.
final class NetworkDriver: FakeDriver<Network> {
    static let mac: UInt64 = 0x52_54_00_12_34_56
    let link: Link

    init(
        mtu: UInt16? = nil, pairs: Int = 1, wake: Network.Wake = .any, suspend: SuspendDialect? = nil,
        form: Form = Form(), withholding: Features = [], memory: FakeMemory = FakeMemory()
    ) {
        let link = Link()
        self.link = link
        var parameters = Network.Parameters(mac: Self.mac, mtu: mtu, pairs: pairs)
        parameters.wake = wake
        super.init(
            Network(parameters), suspend: suspend, form: form, withholding: withholding, memory: memory
        ) { link.execute($0) }
        backend.completesAtOnce = true
    }

    /// The header of a frame to transmit, changed by `edit`.
    static func header(_ edit: (inout FrameHeader) -> Void = { _ in }) -> [UInt8] {
        var header = FrameHeader()
        edit(&header)
        let bytes = header.bytes
        return bytes.indices.map { bytes[$0] }
    }

    /// A frame of `length` bytes from `source` to `target`, both MAC addresses; the rest is a pattern of `seed`.
    static func frame(
        to target: UInt64 = mac, _ length: Int = 60, vlan: UInt16? = nil, seed: UInt8 = 0
    ) -> [UInt8] {
        var bytes = (0..<6).map { UInt8(truncatingIfNeeded: target >> UInt64(40 - 8 * $0)) } + [2, 0, 0, 0, 0, 1]
        if let vlan { bytes += [0x81, 0, UInt8(vlan >> 8), UInt8(truncatingIfNeeded: vlan)] }
        bytes += [8, 0]
        while bytes.count < length { bytes.append(UInt8(truncatingIfNeeded: bytes.count &* 7) &+ seed) }
        return bytes
    }

    /// A frame comes from the link; returns whether the device took it.
    @discardableResult
    func arrive(_ frame: [UInt8], header: [UInt8] = header(), pair: Int = 0) -> Bool {
        var accepted = false
        backend.call { $0.receive((header + frame).span, pair: pair, accepted: &accepted) }
        return accepted
    }

    /// Makes `room` bytes, cut into descriptors at `cuts`, available to receive.
    @discardableResult
    func post(_ room: Int = 1526, cuts: [Int] = [], pair: Int = 0, kick: Bool = true) -> Chain {
        add(parts([], room: room, cuts: cuts), to: NetworkQueue.receive(pair: pair), kick: kick)
    }

    /// Makes a frame behind its header, cut into descriptors at `cuts`, available to transmit.
    @discardableResult
    func send(
        _ frame: [UInt8] = frame(), header: [UInt8] = header(), cuts: [Int] = [], room: Int = 0, pair: Int = 0
    ) -> Chain {
        add(parts(header + frame, room: room, cuts: cuts), to: NetworkQueue.transmit(pair: pair))
    }

    /// The index of the control queue.
    var control: Int { 2 * (accepted.contains(NetworkFeature.multiqueue) ? backend.transport.parameters.pairs : 1) }

    /// Sends a control command, and returns its answer; nil if the buffer was not used with one byte.
    @discardableResult
    func command(_ kind: UInt8, _ command: UInt8, _ data: [UInt8] = [], cuts: [Int] = []) -> UInt8? {
        let chain = add(parts([kind, command] + data, room: 1, cuts: cuts), to: control)
        guard takeUsed(control).map(\.length) == [1] else { return nil }
        return answer(chain).first
    }

    /// The bytes of `chains` that were received, as the used elements of queue `pair` say.
    func received(_ chains: [Chain], pair: Int = 0) -> [[UInt8]] {
        takeUsed(NetworkQueue.receive(pair: pair)).map { element in
            guard let chain = chains.first(where: { UInt32($0.head) == element.id }) else { return [] }
            return Array(answer(chain).prefix(Int(element.length)))
        }
    }
}
