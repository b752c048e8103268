// A disk image in a file or a block device of the host. Locked while in use: two writers would destroy a file system.

import CLinux
import Glibc
import Virtio

/// A disk backed by a file.
final class FileDisk: BlockBackend, @unchecked Sendable {
    private let path: String
    private let descriptor: Int32
    /// The same file opened with O_DIRECT, if the user asked for that.
    private let direct: Int32?

    /// Whether the file system can punch holes, tried behind the end of the file. A block device cannot be tried without losing data,
    /// so it is assumed to.
    let canDeallocate: Bool

    private let lock = Lock()
    /// Under the lock: a flush has failed.
    private var hasLostWrites = false
    /// Under the lock: a request for part of a block has failed and been reported.
    private var hasReportedPart = false

    let blockSizes: BlockSizes

    /// Opens and locks the image at `path`, with a shared lock if it is read-only, else with an exclusive one. With `direct`, all
    /// transfers bypass the host's page cache. An image to be written that the host uses too is refused or warned of, unless `force`.
    /// `blockSize` is the logical block size for the driver, in bytes; nil for the host's.
    init(
        path: String, readOnly: Bool, direct: Bool = false, force: Bool = false, blockSize: UInt32? = nil
    ) throws(MachineError) {
        func fail(_ problem: MachineError.DiskProblem) -> MachineError { .disk(path: path, problem: problem) }
        // O_NONBLOCK: opening a pipe without a writer would block. It has no effect on files and block devices.
        let flags = (readOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK
        let excludesHost = !readOnly && !force
        let descriptor = unsafe open(path, flags | (excludesHost && DiskImage.isBlockDevice(path) ? O_EXCL : 0))
        guard descriptor >= 0 else { throw fail(DiskImage.problem(opening: errno, readOnly: readOnly)) }
        if let problem = DiskImage.problem(with: descriptor, readOnly: readOnly) {
            close(descriptor)
            throw fail(problem)
        }
        let directDescriptor = direct ? unsafe open("/proc/self/fd/\(descriptor)", flags | CLINUX_O_DIRECT) : nil
        let sector = directDescriptor.map { AlignedBuffer.sector(of: $0) } ?? 512
        let sizes = DiskImage.blockSizes(of: descriptor, sector: sector ?? 512, chosen: blockSize)
        if let problem = Self.problem(with: descriptor, sizes, direct: sector) {
            close(descriptor)
            if let directDescriptor, directDescriptor >= 0 { close(directDescriptor) }
            throw fail(problem)
        }
        if excludesHost, let loop = DiskImage.loopDevice(of: descriptor) {
            Log.say(
                "disk \(path) also backs the host's \(loop): writing by both destroys it; detach it with losetup -d \(loop), or add ,ro or ,force"
            )
        }
        self.path = path
        self.descriptor = descriptor
        self.direct = directDescriptor
        blockSizes = sizes
        canDeallocate = !readOnly && Self.canPunchHoles(descriptor)
    }

    deinit {
        close(descriptor)
        if let direct { close(direct) }
    }

    /// What keeps the image from being used with block sizes of `sizes`. `sector` is the least direct transfer; nil if there is none.
    private static func problem(with descriptor: Int32, _ sizes: BlockSizes, direct sector: Int?) -> MachineError
        .DiskProblem?
    {
        guard let sector else { return .notDirect }
        guard sizes.logical >= sector else { return .directNeedsBlocks(size: sector) }
        return DiskImage.sizeProblem(of: descriptor, blocks: sizes.logical)
    }

    /// Says so if the image looks like one of another format.
    func warnOfFormat() {
        guard let format = FileFormat.ofDisk(descriptor, size: capacity * 512) else { return }
        Log.say(
            "disk \(path) looks like \(format.name), and the guest sees it as it is; convert it: \(format.advice(forDisk: path)); "
                + "or add ,format=raw if that is meant")
    }

    private static func canPunchHoles(_ descriptor: Int32) -> Bool {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return false }
        return status.st_mode & S_IFMT == S_IFBLK
            || allocate(descriptor, FALLOC_FL_PUNCH_HOLE, status.st_size, 512) == 0
    }

    var sizeProblem: MachineError? {
        DiskImage.sizeProblem(of: descriptor, blocks: blockSizes.logical).map { .disk(path: path, problem: $0) }
    }

    var capacity: UInt64 {
        let end = lseek(descriptor, 0, SEEK_END)
        return end > 0 ? UInt64(end) / 512 : 0
    }

    /// Makes what was written durable (VIRTIO 1.4, 5.2.6.2). The host reports a failed writeback once and keeps the pages as if they had
    /// been written, so that its next fdatasync succeeds with nothing written again: after a failure every flush of this image fails. One
    /// at a time: of two that overlap, only one is told of the failure.
    func flush() -> Outcome {
        lock.locked {
            guard !hasLostWrites else { return .ioError }
            var result = fdatasync(descriptor)
            while result != 0 && errno == EINTR { result = fdatasync(descriptor) }
            guard result != 0 else { return .ok() }
            let number = errno
            hasLostWrites = true
            Log.say(
                """
                disk \(path): a flush failed (\(reason(number))), writes since the flush before it may be lost, and all flushes fail until \
                vmm opens the image again; check the image and the disk it is on
                """)
            return Outcome(errno: number)
        }
    }

