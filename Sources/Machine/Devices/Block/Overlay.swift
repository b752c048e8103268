// The overlay of a disk: what the guest writes goes to a sparse file beside the image, which is only read, so that any number of machines
// can start from it. Data are at the offsets that they have in the image; a map has a bit for each sector that is here.
//
//     0                 size, rounded up to 4096
//     | data, or holes  | map, a bit a sector   | trailer, 4096 bytes: what it is an overlay of |
//
// An overlay that is discarded has no name, and its map is in memory alone. One that is kept is as durable as an image: its flush stores
// the data first, then the map.

import CLinux
import Glibc

/// A file of a disk, the image or its overlay. It is closed by its owner.
struct DiskFile {
    let descriptor: Int32
    /// The same file opened with O_DIRECT, if transfers bypass the host's page cache.
    let direct: Int32?

    /// The descriptor of transfers.
    var transfers: Int32 { direct ?? descriptor }

    /// Opens `descriptor`, whose flags are `flags`, a second time if transfers are to be `direct`; nil if the file cannot do that.
    init?(_ descriptor: Int32, flags: Int32, direct: Bool) {
        self.descriptor = descriptor
        guard direct else {
            self.direct = nil
            return
        }
        let second = unsafe open("/proc/self/fd/\(descriptor)", flags | CLINUX_O_DIRECT)
        guard second >= 0 else { return nil }
        self.direct = second
    }

    func close() {
        _ = Glibc.close(descriptor)
        if let direct { _ = Glibc.close(direct) }
    }
}

/// The overlay of a disk image.
final class Overlay: @unchecked Sendable {
    let file: DiskFile
    /// Bytes of the image.
    let size: UInt64
    /// Its name, if it is there after the run.
    let keptPath: String?

    private let lock = Lock()
    /// Under the lock.
    private var map: SectorMap

    /// An overlay in the locked file `file`, whose map is read if it has one.
    init(_ file: DiskFile, over image: ImageIdentity, keptAt path: String?) throws(MachineError) {
        self.file = file
        keptPath = path
        size = image.size
        guard image.size <= Self.mostBytes else {
            throw .host("the overlay of \(image.path) cannot be used", errno: EFBIG)
        }
        map = try SectorMap(bytes: image.size)
        let isNew = lseek(file.descriptor, 0, SEEK_END) == 0
        let number = isNew ? lay(out: image) : readMap()
        guard number == 0 else { throw .host("the overlay of \(image.path) cannot be used", errno: number) }
    }

    deinit { file.close() }

    /// The bytes at the start of `range` that are all in the overlay, or all in the image.
    func run(_ range: Range<UInt64>) -> (isInside: Bool, end: UInt64) { lock.locked { map.run(range) } }

    /// The bytes of `range` are in the overlay from now on.
    func insert(_ range: Range<UInt64>) { lock.locked { map.insert(range) } }

    /// Makes what was written durable, if the overlay is kept: 0 or an errno. One call at a time.
    func flush() -> Int32 {
        guard keptPath != nil else { return 0 }
        // Sectors that are added from here on may have data that this flush does not store.
        let pages = lock.locked { map.takeChanged() }
        let number = synchronize(file.descriptor)
        guard number == 0, !pages.isEmpty else { return number }
        for (page, bytes) in pages {
            let number = write(bytes, at: mapOffset + page * SectorMap.page)
            guard number == 0 else { return number }
        }
        return synchronize(file.descriptor)
    }

    // MARK: The file

    /// Bytes of the file of an overlay of an image of `size` bytes.
    static func fileSize(forImageOf size: UInt64) -> Int? {
        guard size <= mostBytes else { return nil }
        return mapOffset(size) + SectorMap.size(forDiskOf: size) + SectorMap.page
    }

    /// The largest image: with the map, the overlay's size fits an Int. The trailer of a damaged overlay can give any size.
    static let mostBytes: UInt64 = 1 << 62

    private static func mapOffset(_ size: UInt64) -> Int { Int((size + 4095) & ~4095) }

    private var mapOffset: Int { Self.mapOffset(size) }

    /// Gives the new file its size, and a trailer if it is kept: 0 or an errno.
    private func lay(out image: ImageIdentity) -> Int32 {
        guard let end = Self.fileSize(forImageOf: size) else { return EFBIG }
        guard ftruncate(file.descriptor, end) == 0 else { return errno }
        return keptPath != nil ? write(image.trailer, at: end - SectorMap.page) : 0
    }

    private func readMap() -> Int32 {
        let end = mapOffset + map.size
        var offset = mapOffset
        var page = [UInt8](repeating: 0, count: SectorMap.page)
        while true {
            // Holes of the map are sectors of the image.
            offset = lseek(file.descriptor, off_t(offset), Self.seekData)
            guard offset >= 0, offset < end else { return offset < 0 ? errno : 0 }
            offset = offset / SectorMap.page * SectorMap.page
            guard unsafe pread(file.descriptor, &page, page.count, off_t(offset)) == page.count else { return EIO }
            map.restore(page, asPage: (offset - mapOffset) / SectorMap.page)
            offset += SectorMap.page
        }
    }

    /// SEEK_DATA of <unistd.h>, which is hidden from Swift behind _GNU_SOURCE. The trailer is data behind the map.
    private static let seekData: Int32 = 3

    /// Writes all of `bytes`: 0 or an errno.
    private func write(_ bytes: [UInt8], at offset: Int) -> Int32 {
        unsafe bytes.withUnsafeBytes { bytes in
            moveAll(bytes.count) { done in
                let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
                return unsafe pwrite(file.descriptor, rest.baseAddress, rest.count, off_t(offset + done))
            }
        }
    }
}

/// Makes what was written to `file` durable: 0 or an errno.
func synchronize(_ file: Int32) -> Int32 {
    while fdatasync(file) != 0 { guard errno == EINTR else { return errno } }
    return 0
}
