// The device side of a live split virtqueue (VIRTIO 1.4, 2.7). It knows rings and chains, and nothing of registers, device
// types, interrupts or the lifecycle.
//
//        driver                                            device
//   descriptor table ---- read once, 2 x 64 bits --------> segments, validated from the copy
//   available ring   ---- index: acquire ----------------> nextAvailable
//   used ring        <--- element, then index: release --- nextUsed
//
// Invariant behind every `unsafe` here: the three areas were resolved and found aligned when the queue went live, guest
// memory stays mapped for as long as the model exists, and every offset is masked or checked below `size`.

import Synchronization
import VirtioABI

/// A split virtqueue that has been checked and may be used.
@safe struct SplitQueue: ~Copyable {
    /// What became of a chain the device did not answer at once.
    struct Parked {
        enum State { case free, inFlight, held(Outcome) }
        var state: State
        /// Where the device will answer; empty for a device type that does not.
        var reply: Reply?
    }

    /// Outcome of `next`.
    enum Next: ~Copyable {
        case empty
        case chain(DescriptorChain)
        case fault(QueueFault)
    }

    /// Entries, a power of two.
    let size: UInt16
    /// Free-running indices: of the next available entry to pop, and of the next used entry to write.
    private(set) var nextAvailable: UInt16 = 0
    private(set) var nextUsed: UInt16 = 0
    /// Chains popped and neither used nor held.
    private(set) var inFlight = 0
    /// Chains finished by the backend while the device was suspended.
    private(set) var held = 0

    private let descriptors: UnsafeMutableRawPointer
    private let available: UnsafeMutableRawPointer
    private let used: UnsafeMutableRawPointer
    /// `size` entries, by head.
    private let parked: UnsafeMutablePointer<Parked>

    /// Checks what the driver configured and makes it a queue (VIRTIO 1.4, 2.7: sizes, alignment; every byte of the
    /// three areas in guest memory).
    init(_ configuration: QueueConfiguration, in memory: GuestMemory) throws(QueueFault) {
        guard let size = configuration.splitSize else { throw .badSize }
        guard configuration.descriptors % SplitRing.descriptorAlignment == 0,
            configuration.driver % SplitRing.availableAlignment == 0,
            configuration.device % SplitRing.usedAlignment == 0
        else { throw .misalignedRing }
        guard let descriptors = memory.resolve(configuration.descriptors, SplitRing.descriptorBytes(size: size)),
            let available = memory.resolve(configuration.driver, SplitRing.availableBytes(size: size)),
            let used = memory.resolve(configuration.device, SplitRing.usedBytes(size: size))
        else { throw .ringOutsideMemory }
        self.size = size
        unsafe self.descriptors = descriptors.base
        unsafe self.available = available.base
        unsafe self.used = used.base
        unsafe parked = .allocate(capacity: Int(size))
        unsafe parked.initialize(repeating: Parked(state: .free, reply: nil), count: Int(size))
    }

    deinit { unsafe parked.deallocate() }

    // MARK: Available ring

    /// The driver's available index. Acquire: pairs with the driver's barrier between filling the ring and moving the
    /// index (2.7.13.3).
    var availableIndex: UInt16 {
        unsafe word(available, SplitRing.index).pointee.load(ordering: .acquiring)
    }

    /// Pops the next chain and lays it out in `segments`, which has room for `size` of them; with `limit`, nothing from
    /// that available index on.
    mutating func next(in memory: GuestMemory, upTo limit: UInt16?, _ segments: inout SegmentStorage) -> Next {
        let pending = availableIndex &- nextAvailable
        if pending > size { return .fault(.availableIndexJump) }
        if pending == 0 || nextAvailable == limit { return .empty }

        let slot = UInt64(nextAvailable & (size &- 1))
        let entry = SplitRing.ring + SplitRing.availableEntrySize * slot
        let head = unsafe word(available, entry).pointee.load(ordering: .relaxed)
        guard head < size else { return .fault(.headOutOfRange) }
        guard case .free = unsafe parked[Int(head)].state else { return .fault(.headInFlight) }
        do throws(QueueFault) {
            let chain = try walk(from: head, in: memory, &segments)
            nextAvailable &+= 1
            return .chain(chain)
        } catch {
            return .fault(error)
        }
    }

    /// Reads each descriptor of a chain once, checks the copy, and resolves its buffer. Buffers of no bytes are skipped.
    private func walk(
        from head: UInt16, in memory: GuestMemory, _ segments: inout SegmentStorage
    ) throws(QueueFault) -> DescriptorChain {
        var readable = (count: 0, bytes: 0)
        var writable = (count: 0, bytes: 0)
        var writing = false
        var index = head
        for _ in 0..<size {
            let descriptor = fetch(index)
            if descriptor.flags.contains(.indirect) { throw .indirectNotNegotiated }
            let write = descriptor.flags.contains(.write)
            if writing && !write { throw .readableAfterWritable }
            writing = write
            if descriptor.length > 0 {
                guard let buffer = memory.resolve(descriptor.address, UInt64(descriptor.length)) else {
                    throw .bufferOutsideMemory
                }
                guard readable.bytes + writable.bytes + buffer.count <= 1 << 32 else { throw .chainTooLarge }
                segments.append(buffer)
                if write {
                    writable = (writable.count + 1, writable.bytes + buffer.count)
                } else {
                    readable = (readable.count + 1, readable.bytes + buffer.count)
                }
            }
            guard descriptor.flags.contains(.next) else {
                return DescriptorChain(
                    head: head,
                    readable: segments.last(readable.count, before: writable.count, byteCount: readable.bytes),
                    writable: segments.last(writable.count, byteCount: writable.bytes))
            }
            guard descriptor.next < size else { throw .nextOutOfRange }
            index = descriptor.next
        }
        throw .chainTooLong
    }

