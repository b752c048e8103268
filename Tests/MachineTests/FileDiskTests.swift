// A disk in a file: data, errors, locking. No guest.

import Glibc
import Testing

@testable import Machine
@testable import Virtio

/// Host memory in several segments, as a chain's data.
@safe final class SegmentedBuffer {
    private let base: UnsafeMutableRawPointer
    let size: Int
    private let storage: SegmentStorage
    let segments: Segments

    init(_ sizes: [Int]) {
        size = sizes.reduce(0, +)
        unsafe base = .allocate(byteCount: size, alignment: 16)
        unsafe memset(base, 0, size)
        storage = SegmentStorage(capacity: sizes.count)
        var cursor = storage.cursor
        var offset = 0
        for size in sizes {
            unsafe cursor.append(GuestBuffer(base: base + offset, count: size))
            offset += size
        }
        segments = cursor.segments(since: storage.cursor, byteCount: size)
    }

    deinit { unsafe base.deallocate() }

    var bytes: [UInt8] {
        get { unsafe [UInt8](UnsafeRawBufferPointer(start: base, count: size)) }
        set { unsafe UnsafeMutableRawBufferPointer(start: base, count: size).copyBytes(from: newValue) }
    }

    /// Performs a request on `disk`, for `count` bytes of the disk or for the buffer's size.
    func perform(
        _ operation: Block.Request.Operation, at offset: UInt64 = 0, count: UInt64? = nil, durable: Bool = false,
        identity: String = "", on disk: any BlockBackend
    ) -> Outcome {
        let request = Block.Request(
            offset: offset, count: count ?? UInt64(size), data: segments, durable: durable, operation: operation)
        return withExtendedLifetime(self) { disk.perform(request, identity: Array(identity.utf8)) }
    }
}

@Suite struct FileDiskTests {
    private let path: String

    init() throws {
        path = "/tmp/vmm-disk-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    }

    /// Creates the image, calls `body`, and removes the image.
    private func withImage(_ bytes: Int, _ body: () throws -> Void) throws {
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
        try #require(descriptor >= 0 && ftruncate(descriptor, bytes) == 0)
        close(descriptor)
        defer { unsafe unlink(path) }
        try body()
    }

    private func error(_ body: () throws(MachineError) -> Void) -> MachineError? {
        do throws(MachineError) {
            try body()
            return nil
        } catch { return error }
    }

    @Test("data written from many segments is read into others", arguments: [1, 3, 7, 1023, 1024, 1025, 2500])
    func pieces(count: Int) throws {
        try withImage(1 << 20) {
            let disk = try FileDisk(path: path, readOnly: false)
            let source = SegmentedBuffer([Int](repeating: 64, count: count) + [17, 512 - 17])
            source.bytes = (0..<source.size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
            #expect(source.perform(.write, at: 4096, on: disk) == .ok())
            let target = SegmentedBuffer([5, source.size - 5])
            #expect(
                target.perform(.read, at: 4096, on: disk) == .ok(written: UInt32(source.size)))
            #expect(target.bytes == source.bytes)
            #expect(try Array(contents(of: path)[4096..<4096 + source.size]) == source.bytes)
        }
    }

    @Test("a request beyond the end of a file that shrank fails, and the next one works")
    func truncated() throws {
        try withImage(8192) {
            let disk = try FileDisk(path: path, readOnly: false)
            try #require(unsafe truncate(path, 4096) == 0)
            #expect(SegmentedBuffer([1024]).perform(.read, at: 3584, on: disk) == .ioError)
            #expect(SegmentedBuffer([1024]).perform(.read, at: 4096, on: disk) == .ioError)
            #expect(SegmentedBuffer([512]).perform(.read, on: disk) == .ok(written: 512))
            #expect(disk.capacity == 8)
        }
    }

    @Test("an error of the host fails the request")
    func hostError() throws {
        try withImage(4096) {
            let disk = try FileDisk(path: path, readOnly: true)
            #expect(SegmentedBuffer([512]).perform(.write, on: disk) == .ioError)
            #expect(SegmentedBuffer([512]).perform(.write, durable: true, on: disk) == .ioError)
            #expect(SegmentedBuffer([512]).perform(.read, on: disk) == .ok(written: 512))
        }
    }

    @Test("flush and durable writes succeed on a file")
    func flush() throws {
        try withImage(4096) {
            let disk = try FileDisk(path: path, readOnly: false)
            #expect(SegmentedBuffer([1]).perform(.flush, on: disk) == .ok())
            #expect(SegmentedBuffer([512]).perform(.write, durable: true, on: disk) == .ok())
        }
    }

    @Test("the identity is padded to 20 bytes and truncated to the buffer", arguments: [1, 19, 20, 64])
    func identify(room: Int) throws {
        let disk = try MemoryDisk(size: 512)
        let target = SegmentedBuffer([1, room].filter { $0 > 0 })
        target.bytes = [UInt8](repeating: 0xee, count: target.size)
        let written = min(20, target.size)
        #expect(
            target.perform(.identify, identity: "blk0", on: disk) == .ok(written: UInt32(written)))
        let whole = Array("blk0".utf8) + [UInt8](repeating: 0, count: 16)
        #expect(target.bytes == whole.prefix(written) + [UInt8](repeating: 0xee, count: target.size - written))
    }

