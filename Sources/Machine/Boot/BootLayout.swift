// The parts of guest memory that are allocated before the first instruction.

/// Allocates guest memory for the parts of a boot, and refuses parts that overlap.
struct BootLayout {
    private let ram: RAM
    private var placed: [(part: String, range: Range<UInt64>)] = []

    init(_ ram: RAM) { self.ram = ram }

    /// Allocates `size` bytes at `address` for `part`. Throws unless they are in RAM and not allocated.
    @discardableResult
    mutating func place(_ part: String, at address: UInt64, size: UInt64) throws(LoaderError) -> Range<UInt64> {
        guard let memory = MemoryMap.memory(for: address, size) else {
            throw .notRAM(part: part, address: address, size: size)
        }
        guard memory <= ram.size else { throw .outsideMemory(part: part, needed: memory, memory: ram.size) }
        let range = address..<address + size
        for other in placed where other.range.overlaps(range) {
            throw .overlap(other.part, part, address: max(other.range.lowerBound, address))
        }
        placed.append((part, range))
        return range
    }

    /// Allocates a range that the memory map fixes.
    mutating func place(_ part: String, at range: Range<UInt64>) throws(LoaderError) {
        try place(part, at: range.lowerBound, size: range.upperBound - range.lowerBound)
    }

    /// The free range below the hole above every part placed there so far, from a page boundary on.
    var freeRangeAtTop: Range<UInt64> {
        let top = placed.map(\.range.upperBound).filter { $0 <= MemoryMap.hole.lowerBound }.max() ?? 0
        let page = (top + 0xfff) & ~0xfff
        return min(page, ram.lowEnd)..<ram.lowEnd
    }

    /// Copies `count` bytes of an image, from `offset` on, into a placed range.
    func fill(
        _ address: UInt64, from image: borrowing Image, at offset: UInt64, count: UInt64
    ) throws(LoaderError) {
        guard let host = unsafe ram.host(at: address, count: count) else { preconditionFailure("not placed") }
        unsafe try image.read(into: UnsafeMutableRawBufferPointer(start: host, count: Int(count)), at: offset)
    }

    /// Writes `bytes` into a placed range.
    func write(_ bytes: [UInt8], at address: UInt64) {
        precondition(ram.write(bytes, at: address), "not placed")
    }
}
