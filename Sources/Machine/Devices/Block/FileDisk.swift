// A disk image in a file or a block device of the host. Locked while in use: two writers would destroy a file system.

import CLinux
import Glibc
import Virtio

/// A disk backed by a file.
final class FileDisk: BlockBackend, @unchecked Sendable {
    private let path: String
    private let image: DiskFile
    /// Where writes go, if not into the image.
    private let overlay: Overlay?

    /// Whether the file system can punch holes, tried behind the end of the file. A block device cannot be tried without losing data,
    /// so it is assumed to.
    let canDeallocate: Bool

    private let syncs = SharedSync()
    private let lock = Lock()
    /// Under the lock: a request for part of a block has failed and been reported.
    private var hasReportedPart = false

    let blockSizes: BlockSizes

    /// Opens and locks the image at `path`, with a shared lock if it is only read, else with an exclusive one. With `direct`, all
    /// transfers bypass the host's page cache. An image to be written that the host uses too is refused or warned of, unless `force`.
    /// `blockSize` is the logical block size for the driver, in bytes; nil for the host's.
    init(
        path: String, readOnly: Bool, overlay choice: Machine.Configuration.Disk.Overlay? = nil, direct: Bool = false,
        force: Bool = false, blockSize: UInt32? = nil
    ) throws(MachineError) {
        func fail(_ problem: MachineError.DiskProblem) -> MachineError { .disk(path: path, problem: problem) }
        let isRead = readOnly || choice != nil
        // O_NONBLOCK: opening a pipe without a writer would block. It has no effect on files and block devices.
        let flags = (isRead ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK
        let excludesHost = !isRead && !force
        let descriptor = unsafe open(path, flags | (excludesHost && DiskImage.isBlockDevice(path) ? O_EXCL : 0))
        guard descriptor >= 0 else { throw fail(DiskImage.problem(opening: errno, readOnly: isRead)) }
        if let problem = DiskImage.problem(with: descriptor, readOnly: isRead) {
            close(descriptor)
            throw fail(problem)
        }
        guard let image = DiskFile(descriptor, flags: flags, direct: direct) else {
            close(descriptor)
            throw fail(.notDirect)
        }
        do throws(MachineError) {
            overlay = try choice.map { (choice) throws(MachineError) in
                let end = UInt64(max(0, lseek(descriptor, 0, SEEK_END)))
                let identity = ImageIdentity(path: path, descriptor: descriptor, size: end)
                return try Overlay.open(choice, over: identity, direct: direct, force: force)
            }
            blockSizes = try Self.blockSizes([image, overlay?.file].compactMap(\.self), chosen: blockSize, fail)
        } catch {
            image.close()
            throw error
        }
        if excludesHost, let loop = DiskImage.loopDevice(of: descriptor) {
            Log.say(
                "disk \(path) also backs the host's \(loop): writing by both destroys it; detach it with losetup -d \(loop), or add ,ro or ,force"
            )
        }
        self.path = path
        self.image = image
        canDeallocate = !readOnly && Self.canPunchHoles(overlay?.file.descriptor ?? descriptor)
    }

    deinit { image.close() }

    /// The block sizes for the driver: those of the image, which is the first of `files`, with which all of them can be used.
    private static func blockSizes(
        _ files: [DiskFile], chosen: UInt32?, _ fail: (MachineError.DiskProblem) -> MachineError
    ) throws(MachineError) -> BlockSizes {
        var least = 512
        for file in files {
            guard let direct = file.direct else { continue }
            guard let sector = AlignedBuffer.sector(of: direct) else { throw fail(.notDirect) }
            least = max(least, sector)
        }
        let sizes = DiskImage.blockSizes(of: files[0].descriptor, sector: least, chosen: chosen)
        guard sizes.logical >= least else { throw fail(.directNeedsBlocks(size: least)) }
        if let problem = DiskImage.sizeProblem(of: files[0].descriptor, blocks: sizes.logical) { throw fail(problem) }
        return sizes
    }

    /// Says so if the image looks like one of another format.
    func warnOfFormat() {
        guard let format = FileFormat.ofDisk(image.descriptor, size: capacity * 512) else { return }
        Log.say(
            "disk \(path) looks like \(format.name), and the guest sees it as it is; convert it: \(format.advice(forDisk: path)); "
                + "or add ,format=raw if that is meant")
    }

    private static func canPunchHoles(_ descriptor: Int32) -> Bool {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return false }
        if status.st_mode & S_IFMT == S_IFBLK { return true }
        guard allocate(descriptor, FALLOC_FL_PUNCH_HOLE, status.st_size, 512) == 0 else { return false }
        // The file was not changed: it keeps the time by which snapshots and overlays know it.
        let times = [status.st_atim, status.st_mtim]
        _ = unsafe futimens(descriptor, times)
        return true
    }

    var sizeProblem: MachineError? {
        DiskImage.sizeProblem(of: image.descriptor, blocks: blockSizes.logical).map { .disk(path: path, problem: $0) }
    }

