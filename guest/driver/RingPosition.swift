// How far a ring was followed. Not an address: what an entry is, the format knows.

/// A place in the sequence of a ring's entries, counted as far as its format tells entries apart: 2^16 in a split ring,
/// whose indices are 16 bits; two laps in a packed one, which knows a slot and a wrap counter.
struct RingPosition {
    /// Entries of the ring.
    let size: UInt32
    /// Entries until everything looks the same again.
    let period: UInt32
    /// Below `period`.
    private(set) var number: UInt32 = 0

    /// The first entry, or the one with a certain number.
    init(size: UInt32, period: UInt32, number: UInt32 = 0) {
        self.size = size
        self.period = period
        self.number = number % period
    }

    /// The entry's place in the ring.
    var slot: UInt64 { UInt64(number % size) }

    func advanced(by entries: UInt32) -> RingPosition {
        RingPosition(size: size, period: period, number: number &+ entries)
    }

    /// The position `entries` before this one.
    func behind(by entries: UInt32) -> RingPosition { advanced(by: period &- entries % period) }

    /// Entries from here to `other`, going forward.
    func distance(to other: RingPosition) -> UInt32 { (other.number &+ period &- number) % period }
}
