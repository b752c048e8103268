// A snapshot's file `memory`: guest memory, then the memory of each disk that is in memory, in the order of the slots. Pages of zeros are
// holes. Its digest is that of the other pages: for each its number, then its bytes.

import Glibc

/// Memory of this process that is part of a machine's state. Sizes are multiples of 4096.
@safe struct MemoryArea: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    let size: Int
    /// The file of which the area is a private mapping, and where in it; nil for memory that began as zeros.
    let source: MappedFile?

    /// Replaces the contents, which must not be in use, by those of `file`; they are copied when first written. Returns 0 or an errno.
    func map(_ file: MappedFile) -> Int32 {
        let flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE
        let mapped = unsafe mmap(base, size, PROT_READ | PROT_WRITE, flags, file.descriptor, file.offset)
        return unsafe mapped == MAP_FAILED ? errno : 0
    }
}

/// Part of an open file.
struct MappedFile {
    let descriptor: Int32
    let offset: Int
}

/// What is in a file of memory.
struct MemoryContents: Equatable {
    /// Pages that are not zero.
    var pages = 0
    var digest = Digest()

    static let page = 4096
    /// SEEK_DATA of <unistd.h>, which is hidden from Swift behind _GNU_SOURCE.
    private static let seekData: Int32 = 3
    /// Bytes that are looked at together: the map of their pages has 4096 bytes.
    static let chunk = 512 * page

    /// Counts `page`, the one with this number, if it is not zero; true if so.
    fileprivate mutating func add(_ page: UnsafeRawPointer, number: Int, zeros: UnsafeRawPointer) -> Bool {
        guard unsafe memcmp(page, zeros, Self.page) != 0 else { return false }
        pages += 1
        digest.add(UInt64(number))
        unsafe digest.add(UnsafeRawBufferPointer(start: page, count: Self.page))
        return true
    }

    /// Writes `areas` to `file`, which is empty. Returns what was written, or throws an errno. `pageMap` is /proc/self/pagemap; without it
    /// every page is looked at.
    static func write(_ areas: [MemoryArea], to file: Int32, pageMap: Int32) throws(HostError) -> MemoryContents {
        var contents = MemoryContents()
        let zeros = UnsafeMutableRawPointer.allocate(byteCount: page, alignment: page)
        defer { unsafe zeros.deallocate() }
        unsafe memset(zeros, 0, page)
        let size = areas.reduce(0) { $0 + $1.size }
        guard ftruncate(file, size) == 0 else { throw HostError(errno) }
        var offset = 0
        for index in areas.indices {
            let (base, areaSize) = unsafe (areas[index].base, areas[index].size)
            for start in stride(from: 0, to: areaSize, by: chunk) {
                let count = min(chunk, areaSize - start)
                guard mayHaveData(areas[index], start, count, pageMap) else { continue }
                // Runs of pages that are not zero are written together.
                var run = 0
                for place in stride(from: start, through: start + count, by: page) {
                    let number = (offset + place) / page
                    if place < start + count, unsafe contents.add(base + place, number: number, zeros: zeros) {
                        run += page
                    } else if run > 0 {
                        let (bytes, target) = unsafe (base + place - run, offset + place - run)
                        let number = moveAll(run) { unsafe pwrite(file, bytes + $0, run - $0, target + $0) }
                        guard number == 0 else { throw HostError(number) }
                        run = 0
                    }
                }
            }
            offset += areaSize
        }
        return contents
    }

    /// Whether part of an area may have a page that is not zero: a page of it was used by this process, or its file has data there.
    private static func mayHaveData(_ area: MemoryArea, _ start: Int, _ count: Int, _ pageMap: Int32) -> Bool {
        if let source = area.source {
            let data = lseek(source.descriptor, source.offset + start, seekData)
            if data >= 0 && data < source.offset + start + count { return true }
        }
        let pages = count / page
        var entries = [UInt64](repeating: 0, count: pages)
        let place = unsafe Int(bitPattern: area.base + start) / page * 8
        guard unsafe pread(pageMap, &entries, pages * 8, place) == pages * 8 else { return true }
        // Bit 63: present; bit 62: swapped out (Linux, Documentation/admin-guide/mm/pagemap.rst).
        return entries.contains { $0 >> 62 != 0 }
    }

    /// Reads all of `file`.
    static func read(_ file: Int32) throws(HostError) -> MemoryContents {
        var contents = MemoryContents()
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: chunk + page, alignment: page)
        defer { unsafe buffer.deallocate() }
        let zeros = unsafe buffer + chunk
        unsafe memset(zeros, 0, page)
        var offset = 0
        while true {
            let data = lseek(file, offset, seekData)
            guard data >= 0 else {
                if errno == ENXIO { return contents }
                throw HostError(errno)
            }
            offset = data / page * page
            let count = unsafe pread(file, buffer, chunk, offset)
            guard count >= 0 else { throw HostError(errno) }
            for place in stride(from: 0, to: count / page * page, by: page) {
                _ = unsafe contents.add(buffer + place, number: (offset + place) / page, zeros: zeros)
            }
            guard count == chunk else { return contents }
            offset += count
        }
    }
}

/// An errno.
struct HostError: Error {
    let errno: Int32
    init(_ errno: Int32) { self.errno = errno }
}
