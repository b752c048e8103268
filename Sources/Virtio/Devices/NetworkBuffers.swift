// Frames of the network device, both ways (VIRTIO 1.4, 5.1.9.2 to 5.1.9.4).

import VirtioABI

extension Network {
    // MARK: Buffers

    mutating func dropFirst(_ pair: Int) {
        waiting[pair].removeFirst()
        counts.droppedReceiving &+= 1
    }

    /// Takes a frame to transmit. One without meaning, by its length or its header, is dropped, as on a link that is down.
    mutating func transmit(_ chain: inout DescriptorChain, pair: Int) -> TakeResult<Request> {
        chain.check(.frameDirection, chain.writable.byteCount == 0)
        chain.check(.transmitPairEnabled, pair < activePairs)
        let header = FrameHeader(cutFrom: &chain)
        let length = chain.readable.byteCount
        chain.check(.frameWhole, header != nil && length >= NetworkFilter.headerSize)
        guard let header, NetworkFilter.headerSize...Self.maximumFrame ~= length else { return dropped() }
        header.check(in: &chain, length: length, accepted, mtu: parameters.mtu)
        guard isLinkUp, pair < activePairs, var allowed = header.limited(to: accepted, receiving: false) else {
            return dropped()
        }
        // A hint that may be wrong (5.1.9.2.2-7). A TAP interface refuses a frame that is shorter.
        allowed.headerLength = min(allowed.headerLength, UInt16(clamping: length))
        return .work(Request(pair: pair, header: allowed, data: chain.readable), reply: nil)
    }

    private mutating func dropped() -> TakeResult<Request> {
        counts.droppedTransmitting &+= 1
        return .done(UsedLength())
    }

    /// Delivers the oldest frame that waits, or as much of it as the buffer has room for (5.1.9.4).
    mutating func deliver(into chain: inout DescriptorChain, pair: Int) -> TakeResult<Request> {
        let (room, length) = (chain.writable.byteCount, waiting[pair].firstLength)
        let merges = accepted.contains(NetworkFeature.mergeableBuffers)
        chain.check(.frameDirection, chain.readable.byteCount == 0)
        if merges {
            chain.check(.mergeableBufferHoldsHeader, room >= NetworkHeader.size)
        } else {
            chain.check(.receiveBufferHoldsFrame, room >= requiredRoom)
        }
        if delivery.buffers == 0 {
            // A buffer without room for the header receives nothing.
            guard room >= NetworkHeader.size else { return .done(UsedLength()) }
            delivery.countPlaces = [
                chain.writable.location(of: NetworkHeader.bufferCountOffset),
                chain.writable.location(of: NetworkHeader.bufferCountOffset + 1),
            ]
            guard merges || room >= length else {
                dropFirst(pair)
                return .putBack
            }
        }
        let written = waiting[pair].copyFirst(from: delivery.written, to: chain.writable)
        delivery.written += written
        delivery.buffers += 1
        guard delivery.written == length else { return .continued(UsedLength(UInt32(written))) }
        delivery.storeCount()
        delivery = Delivery()
        waiting[pair].removeFirst()
        counts.received &+= 1
        return .done(UsedLength(UInt32(written)))
    }

    /// The size of a receive buffer for every frame that the driver may receive (5.1.9.3.1).
    private var requiredRoom: Int {
        let isLarge = !accepted.isDisjoint(with: [
            NetworkFeature.guestTSO4, NetworkFeature.guestTSO6, NetworkFeature.guestUFO, NetworkFeature.guestUSO4,
            NetworkFeature.guestUSO6,
        ])
        return isLarge ? 65601 : 1526
    }

    // MARK: Host interface

    /// Frames that wait for receive buffers.
    var waitingFrames: Int { waiting.indices.reduce(0) { $0 + waiting[$1].count } }

    /// The receive queue for the frames of queue pair `pair`.
    func receiver(_ pair: Int) -> Int { pair < activePairs ? pair : 0 }

    /// Whether a frame of `length` bytes, its header's included, has room.
    func hasRoom(for length: Int, pair: Int) -> Bool { waiting[receiver(pair)].hasRoom(for: length) }

    /// Where a frame of `most` bytes at most, for which there is room, is to be written before `receive`.
    mutating func vacancy(_ most: Int, pair: Int) -> UnsafeMutableRawBufferPointer {
        unsafe waiting[receiver(pair)].vacancy(most)
    }

    /// Handles a frame behind its header, which stands in the vacancy. Returns whether it waits: others are for the caller to drop.
    mutating func receive(_ frame: UnsafeMutableRawBufferPointer, pair: Int) -> Bool {
        guard let header = unsafe header(for: Span(_unsafeBytes: UnsafeRawBufferPointer(frame))) else { return false }
        unsafe header.bytes.span.withUnsafeBytes { unsafe frame.copyMemory(from: $0) }
        waiting[receiver(pair)].add(frame.count)
        return true
    }

    /// The header with which the driver gets a frame; nil for one that it does not get.
    private func header(for frame: Span<UInt8>) -> FrameHeader? {
        guard NetworkHeader.size + NetworkFilter.headerSize...FrameQueue.longest ~= frame.count,
            let header = FrameHeader(frame).limited(to: accepted, receiving: true)
        else { return nil }
        let bytes = frame.extracting(NetworkHeader.size...)
        let isWanted =
            filter.accepts(bytes) && (header.isSegmented || bytes.count <= longestFrame(bytes))
        return isWanted ? header : nil
    }

    /// Counts a frame that the device does not pass on.
    mutating func drop() { counts.droppedReceiving &+= 1 }

    /// The longest frame that the driver has to receive unsegmented: it may have a VLAN tag beside the MTU (5.1.4.1).
    private func longestFrame(_ frame: Span<UInt8>) -> Int {
        guard let mtu = parameters.mtu, accepted.contains(NetworkFeature.mtu) else { return Self.maximumFrame }
        return Int(mtu) + NetworkFilter.headerSize + (NetworkFilter.vlan(of: frame) == nil ? 0 : 4)
    }

    /// Whether a frame behind its header may wake the guest.
    func wakes(_ frame: Span<UInt8>) -> Bool {
        switch parameters.wake {
        case .any: true
        case .magic: filter.isMagic(frame)
        case .none: false
        }
    }
}

/// The delivery of a frame into several buffers.
struct Delivery {
    /// Bytes in the buffers so far, the header's included, and the number of buffers.
    var written = 0
    var buffers = 0
    /// The two bytes of the header that give the number of buffers; nil before the first buffer.
    var countPlaces: InlineArray<2, GuestBuffer>?

    func storeCount() {
        guard let countPlaces else { return }
        for index in 0..<2 { countPlaces[index].storeByte(UInt8(truncatingIfNeeded: buffers >> (8 * index)), at: 0) }
    }
}
