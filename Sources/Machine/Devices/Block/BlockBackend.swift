// Disk backends. A backend transfers bytes directly between the disk and the guest's buffers, in a thread of the device, without
// the device's lock.

import Glibc
import Virtio

extension Outcome {
    /// The outcome for an errno of the host: unsupported if the host does not implement the operation, else an I/O error.
    init(errno: Int32) { self.init(errno == EOPNOTSUPP || errno == ENOSYS ? .unsupported : .ioError) }
}

/// The host side of a disk.
protocol BlockBackend: AnyObject, Sendable {
    /// The current size in sectors of 512 bytes.
    var capacity: UInt64 { get }
    /// Why a size that changed since the start cannot be used; nil if it can.
    var sizeProblem: MachineError? { get }
    /// Whether a write zeroes with unmap can deallocate sectors.
    var canDeallocate: Bool { get }
    /// The block sizes for the driver.
    var blockSizes: BlockSizes { get }
    /// Performs a request, which may block; `identity` is the answer to GET_ID.
    func perform(_ request: Block.Request, identity: [UInt8]) -> Outcome
    /// Performs a request if that does not block; nil if it would.
    func performNow(_ request: Block.Request, identity: [UInt8]) -> Outcome?
    /// Makes everything written so far durable.
    func flush() -> Outcome
    /// What a snapshot says of the disk, after a flush; nil for a disk in memory. Throws if its contents will be gone.
    func saved() throws(MachineError) -> SavedDisk?
    /// The disk's memory, if it is in memory.
    var memory: MemoryArea? { get }
    /// The memory is that of `file` from now on. Before the device starts.
    func restore(from file: MappedFile) -> Int32
}

extension BlockBackend {
    var canDeallocate: Bool { false }
    var blockSizes: BlockSizes { .standard }
    var sizeProblem: MachineError? { nil }
    var memory: MemoryArea? { nil }
    func saved() throws(MachineError) -> SavedDisk? { nil }
    func restore(from file: MappedFile) -> Int32 { 0 }

    /// For a backend that never blocks.
    func performNow(_ request: Block.Request, identity: [UInt8]) -> Outcome? { perform(request, identity: identity) }

    /// GET_ID (VIRTIO 1.4, 5.2.6): as much of the identity as fits, padded with NUL to 20 bytes.
    func identify(_ request: Block.Request, _ identity: [UInt8]) -> Outcome {
        let padded = identity.prefix(20) + Array(repeating: 0, count: max(0, 20 - identity.count))
        var rest = padded[...]
        request.data.forEach { buffer in
            let part = rest.prefix(buffer.count)
            unsafe part.withUnsafeBytes {
                if let source = $0.baseAddress { unsafe memcpy(buffer.base, source, $0.count) }
            }
            rest = rest.dropFirst(part.count)
        }
        return .ok(written: UInt32(padded.count - rest.count))
    }
}

/// A disk in the memory of this process.
@safe final class MemoryDisk: BlockBackend, @unchecked Sendable {
    private let base: UnsafeMutableRawPointer
    private let size: Int
    /// The file that it was restored from.
    private var source: MappedFile?

    /// Makes a disk of `size` zero bytes, a multiple of 512.
    init(size: Int) throws(MachineError) {
        precondition(size > 0 && size % 512 == 0)
        let mapped = unsafe mmap(
            nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard unsafe mapped != MAP_FAILED, let mapped = unsafe mapped else {
            throw .host("there is no memory for a disk of \(size >> 20) MiB", errno: errno)
        }
        unsafe base = mapped
        self.size = size
    }

    deinit { unsafe munmap(base, size) }

    var capacity: UInt64 { UInt64(size / 512) }

    func flush() -> Outcome { .ok() }

    var memory: MemoryArea? { unsafe MemoryArea(base: base, size: size, source: source) }

    func restore(from file: MappedFile) -> Int32 {
        source = file
        return unsafe MemoryArea(base: base, size: size, source: nil).map(file)
    }

    func perform(_ request: Block.Request, identity: [UInt8]) -> Outcome {
        switch request.operation {
        case .flush: return flush()
        case .identify: return identify(request, identity)
        case .read, .write, .discard, .writeZeroes: break
        }
        // The device checks against its configured capacity, which a test may have made larger than the disk.
        guard request.offset <= UInt64(size), request.count <= UInt64(size) - request.offset else { return .ioError }
        var place = unsafe base + Int(request.offset)
        switch request.operation {
        case .discard, .writeZeroes: unsafe memset(place, 0, Int(request.count))
        default:
            request.data.forEach { buffer in
                if request.operation == .read {
                    unsafe memcpy(buffer.base, place, buffer.count)
                } else {
                    unsafe memcpy(place, buffer.base, buffer.count)
                }
                unsafe place += buffer.count
            }
        }
        return .ok(written: request.operation == .read ? UInt32(request.data.byteCount) : 0)
    }
}
