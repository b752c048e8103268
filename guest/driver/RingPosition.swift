// A position in a ring. It is not an address: the format defines the entries.

/// A position in the sequence of a ring's entries, modulo `period`: 2^16 in a split ring, whose indices have 16 bits;
/// two laps in a packed ring, which has a slot and a wrap counter.
struct RingPosition {
    /// Entries of the ring.
    let size: UInt32
    /// Number of distinct positions.
    let period: UInt32
    /// Below `period`.
    private(set) var number: UInt32 = 0

    /// The first entry, or entry `number`.
    init(size: UInt32, period: UInt32, number: UInt32 = 0) {
        self.size = size
        self.period = period
        self.number = number % period
    }

    /// The entry's index in the ring.
    var slot: UInt64 { UInt64(number % size) }

    func advanced(by entries: UInt32) -> RingPosition {
        RingPosition(size: size, period: period, number: number &+ entries)
    }

    /// The position `entries` before this one.
    func behind(by entries: UInt32) -> RingPosition { advanced(by: period &- entries % period) }

    /// Entries from here forward to `other`.
    func distance(to other: RingPosition) -> UInt32 { (other.number &+ period &- number) % period }
}
