// A buffer the driver made available, between the moment it leaves the available ring and the moment it is parked or used.

/// What a device wrote into a chain.
public struct UsedLength: Hashable, Sendable {
    /// The used length: bytes from the start of the writable part without a gap (2.7.8.2).
    public let length: UInt32
    /// Whether there are any bytes, behind a gap or not: VIRTQ_DESC_F_WRITE of a used descriptor (2.8.5).
    public let wroteAnything: Bool

    /// The first `length` bytes, and no others.
    public init(_ length: UInt32 = 0) {
        self.length = length
        wroteAnything = length > 0
    }

    fileprivate init(answerAfter length: UInt32) {
        self.length = length
        wroteAnything = true
    }
}

/// The end of a chain's writable part, kept for the device's answer: a status byte behind the room for data.
public struct Reply: Sendable {
    private let byte: GuestBuffer
    /// Writable bytes before the answer.
    private let room: Int

    /// Cuts the last writable byte off `chain`; nil if there is none.
    init?(cutFrom chain: inout DescriptorChain) {
        guard let byte = chain.writable.removeLast() else { return nil }
        self.byte = byte
        room = chain.writable.byteCount
    }

    /// The answer's place as `place(in:)` told it; nil if it is not in `memory`.
    init?(at place: (address: UInt64, room: Int), in memory: GuestMemory) {
        guard let byte = memory.resolve(place.address, 1) else { return nil }
        self.byte = byte
        room = place.room
    }

    /// Where the answer goes, without a host address: guest-physical, and the room for data before it.
    func place(in memory: GuestMemory) -> (address: UInt64, room: Int)? {
        unsafe memory.guestAddress(of: byte.base).map { ($0, room) }
    }

    /// Stores the answer after `written` bytes of data. The used length includes it only if the data filled all the room before it.
    func answer(_ value: UInt8, afterWriting written: UInt32) -> UsedLength {
        byte.storeByte(value, at: 0)
        return UsedLength(answerAfter: Int(written) == room && written < .max ? written + 1 : written)
    }
}

/// One popped descriptor chain. It is a linear resource: a queue's `put` or `park` ends it, and dropping it is a bug.
@frozen public struct DescriptorChain: ~Copyable {
    /// What names it in the used ring: the first descriptor's index in a split queue, the buffer id in a packed one.
    let id: UInt16
    /// How many entries of the descriptor table or ring it takes.
    let slots: UInt16
    /// The part the device may only read.
    public var readable: Segments
    /// The part the device may only write.
    public var writable: Segments
    /// What its driver was value to do.
    let findings: ChainFindingsPointer

    init(id: UInt16, slots: UInt16, readable: Segments, writable: Segments, findings: ChainFindingsPointer) {
        self.id = id
        self.slots = slots
        self.readable = readable
        self.writable = writable
        self.findings = findings
    }

    /// The driver keeps the clause of `check` in this chain if `holds`.
    func check(_ check: Check, _ holds: @autoclosure () -> Bool) { findings.check(check, holds()) }

    /// Ends the chain and gives its name and length, and what makes it known again.
    consuming func close() -> (id: UInt16, slots: UInt16, fingerprint: ChainFingerprint?) {
        let result = (id, slots, findings.value?.fingerprint)
        discard self
        return result
    }

    deinit { chainWasDropped() }
}

@inline(never) private func chainWasDropped() {
    preconditionFailure("a descriptor chain was neither used nor parked")
}
