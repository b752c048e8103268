// io_uring by its raw system calls: submissions and completions in memory shared with the kernel. Only the thread that makes a ring
// may use it.
//
//        vmm                                    kernel
//   entries[tail], then tail: release ------->  reads up to tail, moves head
//   completions: reads up to tail: acquire <--  writes, then moves tail
//   head: release --------------------------->  reuses the entries before it
//
// Invariant behind every `unsafe` here: the mappings live as long as the ring, their offsets are the kernel's own, and
// indices are masked.

import CLinux
import Glibc
import Synchronization

/// A submission and a completion queue.
@safe struct Ring: ~Copyable {
    /// A completion: its entry's `user_data`, and the result in bytes or -errno.
    struct Completion {
        let userData: UInt64
        let result: Int32
    }

    private let descriptor: Int32
    private let rings: UnsafeMutableRawBufferPointer
    private let entries: UnsafeMutableBufferPointer<io_uring_sqe>
    private let submissionTail: UnsafePointer<Atomic<UInt32>>
    private let submissionHead: UnsafePointer<Atomic<UInt32>>
    private let submissionArray: UnsafeMutablePointer<UInt32>
    private let completionHead: UnsafePointer<Atomic<UInt32>>
    private let completionTail: UnsafePointer<Atomic<UInt32>>
    private let completions: UnsafePointer<io_uring_cqe>
    private let completionMask: UInt32

    /// The position of the next entry, and the position up to which entries were submitted.
    private var tail: UInt32 = 0
    private var submitted: UInt32 = 0

    /// Makes a ring of `size` entries, a power of two.
    init(size: UInt32) throws(RingError) {
        var parameters = io_uring_params()
        // DEFER_TASKRUN posts completions only when they are asked for, and so in batches. It needs Linux 6.1; an older kernel
        // refuses the flag.
        let flags = UInt32(IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED)
        parameters.flags = flags | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN
        var descriptor = unsafe clinux_uring_setup(size, &parameters)
        if descriptor == -EINVAL {
            parameters = io_uring_params()
            parameters.flags = flags
            descriptor = unsafe clinux_uring_setup(size, &parameters)
        }
        guard descriptor >= 0 else { throw RingError(errno: -descriptor) }
        // All but EXT_ARG, which is from Linux 5.11, are older.
        let needed = UInt32(
            IORING_FEAT_SINGLE_MMAP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG)
        guard parameters.features & needed == needed else {
            close(descriptor)
            throw RingError(errno: ENOSYS)
        }
        // A ring makes system calls that no filter sees, so it is held to these.
        let operations = [IORING_OP_READ, IORING_OP_WRITE, IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_POLL_ADD]
        let enabled = unsafe clinux_uring_enable(
            descriptor, operations.map { UInt8($0.rawValue) }, UInt32(operations.count))
        guard enabled == 0 else {
            close(descriptor)
            throw RingError(errno: -enabled)
        }
        let (submission, completion) = (parameters.sq_off, parameters.cq_off)
        let ringsSize = max(
            Int(submission.array) + 4 * Int(parameters.sq_entries),
            Int(completion.cqes) + MemoryLayout<io_uring_cqe>.stride * Int(parameters.cq_entries))
        let entriesSize = MemoryLayout<io_uring_sqe>.stride * Int(parameters.sq_entries)
        func map(_ size: Int, _ offset: UInt64) -> UnsafeMutableRawPointer? {
            let result = unsafe mmap(
                nil, size, PROT_READ | PROT_WRITE, MAP_SHARED | Int32(MAP_POPULATE), descriptor, off_t(offset))
            return unsafe result == MAP_FAILED ? nil : result
        }
        let mappedRings = unsafe map(ringsSize, UInt64(IORING_OFF_SQ_RING))
        guard let rings = unsafe mappedRings, let entries = unsafe map(entriesSize, UInt64(IORING_OFF_SQES)) else {
            let number = errno
            if let mappedRings = unsafe mappedRings { unsafe munmap(mappedRings, ringsSize) }
            close(descriptor)
            throw RingError(errno: number)
        }
        func word(_ offset: UInt32) -> UnsafePointer<Atomic<UInt32>> {
            unsafe UnsafePointer((rings + Int(offset)).assumingMemoryBound(to: Atomic<UInt32>.self))
        }
        self.descriptor = descriptor
        unsafe self.rings = UnsafeMutableRawBufferPointer(start: rings, count: ringsSize)
        unsafe self.entries = UnsafeMutableBufferPointer(
            start: entries.assumingMemoryBound(to: io_uring_sqe.self), count: Int(parameters.sq_entries))
        unsafe submissionTail = word(submission.tail)
        unsafe submissionHead = word(submission.head)
        unsafe submissionArray = (rings + Int(submission.array)).assumingMemoryBound(to: UInt32.self)
        unsafe completionHead = word(completion.head)
        unsafe completionTail = word(completion.tail)
        unsafe completions = UnsafePointer(
            (rings + Int(completion.cqes)).assumingMemoryBound(to: io_uring_cqe.self))
        completionMask = parameters.cq_entries - 1
    }