    @Test("a writable disk locks its file exclusively, read-only disks share it")
    func locking() throws {
        try withImage(4096) {
            let inUse = MachineError.disk(path: path, problem: .locked)
            do {
                let writer = try FileDisk(path: path, readOnly: false)
                #expect(error { () throws(MachineError) in _ = try FileDisk(path: path, readOnly: false) } == inUse)
                #expect(error { () throws(MachineError) in _ = try FileDisk(path: path, readOnly: true) } == inUse)
                #expect(writer.capacity == 8)
            }
            let reader = try FileDisk(path: path, readOnly: true)
            #expect(error { () throws(MachineError) in _ = try FileDisk(path: path, readOnly: true) } == nil)
            #expect(error { () throws(MachineError) in _ = try FileDisk(path: path, readOnly: false) } == inUse)
            #expect(reader.capacity == 8)
        }
    }

    /// The number of 512-byte blocks that the host has allocated for the file at `path`.
    private func blocks(of path: String) -> Int {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? Int(status.st_blocks) : -1
    }

    /// A range in the middle of an image full of ones reads as zeroes, and nothing around it changed. tmpfs has no
    /// FALLOC_FL_ZERO_RANGE, so there the zeroes are written.
    @Test("write zeroes zeroes its range and nothing else", arguments: ["/tmp", "/dev/shm"], [false, true])
    func writeZeroes(directory: String, mayUnmap: Bool) throws {
        let path = directory + self.path.dropFirst("/tmp".count)
        let ones = [UInt8](repeating: 1, count: 1 << 20)
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
        try #require(descriptor >= 0)
        #expect(unsafe write(descriptor, ones, ones.count) == ones.count)
        close(descriptor)
        defer { unsafe unlink(path) }
        let before = blocks(of: path)
        let disk = try FileDisk(path: path, readOnly: false)
        let (start, count) = (4096 + 512, 512 << 10)
        #expect(
            SegmentedBuffer([1]).perform(
                .writeZeroes(mayUnmap: mayUnmap), at: UInt64(start), count: UInt64(count), on: disk)
                == .ok())
        let bytes = try contents(of: path)
        #expect(bytes.count == ones.count)
        #expect(bytes[..<start].allSatisfy { $0 == 1 } && bytes[(start + count)...].allSatisfy { $0 == 1 })
        #expect(bytes[start..<start + count].allSatisfy { $0 == 0 })
        #expect(disk.canDeallocate)
        if mayUnmap { #expect(blocks(of: path) < before, "unmap deallocates blocks") }
    }

    @Test("a discard deallocates blocks, keeps the size, and changes nothing else; a discard of 0 bytes is no error")
    func discard() throws {
        try withImage(1 << 20) {
            let disk = try FileDisk(path: path, readOnly: false)
            let ones = SegmentedBuffer([1 << 20])
            ones.bytes = [UInt8](repeating: 1, count: ones.size)
            try #require(ones.perform(.write, on: disk) == .ok() && ones.perform(.flush, on: disk) == .ok())
            let before = blocks(of: path)
            #expect(SegmentedBuffer([1]).perform(.discard, at: 65536, count: 512 << 10, on: disk) == .ok())
            #expect(blocks(of: path) < before && disk.capacity == 2048)
            let bytes = try contents(of: path)
            #expect(bytes[..<65536].allSatisfy { $0 == 1 } && bytes[(65536 + 512 << 10)...].allSatisfy { $0 == 1 })
            #expect(SegmentedBuffer([1]).perform(.discard, at: 0, count: 0, on: disk) == .ok())
            #expect(SegmentedBuffer([1]).perform(.writeZeroes(mayUnmap: true), at: 0, count: 0, on: disk) == .ok())
            #expect(try contents(of: path) == bytes)
        }
    }