    /// An image with an overlay keeps the size that it had.
    var capacity: UInt64 {
        if let overlay { return overlay.size / 512 }
        let end = lseek(image.descriptor, 0, SEEK_END)
        return end > 0 ? UInt64(end) / 512 : 0
    }

    /// Makes what was written durable (VIRTIO 1.4, 5.2.6.2). The host reports a failed writeback once and keeps the pages as if they had
    /// been written, so that its next fdatasync succeeds with nothing written again: after a failure every flush of this image fails. One
    /// at a time: of two that overlap, only one is told of the failure.
    func flush() -> Outcome {
        let number = syncs.run {
            let number = overlay?.flush() ?? synchronize(image.descriptor)
            guard number != 0 else { return 0 }
            Log.say(
                """
                disk \(path): a flush failed (\(reason(number))), writes since the flush before it may be lost, and all flushes fail until \
                vmm opens the image again; check the image and the disk it is on
                """)
            return number
        }
        return number == 0 ? .ok() : .ioError
    }

    func saved() throws(MachineError) -> SavedDisk? {
        guard flush().result == .ok else { throw .control("disk \(path) cannot be flushed; check the disk it is on") }
        return SavedDisk(
            image: ImageIdentity(path: path, descriptor: image.descriptor, size: capacity * 512).absolute,
            overlay: try overlay?.saved(of: path))
    }

    // MARK: Where data are

    /// The file that is written.
    private var target: DiskFile { overlay?.file ?? image }

    /// Whether the overlay, which does not grow, has room for the request: the device checks against its configured capacity, which a
    /// test may have made larger.
    private func isInside(_ request: Block.Request) -> Bool {
        overlay.map { request.range.upperBound <= $0.size } ?? true
    }

    /// The file that has the bytes at the start of `range`, and where it ends to have them.
    private func source(of range: Range<UInt64>) -> (file: DiskFile, end: UInt64) {
        guard let overlay, !range.isEmpty else { return (image, range.upperBound) }
        let run = overlay.run(range)
        return (run.isInside ? overlay.file : image, run.end)
    }

    /// Called when all of a change is done.
    private func changed(_ request: Block.Request) {
        if request.count > 0 { overlay?.insert(request.range) }
    }

    // MARK: Transfers that do not block

    /// A transfer of one system call.
    struct Transfer {
        let writes: Bool
        let descriptor: Int32
    }

    /// Whether transfers bypass the host's page cache.
    var isDirect: Bool { image.direct != nil }

    /// The transfer that a request is; nil for a request that is more than one, or none.
    func transfer(of request: Block.Request) -> Transfer? {
        guard request.data.count <= 1024, isInside(request) else { return nil }  // IOV_MAX
        switch request.operation {
        case .read:
            let (file, end) = source(of: request.range)
            return end == request.range.upperBound ? Transfer(writes: false, descriptor: file.transfers) : nil
        case .write where !request.durable: return Transfer(writes: true, descriptor: target.transfers)
        default: return nil
        }
    }

    /// The outcome of a transfer in one system call with `result`, bytes or -errno. Nil if `perform` has to do it: it was not done
    /// whole, would have blocked, or was not aligned.
    func outcome(of request: Block.Request, result: Int) -> Outcome? {
        if result == request.data.byteCount {
            if request.operation == .read { return .ok(written: UInt32(result)) }
            changed(request)
            return .ok()
        }
        if result >= 0 || [EAGAIN, EINTR, EINVAL, EOPNOTSUPP].contains(Int32(-result)) { return nil }
        return Outcome(errno: Int32(-result))
    }

    func performNow(_ request: Block.Request, identity: [UInt8]) -> Outcome? {
        if request.operation == .identify { return perform(request, identity: identity) }
        guard let transfer = transfer(of: request) else { return nil }
        let result = unsafe request.data.withBuffers { buffers in
            unsafe clinux_transfer_now(
                transfer.writes ? 1 : 0, transfer.descriptor, buffers.baseAddress, Int32(buffers.count),
                Int(request.offset))
        }
        return outcome(of: request, result: result)
    }

    // MARK: Transfers that may block

    func perform(_ request: Block.Request, identity: [UInt8]) -> Outcome {
        guard isInside(request) else { return .ioError }
        switch request.operation {
        case .read: return isDirect ? transferDirectly(request) : unsafe transfer(request, preadv)
        case .write: return flushed(isDirect ? transferDirectly(request) : unsafe transfer(request, pwritev), request)
        case .discard: return flushed(discard(request), request)
        case .writeZeroes(let mayUnmap): return flushed(writeZeroes(request, mayUnmap: mayUnmap), request)
        case .flush: return flush()
        case .identify: return identify(request, identity)
        }
    }