    deinit {
        unsafe munmap(rings.baseAddress, rings.count)
        unsafe munmap(entries.baseAddress, MemoryLayout<io_uring_sqe>.stride * entries.count)
        close(descriptor)
    }

    // MARK: Submissions

    /// Queues a transfer between `file` and the guest memory in `buffers`. The vector itself is only read up to the submission. False
    /// if the ring is full.
    mutating func transfer(
        writes: Bool, _ file: Int32, _ buffers: UnsafeBufferPointer<iovec>, at offset: UInt64, userData: UInt64
    ) -> Bool {
        guard let entry = unsafe nextEntry() else { return false }
        // A single buffer needs no vector; its length fits, as it came from a descriptor of 32 bits.
        let isOne = buffers.count == 1
        let operation =
            writes ? isOne ? IORING_OP_WRITE : IORING_OP_WRITEV : isOne ? IORING_OP_READ : IORING_OP_READV
        let address = unsafe isOne ? UnsafeRawPointer(buffers[0].iov_base) : UnsafeRawPointer(buffers.baseAddress)
        let count = unsafe isOne ? buffers[0].iov_len : buffers.count
        unsafe clinux_prepare(
            entry, UInt8(operation.rawValue), file, address, UInt32(count), UInt(offset), UInt(userData))
        return true
    }

    /// Queues a one-shot poll: it completes when `file` is readable. False if the ring is full.
    mutating func watch(_ file: Int32, userData: UInt64) -> Bool {
        // POLLIN is in the field of a transfer's flags; all other fields are 0.
        guard let entry = unsafe nextEntry() else { return false }
        unsafe clinux_prepare(entry, UInt8(IORING_OP_POLL_ADD.rawValue), file, nil, 0, 0, UInt(userData))
        unsafe entry.pointee.poll32_events = UInt32(POLLIN)
        return true
    }

    /// The next entry, to be prepared; nil if the ring is full.
    mutating func nextEntry() -> UnsafeMutablePointer<io_uring_sqe>? {
        let size = unsafe UInt32(entries.count)
        // Acquire: the kernel has read the entries before its head.
        guard unsafe tail &- submissionHead.pointee.load(ordering: .acquiring) < size else { return nil }
        let index = tail & (size - 1)
        unsafe submissionArray[Int(index)] = index
        tail &+= 1
        return unsafe entries.baseAddress.map { unsafe $0 + Int(index) }
    }

    /// Tells the kernel of new entries, and waits until there is a completion: `milliseconds` long at most, -1 without limit. 0 does not
    /// wait.
    mutating func submit(waiting milliseconds: Int32) {
        let waits = milliseconds != 0 && !hasCompletion
        if tail != submitted || waits { enter(waiting: waits ? milliseconds : 0) }
    }

    /// Whether there is a completion now. Enters the kernel, and submits new entries, if the ring shows none.
    mutating func poll() -> Bool {
        if !hasCompletion { enter(waiting: 0) }
        return hasCompletion
    }

    private mutating func enter(waiting milliseconds: Int32) {
        // Release: the entries are written before the tail that covers them.
        unsafe submissionTail.pointee.store(tail, ordering: .releasing)
        let nanoseconds = milliseconds < 0 ? -1 : Int64(milliseconds) * 1_000_000
        let result = clinux_uring_enter(descriptor, tail &- submitted, milliseconds == 0 ? 0 : 1, nanoseconds)
        // After a signal or a timeout the entries that were not taken are submitted again.
        if result > 0 { submitted &+= UInt32(result) }
    }

    // MARK: Completions

    /// Whether there is a completion.
    var hasCompletion: Bool {
        unsafe completionHead.pointee.load(ordering: .relaxed) != completionTail.pointee.load(ordering: .acquiring)
    }

    /// Takes the next completion; nil if there is none.
    mutating func next() -> Completion? {
        guard hasCompletion else { return nil }
        let head = unsafe completionHead.pointee.load(ordering: .relaxed)
        let entry = unsafe completions[Int(head & completionMask)]
        // Release: the entry was read before the kernel may write it again.
        unsafe completionHead.pointee.store(head &+ 1, ordering: .releasing)
        return Completion(userData: entry.user_data, result: entry.res)
    }
}

/// The host refuses a ring.
struct RingError: Error {
    let errno: Int32
}
