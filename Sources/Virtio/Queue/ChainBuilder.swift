// From descriptors to a chain: the rules that both ring formats share (VIRTIO 1.4, 2.7.4, 2.7.5 and 2.8).

import VirtioABI

/// A chain in the making. Descriptors are added in order, each judged from its copy.
struct ChainBuilder {
    private var readable = (count: 0, bytes: 0)
    private var writable = (count: 0, bytes: 0)
    private var isWriting = false

    /// Adds a buffer to the chain and to `segments`; one of no bytes is skipped.
    mutating func add(
        _ address: UInt64, _ length: UInt32, _ flags: Descriptor.Flags, in memory: GuestMemory,
        _ segments: inout SegmentStorage
    ) throws(QueueFault) {
        if flags.contains(.indirect) { throw .indirectNotNegotiated }
        let writes = flags.contains(.write)
        if isWriting && !writes { throw .readableAfterWritable }
        isWriting = writes
        if length == 0 { return }
        guard let buffer = memory.resolve(address, UInt64(length)) else { throw .bufferOutsideMemory }
        guard readable.bytes + writable.bytes + buffer.count <= 1 << 32 else { throw .chainTooLarge }
        segments.append(buffer)
        if writes {
            writable = (writable.count + 1, writable.bytes + buffer.count)
        } else {
            readable = (readable.count + 1, readable.bytes + buffer.count)
        }
    }

    /// The chain, whose segments are the last of `segments`.
    func finish(head: UInt16, descriptors: UInt16, _ segments: borrowing SegmentStorage) -> DescriptorChain {
        DescriptorChain(
            head: head, descriptors: descriptors,
            readable: segments.last(readable.count, before: writable.count, byteCount: readable.bytes),
            writable: segments.last(writable.count, byteCount: writable.bytes))
    }
}
