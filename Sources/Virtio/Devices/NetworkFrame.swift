// The header in front of each frame (VIRTIO 1.4, 5.1.9): checksum and segmentation that are left to the receiver.

import VirtioABI

/// A frame's header.
public struct FrameHeader: Equatable, Sendable {
    /// Bits of `NetworkHeader`: `needsChecksum`, `dataValid`.
    public var flags: UInt8 = 0
    /// `gso_type`: a value of `NetworkHeader.Segmentation`.
    public var segmentation: UInt8 = 0
    /// `hdr_len`: bytes of the headers up to the transport's; a hint.
    public var headerLength: UInt16 = 0
    /// `gso_size`: bytes of payload in each segment.
    public var segmentSize: UInt16 = 0
    /// `csum_start`: the byte of the frame from which the checksum is made.
    public var checksumStart: UInt16 = 0
    /// `csum_offset`: where the checksum stands, from `checksumStart` on.
    public var checksumOffset: UInt16 = 0
    /// `num_buffers`: buffers that a received frame is spread over.
    public var bufferCount: UInt16 = 0

    /// The header of a frame with a complete checksum.
    public init() {}

    /// The header at the front of `bytes`, 12 of them at least.
    init(_ bytes: Span<UInt8>) {
        func word(_ offset: Int) -> UInt16 { UInt16(bytes[offset]) | UInt16(bytes[offset + 1]) << 8 }
        flags = bytes[NetworkHeader.flagsOffset]
        segmentation = bytes[NetworkHeader.gsoTypeOffset]
        headerLength = word(NetworkHeader.headerLengthOffset)
        segmentSize = word(NetworkHeader.gsoSizeOffset)
        checksumStart = word(NetworkHeader.checksumStartOffset)
        checksumOffset = word(NetworkHeader.checksumOffsetOffset)
        bufferCount = word(NetworkHeader.bufferCountOffset)
    }

    /// Cuts the header off the front of the readable part of `chain`; nil if it is not all there.
    init?(cutFrom chain: inout DescriptorChain) {
        guard chain.readable.byteCount >= NetworkHeader.size, let word: InlineArray<1, UInt64> = chain.removeFirst()
        else {
            return nil
        }
        var bytes = InlineArray<12, UInt8>(repeating: 0)
        for index in 0..<8 { bytes[index] = word.littleEndian(UInt8.self, at: index) }
        for index in 8..<12 { bytes[index] = chain.removeByte() ?? 0 }
        self.init(bytes.span)
    }

    /// The header as it stands in memory.
    public var bytes: InlineArray<12, UInt8> {
        var bytes = InlineArray<12, UInt8>(repeating: 0)
        func store(_ value: UInt16, _ offset: Int) {
            bytes[offset] = UInt8(truncatingIfNeeded: value)
            bytes[offset + 1] = UInt8(truncatingIfNeeded: value >> 8)
        }
        bytes[NetworkHeader.flagsOffset] = flags
        bytes[NetworkHeader.gsoTypeOffset] = segmentation
        store(headerLength, NetworkHeader.headerLengthOffset)
        store(segmentSize, NetworkHeader.gsoSizeOffset)
        store(checksumStart, NetworkHeader.checksumStartOffset)
        store(checksumOffset, NetworkHeader.checksumOffsetOffset)
        store(bufferCount, NetworkHeader.bufferCountOffset)
        return bytes
    }

    /// Whether the frame is to be segmented.
    var isSegmented: Bool { kind != NetworkHeader.Segmentation.none }
    private var kind: UInt8 { segmentation & ~NetworkHeader.Segmentation.ecn }
    private var isCongestionMarked: Bool { segmentation & NetworkHeader.Segmentation.ecn != 0 }
    private var needsChecksum: Bool { flags & NetworkHeader.needsChecksum != 0 }

    /// The header with what `features` permit, in the direction of the driver or of the host; nil for a frame that needs more than
    /// they permit.
    func limited(to features: Features, receiving: Bool) -> FrameHeader? {
        let checksum = receiving ? NetworkFeature.guestChecksum : NetworkFeature.checksum
        var allowed = FrameHeader()
        if needsChecksum {
            guard features.contains(checksum) else { return receiving || isSegmented ? nil : allowed }
            allowed.flags = NetworkHeader.needsChecksum
            (allowed.checksumStart, allowed.checksumOffset) = (checksumStart, checksumOffset)
        } else if receiving, features.contains(checksum) {
            allowed.flags = flags & NetworkHeader.dataValid
        }
        guard isSegmented else { return allowed }
        guard needsChecksum, segmentSize > 0, !features.isDisjoint(with: feature(receiving)) else { return nil }
        // A driver that did not accept VIRTIO_NET_F_GUEST_ECN may ignore the bit (5.1.9.4.1-13).
        if receiving, isCongestionMarked, !features.contains(NetworkFeature.guestECN) { return nil }
        (allowed.segmentation, allowed.segmentSize, allowed.headerLength) = (segmentation, segmentSize, headerLength)
        return allowed
    }

    /// The features that permit the segmentation: one of them is enough. None for a kind that is not known.
    private func feature(_ receiving: Bool) -> Features {
        switch kind {
        case NetworkHeader.Segmentation.tcp4: receiving ? NetworkFeature.guestTSO4 : NetworkFeature.hostTSO4
        case NetworkHeader.Segmentation.tcp6: receiving ? NetworkFeature.guestTSO6 : NetworkFeature.hostTSO6
        case NetworkHeader.Segmentation.udp: receiving ? NetworkFeature.guestUFO : NetworkFeature.hostUFO
        case NetworkHeader.Segmentation.udpL4:
            receiving ? [NetworkFeature.guestUSO4, NetworkFeature.guestUSO6] : NetworkFeature.hostUSO
        default: []
        }
    }

    /// Checks the header of a frame of `length` bytes to transmit (5.1.9.2.1).
    func check(in chain: inout DescriptorChain, length: Int, _ features: Features, mtu: UInt16?) {
        chain.check(.bufferCountZero, bufferCount == 0)
        if !features.contains(NetworkFeature.checksum) { chain.check(.frameFlagsZero, flags == 0) }
        chain.check(.receiveFlagsUnused, flags & (NetworkHeader.dataValid | NetworkHeader.rscInfo) == 0)
        if isSegmented {
            chain.check(.segmentationNegotiated, !features.isDisjoint(with: feature(false)))
            chain.check(.segmentationNeedsChecksum, needsChecksum)
            chain.check(.segmentSizeGiven, segmentSize > 0)
        } else if let mtu, features.contains(NetworkFeature.mtu) {
            // A VLAN tag is part of the Ethernet header. The frame's bytes are not read: any frame may have one.
            chain.check(.frameWithinMTU, length <= Int(mtu) + NetworkFilter.headerSize + 4)
        }
        if needsChecksum, features.contains(NetworkFeature.checksum) {
            chain.check(.checksumInFrame, Int(checksumStart) + Int(checksumOffset) + 2 <= length)
        }
    }
}
