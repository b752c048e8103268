// The guest's memory on the host: RAM only, without the devices in the hole.

import Glibc

/// An error in creating guest memory.
public enum RAMError: Error, Equatable, CustomStringConvertible {
    /// An invalid size in bytes.
    case badSize(UInt64)
    /// The host refused a mapping of `size` bytes.
    case refused(size: UInt64, errno: Int32)

    /// One sentence that says what to do next, without the full stop.
    public var description: String {
        switch self {
        case .badSize(let size):
            "guest memory cannot have \(size) bytes; give at least 2M, a multiple of 4K, with -m"
        case .refused(let size, let number):
            "the host refuses \(size >> 20) MiB of guest memory (\(reason(number))); try a smaller -m"
        }
    }
}

/// Guest memory: from 0 up to the hole below 4 GiB, and the rest from 4 GiB on. It is zero at first, and the host allocates a
/// page when it is first used. Any thread may use it at any time, while the guest writes to it.
@safe public final class RAM: Sendable {
    /// A contiguous region of guest memory.
    @safe public struct Region: @unchecked Sendable {
        /// Its guest-physical address.
        public let guestAddress: UInt64
        /// Its address in this process, valid as long as the `RAM` exists.
        public let host: UnsafeMutableRawPointer
        /// Its size in bytes, a multiple of 4096.
        public let size: Int
        /// The first guest-physical address after it.
        public var end: UInt64 { guestAddress + UInt64(size) }
    }

    /// One or two regions, by ascending address. The first starts at 0.
    public let regions: [Region]
    /// Bytes of all regions.
    public let size: UInt64
    nonisolated(unsafe) private let mapping: UnsafeMutableRawBufferPointer
    /// All regions, which follow each other in this process.
    let area: MemoryArea

    /// Huge pages need host and guest addresses to be equal modulo this.
    private static let alignment = 2 << 20

    /// Address space, in bytes, that the process still has to get after guest memory: for stacks, and what is allocated. A machine
    /// without it would trap where it ends as well with a sentence.
    private static let headroom = 512 << 20

    /// Maps `size` bytes of memory, a multiple of 4096.
    public convenience init(size: UInt64) throws(RAMError) { try self.init(size: size, from: nil) }

    /// Maps `size` bytes, which begin as those of `file`, and are copied when first written.
    init(size: UInt64, from file: MappedFile?) throws(RAMError) {
        guard size >= MemoryMap.minimumRAM, size % 4096 == 0 else { throw .badSize(size) }
        guard size <= MemoryMap.maximumRAM else { throw .refused(size: size, errno: ENOMEM) }
        let length = Int(size) + Self.alignment
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        let mapped = unsafe mmap(nil, length + Self.headroom, PROT_READ | PROT_WRITE, flags, -1, 0)
        guard unsafe mapped != MAP_FAILED, let mapped = unsafe mapped else { throw .refused(size: size, errno: errno) }
        unsafe munmap(mapped + length, Self.headroom)
        unsafe mapping = UnsafeMutableRawBufferPointer(start: mapped, count: length)
        let base = unsafe mapped.alignedUp(toMultipleOf: Self.alignment)
        unsafe area = MemoryArea(base: base, size: Int(size), source: file)
        if let file {
            let number = area.map(file)
            guard number == 0 else {
                unsafe munmap(mapped, length)
                throw .refused(size: size, errno: number)
            }
        } else {
            // A hint: a host without huge pages uses small ones.
            unsafe madvise(base, Int(size), MADV_HUGEPAGE)
        }

        let low = min(size, MemoryMap.hole.lowerBound)
        var regions = unsafe [Region(guestAddress: 0, host: base, size: Int(low))]
        if size > low {
            let rest = unsafe Region(
                guestAddress: MemoryMap.hole.upperBound, host: base + Int(low), size: Int(size - low))
            regions.append(rest)
        }
        self.regions = regions
        self.size = size
    }

    deinit { unsafe munmap(mapping.baseAddress, mapping.count) }

    /// Gives the contents back to the host: memory reads 0 again.
    public func discard() {
        for region in regions { _ = unsafe madvise(region.host, region.size, MADV_DONTNEED) }
    }

    /// The first address after the memory below the hole.
    public var lowEnd: UInt64 { regions[0].end }

    /// The address in this process of `count` bytes at a guest-physical address; nil if they are not all in one region.
    public func host(at address: UInt64, count: UInt64) -> UnsafeMutableRawPointer? {
        for region in regions where address >= region.guestAddress && address <= region.end {
            guard count <= region.end - address else { return nil }
            return unsafe region.host + Int(address - region.guestAddress)
        }
        return nil
    }

    /// Writes `bytes` at a guest-physical address. Returns false, and writes nothing, if they are not all in one region.
    public func write(_ bytes: [UInt8], at address: UInt64) -> Bool {
        guard let target = unsafe host(at: address, count: UInt64(bytes.count)) else { return false }
        unsafe bytes.withUnsafeBytes {
            unsafe UnsafeMutableRawBufferPointer(start: target, count: $0.count).copyMemory(from: $0)
        }
        return true
    }

    /// Sets `count` bytes at a guest-physical address to `byte`. Returns false, and sets nothing, if they are not all in one region.
    public func fill(_ byte: UInt8, at address: UInt64, count: UInt64) -> Bool {
        guard let target = unsafe host(at: address, count: count) else { return false }
        unsafe memset(target, Int32(byte), Int(count))
        return true
    }

    /// The `count` bytes at a guest-physical address; nil if they are not all in one region.
    public func read(at address: UInt64, count: Int) -> [UInt8]? {
        guard count >= 0, let source = unsafe host(at: address, count: UInt64(count)) else { return nil }
        return unsafe [UInt8](UnsafeRawBufferPointer(start: source, count: count))
    }
}