    /// A transfer past the page cache. If the host cannot transfer less than a block, one that is not in whole blocks fails, and the
    /// first such failure is reported.
    private func transferDirectly(_ request: Block.Request) -> Outcome {
        let outcome = request.transferAligned(writes: request.operation == .write) { place(of: $0, in: request) }
        let isWhole = (request.offset | request.count) % UInt64(blockSizes.logical) == 0
        if outcome.result != .ok, !isWhole, isFirstPart {
            Log.say(
                "disk \(path): a request for part of a block of \(blockSizes.logical) bytes failed, because of ,direct; the driver has to "
                    + "transfer whole blocks, of the size in blk_size, or leave ,direct out")
        }
        return outcome
    }

    /// True once.
    private var isFirstPart: Bool {
        lock.locked {
            defer { hasReportedPart = true }
            return !hasReportedPart
        }
    }

    /// The descriptor for the bytes of `request` that start at `position`, and where it ends to be.
    private func place(of position: UInt64, in request: Block.Request) -> (descriptor: Int32, end: UInt64) {
        if request.operation == .write { return (target.transfers, request.range.upperBound) }
        let (file, end) = source(of: position..<request.range.upperBound)
        return (file.transfers, end)
    }

    /// The outcome of a change, after a flush if the change has to be durable.
    private func flushed(_ outcome: Outcome, _ request: Block.Request) -> Outcome {
        guard outcome.result == .ok else { return outcome }
        changed(request)
        return request.durable ? flush() : outcome
    }

    /// Deallocates the range. A hint: where the host cannot, the range stays as it is (VIRTIO 1.4, 5.2.6.2).
    private func discard(_ request: Block.Request) -> Outcome {
        switch allocate(request, FALLOC_FL_PUNCH_HOLE) {
        case 0, EOPNOTSUPP, ENOSYS, EINVAL: .ok()
        case let number: Outcome(errno: number)
        }
    }

    /// Zeroes the range, by writing zeroes if the host cannot do it by fallocate.
    private func writeZeroes(_ request: Block.Request, mayUnmap: Bool) -> Outcome {
        switch allocate(request, mayUnmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE) {
        case 0: return .ok()
        case EOPNOTSUPP, ENOSYS, EINVAL: break
        case let number: return Outcome(errno: number)
        }
        let zeroes = AlignedBuffer(Int(request.count))
        var done: UInt64 = 0
        while done < request.count {
            let count = min(UInt64(AlignedBuffer.maximumBytes), request.count - done)
            let number = zeroes.write(Int(count), to: target.transfers, at: request.offset + done)
            guard number == 0 else { return Outcome(errno: number) }
            done += count
        }
        return .ok()
    }

    /// Calls fallocate with `mode` on the request's range: 0 or an errno. An empty range succeeds.
    private func allocate(_ request: Block.Request, _ mode: Int32) -> Int32 {
        guard request.count > 0 else { return 0 }
        return Self.allocate(target.descriptor, mode, Int(request.offset), Int(request.count))
    }

    /// Calls fallocate with `mode` on the range and keeps the file's size: 0 or an errno.
    private static func allocate(_ descriptor: Int32, _ mode: Int32, _ offset: Int, _ count: Int) -> Int32 {
        while true {
            let result = clinux_fallocate(descriptor, mode | FALLOC_FL_KEEP_SIZE, offset, count)
            if result != -EINTR { return -result }
        }
    }

    private typealias Call = (Int32, UnsafePointer<iovec>?, Int32, off_t) -> Int

    /// Transfers all bytes of the request, in as many calls as it takes. Reaching the end of the file is an I/O error.
    private func transfer(_ request: Block.Request, _ call: Call) -> Outcome {
        unsafe request.data.withBuffers { buffers in
            // GuestBuffer has the layout of iovec; a test checks that.
            unsafe buffers.withMemoryRebound(to: iovec.self) { vectors in
                var position = request.offset
                var next = 0
                var within = 0
                while next < vectors.count {
                    let (file, end) = place(of: position, in: request)
                    let moved: Int
                    if within == 0, end == request.range.upperBound {
                        let count = min(vectors.count - next, 1024)  // IOV_MAX
                        moved = unsafe call(
                            file, vectors.baseAddress.map { unsafe $0 + next }, Int32(count), off_t(position))
                    } else {
                        var rest = unsafe iovec(
                            iov_base: vectors[next].iov_base.map { unsafe $0 + within },
                            iov_len: min(vectors[next].iov_len - within, Int(end - position)))
                        moved = unsafe call(file, &rest, 1, off_t(position))
                    }
                    if moved < 0 && errno == EINTR { continue }
                    guard moved > 0 else { return moved < 0 ? Outcome(errno: errno) : .ioError }
                    position += UInt64(moved)
                    within += moved
                    while next < vectors.count, unsafe within >= vectors[next].iov_len {
                        unsafe within -= vectors[next].iov_len
                        next += 1
                    }
                }
                return .ok(written: request.operation == .read ? UInt32(request.data.byteCount) : 0)
            }
        }
    }
}

extension Block.Request {
    /// The bytes of the disk.
    fileprivate var range: Range<UInt64> { offset..<offset + count }
}