    /// Descriptor `index`, below `size`: two loads, never repeated.
    private func fetch(_ index: UInt16) -> Descriptor {
        let halves = unsafe (descriptors + 16 * Int(index)).assumingMemoryBound(to: Atomic<UInt64>.self)
        return unsafe Descriptor(
            low: halves[0].load(ordering: .relaxed), high: halves[1].load(ordering: .relaxed))
    }

    // MARK: Parked chains

    /// Sets a chain aside until the backend has answered. Its head is then the request's name.
    mutating func park(_ chain: consuming DescriptorChain, reply: Reply?) -> UInt16 {
        let head = chain.close()
        unsafe parked[Int(head)] = Parked(state: .inFlight, reply: reply)
        inFlight += 1
        return head
    }

    /// Keeps the outcome of the parked chain `head` for later; nothing in guest memory changes.
    mutating func hold(_ head: UInt16, _ outcome: Outcome) {
        guard head < size, case .inFlight = unsafe parked[Int(head)].state else { return }
        unsafe parked[Int(head)].state = .held(outcome)
        inFlight -= 1
        held += 1
    }

    /// Takes the parked chain `head` back, to be put; nil if there is none.
    mutating func unpark(_ head: UInt16) -> (head: UInt16, reply: Reply?)? {
        guard head < size, case .inFlight = unsafe parked[Int(head)].state else { return nil }
        inFlight -= 1
        unsafe parked[Int(head)].state = .free
        return unsafe (head, parked[Int(head)].reply)
    }

    /// Takes the first held chain at or after `cursor` back, to be put with its outcome, and moves `cursor` behind it; nil
    /// when none is left.
    mutating func unhold(from cursor: inout UInt16) -> (head: UInt16, reply: Reply?, outcome: Outcome)? {
        while held > 0, cursor < size {
            let head = cursor
            cursor += 1
            guard case .held(let outcome) = unsafe parked[Int(head)].state else { continue }
            unsafe parked[Int(head)].state = .free
            held -= 1
            return unsafe (head, parked[Int(head)].reply, outcome)
        }
        return nil
    }

    /// Calls `body` with each held chain.
    func forEachHeld(_ body: (UInt16, Reply?, Outcome) -> Void) {
        for head in 0..<size {
            guard case .held(let outcome) = unsafe parked[Int(head)].state else { continue }
            unsafe body(head, parked[Int(head)].reply, outcome)
        }
    }

    /// Puts a held chain back that `forEachHeld` gave of this queue in another place.
    mutating func restoreHeld(_ head: UInt16, _ reply: Reply?, _ outcome: Outcome) {
        guard head < size else { return }
        unsafe parked[Int(head)] = Parked(state: .held(outcome), reply: reply)
        held += 1
    }

    /// Goes on where this queue stood in another place.
    mutating func continueFrom(_ indices: (available: UInt16, used: UInt16)) {
        (nextAvailable, nextUsed) = indices
    }

    // MARK: Used ring

    /// Gives a chain back with `written` bytes in its writable part, counted from their start (2.7.8).
    mutating func put(_ head: UInt16, written: UInt32) {
        let slot = UInt64(nextUsed & (size &- 1))
        let entry = unsafe used + Int(SplitRing.ring + SplitRing.usedEntrySize * slot)
        let fields = unsafe entry.assumingMemoryBound(to: Atomic<UInt32>.self)
        unsafe fields[0].store(UInt32(head), ordering: .relaxed)
        unsafe fields[1].store(written, ordering: .relaxed)
        nextUsed &+= 1
        // Release: the element, the data and the status byte are visible before the index (2.7.8.2). Pairs with the
        // driver's read barrier after it saw the index move.
        unsafe word(used, SplitRing.index).pointee.store(nextUsed, ordering: .releasing)
    }

    /// Whether the driver wants to hear of used buffers (2.7.7). To be asked after the used index was written.
    func wantsInterrupt() -> Bool {
        // Full fence: the used index is out before the flag is read. Pairs with the driver's barrier between clearing
        // the flag and looking at the used index once more (2.7.7.1).
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        let flags = unsafe word(available, SplitRing.flags).pointee.load(ordering: .relaxed)
        return flags & SplitRing.noInterrupt == 0
    }

    private func word(_ area: UnsafeMutableRawPointer, _ offset: UInt64) -> UnsafePointer<Atomic<UInt16>> {
        unsafe UnsafePointer((area + Int(offset)).assumingMemoryBound(to: Atomic<UInt16>.self))
    }
}
