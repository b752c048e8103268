// The guest's memory on the host. Not an address space: what lies between the pieces is the board's.

import Glibc

/// Why there is no guest memory.
public enum RAMError: Error, Equatable, CustomStringConvertible {
    /// A size in bytes that a board cannot have.
    case badSize(UInt64)
    /// The host's answer to a request for so many bytes.
    case refused(size: UInt64, errno: Int32)

    /// One sentence, with what to do next.
    public var description: String {
        switch self {
        case .badSize(let size):
            "guest memory of \(size) bytes is impossible; give at least 2M, in steps of 4K, with -m"
        case .refused(let size, let number):
            "the host refuses \(size >> 20) MiB of guest memory (\(reason(number))); try a smaller -m"
        }
    }
}

/// Guest memory: from 0 up to the hole below 4 GiB, and what is left from 4 GiB on. It reads 0 until it is written, and
/// costs the host nothing until it is used. Any thread may use it at any time; the guest writes to it too.
@safe public final class RAM: Sendable {
    /// A piece of guest memory.
    @safe public struct Region: @unchecked Sendable {
        /// Where the guest sees it.
        public let guestAddress: UInt64
        /// Where the host sees it, for as long as the `RAM` lives.
        public let host: UnsafeMutableRawPointer
        /// Its size in bytes, a multiple of 4096.
        public let size: Int
        /// The first guest-physical address behind it.
        public var end: UInt64 { guestAddress + UInt64(size) }
    }

    /// The pieces, one or two, by ascending address. The first starts at 0.
    public let regions: [Region]
    /// Bytes of all pieces.
    public let size: UInt64
    nonisolated(unsafe) private let mapping: UnsafeMutableRawBufferPointer

    /// Huge pages cover the memory only where host and guest addresses agree in these low bits.
    private static let alignment = 2 << 20

    /// `size` bytes of memory, a multiple of 4096.
    public init(size: UInt64) throws(RAMError) {
        guard size >= MemoryMap.minimumRAM, size % 4096 == 0 else { throw .badSize(size) }
        guard size <= 1 << 46 else { throw .refused(size: size, errno: ENOMEM) }
        let length = Int(size) + Self.alignment
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        let mapped = unsafe mmap(nil, length, PROT_READ | PROT_WRITE, flags, -1, 0)
        guard unsafe mapped != MAP_FAILED, let mapped = unsafe mapped else { throw .refused(size: size, errno: errno) }
        unsafe mapping = UnsafeMutableRawBufferPointer(start: mapped, count: length)
        let base = unsafe mapped.alignedUp(toMultipleOf: Self.alignment)
        // A wish: a host without huge pages serves small ones.
        unsafe madvise(base, Int(size), MADV_HUGEPAGE)

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

    /// The first address behind the memory below the hole.
    public var lowEnd: UInt64 { regions[0].end }

    /// Where the host sees `count` bytes at a guest-physical address; nil if they are not all in one piece of memory.
    public func host(at address: UInt64, count: UInt64) -> UnsafeMutableRawPointer? {
        for region in regions where address >= region.guestAddress && address <= region.end {
            guard count <= region.end - address else { return nil }
            return unsafe region.host + Int(address - region.guestAddress)
        }
        return nil
    }

    /// Writes `bytes` at a guest-physical address. Returns false, having written nothing, if that is not all memory.
    public func write(_ bytes: [UInt8], at address: UInt64) -> Bool {
        guard let target = unsafe host(at: address, count: UInt64(bytes.count)) else { return false }
        unsafe bytes.withUnsafeBytes {
            unsafe UnsafeMutableRawBufferPointer(start: target, count: $0.count).copyMemory(from: $0)
        }
        return true
    }

    /// Sets `count` bytes at a guest-physical address to `byte`. Returns false, having set nothing, if that is not all memory.
    public func fill(_ byte: UInt8, at address: UInt64, count: UInt64) -> Bool {
        guard let target = unsafe host(at: address, count: count) else { return false }
        unsafe memset(target, Int32(byte), Int(count))
        return true
    }

    /// The `count` bytes at a guest-physical address; nil if that is not all memory.
    public func read(at address: UInt64, count: Int) -> [UInt8]? {
        guard count >= 0, let source = unsafe host(at: address, count: UInt64(count)) else { return nil }
        return unsafe [UInt8](UnsafeRawBufferPointer(start: source, count: count))
    }
}
