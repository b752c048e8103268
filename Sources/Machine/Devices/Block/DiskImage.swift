// What a disk image is on the host: whether it can be used, whether the host uses it too, and its block sizes.

import CLinux
import Glibc
import Virtio

/// Checks of an open disk image. They change nothing.
enum DiskImage {
    /// What keeps the image from being used; nil, and it is locked, if nothing does.
    static func problem(with descriptor: Int32, readOnly: Bool) -> MachineError.DiskProblem? {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return .failed(errno: errno) }
        switch status.st_mode & S_IFMT {
        case S_IFREG, S_IFBLK: break
        case S_IFDIR: return .directory
        default: return .notADisk
        }
        if let problem = sizeProblem(of: descriptor, blocks: 512) { return problem }
        switch HostFiles.lock(descriptor, readOnly ? F_RDLCK : F_WRLCK) {
        case 0: return nil
        case EAGAIN: return .locked
        case let number: return .failed(errno: number)
        }
    }

    /// Why the image's size cannot be used with blocks of `size` bytes; nil if it can.
    static func sizeProblem(of descriptor: Int32, blocks size: UInt32) -> MachineError.DiskProblem? {
        let end = lseek(descriptor, 0, SEEK_END)
        guard end >= 0 else { return .failed(errno: errno) }
        if end == 0 { return .empty }
        return UInt64(end) % UInt64(size) == 0 ? nil : .notWholeBlocks(bytes: UInt64(end), size: size)
    }

    /// The problem that an errno of open(2) stands for.
    static func problem(opening number: Int32, readOnly: Bool) -> MachineError.DiskProblem {
        switch number {
        case ENXIO: .notADisk
        case ENOENT, ENOTDIR: .missing
        case EISDIR: .directory
        case EACCES, EPERM, EROFS: .notPermitted(writing: !readOnly)
        case EBUSY: .usedByTheHost
        default: .failed(errno: number)
        }
    }

    /// Whether `path` is a block device. Opening it with O_EXCL then fails with EBUSY while the host has it mounted, and keeps the
    /// host from mounting it.
    static func isBlockDevice(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFBLK
    }

    /// The loop device of the host that the file behind `descriptor` backs, by what `/sys/block` says; nil for none.
    static func loopDevice(of descriptor: Int32, in folder: String = "/sys/block") -> String? {
        guard let file = FileIdentity(descriptor: descriptor) else { return nil }
        for number in 0..<256 {
            let path = "\(folder)/loop\(number)/loop/backing_file"
            let backing = unsafe open(path, O_RDONLY | O_CLOEXEC)
            guard backing >= 0 else { continue }
            defer { close(backing) }
            var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
            let count = unsafe read(backing, &bytes, bytes.count)
            let name = String(decoding: bytes.prefix(max(count, 0)).prefix { $0 != 10 }, as: UTF8.self)
            if FileIdentity(path: name) == file { return "/dev/loop\(number)" }
        }
        return nil
    }

    /// The block sizes of the image: those of a block device; of a file, sectors of `sector` bytes on its file system's blocks.
    /// `chosen` replaces the logical one.
    static func blockSizes(of descriptor: Int32, sector: Int, chosen: UInt32?) -> BlockSizes {
        var (logical, physical) = (UInt32(sector), UInt32(4096))
        var status = stat()
        if unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG {
            physical = UInt32(clamping: status.st_blksize)
        } else {
            _ = unsafe clinux_block_sizes(descriptor, &logical, &physical)
        }
        let wanted = chosen ?? max(logical, UInt32(sector))
        return BlockSizes(logical: wanted, physical: max(wanted, physical)) ?? BlockSizes(
            logical: wanted, physical: 4096) ?? .standard
    }
}