    @Test("the block sizes are the file system's, and the logical one can be chosen")
    func blockSizes() throws {
        try withImage(8192) {
            var status = stat()
            try #require(unsafe stat(path, &status) == 0)
            let physical = UInt32(status.st_blksize)
            #expect(
                try FileDisk(path: path, readOnly: false).blockSizes == BlockSizes(logical: 512, physical: physical))
            #expect(
                try FileDisk(path: path, readOnly: false, blockSize: 2048).blockSizes
                    == BlockSizes(logical: 2048, physical: physical))
            try #require(unsafe truncate(path, 8192 + 512) == 0)
            let problem = MachineError.disk(path: path, problem: .notWholeBlocks(bytes: 8704, size: 4096))
            #expect(
                error { () throws(MachineError) in _ = try FileDisk(path: path, readOnly: false, blockSize: 4096) }
                    == problem)
        }
    }

    @Test("a loop device of the host that the image backs is found")
    func loopDevice() throws {
        try withImage(4096) {
            let folder = path + ".block"
            defer {
                for name in ["/loop7/loop/backing_file", "/loop7/loop", "/loop7", ""] { unsafe remove(folder + name) }
            }
            for name in ["", "/loop7", "/loop7/loop"] { try #require(unsafe mkdir(folder + name, 0o700) == 0) }
            let image = unsafe open(path, O_RDONLY)
            let backing = unsafe open(folder + "/loop7/loop/backing_file", O_RDWR | O_CREAT, 0o600)
            defer {
                close(image)
                close(backing)
            }
            for (text, device) in [("/dev/null\n", nil), (path + "\n", "/dev/loop7")] {
                let bytes = Array(text.utf8)
                try #require(ftruncate(backing, 0) == 0)
                try #require(unsafe pwrite(backing, bytes, bytes.count, 0) == bytes.count)
                #expect(DiskImage.loopDevice(of: image, in: folder) == device)
            }
        }
    }

    @Test("images of other formats are recognised by their first bytes, a fixed VHD by its last sector")
    func formats() throws {
        for (offset, magic, name) in [
            (0, [0x51, 0x46, 0x49, 0xfb], "a qcow2 image"), (0, Array("KDMV".utf8), "a VMDK image"),
            (0, Array("vhdxfile".utf8), "a VHDX image"), (0, Array("conectix".utf8), "a VHD image"),
            (3584, Array("conectix".utf8), "a VHD image"), (0x40, [0x7f, 0x10, 0xda, 0xbe], "a VDI image"),
            (0, [0x1f, 0x8b], "a gzip file"), (0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], "an xz file"),
            (0, [0x28, 0xb5, 0x2f, 0xfd], "a zstd file"), (0, [0x3a, 0xff, 0x26, 0xed], "an Android sparse image"),
            (0, Array("MZ".utf8), nil), (512, [0x51, 0x46, 0x49, 0xfb], nil),
        ] as [(Int, [UInt8], String?)] {
            try withImage(4096) {
                let image = unsafe open(path, O_RDWR)
                defer { close(image) }
                try #require(unsafe pwrite(image, magic, magic.count, off_t(offset)) == magic.count)
                #expect(FileFormat.ofDisk(image, size: 4096)?.name == name)
            }
        }
    }

    @Test("a memory disk refuses requests beyond its end")
    func memoryDiskEnds() throws {
        let disk = try MemoryDisk(size: 1024)
        #expect(SegmentedBuffer([512]).perform(.read, at: 512, on: disk) == .ok(written: 512))
        #expect(SegmentedBuffer([1024]).perform(.read, at: 512, on: disk) == .ioError)
        #expect(SegmentedBuffer([512]).perform(.write, at: 1 << 62, on: disk) == .ioError)
    }

    @Test("a memory disk zeroes the range of a discard or a write zeroes", arguments: [false, true])
    func memoryDiskZeroes(discards: Bool) throws {
        let disk = try MemoryDisk(size: 2048)
        let ones = SegmentedBuffer([2048])
        ones.bytes = [UInt8](repeating: 1, count: 2048)
        #expect(ones.perform(.write, on: disk) == .ok())
        #expect(
            SegmentedBuffer([1]).perform(
                discards ? .discard : .writeZeroes(mayUnmap: false), at: 512, count: 1024, on: disk)
                == .ok())
        #expect(ones.perform(.read, on: disk) == .ok(written: 2048))
        #expect(ones.bytes == (0..<2048).map { 512..<1536 ~= $0 ? 0 : 1 })
        #expect(SegmentedBuffer([1]).perform(.discard, at: 1536, count: 1024, on: disk) == .ioError)
    }

    @Test("GuestBuffer has the layout of iovec")
    func layout() {
        let byte = UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1)
        defer { unsafe byte.deallocate() }
        let buffer = unsafe GuestBuffer(base: byte, count: 1)
        let vector = unsafe unsafeBitCast(buffer, to: iovec.self)
        #expect(unsafe MemoryLayout<GuestBuffer>.stride == MemoryLayout<iovec>.stride)
        #expect(unsafe vector.iov_base == byte && vector.iov_len == 1)
    }
}
