// Expected contents of the disk: for each sector under test, the request that wrote it last, and the requests in flight
// on it. The sectors are chunks of eight, spread over the whole disk, with the first and the last sector. The contents
// of a sector are derived from its number, the request's number and the run's seed:
//
//   +0 sector    +8 request | seed << 32    ... one word in the middle, a hash of all three ...    +504 its complement
//
// The other words are not checked: that would take longer than the request.

/// The sectors under test, with their expected contents.
struct DiskMap {
    static let chunkSectors: UInt64 = 8
    private static let maximumChunks: UInt64 = 64
    /// Values of `contents` that are not the number of a request.
    static let unknown: UInt32 = 0
    static let zeroes: UInt32 = .max
    private static let exclusive: UInt8 = .max

    private let chunks: UInt64
    private let capacity: UInt64
    private let seed: UInt64
    /// For each sector, le32: the number of the request that wrote it, `unknown` or `zeroes`.
    private let contents: UInt64
    /// For each sector: the number of requests that read it, or `exclusive` while one changes it.
    private let users: UInt64

    /// `capacity` in sectors, at least eight.
    init(capacity: UInt64, seed: UInt64, _ arena: inout Arena) {
        self.capacity = capacity
        self.seed = seed
        chunks = max(1, min(DiskMap.maximumChunks, capacity / DiskMap.chunkSectors))
        contents = arena.take(4 &* chunks &* DiskMap.chunkSectors)
        users = arena.take(chunks &* DiskMap.chunkSectors)
    }

    /// Returns a random run of at most `most` sectors in one chunk.
    func choose(_ random: inout Random, most: UInt64) -> (first: UInt64, count: UInt64) {
        let offset = random.below(DiskMap.chunkSectors)
        let count = 1 &+ random.below(min(most, DiskMap.chunkSectors &- offset))
        return (random.below(chunks) &* DiskMap.chunkSectors &+ offset, count)
    }

    /// The disk's sector number for a sector of the map.
    func sector(_ index: UInt64) -> UInt64 {
        let chunk = index / DiskMap.chunkSectors
        let start =
            chunk &+ 1 == chunks ? capacity &- DiskMap.chunkSectors : chunk &* (capacity / chunks)
        return start &+ index % DiskMap.chunkSectors
    }

    // MARK: Requests in flight

    /// Whether a request may use these sectors: no other request may use a sector that one changes.
    func isFree(_ first: UInt64, _ count: UInt64, changing: Bool) -> Bool {
        for index in first..<first &+ count {
            let users = load8(self.users &+ index)
            if changing ? users != 0 : users >= DiskMap.exclusive &- 1 { return false }
        }
        return true
    }

    func begin(_ first: UInt64, _ count: UInt64, changing: Bool) {
        for index in first..<first &+ count {
            store8(users &+ index, changing ? DiskMap.exclusive : load8(users &+ index) &+ 1)
        }
    }

    /// Ends a request that changed nothing.
    func endReading(_ first: UInt64, _ count: UInt64) {
        for index in first..<first &+ count { store8(users &+ index, load8(users &+ index) &- 1) }
    }

    /// Ends a request that wrote `content`.
    func endChanging(_ first: UInt64, _ count: UInt64, _ content: UInt32) {
        for index in first..<first &+ count {
            store8(users &+ index, 0)
            store32(contents &+ 4 &* index, content)
        }
    }

    // MARK: Contents

    /// Whether the contents of all these sectors are known.
    func isKnown(_ first: UInt64, _ count: UInt64) -> Bool {
        for index in first..<first &+ count where load32(contents &+ 4 &* index) == DiskMap.unknown { return false }
        return true
    }

    /// Writes the contents of sector `index`, as written by request `number`, to memory.
    func fill(_ memory: UInt64, _ index: UInt64, _ number: UInt32) {
        let sector = sector(index)
        let mix = mix(sector, number)
        store64(memory, sector)
        store64(memory &+ 8, UInt64(number) | seed << 32)
        store64(memory &+ DiskMap.middleOffset(number), mix)
        store64(memory &+ 504, ~mix)
    }

    /// Overwrites the words that `verify` checks, so that they match only after a read from the disk.
    func poison(_ memory: UInt64) {
        store64(memory, ~0)
        store64(memory &+ 8, ~0)
        store64(memory &+ 504, 1)
    }

    /// Fails unless a read returned the expected contents and used length. `length` is nil with VIRTIO_F_IN_ORDER,
    /// where a used entry may stand for several buffers and holds the length of the last only.
    @inline(never)
    func verify(_ memory: UInt64, _ request: StressRequest, _ length: UInt32?) throws(Failure) {
        if let length { try expect(UInt64(length), 512 &* request.count &+ 1, "used length of a read") }
        for n in 0..<request.count { try verify(memory &+ 512 &* n, request.first &+ n) }
    }

    private func verify(_ memory: UInt64, _ index: UInt64) throws(Failure) {
        let number = load32(contents &+ 4 &* index)
        if number == DiskMap.unknown { return }
        let isZero = number == DiskMap.zeroes
        let sector = sector(index)
        let mix = mix(sector, number)
        try expect(load64(memory), isZero ? 0 : sector, "sector number in the sector")
        try expect(load64(memory &+ 8), isZero ? 0 : UInt64(number) | seed << 32, "request number in the sector")
        try expect(load64(memory &+ DiskMap.middleOffset(number)), isZero ? 0 : mix, "word in the middle of the sector")
        try expect(load64(memory &+ 504), isZero ? 0 : ~mix, "last word of the sector")
    }

    private static func middleOffset(_ number: UInt32) -> UInt64 { 16 &+ 8 &* UInt64(number % 61) }

    private func mix(_ sector: UInt64, _ number: UInt32) -> UInt64 {
        (sector << 32 ^ UInt64(number) ^ seed << 48) &* 0x9e37_79b9_7f4a_7c15
    }
}