    // MARK: Transfers that do not block

    /// The direction of a transfer.
    enum Direction { case read, write }

    /// Whether transfers bypass the host's page cache.
    var isDirect: Bool { direct != nil }

    /// The descriptor of transfers outside `perform`.
    var fastDescriptor: Int32 { direct ?? descriptor }

    /// The direction of a request that is a single transfer of one system call; nil for others.
    func transfer(of request: Block.Request) -> Direction? {
        guard request.data.count <= 1024 else { return nil }  // IOV_MAX
        return switch request.operation {
        case .read: .read
        case .write where !request.durable: .write
        default: nil
        }
    }

    /// The outcome of a transfer in one system call with `result`, bytes or -errno. Nil if `perform` has to do it: it was not done
    /// whole, would have blocked, or was not aligned.
    func outcome(of request: Block.Request, result: Int) -> Outcome? {
        if result == request.data.byteCount { return .ok(written: request.operation == .read ? UInt32(result) : 0) }
        if result >= 0 || [EAGAIN, EINTR, EINVAL, EOPNOTSUPP].contains(Int32(-result)) { return nil }
        return Outcome(errno: Int32(-result))
    }

    func performNow(_ request: Block.Request, identity: [UInt8]) -> Outcome? {
        if request.operation == .identify { return perform(request, identity: identity) }
        guard let direction = transfer(of: request) else { return nil }
        let result = unsafe request.data.withBuffers { buffers in
            unsafe clinux_transfer_now(
                direction == .write ? 1 : 0, fastDescriptor, buffers.baseAddress, Int32(buffers.count),
                Int(request.offset))
        }
        return outcome(of: request, result: result)
    }

    // MARK: Transfers that may block

    func perform(_ request: Block.Request, identity: [UInt8]) -> Outcome {
        switch request.operation {
        case .read:
            if let direct { return transfer(request, direct, writes: false) }
            return unsafe transfer(request, preadv)
        case .write:
            if let direct { return flushed(transfer(request, direct, writes: true), request) }
            return flushed(unsafe transfer(request, pwritev), request)
        case .discard: return flushed(discard(request), request)
        case .writeZeroes(let mayUnmap): return flushed(writeZeroes(request, mayUnmap: mayUnmap), request)
        case .flush: return flush()
        case .identify: return identify(request, identity)
        }
    }

    /// A transfer past the page cache. If the host cannot transfer less than a block, one that is not in whole blocks fails, and the
    /// first such failure is reported.
    private func transfer(_ request: Block.Request, _ direct: Int32, writes: Bool) -> Outcome {
        let outcome = request.transferAligned(direct, writes: writes)
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

    /// The outcome of a change, after a flush if the change has to be durable.
    private func flushed(_ outcome: Outcome, _ request: Block.Request) -> Outcome {
        request.durable && outcome.result == .ok ? flush() : outcome
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
            let number = zeroes.write(Int(count), to: fastDescriptor, at: request.offset + done)
            guard number == 0 else { return Outcome(errno: number) }
            done += count
        }
        return .ok()
    }

    /// Calls fallocate with `mode` on the request's range: 0 or an errno. An empty range succeeds.
    private func allocate(_ request: Block.Request, _ mode: Int32) -> Int32 {
        guard request.count > 0 else { return 0 }
        return Self.allocate(descriptor, mode, Int(request.offset), Int(request.count))
    }

    /// Calls fallocate with `mode` on the range and keeps the file's size: 0 or an errno.
    private static func allocate(_ descriptor: Int32, _ mode: Int32, _ offset: Int, _ count: Int) -> Int32 {
        while true {
            let result = clinux_fallocate(descriptor, mode | FALLOC_FL_KEEP_SIZE, offset, count)
            if result != -EINTR { return -result }
        }
    }

    private typealias Transfer = (Int32, UnsafePointer<iovec>?, Int32, off_t) -> Int

    /// Transfers all bytes of the request, in as many calls as it takes. Reaching the end of the file is an I/O error.
    private func transfer(_ request: Block.Request, _ call: Transfer) -> Outcome {
        unsafe request.data.withBuffers { buffers in
            // GuestBuffer has the layout of iovec; a test checks that.
            unsafe buffers.withMemoryRebound(to: iovec.self) { vectors in
                var position = off_t(request.offset)
                var next = 0
                var within = 0
                while next < vectors.count {
                    let moved: Int
                    if within == 0 {
                        let count = min(vectors.count - next, 1024)  // IOV_MAX
                        moved = unsafe call(
                            descriptor, vectors.baseAddress.map { unsafe $0 + next }, Int32(count), position)
                    } else {
                        var rest = unsafe iovec(
                            iov_base: vectors[next].iov_base.map { unsafe $0 + within },
                            iov_len: vectors[next].iov_len - within)
                        moved = unsafe call(descriptor, &rest, 1, position)
                    }
                    if moved < 0 && errno == EINTR { continue }
                    guard moved > 0 else { return moved < 0 ? Outcome(errno: errno) : .ioError }
                    position += off_t(moved)
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
