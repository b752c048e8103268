// Which sectors of a disk are in its overlay: one bit for each. The map is memory that the host allocates when it is first written, 4096
// bytes for 16 MiB of disk.

import Glibc

/// A set of sectors of a disk.
@safe struct SectorMap: ~Copyable {
    /// Bytes of a sector.
    static let sector = 512
    /// Bytes of a page of the map, the unit in which it is stored.
    static let page = 4096

    private let words: UnsafeMutablePointer<UInt64>
    /// Bytes of the map, a multiple of `page`.
    let size: Int
    /// The pages with sectors that were added since `takeChanged`, by their number.
    private var changed: Set<Int> = []

    /// An empty set of the sectors of a disk of `bytes` bytes.
    init(bytes: UInt64) throws(MachineError) {
        let size = Self.size(forDiskOf: bytes)
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let mapped = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, flags, -1, 0), unsafe mapped != MAP_FAILED
        else { throw .host("there is no memory for the map of an overlay, \(size) bytes", errno: errno) }
        self.size = size
        unsafe words = mapped.bindMemory(to: UInt64.self, capacity: size / 8)
    }

    deinit { unsafe munmap(words, size) }

    /// Bytes of the map of a disk of `bytes` bytes.
    static func size(forDiskOf bytes: UInt64) -> Int {
        let perPage = UInt64(page * 8 * sector)
        return Int((bytes + perPage - 1) / perPage) * page
    }

    /// Adds the sectors of the bytes `range` of the disk, which are whole sectors.
    mutating func insert(_ range: Range<UInt64>) {
        var (bit, end) = (Int(range.lowerBound) / Self.sector, Int(range.upperBound) / Self.sector)
        precondition(end <= size * 8)
        while bit < end {
            let next = min(end, (bit / 64 + 1) * 64)
            let mask = (UInt64.max >> UInt64(64 - (next - bit))) << UInt64(bit % 64)
            unsafe words[bit / 64] |= mask
            changed.insert(bit / (Self.page * 8))
            bit = next
        }
    }

    /// The bytes at the start of `range` that are all in the set, or all not.
    func run(_ range: Range<UInt64>) -> (isInside: Bool, end: UInt64) {
        var (bit, end) = (Int(range.lowerBound) / Self.sector, Int(range.upperBound) / Self.sector)
        precondition(bit < end && end <= size * 8)
        let isInside = unsafe words[bit / 64] >> UInt64(bit % 64) & 1 != 0
        while bit < end {
            let differing = unsafe (isInside ? ~words[bit / 64] : words[bit / 64]) >> UInt64(bit % 64)
            if differing != 0 {
                end = min(end, bit + differing.trailingZeroBitCount)
                break
            }
            bit = (bit / 64 + 1) * 64
        }
        return (isInside, min(range.upperBound, UInt64(end * Self.sector)))
    }

    // MARK: Storage

    /// Page `number` of the map, for storage.
    func page(_ number: Int) -> [UInt8] {
        let base = unsafe UnsafeRawPointer(words) + number * Self.page
        return unsafe [UInt8](UnsafeRawBufferPointer(start: base, count: Self.page))
    }

    /// Sets page `number` to what `page` returned once.
    func restore(_ bytes: [UInt8], asPage number: Int) {
        precondition(bytes.count == Self.page && number < size / Self.page)
        let base = unsafe UnsafeMutableRawPointer(words) + number * Self.page
        unsafe bytes.withUnsafeBytes {
            unsafe UnsafeMutableRawBufferPointer(start: base, count: Self.page).copyMemory(from: $0)
        }
    }

    /// The pages that changed since the last call.
    mutating func takeChanged() -> [(number: Int, bytes: [UInt8])] {
        defer { changed = [] }
        return changed.sorted().map { ($0, page($0)) }
    }
}
