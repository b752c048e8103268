// A popped descriptor chain, from the available ring until it is parked or used.

/// How much a device wrote into a chain.
public struct UsedLength: Hashable, Sendable {
    /// The length in bits 0 to 31, and bit 32 if the device wrote any byte: one word moves in a register.
    let word: UInt64

    /// The used length: bytes from the start of the writable part without a gap (2.7.8.2).
    public var length: UInt32 { UInt32(truncatingIfNeeded: word) }
    /// Whether the device wrote any byte, after a gap or not: VIRTQ_DESC_F_WRITE of a used descriptor (2.8.5).
    public var wroteAnything: Bool { word >> 32 != 0 }

    /// The device wrote the first `length` bytes, and no others.
    public init(_ length: UInt32 = 0) { word = length > 0 ? UInt64(length) | 1 << 32 : 0 }

    /// The length with this `word`.
    init(word: UInt64) { self.word = word }

    fileprivate init(answerAfter length: UInt32) { word = UInt64(length) | 1 << 32 }
}

/// The last writable byte of a chain, reserved for the device's answer: a status byte after the data.
@safe public struct Reply: @unchecked Sendable {
    /// The byte's host address.
    private let byte: UnsafeMutableRawPointer
    /// Number of writable bytes before the answer.
    private let room: Int

    /// Cuts the last writable byte off `chain`; nil if there is none.
    init?(cutFrom chain: inout DescriptorChain) {
        guard let byte = chain.writable.removeLast() else { return nil }
        unsafe self.byte = byte.base
        room = chain.writable.byteCount
    }

    /// Restores a reply from the result of `place(in:)`; nil if it is not in `memory`.
    init?(at place: (address: UInt64, room: Int), in memory: GuestMemory) {
        guard let byte = memory.resolve(place.address, 1) else { return nil }
        unsafe self.byte = byte.base
        room = place.room
    }

    /// The answer's guest-physical address, and the number of writable bytes before it.
    func place(in memory: GuestMemory) -> (address: UInt64, room: Int)? {
        unsafe memory.guestAddress(of: byte).map { ($0, room) }
    }

    /// Stores the answer after `written` bytes of data. The used length includes the answer only if the data filled all
    /// the bytes before it.
    func answer(_ value: UInt8, afterWriting written: UInt32) -> UsedLength {
        unsafe GuestBuffer(base: byte, count: 1).storeByte(value, at: 0)
        return UsedLength(answerAfter: Int(written) == room && written < .max ? written + 1 : written)
    }
}

/// One popped descriptor chain. It is a linear resource: a queue's `put` or `park` ends it; dropping it is a bug.
@frozen public struct DescriptorChain: ~Copyable {
    /// The id for the used ring: the first descriptor's index in a split queue, the buffer id in a packed one.
    let id: UInt16
    /// Number of entries of the descriptor table or ring that it takes.
    let slots: UInt16
    /// The part the device may only read.
    public var readable: Segments
    /// The part the device may only write.
    public var writable: Segments
    /// Conformance findings in this chain.
    let findings: ChainFindingsPointer
    /// Records what the device reads of the chain.
    private let recorder: TraceRecorder

    init(
        id: UInt16, slots: UInt16, readable: Segments, writable: Segments, findings: ChainFindingsPointer,
        recorder: TraceRecorder
    ) {
        self.id = id
        self.slots = slots
        self.readable = readable
        self.writable = writable
        self.findings = findings
        self.recorder = recorder
    }

    /// Cuts the first `8 * n` bytes off the readable part and returns them as little-endian words. If there are fewer,
    /// returns nil and changes nothing.
    @inline(always)
    mutating func removeFirst<let n: Int>() -> InlineArray<n, UInt64>? { readable.removeFirst(recorder) }

    /// Cuts the first byte off the readable part and returns it, or nil if there is none.
    mutating func removeByte() -> UInt8? { readable.removeByte(recorder) }

    /// Records whether the driver obeyed the clause of `check` in this chain.
    func check(_ check: Check, _ holds: @autoclosure () -> Bool) { findings.check(check, holds()) }

    /// Ends the chain and returns its id, its slots and its fingerprint.
    consuming func close() -> (id: UInt16, slots: UInt16, fingerprint: ChainFingerprint?) {
        let result = (id, slots, findings.fingerprint)
        discard self
        return result
    }

    deinit { chainWasDropped() }
}

@inline(never) private func chainWasDropped() {
    preconditionFailure("a descriptor chain was neither used nor parked")
}
